/* SPDX-License-Identifier: GPL-2.0-only */
/* A packet at the socket it belongs to: who is at the two ends, and the verdict on what arrives. */
#ifndef WEIR_SEAT_H
#define WEIR_SEAT_H

#include "owner.h"
#include "sender.h"

#define PASS 1
#define DROP 0

/* What is known of the socket a packet belongs to, for the slow path. */
struct seat {
	struct weir_current now;
	struct flow flow; /* as the connection or exchange goes, not as this packet goes */
	struct decision decision;
	__u64 owner;
	struct {
		__u32 generation;
		__u32 source; /* workload numbers */
		__u32 destination;
		__be16 port;
		__u8 direction;
		__u8 announce; /* it is time to */
	} exchange;   /* UDP: as it was judged last */
	__u8 inbound; /* the packet arrives */
	__u8 listening;
	__u8 connecting; /* TCP: its SYN is not answered yet */
	__u8 pad[5];
};

static __always_inline void turn_around(struct flow *flow)
{
	struct weir_addr addr = flow->source.addr;
	__be16 port = flow->source_port;

	flow->source.addr = flow->destination.addr;
	flow->destination.addr = addr;
	flow->source_port = flow->port;
	flow->port = port;
}

/* A sender in this namespace: its socket says who. For TCP the tuple is that of one connection, so whoever is found
 * is the sender; a datagram's is sure only between addresses that cannot come from elsewhere. */
__noinline int find_local_sender(struct __sk_buff *skb, struct flow *flow, __u32 generation)
{
	struct bpf_sock_tuple tuple = {};
	struct socket_state *state;
	struct bpf_sock *sender;
	__u32 size;

	if (!flow)
		return 0;
	size = socket_tuple(&tuple, &flow->destination.addr, flow->port, &flow->source.addr, flow->source_port);
	if (flow->protocol == IPPROTO_TCP)
		sender = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (within_namespace(&flow->source.addr, &flow->destination.addr))
		sender = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sender)
		return 0;
	if (sender->state == TCP_STATE_LISTEN && flow->protocol == IPPROTO_TCP) {
		bpf_sk_release(sender); /* it listens on the source's port, but did not send this */
		return 0;
	}
	state = bpf_sk_storage_get(&sockets, sender, 0, 0);
	if (state)
		source_of(state, &flow->source);
	if (!flow->source.owner)
		flow->source.owner = owner_of_socket(generation, sender);
	bpf_sk_release(sender);
	return 1;
}

#define LOOPBACK_IFINDEX 1 /* in every network namespace; include/net/flow.h */

/* The receiver's socket where it is in this namespace, too; a group has many, and each judges what it hears. A function of
 * its own for the stack's sake: its callers are deep, and Linux 6.1 counts each frame in steps of 32 bytes. */
__noinline int find_local_receiver(struct __sk_buff *skb, struct flow *flow, __u32 generation)
{
	struct bpf_sock_tuple tuple = {};
	struct socket_state *state;
	struct bpf_sock *receiver;
	__u32 size;

	if (!flow || (skb->ifindex != LOOPBACK_IFINDEX && !within_namespace(&flow->source.addr, &flow->destination.addr)))
		return 0;
	if (addr_is_multicast(&flow->destination.addr))
		return 0;
	size = socket_tuple(&tuple, &flow->source.addr, flow->source_port, &flow->destination.addr, flow->port);
	if (flow->protocol == IPPROTO_TCP)
		receiver = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		receiver = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!receiver)
		return 0;
	state = bpf_sk_storage_get(&sockets, receiver, 0, 0);
	if (state)
		flow->destination.owner = state->owner;
	if (!flow->destination.owner)
		flow->destination.owner = owner_of_socket(generation, receiver);
	bpf_sk_release(receiver);
	return 1;
}

static __always_inline void sender_key_of(const struct flow *flow, struct sender_key *key)
{
	key->source = flow->source.addr;
	key->destination = flow->destination.addr;
	key->source_port = flow->source_port;
	key->destination_port = flow->port;
	key->protocol = flow->protocol;
}

__noinline int find_announced(struct flow *flow)
{
	struct sender_key key = {};

	if (!flow)
		return 0;
	sender_key_of(flow, &key);
	return announced(&key, &flow->source);
}

/* Who sent it: a local socket, a sender of another namespace of this node, or whoever has the address. Functions of
 * their own, so that their stacks are not there together with those of the judgement. */
static __always_inline void find_sender(struct __sk_buff *skb, struct seat *seat)
{
	if (!find_local_sender(skb, &seat->flow, seat->now.generation))
		find_announced(&seat->flow);
}

/* Ingress of a flow whose source find_sender() looked for. Never WEIR_PROXIED. A local source's egress is judged
 * here once more: at connect() it could only be judged towards who would probably listen. */
__noinline int judge_arrival(struct seat *seat)
{
	struct party *source;
	struct weir_proxy *proxy;
	__u32 number, sides = SIDE_INGRESS;
	void *map;

	if (!seat)
		return WEIR_DENIED;
	source = &seat->flow.source;
	if (source->owner && !source->redirected)
		sides |= SIDE_EGRESS;
	decide(&seat->now, &seat->flow, sides, &seat->decision);
	if (seat->decision.destination.kind == WEIR_KIND_PROXY) {
		number = seat->decision.destination.proxy;
		map = table(&proxies, seat->now.generation);
		proxy = map ? bpf_map_lookup_elem(map, &number) : NULL;
		if (!proxy || proxy->port != seat->flow.port || seat->flow.protocol != IPPROTO_TCP)
			return rule_on(&seat->decision, WEIR_ALLOWED, WEIR_REASON_NOT_SELECTED, WEIR_INGRESS);
		if (source->redirected && source->proxy == number)
			return rule_on(&seat->decision, WEIR_ALLOWED, WEIR_REASON_L7_RULE, WEIR_INGRESS);
		return rule_on(&seat->decision, WEIR_DENIED, WEIR_REASON_DIRECT_TO_PROXY, WEIR_INGRESS);
	}
	if (source->redirected) /* somebody else has the proxy's port */
		return rule_on(&seat->decision, WEIR_DENIED, WEIR_REASON_NO_PROXY, WEIR_INGRESS);
	if (seat->decision.ruling.verdict == WEIR_PROXIED) {
		seat->decision.ruling.verdict = WEIR_DENIED;
		seat->decision.ruling.reason = WEIR_REASON_BYPASSED_PROXY;
	}
	return seat->decision.ruling.verdict;
}

static __always_inline int pass_or_drop(const struct seat *seat)
{
	return seat->decision.ruling.verdict == WEIR_DENIED && !audited(&seat->decision) ? DROP : PASS;
}

/* What a function that is verified for itself returned. The verifier does not know its range and clang, which does,
 * would drop a plain mask. */
static __always_inline int answer(int verdict)
{
	asm volatile("%0 &= 1" : "+r"(verdict));
	return verdict;
}

#endif
