/* SPDX-License-Identifier: GPL-2.0-only */
/* What a UDP socket remembers of its exchanges. A peer's place is in one of the sets; the EXCHANGE_WAYS places of a set are
 * given away again by age. Who arrives never takes the place of an exchange that began here, so that nobody else can
 * make a socket deaf for the answers it waits for. */
#ifndef WEIR_EXCHANGE_H
#define WEIR_EXCHANGE_H

#include "seat.h"

/* Two processors may have read the clock in another order than they come here, so an age may be below 0. */
static __always_inline int is_over(const struct exchange *exchange, __u64 time)
{
	return !exchange->direction || (__s64)(time - exchange->seen_ns) >= (__s64)EXCHANGE_NS;
}

static __always_inline int has_overflowed(const struct held *held, __u64 time)
{
	return (__s64)(held->overflowed_until_ns - time) > 0;
}

static __always_inline struct exchange *set_of(struct held *held, const struct weir_addr *peer, __be16 port)
{
	__u32 mixed = (peer->word[0] ^ peer->word[1] ^ peer->word[2] ^ peer->word[3] ^ port) * 0x9e3779b1u;

	return &held->exchanges[(mixed >> (32 - EXCHANGE_SET_BITS)) * EXCHANGE_WAYS];
}

/* Which of a set is with this peer; EXCHANGE_WAYS if none. One comparison each: the verifier goes every way. */
static __always_inline int way_of(const struct exchange *set, const struct weir_addr *peer, __be16 port)
{
	int way;

#pragma unroll
	for (way = 0; way < EXCHANGE_WAYS; way++)
		if (!((set[way].peer.word[0] ^ peer->word[0]) | (set[way].peer.word[1] ^ peer->word[1]) |
		      (set[way].peer.word[2] ^ peer->word[2]) | (set[way].peer.word[3] ^ peer->word[3]) |
		      (__u32)(set[way].peer_port ^ port)))
			break;
	return way;
}

/* Which of a set is to go: the oldest, where one that began here counts as EXCHANGE_NS younger. */
static __always_inline int oldest_way(const struct exchange *set)
{
	__u64 least = ~0ull, stamp;
	int oldest = 0;

	_Static_assert(WEIR_EGRESS == 1 && WEIR_INGRESS == 2, "the lowest bit says that it began here");
#pragma unroll
	for (int way = 0; way < EXCHANGE_WAYS; way++) {
		stamp = set[way].seen_ns + (set[way].direction & 1) * EXCHANGE_NS;
		if (stamp < least) {
			least = stamp;
			oldest = way;
		}
	}
	return oldest;
}

/* The peer of a packet. */
static __always_inline const struct weir_addr *peer_of_packet(const struct seat *seat, __be16 *port)
{
	*port = seat->inbound ? seat->flow.source_port : seat->flow.port;
	return seat->inbound ? &seat->flow.source.addr : &seat->flow.destination.addr;
}

/* Fills seat->exchange with what is remembered of the packet's exchange, which goes on. Returns 0 if nothing is. */
static __noinline int recall(struct held *held, struct seat *seat, __u64 time)
{
	__be16 port;
	const struct weir_addr *peer = peer_of_packet(seat, &port);
	struct exchange *set = set_of(held, peer, port), *exchange;
	int way, known = 0;

	bpf_spin_lock(&held->lock);
	way = way_of(set, peer, port);
	if (way < EXCHANGE_WAYS && !is_over(&set[way], time)) {
		exchange = &set[way];
		known = 1;
		exchange->seen_ns = time;
		seat->exchange.generation = exchange->generation;
		seat->exchange.source = exchange->source;
		seat->exchange.destination = exchange->destination;
		seat->exchange.port = exchange->port;
		seat->exchange.direction = exchange->direction;
		seat->exchange.announce = 0;
		if (!seat->inbound && (__s64)(time - exchange->announced_ns) > (__s64)ANNOUNCE_NS) {
			exchange->announced_ns = time;
			seat->exchange.announce = 1;
		}
	}
	bpf_spin_unlock(&held->lock);
	return known;
}

/* Remembers seat->exchange, and takes back what was announced under the one whose place it gets. Returns 0 when that would
 * be the place of one that began here. */
static __noinline int keep(struct held *held, const struct seat *seat, __u64 time)
{
	__be16 port;
	const struct weir_addr *peer = peer_of_packet(seat, &port);
	struct exchange *set = set_of(held, peer, port), *exchange;
	struct sender_key announced = {};
	int way, taken = 0, pushes = 0, kept = 1;

	bpf_spin_lock(&held->lock);
	way = way_of(set, peer, port);
	if (way == EXCHANGE_WAYS) {
		way = oldest_way(set);
		taken = 1;
		pushes = !is_over(&set[way], time);
		if (set[way].announced_ns)
			datagram_key_of(held, &set[way], &announced);
	}
	exchange = &set[way];
	if (pushes && exchange->direction == WEIR_EGRESS)
		kept = seat->exchange.direction == WEIR_EGRESS;
	/* An answer to what began elsewhere must go without what is remembered of it. */
	if (pushes && (!kept || exchange->direction == WEIR_INGRESS))
		held->overflowed_until_ns = time + EXCHANGE_NS;
	if (kept) {
		exchange->peer = *peer;
		exchange->peer_port = port;
		exchange->seen_ns = time;
		if (!seat->inbound)
			exchange->announced_ns = time;
		else if (taken)
			exchange->announced_ns = 0;
		exchange->generation = seat->exchange.generation;
		exchange->source = seat->exchange.source;
		exchange->destination = seat->exchange.destination;
		exchange->port = seat->exchange.port;
		exchange->direction = seat->exchange.direction;
	}
	bpf_spin_unlock(&held->lock);
	if (pushes)
		lose(WEIR_LOSS_EXCHANGES, charged(seat->exchange.source, seat->exchange.destination));
	if (kept && announced.protocol)
		withdraw(&announced, seat->owner);
	return kept;
}

/* An exchange that is refused now. */
static __noinline int forget(struct held *held, const struct seat *seat)
{
	__be16 port;
	const struct weir_addr *peer = peer_of_packet(seat, &port);
	struct exchange *set = set_of(held, peer, port);
	struct sender_key announced = {};
	int way;

	bpf_spin_lock(&held->lock);
	way = way_of(set, peer, port);
	if (way < EXCHANGE_WAYS) {
		if (set[way].announced_ns)
			datagram_key_of(held, &set[way], &announced);
		set[way].direction = 0;
		set[way].seen_ns = 0;
		set[way].announced_ns = 0;
	}
	bpf_spin_unlock(&held->lock);
	if (announced.protocol)
		withdraw(&announced, seat->owner);
	return 0;
}

/* Whether a datagram to somebody is an answer. */
static __noinline int is_asked_by(struct held *held, const struct weir_addr *peer, __be16 port)
{
	struct exchange *set = set_of(held, peer, port);
	__u64 time = bpf_ktime_get_ns();
	int way, asked = 0;

	bpf_spin_lock(&held->lock);
	way = way_of(set, peer, port);
	if (way < EXCHANGE_WAYS)
		asked = set[way].direction == WEIR_INGRESS && !is_over(&set[way], time);
	bpf_spin_unlock(&held->lock);
	return asked;
}

#endif
