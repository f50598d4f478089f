/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP exchanges, and what has neither connections nor exchanges. */
#ifndef WEIR_DATAGRAM_H
#define WEIR_DATAGRAM_H

#include "exchange.h"

#define ICMP_ECHO_REPLY 0
#define ICMP6_ECHO_REPLY 129

/* Nothing more is asked than whose socket it is. `row` is that. */
__noinline int refuse_packet(struct seat *seat, const struct weir_workload *row, __u8 reason)
{
	struct who *side;
	__u8 direction;
	__u32 key;

	if (!seat)
		return DROP;
	side = seat->inbound ? &seat->decision.destination : &seat->decision.source;
	direction = seat->inbound ? WEIR_INGRESS : WEIR_EGRESS;
	seat->decision.generation = seat->now.generation;
	seat->decision.audit = seat->now.audit;
	side->flags = row ? row->flags : flags_of_nobody(&key);
	side->workload = row ? row->workload : 0;
	side->identity = row ? row->identity : 0;
	if (reason == WEIR_REASON_NO_MEMORY || reason == WEIR_REASON_NO_TABLES)
		fault(&seat->decision, reason, direction);
	else
		rule_on(&seat->decision, WEIR_DENIED, reason, direction);
	if (seat->decision.ruling.verdict == WEIR_DENIED)
		report(&seat->decision, &seat->flow);
	return pass_or_drop(seat);
}

