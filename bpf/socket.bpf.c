/* SPDX-License-Identifier: GPL-2.0-only */
/* The life of a socket: whose it is, when it opens, what it moves, when it goes. */
#include "kernel.h"
#include "owner.h"
#include "sender.h"

#define FLUSH_NS (100ull * 1000000ull) /* counters of a live connection are brought up to date this often */

/* Tags a new socket with its workload, so that others can ask whose it is. */
SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *sk)
{
	struct socket_state *state;
	struct weir_workload *row;
	struct weir_current now;
	__u64 owner;

	if (!in_force(&now))
		return 1;
	owner = owner_of_current(now.generation);
	row = owner ? row_of(now.generation, owner) : NULL;
	if (!row || row->kind == WEIR_KIND_SUBTREE)
		return 1; /* nobody's, or not known whose: asked again at each use */
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (state)
		state->owner = owner;
	else
		lose(WEIR_LOSS_STORAGE, row->workload); /* its first packet tries again; then the fail mode decides */
	return 1;
}

/* Adds what a TCP socket moved since the last time. Payload only: the FIN counts as a byte in bytes_received. */
static __always_inline void flush(struct tcp_sock *tcp, struct socket_state *state, int closing)
{
	__u64 sent, received, rtt_us, time = bpf_ktime_get_ns();
	struct weir_connections *counters;

	if (!state->counted)
		return;
	if (!closing && time - state->flushed_ns < FLUSH_NS)
		return;
	counters = counters_of(state);
	if (!counters)
		return;
	state->flushed_ns = time;
	sent = tcp->bytes_sent - tcp->bytes_retrans;
	received = tcp->bytes_received;
	if (received && ((struct sock *)tcp)->__sk_common.skc_flags & (1ul << SOCK_DONE_BIT))
		received--;
	if (sent > state->sent)
		add(&counters->sent_bytes, sent - state->sent);
	if (received > state->received)
		add(&counters->received_bytes, received - state->received);
	state->sent = sent;
	state->received = received;
	rtt_us = tcp->srtt_us >> 3;
	if (rtt_us) {
		add(&counters->rtt[bucket_of(rtt_us)], 1);
		add(&counters->rtt_us_sum, rtt_us);
		add(&counters->rtt_count, 1);
	}
	if (closing)
		add(&counters->closed, 1);
}

static __always_inline void connected(struct socket_state *state)
{
	struct weir_connections *counters;
	__u64 us;

	if (state->speaks)
		return; /* a proxy's second leg; the first was counted at the workload */
	count_opened(state);
	if (!state->counted || !state->started_ns)
		return;
	counters = counters_of(state);
	if (!counters)
		return;
	us = (bpf_ktime_get_ns() - state->started_ns) / 1000;
	add(&counters->connect[bucket_of(us)], 1);
	add(&counters->connect_us_sum, us);
	add(&counters->connect_count, 1);
}

/* The two ends of a connection, seen from this socket. */
static __always_inline void ends_of(struct bpf_sock_ops *ops, struct weir_addr *local, struct weir_addr *remote)
{
	if (ops->family == AF_INET) {
		addr_from_v4(local, FIELD(ops->local_ip4));
		addr_from_v4(remote, FIELD(ops->remote_ip4));
		asm volatile("" ::: "memory"); /* keeps the two branches' reads of the context apart */
	} else {
		local->word[0] = FIELD(ops->local_ip6[0]);
		local->word[1] = FIELD(ops->local_ip6[1]);
		local->word[2] = FIELD(ops->local_ip6[2]);
		local->word[3] = FIELD(ops->local_ip6[3]);
		remote->word[0] = FIELD(ops->remote_ip6[0]);
		remote->word[1] = FIELD(ops->remote_ip6[1]);
		remote->word[2] = FIELD(ops->remote_ip6[2]);
		remote->word[3] = FIELD(ops->remote_ip6[3]);
	}
}

