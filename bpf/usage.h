/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares of what all workloads share: one that wants much gets what others leave, and never the last of it. */
#ifndef WEIR_USAGE_H
#define WEIR_USAGE_H

#include "policy.h"

/* How finely something is counted. */
enum share {
	SHARE_FINE = 0,   /* in an entry of its own */
	SHARE_PAIR = 1,   /* with the pair's other ports */
	SHARE_COARSE = 2, /* with all that the source does elsewhere */
};

/* So many entries anybody gets while there is room; what is kept back of COUNTERS_MAX for the coarser entries. */
#define SENDERS_FLOOR 256
#define COUNTERS_FLOOR 64
#define COUNTERS_RESERVE (COUNTERS_MAX / 8)

/* Events of one workload in a second. */
#define REFUSAL_EVENTS 200
#define ALLOWED_EVENTS 2000

static const struct weir_usage no_usage;

/* Whose share it is: the initiator's; of those outside each destination bears its own. */
static __always_inline __u32 charged(__u32 source, __u32 destination)
{
	return source ? source : destination | WEIR_FROM_OUTSIDE;
}

static __always_inline struct weir_usage *usage_of(__u32 whom)
{
	struct weir_usage *row = bpf_map_lookup_elem(&usage, &whom);

	if (row)
		return row;
	bpf_map_update_elem(&usage, &whom, &no_usage, BPF_NOEXIST);
	return bpf_map_lookup_elem(&usage, &whom);
}

/* Something of `whom` was not told or remembered. */
__noinline int lose(__u32 what, __u32 whom)
{
	__u64 *count = bpf_map_lookup_elem(&losses, &what);
	struct weir_usage *row = usage_of(whom);

	if (count)
		__sync_fetch_and_add(count, 1);
	if (row && what < WEIR_LOSS_LAST)
		__sync_fetch_and_add(&row->lost[what], 1);
	return 0;
}

/* Whether there is room for one more entry: below the floor as long as the map has any, above it while the share is
 * less than half of what is free. However many want all, something is left (Choudhury and Hahne, Dynamic Queue Length
 * Thresholds, 1998). Two processors that ask at once may get one too many: no matter. */
__noinline int has_room(__u32 whom, __u32 map, __u32 share)
{
	struct weir_usage *own = usage_of(whom), *all = usage_of(WEIR_EVERYBODY);
	__u64 floor = map == WEIR_SHARED_SENDERS ? SENDERS_FLOOR : COUNTERS_FLOOR << (share & 1);
	__u64 room = map == WEIR_SHARED_SENDERS ? SENDERS_MAX : COUNTERS_MAX;

	if (!own || !all || map >= WEIR_SHARED_LAST)
		return 0;
	if (share == SHARE_COARSE)
		return 1;
	if (map != WEIR_SHARED_SENDERS && share == SHARE_FINE)
		room -= COUNTERS_RESERVE;
	if (all->entries[map] >= room)
		return 0;
	return own->entries[map] < floor || own->entries[map] < (room - all->entries[map]) / 2;
}

/* With each entry that was made, and with each that was taken away: the counts are those of the entries. */
__noinline int charge(__u32 whom, __u32 map)
{
	struct weir_usage *own = usage_of(whom), *all = usage_of(WEIR_EVERYBODY);

	if (!own || !all || map >= WEIR_SHARED_LAST)
		return 0;
	__sync_fetch_and_add(&own->entries[map], 1);
	__sync_fetch_and_add(&all->entries[map], 1);
	return 0;
}

/* Who is gone has no row any more, and gets none: nobody would take it away. */
__noinline int discharge(__u32 whom, __u32 map)
{
	struct weir_usage *own = bpf_map_lookup_elem(&usage, &whom), *all = usage_of(WEIR_EVERYBODY);

	if (!all || map >= WEIR_SHARED_LAST)
		return 0;
	if (own && own->entries[map])
		__sync_fetch_and_add(&own->entries[map], -1);
	if (all->entries[map])
		__sync_fetch_and_add(&all->entries[map], -1);
	return 0;
}

/* Whether one more event may be told in this second: nobody's flood hides the others', or keeps the agent busy. */
__noinline int within_budget(__u32 whom, int refusal)
{
	__u64 second = bpf_ktime_get_ns() / 1000000000ull;
	struct weir_usage *row = usage_of(whom);

	if (!row)
		return 0;
	if (row->second != second) {
		row->second = second;
		row->refusals = 0;
		row->allowed = 0;
	}
	if (refusal)
		return __sync_fetch_and_add(&row->refusals, 1) < REFUSAL_EVENTS;
	/* What somebody follows must not take the room of what was refused. */
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > EVENTS_BYTES / 2)
		return 0;
	return __sync_fetch_and_add(&row->allowed, 1) < ALLOWED_EVENTS;
}

#endif