static __noinline int count_datagram(struct __sk_buff *skb, const struct seat *seat, int opens)
{
	int source_side = seat->exchange.direction == WEIR_EGRESS;
	struct weir_connections_key key = {
		.source = seat->exchange.source,
		.destination = seat->exchange.destination,
		.port = bpf_ntohs(seat->exchange.port),
		.protocol = IPPROTO_UDP,
		.reporter = source_side ? WEIR_REPORTER_SOURCE : WEIR_REPORTER_DESTINATION,
	};
	struct weir_connections *counters;
	__u8 share = SHARE_FINE;
	__u32 headers, bytes;

	headers = (addr_is_v4(&seat->flow.source.addr) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		  sizeof(struct udphdr);
	bytes = skb->len > headers ? skb->len - headers : 0;
	counters = connections_of(&key, &share, 0);
	if (!counters)
		return 0;
	add(&counters->opened, opens);
	add(seat->inbound ? &counters->received_bytes : &counters->sent_bytes, bytes);
	return 0;
}

/* Tells a receiver in another namespace whose datagram leaves. */
static __noinline int announce_datagram(struct held *held, const struct seat *seat)
{
	int began = seat->exchange.direction == WEIR_EGRESS;
	struct sender_key key = { .protocol = IPPROTO_UDP };
	struct sender sender = { .owner = seat->owner };

	sender.charged = began ? seat->exchange.source : seat->exchange.destination;
	sender_key_of(&seat->flow, &key);
	held->announced_addr = key.source;
	held->announced_port = key.source_port;
	return announce(&key, &sender);
}

/* Here it is certain who sends; the receiver goes by the source address and port, which a sender can choose. */
static __always_inline __u32 sides_at_sender(const struct flow *flow)
{
	return flow->destination.owner ? SIDE_EGRESS | SIDE_INGRESS : SIDE_EGRESS;
}

/* Judges a datagram as one of an exchange that began here or there. The flow is turned to how that goes. */
__noinline int judge_exchange(struct __sk_buff *skb, struct seat *seat, __u32 direction)
{
	if (!seat)
		return DROP;
	seat->flow.source.owner = 0;
	seat->flow.destination.owner = 0;
	if (direction == WEIR_EGRESS) {
		seat->flow.source.owner = seat->owner;
		find_local_receiver(skb, &seat->flow, seat->now.generation);
		decide(&seat->now, &seat->flow, sides_at_sender(&seat->flow), &seat->decision);
	} else {
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
	}
	return pass_or_drop(seat);
}

/* Not known, or from an older generation. An outbound datagram that egress refuses may be the answer of a socket that has
 * forgotten who asked: it is let go to whom ingress would let ask. */
static __always_inline int judge_datagram(struct __sk_buff *skb, struct seat *seat, int known, int forgetful)
{
	__u8 direction = known ? seat->exchange.direction : seat->inbound ? WEIR_INGRESS : WEIR_EGRESS;
	int verdict;

	if ((direction == WEIR_EGRESS) == seat->inbound)
		turn_around(&seat->flow);
	verdict = answer(judge_exchange(skb, seat, direction));
	if (verdict == DROP && !known && !seat->inbound && forgetful) {
		turn_around(&seat->flow);
		verdict = answer(judge_exchange(skb, seat, WEIR_INGRESS));
		direction = WEIR_INGRESS;
		if (verdict == DROP) { /* told as what it was refused for */
			direction = WEIR_EGRESS;
			turn_around(&seat->flow);
			judge_exchange(skb, seat, WEIR_EGRESS);
		}
	}
	seat->exchange.direction = direction;
	return verdict;
}

/* What the sweep needs to judge a connected socket without a packet. */
static __noinline int keep_connected(struct socket_state *state, const struct seat *seat)
{
	state->port = seat->flow.port;
	if (seat->exchange.direction == WEIR_EGRESS) {
		state->role = ROLE_CONNECTING;
		state->peer = seat->flow.destination.addr;
		state->peer_owner = seat->flow.destination.owner;
	} else {
		state->role = ROLE_ACCEPTING;
		keep_peer(state, &seat->flow.source);
		state->peer_known = 1;
	}
	return 0;
}

/* A datagram belongs to an exchange that was allowed in the direction in which it began. */
__noinline int udp_packet(struct __sk_buff *skb, struct seat *seat, struct socket_state *state)
{
	__u64 time = bpf_ktime_get_ns();
	struct bpf_sock *sk;
	struct held *held;
	int known;

	if (!seat || !state)
		return DROP;
	sk = skb->sk;
	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	held = sk ? bpf_sk_storage_get(&exchanges, sk, 0, BPF_SK_STORAGE_GET_F_CREATE) : NULL;
	if (!held) {
		struct weir_workload *row = row_of(seat->now.generation, seat->owner);

		lose(WEIR_LOSS_STORAGE, row ? row->workload : 0);
		return refuse_packet(seat, row, WEIR_REASON_NO_MEMORY);
	}
	known = recall(held, seat, time);
	if (known && seat->exchange.generation == seat->now.generation) {
		if (seat->exchange.announce)
			announce_datagram(held, seat);
		count_datagram(skb, seat, 0);
		return PASS;
	}
	if (judge_datagram(skb, seat, known, has_overflowed(held, time)) == DROP) {
		report(&seat->decision, &seat->flow);
		if (known)
			forget(held, seat);
		return DROP;
	}
	report(&seat->decision, &seat->flow);
	if (sk->dst_port)
		keep_connected(state, seat);
	seat->exchange.generation = seat->now.generation;
	seat->exchange.source = seat->decision.source.workload;
	seat->exchange.destination = seat->decision.destination.workload;
	seat->exchange.port = seat->flow.port;
	if ((seat->exchange.direction == WEIR_EGRESS) == seat->inbound)
		turn_around(&seat->flow); /* as the packet goes again */
	if (keep(held, seat, time) && !seat->inbound)
		announce_datagram(held, seat);
	count_datagram(skb, seat, !known);
	return PASS;
}

/* Protocols without connections, and whatever a raw socket makes, are judged packet by packet. An echo reply is
 * judged as what it answers. */
__noinline int other_packet(struct __sk_buff *skb, struct seat *seat)
{
	__u16 type;
	int answers;

	if (!seat)
		return DROP;
	type = bpf_ntohs(seat->flow.port);
	answers = (seat->flow.protocol == IPPROTO_ICMP && type == ICMP_ECHO_REPLY) ||
		  (seat->flow.protocol == IPPROTO_ICMPV6 && type == ICMP6_ECHO_REPLY);
	if (answers) {
		seat->flow.port = bpf_htons(seat->flow.protocol == IPPROTO_ICMP ? 8 : 128);
		seat->flow.source_port = seat->flow.port;
		turn_around(&seat->flow);
	}
	if (seat->inbound == answers) {
		seat->flow.source.owner = seat->owner;
		if (seat->flow.protocol == IPPROTO_TCP || seat->flow.protocol == IPPROTO_UDP)
			find_local_receiver(skb, &seat->flow, seat->now.generation);
		decide(&seat->now, &seat->flow, sides_at_sender(&seat->flow), &seat->decision);
	} else {
		seat->flow.destination.owner = seat->owner;
		if (seat->flow.protocol == IPPROTO_TCP || seat->flow.protocol == IPPROTO_UDP)
			find_sender(skb, seat);
		judge_arrival(seat);
	}
	if (seat->decision.ruling.verdict == WEIR_DENIED)
		report(&seat->decision, &seat->flow);
	return pass_or_drop(seat);
}

#endif
