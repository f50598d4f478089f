/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets into and out of workloads. A connection that was judged in the generation in force costs one lookup. */
#include "datagram.h"
#include "tcp.h"

#define SOCK_STREAM 1
#define SOCK_DGRAM 2

/* Whose the socket is. One that was nobody's, or whose workload has gone, is looked for again, and what was kept of it then
 * is no judgement. */
static __always_inline struct weir_workload *find_owner(struct seat *seat, struct socket_state *state,
							struct bpf_sock *sk)
{
	struct weir_workload *row = NULL;

	seat->owner = state ? state->owner : 0;
	if (seat->owner)
		row = row_of(seat->now.generation, seat->owner);
	if (row)
		return row;
	seat->owner = owner_of_socket(seat->now.generation, sk);
	if (state) {
		state->owner = 0;
		state->generation = 0;
	}
	return seat->owner ? row_of(seat->now.generation, seat->owner) : NULL;
}

/* Not judged in the generation in force: find whose the socket is and judge by what it is. */
static __always_inline int judge_packet(struct __sk_buff *skb, const struct weir_current *now, int inbound)
{
	struct socket_state *state;
	struct weir_workload *row;
	struct seat seat = {};
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS; /* the socket is gone; nobody can read what arrives */
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	seat.now = *now;
	row = find_owner(&seat, state, sk);
	seat.inbound = inbound;
	if (!row && !table(&workloads, now->generation))
		return answer(refuse_packet(&seat, NULL, WEIR_REASON_NO_TABLES));
	if (!row || (row->kind == WEIR_KIND_SUBTREE && row->flags & WEIR_FLAG_ADMIT)) {
		if (state) {
			state->generation = now->generation;
			state->verdict = WEIR_ALLOWED;
		}
		return PASS; /* no workload's */
	}
	seat.listening = sk->state == TCP_STATE_LISTEN && sk->type == SOCK_STREAM;
	seat.connecting = sk->state == TCP_SYN_SENT && sk->type == SOCK_STREAM;
	if (flow_from_packet(skb, &seat.flow))
		return answer(refuse_packet(&seat, row, WEIR_REASON_MALFORMED));
	if (row->kind == WEIR_KIND_SUBTREE)
		return answer(refuse_packet(&seat, row, WEIR_REASON_UNIDENTIFIED));
	if (!state) {
		lose(WEIR_LOSS_STORAGE, row->workload);
		return answer(refuse_packet(&seat, row, WEIR_REASON_NO_MEMORY));
	}
	state->owner = seat.owner;
	/* By the socket, not the packet: a raw socket sends what it likes to whom it likes. */
	if (seat.flow.protocol == IPPROTO_TCP && sk->type == SOCK_STREAM)
		return answer(tcp_packet(skb, &seat, state));
	if (seat.flow.protocol == IPPROTO_UDP && sk->type == SOCK_DGRAM)
		return answer(udp_packet(skb, &seat, state));
	return answer(other_packet(skb, &seat));
}

/* The socket's own destination is the packet's: there is no room for a route of the sender's making (IP_OPTIONS, IPV6_RTHDR). */
static __always_inline int is_plain(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip6 = data;
	struct iphdr *ip = data;

	if (skb->protocol == bpf_htons(0x0800))
		return (void *)(ip + 1) <= end && ip->ihl == 5;
	return (void *)(ip6 + 1) <= end && ip6->nexthdr == IPPROTO_TCP;
}

/* What was judged of the connection holds for this packet, too. A SYN that meets another is somebody's who wants to enter. */
static __always_inline int is_covered(struct __sk_buff *skb, const struct bpf_sock *sk, const struct socket_state *state,
				      int inbound)
{
	if (!state->role)
		return 1; /* no workload's */
	return inbound ? sk->state != TCP_SYN_SENT : is_plain(skb);
}

static __always_inline int packet(struct __sk_buff *skb, int inbound)
{
	struct socket_state *state;
	struct weir_current now;
	struct bpf_sock *sk;

	if (!in_force(&now))
		return PASS;
	sk = skb->sk;
	if (!sk)
		return PASS;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (state && state->generation == now.generation && state->verdict == WEIR_ALLOWED &&
	    is_covered(skb, sk, state, inbound))
		return PASS;
	return judge_packet(skb, &now, inbound);
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	return packet(skb, 0);
}

SEC("cgroup_skb/ingress")
int ingress(struct __sk_buff *skb)
{
	return packet(skb, 1);
}
