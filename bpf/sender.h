/* SPDX-License-Identifier: GPL-2.0-only */
/* How a receiver in another network namespace of this node learns who is about to arrive. */
#ifndef WEIR_SENDER_H
#define WEIR_SENDER_H

#include "report.h"

/* Tells who sends under this key; nobody's socket takes away what an owner may have left. */
static __always_inline void announce(const struct sender_key *key, const struct party *source)
{
	struct sender sender = {
		.owner = source->owner,
		.seen_ns = bpf_ktime_get_ns(),
		.speaks_for = source->speaks_for,
		.speaks = source->speaks,
		.proxy = source->proxy,
		.redirected = source->redirected,
	};

	if (within_namespace(&key->source, &key->destination))
		return;
	if (!source->owner)
		bpf_map_delete_elem(&senders, key);
	else if (bpf_map_update_elem(&senders, key, &sender, BPF_ANY))
		lose(WEIR_LOSS_SENDERS);
}

/* Returns whether somebody announced to send under this key. */
static __always_inline int announced(const struct sender_key *key, struct party *source)
{
	__u64 patience = key->protocol == IPPROTO_TCP ? SENDER_TCP_NS : SENDER_NS;
	struct sender *sender = bpf_map_lookup_elem(&senders, key);

	if (!sender || bpf_ktime_get_ns() - sender->seen_ns > patience)
		return 0;
	source->owner = sender->owner;
	source->speaks_for = sender->speaks_for;
	source->speaks = sender->speaks;
	source->proxy = sender->proxy;
	source->redirected = sender->redirected;
	return 1;
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

#endif
