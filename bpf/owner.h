/* SPDX-License-Identifier: GPL-2.0-only */
/* Whose a socket is: the nearest workload, proxy or managed subtree above the cgroup it was made in. */
#ifndef WEIR_OWNER_H
#define WEIR_OWNER_H

#include "kernel.h"
#include "policy.h"

/* The entry nearest to the bottom of a path of cgroups; `ID_AT_LEVEL` gives the id at a level, 0 below the end. */
#define NEAREST(workloads_now, leaf, ID_AT_LEVEL)                                        \
	({                                                                               \
		__u64 found = 0, id = (leaf);                                            \
		if (bpf_map_lookup_elem(workloads_now, &id))                             \
			found = id; /* the usual case: processes in the cgroup itself */ \
		else                                                                     \
			for (int depth = 1; depth <= MAX_DEPTH; depth++) {               \
				id = ID_AT_LEVEL(root_level + depth);                    \
				if (!id)                                                 \
					break;                                           \
				if (bpf_map_lookup_elem(workloads_now, &id))             \
					found = id;                                      \
			}                                                                \
		found;                                                                   \
	})

/* The entry of an owner; NULL when it has gone. */
static __always_inline struct weir_workload *row_of(__u32 generation, __u64 owner)
{
	void *map = table(&workloads, generation);

	return map ? bpf_map_lookup_elem(map, &owner) : NULL;
}

/* In a process's own context: of a socket it makes or uses now. */
__noinline __u64 owner_of_current(__u32 generation)
{
	void *map = table(&workloads, generation);

	if (!map)
		return 0;
	return NEAREST(map, bpf_get_current_cgroup_id(), bpf_get_current_ancestor_cgroup_id);
}

/* In cgroup_skb: of any socket, by the cgroup the kernel keeps for it. */
static __always_inline __u64 owner_of_socket(__u32 generation, struct bpf_sock *sk)
{
	void *map = table(&workloads, generation);

#define OF_SOCKET(level) bpf_sk_ancestor_cgroup_id(sk, level)
	if (!map)
		return 0;
	return NEAREST(map, bpf_sk_cgroup_id(sk), OF_SOCKET);
#undef OF_SOCKET
}

/* Of a socket that the verifier knows as the kernel's own struct: by the same cgroup, walked upwards. */
static __always_inline __u64 owner_of(struct sock *sk, __u32 generation)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_subsys_state *parent;
	void *map = table(&workloads, generation);
	__u64 id;

	if (!map)
		return 0;
	for (int depth = 0; depth < MAX_DEPTH && cgroup; depth++) {
		id = cgroup->kn->id;
		if (bpf_map_lookup_elem(map, &id))
			return id;
		parent = cgroup->self.parent;
		if (!parent)
			return 0;
		cgroup = parent->cgroup;
	}
	return 0;
}

#endif
