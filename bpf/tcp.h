/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets of TCP connections and to listeners. */
#ifndef WEIR_TCP_H
#define WEIR_TCP_H

#include "seat.h"

/* A TCP connection judged in an older generation, or not yet: judge it, by the side this socket is on. */
__noinline int judge_connection(struct __sk_buff *skb, struct seat *seat, struct socket_state *state)
{
	struct flow *flow;
	int first;

	if (!seat || !state)
		return DROP;
	flow = &seat->flow;
	first = !state->generation;
	if (state->role == ROLE_CONNECTING) {
		/* The peer's ingress is judged where the peer is. */
		source_of(state, &flow->source);
		flow->source.owner = seat->owner;
		if (first) {
			if (!state->unsure || skb->ifindex == LOOPBACK_IFINDEX)
				find_local_receiver(skb, flow, seat->now.generation);
			state->peer = flow->destination.addr;
			state->peer_owner = flow->destination.owner;
		} else {
			flow->destination.addr = state->peer;
			flow->destination.owner = state->peer_owner;
			flow->port = state->port;
		}
		decide(&seat->now, flow, state->redirected ? SIDE_EGRESS | SIDE_INGRESS : SIDE_EGRESS, &seat->decision);
		if (seat->decision.ruling.verdict == WEIR_PROXIED && !is_still_turned(state, &seat->decision))
			rule_on(&seat->decision, WEIR_DENIED, WEIR_REASON_BYPASSED_PROXY, WEIR_EGRESS);
	} else {
		flow->destination.owner = seat->owner;
		if (first && !state->peer_known) {
			find_sender(skb, seat);
			keep_peer(state, &flow->source);
		} else {
			peer_of(state, &flow->source);
		}
		judge_arrival(seat);
	}
	if (first) {
		int proxys = seat->decision.destination.kind == WEIR_KIND_PROXY;

		state->port = flow->port;
		state->source = proxys ? 0 : seat->decision.source.workload;
		state->destination = proxys ? 0 : seat->decision.destination.workload;
	}
	state->owner = seat->owner;
	/* In this order: a packet on another CPU that sees the generation sees its verdict. */
	*(volatile __u8 *)&state->verdict = pass_or_drop(seat) == PASS ? WEIR_ALLOWED : WEIR_DENIED;
	*(volatile __u32 *)&state->generation = seat->now.generation;
	if (seat->decision.ruling.verdict == WEIR_DENIED)
		report(&seat->decision, flow);
	if (state->verdict == WEIR_ALLOWED && state->role == ROLE_ACCEPTING && state->started_ns)
		count_opened(state);
	return pass_or_drop(seat);
}

/* A connection that was open before weir knew its owner: accepted, if its own port is listened on. */
__noinline int role_of(struct __sk_buff *skb, const struct seat *seat)
{
	const struct weir_addr *local, *remote;
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *listener;
	__be16 port;

	if (!seat)
		return ROLE_NONE;
	local = seat->inbound ? &seat->flow.destination.addr : &seat->flow.source.addr;
	remote = seat->inbound ? &seat->flow.source.addr : &seat->flow.destination.addr;
	port = seat->inbound ? seat->flow.port : seat->flow.source_port;
	listener = bpf_sk_lookup_tcp(skb, &tuple, socket_tuple(&tuple, remote, 0, local, port), BPF_F_CURRENT_NETNS, 0);
	if (!listener)
		return ROLE_CONNECTING;
	bpf_sk_release(listener);
	return ROLE_ACCEPTING;
}

__noinline int tcp_packet(struct __sk_buff *skb, struct seat *seat, struct socket_state *state)
{
	if (!seat || !state)
		return DROP;
	if (seat->flow.resets)
		return PASS; /* it can only end a connection, and whose it was is no longer to be found */
	if (seat->listening) {
		if (!seat->inbound)
			return PASS; /* SYN-ACK: what it answers was judged */
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
		if (seat->flow.begins)
			report(&seat->decision, &seat->flow);
		return pass_or_drop(seat);
	}
	if (seat->connecting && seat->inbound && seat->flow.begins) {
		/* Both connect to each other at once (RFC 9293 section 3.5): the other side enters here as through a listener. */
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
		report(&seat->decision, &seat->flow);
		return pass_or_drop(seat);
	}
	if (!state->role)
		state->role = role_of(skb, seat);
	if (state->generation == seat->now.generation)
		return state->verdict == WEIR_ALLOWED ? PASS : DROP; /* refused before, and counted */
	/* Seen as the connection goes: from the one who connected to the one who accepted. */
	if ((state->role == ROLE_CONNECTING) == seat->inbound)
		turn_around(&seat->flow);
	return judge_connection(skb, seat, state);
}

#endif
