/* SPDX-License-Identifier: GPL-2.0-only */
/* Iterators over the sockets of a network namespace, run by the agent after a switch: tag those that were open before
 * their workload was known, and end the connections that are no longer allowed. Each writes a line for each one. */
#include "kernel.h"
#include "owner.h"
#include "sender.h"

#ifndef WEIR_WITHOUT_SOCK_DESTROY
extern int bpf_sock_destroy(struct sock_common *sk) __ksym; /* since 6.5 */
#endif

static const char line[] = "1\n";

static __always_inline int enrol(struct seq_file *seq, struct sock *sk)
{
	struct socket_state *state;
	struct weir_workload *row;
	struct weir_current now;
	__u64 owner;

	if (!in_force(&now))
		return 0;
	owner = owner_of(sk, now.generation);
	row = owner ? row_of(now.generation, owner) : NULL;
	if (!row || row->kind == WEIR_KIND_SUBTREE)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE, row->workload);
		return 0;
	}
	if (state->owner == owner)
		return 0;
	state->owner = owner;
	state->generation = 0;
	state->verdict = 0;
	bpf_seq_write(seq, line, sizeof line - 1);
	return 0;
}

SEC("iter/tcp")
int enrol_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_sock *tcp = common ? bpf_skc_to_tcp_sock(common) : NULL;

	return tcp ? enrol(ctx->meta->seq, (struct sock *)tcp) : 0;
}

SEC("iter/udp")
int enrol_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;

	return udp ? enrol(ctx->meta->seq, (struct sock *)udp) : 0;
}

#ifndef WEIR_WITHOUT_SOCK_DESTROY

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

/* Open connections: judged as their own packets would be, without waiting for one. What takes time is what the kernel
 * does to end one; of ten thousand the last is to be gone soon, too, so two threads do half of them each. */
static __always_inline int revoke_half(struct bpf_iter__tcp *ctx, int odd)
{
	struct sock_common *common = ctx->sk_common;
	struct decision decision = {};
	struct weir_current now;
	struct socket_state *state;
	struct flow flow = {};
	struct sock *sk;
	int over, told;

	if (!common || (int)(common->skc_hash & 1) != odd)
		return 0;
	sk = (struct sock *)bpf_skc_to_tcp_sock(common);
	if (!sk || !in_force(&now) || now.audit)
		return 0;
	state = bpf_sk_storage_get(&sockets, common, 0, 0);
	if (!state || !state->role)
		return 0;
	/* One that still waits for an answer may be allowed here and refused there. */
	if (state->generation == now.generation && state->verdict == WEIR_ALLOWED &&
	    sk->__sk_common.skc_state != TCP_SYN_SENT)
		return 0;
	told = state->generation == now.generation; /* one of its packets came first and was refused */
	flow.protocol = IPPROTO_TCP;
	if (state->role == ROLE_CONNECTING)
		over = state->generation && judge_opened(&now, sk, state, &flow, &decision);
	else
		over = judge_accepted(&now, sk, state, &flow, &decision);
	if (!over || audited(&decision) || bpf_sock_destroy(common))
		return 0;
	if (decision.ruling.verdict == WEIR_DENIED && !told)
		report(&decision, &flow);
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

SEC("iter/tcp")
int revoke_tcp_even(struct bpf_iter__tcp *ctx)
{
	return revoke_half(ctx, 0);
}

SEC("iter/tcp")
int revoke_tcp_odd(struct bpf_iter__tcp *ctx)
{
	return revoke_half(ctx, 1);
}

/* After a change of layout that could not take the sockets' state over: what goes through a proxy was judged as somebody's
 * whom nobody remembers. Ends every connection of a proxy that was begun before. */
SEC("iter/tcp")
int forget_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct socket_state *state;
	struct weir_workload *row;
	struct weir_current now;
	struct sock *sk;
	__u64 owner;

	sk = common ? (struct sock *)bpf_skc_to_tcp_sock(common) : NULL;
	if (!sk || !in_force(&now) || sk->__sk_common.skc_state == TCP_STATE_LISTEN)
		return 0;
	owner = owner_of(sk, now.generation);
	row = owner ? row_of(now.generation, owner) : NULL;
	if (!row || row->kind != WEIR_KIND_PROXY)
		return 0;
	state = bpf_sk_storage_get(&sockets, common, 0, 0);
	if ((state && state->started_ns) || bpf_sock_destroy(common))
		return 0;
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
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

/* Connected UDP sockets: the exchange is judged in the direction in which it began, and what reads from or writes to a
 * socket whose exchange is refused gets ECONNABORTED. Unconnected ones are judged with each datagram. */
SEC("iter/udp")
int revoke_udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct decision decision = {};
	struct socket_state *state;
	struct weir_current now;
	struct flow flow = {};

	if (!sk || !in_force(&now) || now.audit)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || !is_connected(sk, state))
		return 0;
	flow.protocol = IPPROTO_UDP;
	if (state->role == ROLE_CONNECTING)
		judge_opened(&now, sk, state, &flow, &decision);
	else
		judge_accepted(&now, sk, state, &flow, &decision);
	if (decision.ruling.verdict != WEIR_DENIED || audited(&decision) ||
	    bpf_sock_destroy((struct sock_common *)sk))
		return 0;
	state->role = ROLE_NONE;
	report(&decision, &flow);
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

#endif /* WEIR_WITHOUT_SOCK_DESTROY */

char LICENSE[] SEC("license") = "GPL";
