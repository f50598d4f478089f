/* SPDX-License-Identifier: GPL-2.0-only */
/* Counters and events. The only way out. */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include "policy.h"

#include "usage.h"

static __always_inline void add(__u64 *counter, __u64 amount)
{
	if (amount)
		__sync_fetch_and_add(counter, amount);
}

static const struct weir_connections no_connections;

/* The counters of a pair, as fine as the source's share allows but not finer than `share`, which says afterwards how
 * fine. NULL, and a loss, when there is no room at all. Those of a `known` connection are there, unless they went with their
 * workload: then nobody would take new ones away. */
static __noinline struct weir_connections *connections_of(const struct weir_connections_key *asked, __u8 *share, int known)
{
	struct weir_connections_key key = *asked;
	__u32 whom = charged(key.source, key.destination);
	struct weir_connections *counters;

	for (__u32 each = SHARE_FINE; each <= SHARE_COARSE; each++) {
		if (each < *share)
			continue;
		if (each >= SHARE_PAIR)
			key.port = 0;
		if (each == SHARE_COARSE)
			key.destination = WEIR_OTHER;
		counters = bpf_map_lookup_elem(&connections, &key);
		if (!counters && !known && has_room(whom, WEIR_SHARED_CONNECTIONS, each)) {
			if (!bpf_map_update_elem(&connections, &key, &no_connections, BPF_NOEXIST))
				charge(whom, WEIR_SHARED_CONNECTIONS);
			counters = bpf_map_lookup_elem(&connections, &key);
		}
		if (counters) {
			*share = each;
			return counters;
		}
	}
	if (!known)
		lose(WEIR_LOSS_CONNECTIONS, whom);
	return NULL;
}

static __always_inline int count_refusal(const struct decision *decision, const struct flow *flow)
{
	struct weir_refusals_key key = {
		.source = decision->source.workload,
		.destination = decision->destination.workload,
		.rule = decision->ruling.rule,
		.port = bpf_ntohs(flow->port),
		.protocol = flow->protocol,
		.direction = decision->direction,
		.reason = decision->ruling.reason,
	};
	__u32 whom = charged(key.source, key.destination);
	__u64 none = 0, *count;

	for (__u32 each = SHARE_FINE; each <= SHARE_COARSE; each++) {
		if (each >= SHARE_PAIR)
			key.port = 0;
		if (each == SHARE_COARSE) {
			key.destination = WEIR_OTHER;
			key.rule = 0;
			key.protocol = 0;
		}
		count = bpf_map_lookup_elem(&refusals, &key);
		if (!count && has_room(whom, WEIR_SHARED_REFUSALS, each)) {
			if (!bpf_map_update_elem(&refusals, &key, &none, BPF_NOEXIST))
				charge(whom, WEIR_SHARED_REFUSALS);
			count = bpf_map_lookup_elem(&refusals, &key);
		}
		if (count) {
			__sync_fetch_and_add(count, 1);
			return 0;
		}
	}
	lose(WEIR_LOSS_REFUSALS, whom);
	return 0;
}

static __always_inline int followed(void)
{
	__u32 zero = 0;
	struct weir_settings *now = bpf_map_lookup_elem(&settings, &zero);

	return now && now->followers;
}

/* A verdict on a new flow: refusals are counted and told, and what a policy that is not enforced would refuse is told; the
 * rest while somebody follows. */
__noinline int report(const struct decision *decision, const struct flow *flow)
{
	struct weir_event *event;
	int denied, shadowed;
	__u32 whom;

	if (!decision || !flow)
		return 0;
	denied = decision->ruling.verdict == WEIR_DENIED;
	shadowed = !denied && decision->ruling.shadow_reason;
	if (denied && !audited(decision))
		count_refusal(decision, flow);
	if (!denied && !shadowed && !followed())
		return 0;
	whom = charged(decision->source.workload, decision->destination.workload);
	event = within_budget(whom, denied || shadowed) ? bpf_ringbuf_reserve(&events, sizeof *event, 0) : NULL;
	if (!event) {
		lose(WEIR_LOSS_EVENTS, whom);
		return 0;
	}
	__builtin_memset(event, 0, sizeof *event);
	event->time_ns = bpf_ktime_get_ns();
	event->generation = decision->generation;
	event->rule = decision->ruling.rule;
	event->source = decision->source.workload;
	event->destination = decision->destination.workload;
	event->source_identity = decision->source.identity;
	event->destination_identity = decision->destination.identity;
	event->source_addr = flow->source.addr;
	event->destination_addr = flow->destination.addr;
	event->source_port = flow->source_port;
	event->destination_port = flow->port;
	event->protocol = flow->protocol;
	event->direction = decision->direction;
	event->verdict = decision->ruling.verdict;
	event->reason = decision->ruling.reason;
	event->proxy = decision->ruling.proxy;
	event->audit = shadowed || (denied && audited(decision));
	if (shadowed) {
		event->rule = decision->ruling.shadow;
		event->reason = decision->ruling.shadow_reason;
		if (event->reason != WEIR_REASON_AUDIT_RULE)
			event->verdict = WEIR_DENIED;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Histogram bucket of a time: i such that it is below 1 << (i + 4) microseconds. */
static __always_inline __u32 bucket_of(__u64 us)
{
	for (__u32 i = 0; i < WEIR_BUCKETS - 1; i++)
		if (us < 1ull << (i + 4))
			return i;
	return WEIR_BUCKETS - 1;
}

/* The pair of counters a TCP socket counts under. Only the workloads' own sockets count, not a proxy's. */
static __always_inline int connections_key(const struct socket_state *state, struct weir_connections_key *key)
{
	if (!state->role || state->speaks || (!state->source && !state->destination))
		return 0;
	key->source = state->source;
	key->destination = state->destination;
	key->port = bpf_ntohs(state->port);
	key->protocol = IPPROTO_TCP;
	key->reporter = state->role == ROLE_CONNECTING ? WEIR_REPORTER_SOURCE : WEIR_REPORTER_DESTINATION;
	return 1;
}

/* The counters that a socket's opening was counted in, so that the rest of it is counted there, too. */
static __always_inline struct weir_connections *counters_of(const struct socket_state *state)
{
	struct weir_connections_key key = {};
	__u8 share = state->counted ? state->counted - 1 : SHARE_FINE;

	return connections_key(state, &key) ? connections_of(&key, &share, state->counted) : NULL;
}

static __always_inline void count_opened(struct socket_state *state)
{
	struct weir_connections_key key = {};
	struct weir_connections *counters;
	__u8 share = SHARE_FINE;

	if (state->counted || !connections_key(state, &key))
		return;
	counters = connections_of(&key, &share, 0);
	if (!counters)
		return;
	add(&counters->opened, 1);
	state->counted = share + 1;
}

/* A socket that connects again begins anew; the kernel zeroes its byte counts in between (tcp_disconnect()). */
static __always_inline void count_again(struct socket_state *state)
{
	struct weir_connections *counters = state->counted ? counters_of(state) : NULL;

	if (counters)
		add(&counters->closed, 1);
	state->counted = 0;
	state->sent = 0;
	state->received = 0;
	state->flushed_ns = 0;
}

#endif
