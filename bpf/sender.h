/* SPDX-License-Identifier: GPL-2.0-only */
/* How a receiver in another network namespace of this node learns who is about to arrive. */
#ifndef WEIR_SENDER_H
#define WEIR_SENDER_H

#include "report.h"

/* Takes an announcement away, if it is the owner's; 0 anybody's. The keys are on the callers' stacks: no global functions,
 * because Linux before 6.2 takes no key from an argument of one. */
static __always_inline int take_away(const struct sender_key *key, __u64 owner)
{
	struct sender *sender = bpf_map_lookup_elem(&senders, key);
	__u32 whom;

	if (!sender || (owner && sender->owner != owner))
		return 0;
	whom = sender->charged;
	if (!bpf_map_delete_elem(&senders, key))
		discharge(whom, WEIR_SHARED_SENDERS);
	return 0;
}

static __noinline int withdraw(const struct sender_key *key, __u64 owner)
{
	return take_away(key, owner);
}

/* Tells who sends under this key; nobody's socket takes away what an owner may have left. Returns whether it told. */
static __noinline int announce(const struct sender_key *key, struct sender *sender)
{
	struct sender *before;

	if (within_namespace(&key->source, &key->destination))
		return 0;
	sender->seen_ns = bpf_ktime_get_ns();
	before = bpf_map_lookup_elem(&senders, key);
	if (before && sender->owner && before->charged == sender->charged)
		return !bpf_map_update_elem(&senders, key, sender, BPF_EXIST);
	if (before)
		take_away(key, 0);
	if (!sender->owner)
		return 0;
	if (!has_room(sender->charged, WEIR_SHARED_SENDERS, SHARE_FINE) ||
	    bpf_map_update_elem(&senders, key, sender, BPF_NOEXIST)) {
		lose(WEIR_LOSS_SENDERS, sender->charged);
		return 0;
	}
	charge(sender->charged, WEIR_SHARED_SENDERS);
	return 1;
}

/* Too old to be believed. */
static __always_inline int is_stale(__u32 protocol, const struct sender *sender, __u64 time)
{
	return (__s64)(time - sender->seen_ns) > (__s64)(protocol == IPPROTO_TCP ? SENDER_TCP_NS : SENDER_NS);
}

/* Returns whether somebody announced to send under this key. */
static __always_inline int announced(const struct sender_key *key, struct party *source)
{
	struct sender *sender = bpf_map_lookup_elem(&senders, key);

	if (!sender || is_stale(key->protocol, sender, bpf_ktime_get_ns()))
		return 0;
	source->owner = sender->owner;
	source->speaks_for = sender->speaks_for;
	source->speaks = sender->speaks;
	source->proxy = sender->proxy;
	source->redirected = sender->redirected;
	return 1;
}

/* Under what a UDP socket announced an exchange. */
static __always_inline void datagram_key_of(const struct held *held, const struct exchange *exchange,
					    struct sender_key *key)
{
	key->source = held->announced_addr;
	key->destination = exchange->peer;
	key->source_port = held->announced_port;
	key->destination_port = exchange->peer_port;
	key->protocol = IPPROTO_UDP;
}

/* What a socket's state says of it as a source. */
static __always_inline void source_of(const struct socket_state *state, struct party *source)
{
	source->owner = state->owner;
	source->speaks_for = state->speaks_for;
	source->speaks = state->speaks;
	source->proxy = state->proxy;
	source->redirected = state->redirected;
}

/* What an accepted socket's state says of its peer, and the other way round. */
static __always_inline void peer_of(const struct socket_state *state, struct party *source)
{
	source->addr = state->peer;
	source->addr_known = 1;
	source->owner = state->peer_owner;
	source->speaks_for = state->peer_speaks_for;
	source->speaks = state->peer_speaks;
	source->proxy = state->peer_proxy;
	source->redirected = state->redirected;
}

static __always_inline void keep_peer(struct socket_state *state, const struct party *source)
{
	state->peer = source->addr;
	state->peer_owner = source->owner;
	state->peer_speaks_for = source->speaks_for;
	state->peer_speaks = source->speaks;
	state->peer_proxy = source->proxy;
	state->redirected = source->redirected;
}

/* What the proxy judges a connection by is still what is to be judged, and for the same caller. */
static __always_inline int is_still_turned(const struct socket_state *state, const struct decision *decision)
{
	return state->redirected && decision->target == state->target && decision->source.identity == state->identity;
}

#endif
