/* SPDX-License-Identifier: GPL-2.0-only */
/* Iterators over the sockets of a network namespace, run by the agent after a switch: tag those that were open before
 * their workload was known, and end the connections that are no longer allowed. Each writes a line for each one. */
#include "kernel.h"
#include "owner.h"
#include "report.h"

extern int bpf_sock_destroy(struct sock_common *sk) __ksym;

static const char line[] = "1\n";

/* The nearest workload above the socket's cgroup. */
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

static __always_inline int enrol(struct seq_file *seq, struct sock *sk)
{
	struct weir_current *now = in_force();
	struct socket_state *state;
	__u64 owner;

	if (!now)
		return 0;
	owner = owner_of(sk, now->generation);
	if (!owner)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE);
		return 0;
	}
	if (state->owner == owner)
		return 0;
	state->owner = owner;
	state->generation = 0;
	state->verdict = 0;
	bpf_seq_write(seq, line, sizeof line - 1);
	return 0;
}

SEC("iter/tcp")
int enrol_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_sock *tcp = common ? bpf_skc_to_tcp_sock(common) : NULL;

	return tcp ? enrol(ctx->meta->seq, (struct sock *)tcp) : 0;
}

SEC("iter/udp")
int enrol_udp(struct bpf_iter__udp *ctx)
{
	struct udp_sock *udp = ctx->udp_sk;

	return udp ? enrol(ctx->meta->seq, (struct sock *)udp) : 0;
}

/* Open connections: judged as their own packets would be, without waiting for one. */
SEC("iter/tcp")
int revoke_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct weir_current *now = in_force();
	struct socket_state *state;
	struct decision decision = {};
	struct flow flow = {};
	int unproxied = 0;

	if (!common || !now || !bpf_skc_to_tcp_sock(common))
		return 0;
	state = bpf_sk_storage_get(&sockets, common, 0, 0);
	if (!state || !state->owner || !state->role || !state->generation || state->generation == now->generation)
		return 0;
	flow.protocol = IPPROTO_TCP;
	flow.port = state->port;
	if (state->role == ROLE_CONNECTING) {
		flow.source.owner = state->owner;
		flow.source.speaks_for = state->speaks_for;
		flow.source.proxy = state->proxy;
		flow.destination.addr = state->peer;
		flow.destination.addr_known = 1;
		flow.destination.owner = state->peer_owner;
		decide(now, &flow, state->redirected ? SIDE_EGRESS | SIDE_INGRESS : SIDE_EGRESS, &decision);
		/* The proxy has no rules for it any more; a new connection goes straight. */
		unproxied = state->redirected && decision.ruling.verdict == WEIR_ALLOWED;
		if (unproxied)
			decision.ruling.verdict = WEIR_DENIED;
	} else {
		flow.source.addr = state->peer;
		flow.source.addr_known = 1;
		flow.source.owner = state->peer_owner;
		flow.source.speaks_for = state->peer_speaks_for;
		flow.source.proxy = state->peer_proxy;
		flow.destination.owner = state->owner;
		decide(now, &flow, SIDE_INGRESS, &decision);
		if (decision.ruling.verdict == WEIR_PROXIED)
			decision.ruling.verdict = WEIR_DENIED;
		if (decision.destination.kind == WEIR_KIND_PROXY)
			return 0; /* goes with the caller's end */
	}
	if (decision.ruling.verdict != WEIR_DENIED || now->audit)
		return 0;
	if (bpf_sock_destroy(common))
		return 0;
	if (!unproxied)
		report(&decision, &flow);
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