/* No receiver will ask for it any more. */
static __always_inline void withdraw_connect(struct socket_state *state)
{
	struct sender_key key;

	if (!state->announced.protocol)
		return;
	key = state->announced;
	state->announced.protocol = 0;
	withdraw(&key, state->owner);
}

/* The source port is known and the SYN has not left: tell a receiver in another namespace who comes. */
static __always_inline void announce_connect(struct bpf_sock_ops *ops, struct socket_state *state)
{
	struct sender_key key = { .protocol = IPPROTO_TCP };
	struct sender sender = {};

	ends_of(ops, &key.source, &key.destination);
	key.source_port = bpf_htons(ops->local_port);
	key.destination_port = ops->remote_port >> 16; /* network order in the upper half: struct bpf_sock_ops */
	if (state) {
		withdraw_connect(state);
		sender.owner = state->owner;
		sender.speaks_for = state->speaks_for;
		sender.charged = state->source;
		sender.speaks = state->speaks;
		sender.proxy = state->proxy;
		sender.redirected = state->redirected;
	}
	if (announce(&key, &sender) && state)
		state->announced = key;
}

/* Takes what the sender announced before it can be too old, or somebody else's. */
static __always_inline void take_announcement(struct bpf_sock_ops *ops, struct socket_state *state)
{
	struct sender_key key = { .protocol = IPPROTO_TCP };
	struct party source = {};

	ends_of(ops, &key.destination, &key.source);
	key.source_port = ops->remote_port >> 16;
	key.destination_port = bpf_htons(ops->local_port);
	if (!announced(&key, &source))
		return;
	withdraw(&key, 0);
	source.addr = key.source;
	keep_peer(state, &source);
	state->peer_known = 1;
}

SEC("sockops")
int sock_ops(struct bpf_sock_ops *ops)
{
	struct socket_state *state;
	struct weir_current now;
	struct tcp_sock *tcp;
	struct bpf_sock *sk = ops->sk;

	if (!sk || !in_force(&now))
		return 1;
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		announce_connect(ops, bpf_sk_storage_get(&sockets, sk, 0, 0));
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		state = bpf_sk_storage_get(&sockets, sk, 0, 0);
		if (!state)
			break;
		state->role = ROLE_NONE; /* it may have been a connection before */
		state->generation = 0;
		state->verdict = 0;
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		state = bpf_sk_storage_get(&sockets, sk, 0, 0);
		if (!state || state->role != ROLE_CONNECTING)
			break;
		connected(state);
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_RTT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (!state) {
			lose(WEIR_LOSS_STORAGE, 0);
			break;
		}
		state->role = ROLE_ACCEPTING; /* whose, and from a neighbour whom, is found with its first packet */
		state->started_ns = bpf_ktime_get_ns();
		take_announcement(ops, state);
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_RTT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		state = bpf_sk_storage_get(&sockets, sk, 0, 0);
		tcp = bpf_skc_to_tcp_sock(sk);
		if (state)
			withdraw_connect(state); /* data was acknowledged: the receiver has accepted */
		if (state && tcp)
			flush(tcp, state, 0);
		break;
	}
	return 1;
}

SEC("tp_btf/tcp_destroy_sock")
int tcp_destroy_sock(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct socket_state *state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	if (state)
		withdraw_connect(state);
	if (state && tcp)
		flush(tcp, state, 1);
	return 0;
}

/* A UDP socket is closed: nobody sends under what it announced any more. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *sk)
{
	struct socket_state *state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct held *held = bpf_sk_storage_get(&exchanges, sk, 0, 0);

	if (!held || !state)
		return 1;
	for (int i = 0; i < EXCHANGES; i++) {
		struct sender_key key = {};

		if (!held->exchanges[i].announced_ns)
			continue;
		datagram_key_of(held, &held->exchanges[i], &key);
		withdraw(&key, state->owner);
	}
	return 1;
}

SEC("tp_btf/tcp_retransmit_skb")
int tcp_retransmit_skb(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct socket_state *state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	struct weir_connections *counters = state ? counters_of(state) : NULL;

	if (counters)
		add(&counters->retransmits, 1);
	return 0;
}
