/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP exchanges, and what has neither connections nor exchanges. */
#ifndef WEIR_DATAGRAM_H
#define WEIR_DATAGRAM_H

#include "seat.h"

#define ICMP_ECHO_REPLY 0
#define ICMP6_ECHO_REPLY 129

__noinline int count_datagram(const struct exchange *exchange, __u32 bytes, int inbound, int opens)
{
	struct weir_connections_key key = { .protocol = IPPROTO_UDP };
	struct weir_connections *counters;

	if (!exchange)
		return 0;
	key.source = exchange->source;
	key.destination = exchange->destination;
	key.port = bpf_ntohs(exchange->port);
	key.reporter = exchange->direction == WEIR_EGRESS ? WEIR_REPORTER_SOURCE : WEIR_REPORTER_DESTINATION;
	counters = connections_of(&key);
	if (!counters)
		return 0;
	add(&counters->opened, opens);
	add(inbound ? &counters->received_bytes : &counters->sent_bytes, bytes);
	return 0;
}

/* Tells a receiver in another namespace whose datagram comes. */
__noinline int announce_datagram(const struct seat *seat)
{
	struct sender_key key = {};
	struct party source = {};

	if (!seat)
		return 0;
	sender_key_of(&seat->flow, &key);
	source.owner = seat->owner;
	announce(&key, &source);
	return 0;
}

/* A datagram belongs to an exchange that was allowed in the direction in which it began. */
__noinline int udp_packet(struct __sk_buff *skb, struct seat *seat)
{
	struct exchange_key key = {};
	struct exchange fresh = {}, *known;
	__u64 time = bpf_ktime_get_ns();
	__u32 headers, bytes;

	if (!seat)
		return DROP;
	headers = (addr_is_v4(&seat->flow.source.addr) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		  sizeof(struct udphdr);
	bytes = skb->len > headers ? skb->len - headers : 0;
	key.cookie = bpf_get_socket_cookie(skb);
	key.peer = seat->inbound ? seat->flow.source.addr : seat->flow.destination.addr;
	key.port = seat->inbound ? seat->flow.source_port : seat->flow.port;
	known = bpf_map_lookup_elem(&exchanges, &key);
	if (known && time - known->seen_ns >= EXCHANGE_NS)
		known = NULL;
	fresh.direction = known ? known->direction : seat->inbound ? WEIR_INGRESS : WEIR_EGRESS;
	if (!seat->inbound && (!known || time - known->announced_ns > ANNOUNCE_NS)) {
		announce_datagram(seat);
		if (known)
			known->announced_ns = time;
	}
	if (known && known->generation == seat->now.generation) {
		known->seen_ns = time;
		count_datagram(known, bytes, seat->inbound, 0);
		return PASS;
	}
	if ((fresh.direction == WEIR_EGRESS) == seat->inbound)
		turn_around(&seat->flow);
	if (fresh.direction == WEIR_EGRESS) {
		seat->flow.source.owner = seat->owner;
		find_local_receiver(skb, &seat->flow, seat->now.generation);
		decide(&seat->now, &seat->flow, SIDE_EGRESS, &seat->decision);
	} else {
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
	}
	report(&seat->decision, &seat->flow);
	if (pass_or_drop(seat) == DROP) {
		bpf_map_delete_elem(&exchanges, &key);
		return DROP;
	}
	fresh.seen_ns = time;
	fresh.announced_ns = time;
	fresh.generation = seat->now.generation;
	fresh.source = seat->decision.source.workload;
	fresh.destination = seat->decision.destination.workload;
	fresh.port = seat->flow.port;
	if (bpf_map_update_elem(&exchanges, &key, &fresh, BPF_ANY))
		lose(WEIR_LOSS_EXCHANGES);
	count_datagram(&fresh, bytes, seat->inbound, !known);
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
		decide(&seat->now, &seat->flow, SIDE_EGRESS, &seat->decision);
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
