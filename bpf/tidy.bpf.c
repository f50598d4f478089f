/* SPDX-License-Identifier: GPL-2.0-only */
/* Run by the agent now and then: takes away what nobody will ask for, with the shares that go with it. */
#include "report.h"
#include "sender.h"

static long tidy_sender(struct bpf_map *map, struct sender_key *key, struct sender *sender, __u64 *time)
{
	struct sender_key copy = *key;

	(void)map;
	if (is_stale(key->protocol, sender, *time))
		withdraw(&copy, 0);
	return 0;
}

/* Announcements that nobody believes any more and nobody took away. */
SEC("syscall")
int tidy(void *ctx)
{
	__u64 time = bpf_ktime_get_ns();

	(void)ctx;
	bpf_for_each_map_elem(&senders, tidy_sender, &time, 0);
	return 0;
}

static __always_inline int is_gone(__u64 number)
{
	return bpf_map_lookup_elem(&gone, &number) != NULL;
}

static long forget_connections(struct bpf_map *map, struct weir_connections_key *key,
			       struct weir_connections *counters, void *ctx)
{
	struct weir_connections_key copy = *key;

	(void)map, (void)counters, (void)ctx;
	if ((is_gone(copy.source) || is_gone(copy.destination)) && !bpf_map_delete_elem(&connections, &copy))
		discharge(charged(copy.source, copy.destination), WEIR_SHARED_CONNECTIONS);
	return 0;
}

static long forget_refusals(struct bpf_map *map, struct weir_refusals_key *key, __u64 *count, void *ctx)
{
	struct weir_refusals_key copy = *key;

	(void)map, (void)count, (void)ctx;
	if ((is_gone(copy.source) || is_gone(copy.destination) || is_gone(copy.rule | WEIR_GONE_RULE)) &&
	    !bpf_map_delete_elem(&refusals, &copy))
		discharge(charged(copy.source, copy.destination), WEIR_SHARED_REFUSALS);
	return 0;
}

static long forget_usage(struct bpf_map *map, __u32 *whose, struct weir_usage *row, void *ctx)
{
	__u32 copy = *whose;

	(void)map, (void)row, (void)ctx;
	if (copy != WEIR_EVERYBODY && is_gone(copy & ~WEIR_FROM_OUTSIDE))
		bpf_map_delete_elem(&usage, &copy);
	return 0;
}

/* Counters of the workloads in `gone`. */
SEC("syscall")
int forget_gone(void *ctx)
{
	(void)ctx;
	bpf_for_each_map_elem(&connections, forget_connections, NULL, 0);
	bpf_for_each_map_elem(&refusals, forget_refusals, NULL, 0);
	bpf_for_each_map_elem(&usage, forget_usage, NULL, 0);
	return 0;
}
