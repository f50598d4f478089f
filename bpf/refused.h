/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether an open connection is refused now: judged as its own packets would be, without waiting for one. */
#ifndef WEIR_REFUSED_H
#define WEIR_REFUSED_H

#include "kernel.h"
#include "owner.h"
#include "sender.h"

static __always_inline void read_v6(struct weir_addr *addr, const struct in6_addr *from)
{
	addr->word[0] = from->in6_u.u6_addr32[0];
	addr->word[1] = from->in6_u.u6_addr32[1];
	addr->word[2] = from->in6_u.u6_addr32[2];
	addr->word[3] = from->in6_u.u6_addr32[3];
}

/* A connection seen from the end that opened it, which knows both parties. */
static __always_inline int judge_opened(const struct weir_current *now, struct sock *sk,
					const struct socket_state *state, struct flow *flow,
					struct decision *decision)
{
	/* A peer elsewhere judges its own ingress; one over loopback may not have seen a packet since it accepted. */
	__u32 sides = state->peer_owner || state->redirected ? SIDE_EGRESS | SIDE_INGRESS : SIDE_EGRESS;

	flow->port = state->port;
	source_of(state, &flow->source);
	flow->source.addr_known = 1;
	if (sk->__sk_common.skc_family == AF_INET)
		addr_from_v4(&flow->source.addr, sk->__sk_common.skc_rcv_saddr);
	else
		read_v6(&flow->source.addr, &sk->__sk_common.skc_v6_rcv_saddr);
	flow->destination.owner = state->peer_owner;
	flow->destination.addr = state->peer;
	flow->destination.addr_known = 1;
	decide(now, flow, sides, decision);
	if (state->redirected) /* what the proxy judges it by must be what is to be judged now; else a new connection */
		return decision->ruling.verdict != WEIR_PROXIED || !is_still_turned(state, decision);
	return decision->ruling.verdict != WEIR_ALLOWED;
}

/* Seen from the end that accepted it. Before its first packet the peer is known by its address alone; within a
 * namespace that says nothing, and the other end is there to judge it. */
static __always_inline int judge_accepted(const struct weir_current *now, struct sock *sk,
					  const struct socket_state *state, struct flow *flow,
					  struct decision *decision)
{
	/* Read once: its first packet may be judged at this moment, on another CPU. */
	int known = *(volatile __u32 *)&state->generation || state->peer_known;

	flow->destination.owner = state->owner ? state->owner : owner_of(sk, now->generation);
	flow->source.addr_known = 1;
	flow->port = bpf_htons(sk->__sk_common.skc_num);
	if (known) {
		peer_of(state, &flow->source);
	} else if (sk->__sk_common.skc_family == AF_INET) {
		addr_from_v4(&flow->source.addr, sk->__sk_common.skc_daddr);
		addr_from_v4(&flow->destination.addr, sk->__sk_common.skc_rcv_saddr);
	} else {
		read_v6(&flow->source.addr, &sk->__sk_common.skc_v6_daddr);
		read_v6(&flow->destination.addr, &sk->__sk_common.skc_v6_rcv_saddr);
	}
	if (!flow->destination.owner)
		return 0;
	if (!known && within_namespace(&flow->source.addr, &flow->destination.addr))
		return 0;
	decide(now, flow, SIDE_INGRESS, decision);
	if (decision->destination.kind == WEIR_KIND_PROXY)
		return 0; /* goes with the caller's end */
	return decision->ruling.verdict != WEIR_ALLOWED;
}

/* `told`: one of its packets came first, was refused and was reported. */
static __always_inline int is_refused_tcp(const struct weir_current *now, struct sock *sk, const struct socket_state *state,
				   struct flow *flow, struct decision *decision, int *told)
{
	int over;

	if (!state->role)
		return 0;
	/* One that still waits for an answer may be allowed here and refused there. */
	if (state->generation == now->generation && state->verdict == WEIR_ALLOWED &&
	    sk->__sk_common.skc_state != TCP_SYN_SENT)
		return 0;
	*told = state->generation == now->generation;
	flow->protocol = IPPROTO_TCP;
	if (state->role == ROLE_CONNECTING)
		over = state->generation && judge_opened(now, sk, state, flow, decision);
	else
		over = judge_accepted(now, sk, state, flow, decision);
	return over && !audited(decision);
}

/* Whether a UDP socket is still connected to the peer of the exchange that its state is about. */
static __always_inline int is_connected(struct sock *sk, const struct socket_state *state)
{
	struct weir_addr peer;

	if (!state->role || !sk->__sk_common.skc_dport)
		return 0;
	if (sk->__sk_common.skc_family == AF_INET)
		addr_from_v4(&peer, sk->__sk_common.skc_daddr);
	else
		read_v6(&peer, &sk->__sk_common.skc_v6_daddr);
	return addr_equal(&peer, &state->peer) &&
	       (state->role == ROLE_ACCEPTING || state->port == sk->__sk_common.skc_dport);
}

/* The exchange of a connected UDP socket is judged in the direction in which it began. Unconnected ones are judged with
 * each datagram. */
static __always_inline int is_refused_udp(const struct weir_current *now, struct sock *sk, const struct socket_state *state,
				       struct flow *flow, struct decision *decision)
{
	if (!is_connected(sk, state))
		return 0;
	flow->protocol = IPPROTO_UDP;
	if (state->role == ROLE_CONNECTING)
		judge_opened(now, sk, state, flow, decision);
	else
		judge_accepted(now, sk, state, flow, decision);
	return decision->ruling.verdict == WEIR_DENIED && !audited(decision);
}

#endif
