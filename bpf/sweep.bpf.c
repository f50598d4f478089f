/* SPDX-License-Identifier: GPL-2.0-only */
/* Iterators over the sockets of a network namespace, run by the agent after a switch: tag those that were open before
 * their workload was known, and end the connections that are no longer allowed. Each writes a line for each one. */
#include "refused.h"

#ifndef WEIR_WITHOUT_SOCK_DESTROY
extern int bpf_sock_destroy(struct sock_common *sk) __ksym; /* since 6.5 */
#endif

static const char line[] = "1\n";

static __always_inline int enrol(struct seq_file *seq, struct sock *sk)
{
	struct socket_state *state;
	struct weir_workload *row;
	struct weir_current now;
	__u64 owner;

	if (!in_force(&now))
		return 0;
	owner = owner_of(sk, now.generation);
	row = owner ? row_of(now.generation, owner) : NULL;
	if (!row || row->kind == WEIR_KIND_SUBTREE)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE, row->workload);
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

/* Whether there is anything to end, of all namespaces: writes a line for the first that is refused. A walk through the
 * kernel's table of sockets costs more, and races with handshakes on kernels without the fix "bpf: tcp: Fix use-after-free
 * in bpf_iter_tcp_established_batch()": it is for when something is to be done. Sockets cannot be ended from here. */
SEC("iter/bpf_sk_storage_map")
int find_refused(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct socket_state *state = ctx->value;
	struct decision decision = {};
	struct sock *sk = ctx->sk;
	struct weir_current now;
	struct flow flow = {};
	int told, over = 0;

	if (ctx->meta->seq->count)
		return 1; /* ends this read: it has its answer (bpf_seq_read, kernel/bpf/bpf_iter.c) */
	if (!sk || !state || !in_force(&now) || now.audit)
		return 0;
	if (sk->sk_protocol == IPPROTO_TCP && sk->__sk_common.skc_state != TCP_CLOSE)
		over = is_refused_tcp(&now, sk, state, &flow, &decision, &told);
	else if (sk->sk_protocol == IPPROTO_UDP)
		over = is_refused_udp(&now, sk, state, &flow, &decision);
	if (over)
		bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

#ifndef WEIR_WITHOUT_SOCK_DESTROY

/* Which half of all connections: by the two ports, so that both ends of one are in the same, and spread, for the kernel
 * gives connect() even ports first. */
static __always_inline int half_of(const struct sock_common *common)
{
	return (__u32)(common->skc_num ^ bpf_ntohs(common->skc_dport)) * 0x9e3779b1u >> 31;
}

/* What takes time is what the kernel does to end one; of ten thousand the last is to be gone soon, too, so two threads do
 * half of them each. */
static __always_inline int revoke_half(struct bpf_iter__tcp *ctx, int odd)
{
	struct sock_common *common = ctx->sk_common;
	struct decision decision = {};
	struct weir_current now;
	struct socket_state *state;
	struct flow flow = {};
	struct sock *sk;
	int told = 0;

	if (!common || half_of(common) != odd)
		return 0;
	sk = (struct sock *)bpf_skc_to_tcp_sock(common);
	if (!sk || !in_force(&now) || now.audit)
		return 0;
	state = bpf_sk_storage_get(&sockets, common, 0, 0);
	if (!state || !is_refused_tcp(&now, sk, state, &flow, &decision, &told) || bpf_sock_destroy(common))
		return 0;
	if (decision.ruling.verdict == WEIR_DENIED && !told)
		report(&decision, &flow);
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

SEC("iter/tcp")
int revoke_tcp_even(struct bpf_iter__tcp *ctx)
{
	return revoke_half(ctx, 0);
}

SEC("iter/tcp")
int revoke_tcp_odd(struct bpf_iter__tcp *ctx)
{
	return revoke_half(ctx, 1);
}

/* After a change of layout that could not take the sockets' state over: what goes through a proxy was judged as somebody's
 * whom nobody remembers. Ends every connection of a proxy that was begun before. */
SEC("iter/tcp")
int forget_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct socket_state *state;
	struct weir_workload *row;
	struct weir_current now;
	struct sock *sk;
	__u64 owner;

	sk = common ? (struct sock *)bpf_skc_to_tcp_sock(common) : NULL;
	if (!sk || !in_force(&now) || sk->__sk_common.skc_state == TCP_STATE_LISTEN)
		return 0;
	owner = owner_of(sk, now.generation);
	row = owner ? row_of(now.generation, owner) : NULL;
	if (!row || row->kind != WEIR_KIND_PROXY)
		return 0;
	state = bpf_sk_storage_get(&sockets, common, 0, 0);
	if ((state && state->started_ns) || bpf_sock_destroy(common))
		return 0;
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

/* What reads from or writes to a connected UDP socket whose exchange is refused gets ECONNABORTED. */
SEC("iter/udp")
int revoke_udp(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct decision decision = {};
	struct socket_state *state;
	struct weir_current now;
	struct flow flow = {};

	if (!sk || !in_force(&now) || now.audit)
		return 0;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || !is_refused_udp(&now, sk, state, &flow, &decision) || bpf_sock_destroy((struct sock_common *)sk))
		return 0;
	state->role = ROLE_NONE;
	report(&decision, &flow);
	bpf_seq_write(ctx->meta->seq, line, sizeof line - 1);
	return 0;
}

#endif /* WEIR_WITHOUT_SOCK_DESTROY */

char LICENSE[] SEC("license") = "GPL";
