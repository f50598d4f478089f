/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets into and out of workloads. A connection that was judged in the generation in force costs one lookup. */
#include "owner.h"
#include "sender.h"

#define PASS 1
#define DROP 0

#define SOCK_STREAM 1
#define SOCK_DGRAM 2

#define ICMP_ECHO_REPLY 0
#define ICMP6_ECHO_REPLY 129

/* What is known of the socket a packet belongs to, for the slow path. */
struct seat {
	struct weir_current now;
	struct flow flow; /* as the connection or exchange goes, not as this packet goes */
	struct decision decision;
	__u64 owner;
	__u64 cookie;
	__u8 inbound; /* the packet arrives */
	__u8 listening;
	__u8 pad[6];
};

static __always_inline void turn_around(struct flow *flow)
{
	struct weir_addr addr = flow->source.addr;
	__be16 port = flow->source_port;

	flow->source.addr = flow->destination.addr;
	flow->destination.addr = addr;
	flow->source_port = flow->port;
	flow->port = port;
}

/* A sender in this namespace: its socket says who. For TCP the tuple is that of one connection, so whoever is found
 * is the sender; a datagram's is sure only between addresses that cannot come from elsewhere. */
static __always_inline int find_local_sender(struct __sk_buff *skb, struct flow *flow, __u32 generation)
{
	struct bpf_sock_tuple tuple = {};
	struct socket_state *state;
	struct bpf_sock *sender;
	__u32 size = socket_tuple(&tuple, &flow->destination.addr, flow->port, &flow->source.addr,
				  flow->source_port);

	if (flow->protocol == IPPROTO_TCP)
		sender = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (within_namespace(&flow->source.addr, &flow->destination.addr))
		sender = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return 0;
	if (!sender)
		return 0;
	if (sender->state == TCP_STATE_LISTEN && flow->protocol == IPPROTO_TCP) {
		bpf_sk_release(sender); /* it listens on the source's port, but did not send this */
		return 0;
	}
	state = bpf_sk_storage_get(&sockets, sender, 0, 0);
	if (state)
		source_of(state, &flow->source);
	if (!flow->source.owner)
		flow->source.owner = owner_of_socket(generation, sender);
	bpf_sk_release(sender);
	return 1;
}

/* The receiver's socket where it is in this namespace, too. */
static __always_inline void find_local_receiver(struct __sk_buff *skb, struct flow *flow, __u32 generation)
{
	struct bpf_sock_tuple tuple = {};
	struct socket_state *state;
	struct bpf_sock *receiver;
	__u32 size;

	if (!within_namespace(&flow->source.addr, &flow->destination.addr))
		return;
	size = socket_tuple(&tuple, &flow->source.addr, flow->source_port, &flow->destination.addr, flow->port);
	if (flow->protocol == IPPROTO_TCP)
		receiver = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		receiver = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!receiver)
		return;
	state = bpf_sk_storage_get(&sockets, receiver, 0, 0);
	if (state)
		flow->destination.owner = state->owner;
	if (!flow->destination.owner)
		flow->destination.owner = owner_of_socket(generation, receiver);
	bpf_sk_release(receiver);
}

static __always_inline void sender_key_of(const struct flow *flow, struct sender_key *key)
{
	key->source = flow->source.addr;
	key->destination = flow->destination.addr;
	key->source_port = flow->source_port;
	key->destination_port = flow->port;
	key->protocol = flow->protocol;
}

/* Who sent it: a local socket, a sender of another namespace of this node, or whoever has the address. */
__noinline int find_sender(struct __sk_buff *skb, struct seat *seat)
{
	struct sender_key key = {};

	if (!seat)
		return 0;
	if (find_local_sender(skb, &seat->flow, seat->now.generation))
		return 0;
	sender_key_of(&seat->flow, &key);
	announced(&key, &seat->flow.source);
	return 0;
}

/* Ingress of a flow whose source find_sender() looked for. Never WEIR_PROXIED. A local source's egress is judged
 * here once more: at connect() it could only be judged towards who would probably listen. */
__noinline int judge_arrival(struct seat *seat)
{
	struct party *source;
	struct weir_proxy *proxy;
	__u32 number, sides = SIDE_INGRESS;
	void *map;

	if (!seat)
		return WEIR_DENIED;
	source = &seat->flow.source;
	if (source->owner && !source->redirected)
		sides |= SIDE_EGRESS;
	decide(&seat->now, &seat->flow, sides, &seat->decision);
	if (seat->decision.destination.kind == WEIR_KIND_PROXY) {
		number = seat->decision.destination.proxy;
		map = table(&proxies, seat->now.generation);
		proxy = map ? bpf_map_lookup_elem(map, &number) : NULL;
		if (!proxy || proxy->port != seat->flow.port || seat->flow.protocol != IPPROTO_TCP)
			return rule_on(&seat->decision, WEIR_ALLOWED, WEIR_REASON_NOT_SELECTED, WEIR_INGRESS);
		if (source->redirected && source->proxy == number)
			return rule_on(&seat->decision, WEIR_ALLOWED, WEIR_REASON_L7_RULE, WEIR_INGRESS);
		return rule_on(&seat->decision, WEIR_DENIED, WEIR_REASON_DIRECT_TO_PROXY, WEIR_INGRESS);
	}
	if (source->redirected) /* somebody else has the proxy's port */
		return rule_on(&seat->decision, WEIR_DENIED, WEIR_REASON_NO_PROXY, WEIR_INGRESS);
	if (seat->decision.ruling.verdict == WEIR_PROXIED) {
		seat->decision.ruling.verdict = WEIR_DENIED;
		seat->decision.ruling.reason = WEIR_REASON_BYPASSED_PROXY;
	}
	return seat->decision.ruling.verdict;
}

static __always_inline int pass_or_drop(const struct seat *seat)
{
	return seat->decision.ruling.verdict == WEIR_DENIED && !seat->decision.audit ? DROP : PASS;
}

/* A TCP connection judged in an older generation, or not yet: judge it, by the side this socket is on. */
__noinline int judge_connection(struct __sk_buff *skb, struct seat *seat, struct socket_state *state)
{
	struct flow *flow;
	int first;

	if (!seat || !state)
		return DROP;
	flow = &seat->flow;
	first = !state->generation;
	if (state->role == ROLE_CONNECTING) {
		/* The peer's ingress is judged where the peer is. */
		source_of(state, &flow->source);
		flow->source.owner = seat->owner;
		if (first) {
			find_local_receiver(skb, flow, seat->now.generation);
			state->peer = flow->destination.addr;
			state->peer_owner = flow->destination.owner;
		} else {
			flow->destination.addr = state->peer;
			flow->destination.owner = state->peer_owner;
			flow->port = state->port;
		}
		decide(&seat->now, flow, SIDE_EGRESS, &seat->decision);
	} else {
		flow->destination.owner = seat->owner;
		if (first && !state->peer_known) {
			find_sender(skb, seat);
			keep_peer(state, &flow->source);
		} else {
			peer_of(state, &flow->source);
		}
		judge_arrival(seat);
	}
	if (first) {
		int proxys = seat->decision.destination.kind == WEIR_KIND_PROXY;

		state->port = flow->port;
		state->source = proxys ? 0 : seat->decision.source.workload;
		state->destination = proxys ? 0 : seat->decision.destination.workload;
	}
	state->owner = seat->owner;
	state->generation = seat->now.generation;
	state->verdict = pass_or_drop(seat) == PASS ? WEIR_ALLOWED : WEIR_DENIED;
	if (seat->decision.ruling.verdict == WEIR_DENIED)
		report(&seat->decision, flow);
	if (state->verdict == WEIR_ALLOWED && state->role == ROLE_ACCEPTING && state->started_ns)
		count_opened(state);
	return pass_or_drop(seat);
}

/* A connection that was open before weir knew its owner: accepted, if its own port is listened on. */
static __always_inline __u8 role_of(struct __sk_buff *skb, const struct seat *seat)
{
	const struct weir_addr *local = seat->inbound ? &seat->flow.destination.addr : &seat->flow.source.addr;
	const struct weir_addr *remote = seat->inbound ? &seat->flow.source.addr : &seat->flow.destination.addr;
	__be16 port = seat->inbound ? seat->flow.port : seat->flow.source_port;
	struct bpf_sock_tuple tuple = {};
	__u32 size = socket_tuple(&tuple, remote, 0, local, port);
	struct bpf_sock *listener = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);

	if (!listener)
		return ROLE_CONNECTING;
	bpf_sk_release(listener);
	return ROLE_ACCEPTING;
}

__noinline int tcp_packet(struct __sk_buff *skb, struct seat *seat, struct socket_state *state)
{
	if (!seat || !state)
		return DROP;
	if (seat->flow.resets)
		return PASS; /* it can only end a connection, and whose it was is no longer to be found */
	if (seat->listening) {
		if (!seat->inbound)
			return PASS; /* SYN-ACK: what it answers was judged */
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
		if (seat->flow.begins)
			report(&seat->decision, &seat->flow);
		return pass_or_drop(seat);
	}
	if (!state->role)
		state->role = role_of(skb, seat);
	if (state->generation == seat->now.generation)
		return state->verdict == WEIR_ALLOWED ? PASS : DROP; /* refused before, and counted */
	/* Seen as the connection goes: from the one who connected to the one who accepted. */
	if ((state->role == ROLE_CONNECTING) == seat->inbound)
		turn_around(&seat->flow);
	return judge_connection(skb, seat, state);
}

static __always_inline void count_datagram(const struct exchange *exchange, __u32 bytes, int inbound, int opens)
{
	int source_side = exchange->direction == WEIR_EGRESS;
	struct weir_connections_key key = {
		.source = exchange->source,
		.destination = exchange->destination,
		.port = bpf_ntohs(exchange->port),
		.protocol = IPPROTO_UDP,
		.reporter = source_side ? WEIR_REPORTER_SOURCE : WEIR_REPORTER_DESTINATION,
	};
	struct weir_connections *counters = connections_of(&key);

	if (!counters)
		return;
	add(&counters->opened, opens);
	add(inbound ? &counters->received_bytes : &counters->sent_bytes, bytes);
}

/* Tells a receiver in another namespace whose datagram comes. */
__noinline int announce_datagram(const struct seat *seat)
{
	struct sender_key key = {};
	struct party source = {};

	if (!seat)
		return 0;
	sender_key_of(&seat->flow, &key);
	source.owner = seat->owner;
	announce(&key, &source);
	return 0;
}

/* A datagram belongs to an exchange that was allowed in the direction in which it began. */
__noinline int udp_packet(struct __sk_buff *skb, struct seat *seat)
{
	struct exchange_key key = {};
	struct exchange fresh = {}, *known;
	__u64 time = bpf_ktime_get_ns();
	__u32 headers, bytes;

	if (!seat)
		return DROP;
	headers = (addr_is_v4(&seat->flow.source.addr) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
		  sizeof(struct udphdr);
	bytes = skb->len > headers ? skb->len - headers : 0;
	key.cookie = seat->cookie;
	key.peer = seat->inbound ? seat->flow.source.addr : seat->flow.destination.addr;
	key.port = seat->inbound ? seat->flow.source_port : seat->flow.port;
	known = bpf_map_lookup_elem(&exchanges, &key);
	if (known && time - known->seen_ns >= EXCHANGE_NS)
		known = NULL;
	fresh.direction = known ? known->direction : seat->inbound ? WEIR_INGRESS : WEIR_EGRESS;
	if (!seat->inbound && (!known || time - known->announced_ns > ANNOUNCE_NS)) {
		announce_datagram(seat);
		if (known)
			known->announced_ns = time;
	}
	if (known && known->generation == seat->now.generation) {
		known->seen_ns = time;
		count_datagram(known, bytes, seat->inbound, 0);
		return PASS;
	}
	if ((fresh.direction == WEIR_EGRESS) == seat->inbound)
		turn_around(&seat->flow);
	if (fresh.direction == WEIR_EGRESS) {
		seat->flow.source.owner = seat->owner;
		find_local_receiver(skb, &seat->flow, seat->now.generation);
		decide(&seat->now, &seat->flow, SIDE_EGRESS, &seat->decision);
	} else {
		seat->flow.destination.owner = seat->owner;
		find_sender(skb, seat);
		judge_arrival(seat);
	}
	report(&seat->decision, &seat->flow);
	if (pass_or_drop(seat) == DROP) {
		bpf_map_delete_elem(&exchanges, &key);
		return DROP;
	}
	fresh.seen_ns = time;
	fresh.announced_ns = time;
	fresh.generation = seat->now.generation;
	fresh.source = seat->decision.source.workload;
	fresh.destination = seat->decision.destination.workload;
	fresh.port = seat->flow.port;
	if (bpf_map_update_elem(&exchanges, &key, &fresh, BPF_ANY))
		lose(WEIR_LOSS_EXCHANGES);
	count_datagram(&fresh, bytes, seat->inbound, !known);
	return PASS;
}

/* Protocols without connections, and whatever a raw socket makes, are judged packet by packet. An echo reply is
 * judged as what it answers. */
__noinline int other_packet(struct __sk_buff *skb, struct seat *seat)
{
	__u16 type;
	int answers;

	if (!seat)
		return DROP;
	type = bpf_ntohs(seat->flow.port);
	answers = (seat->flow.protocol == IPPROTO_ICMP && type == ICMP_ECHO_REPLY) ||
		  (seat->flow.protocol == IPPROTO_ICMPV6 && type == ICMP6_ECHO_REPLY);
	if (answers) {
		seat->flow.port = bpf_htons(seat->flow.protocol == IPPROTO_ICMP ? 8 : 128);
		seat->flow.source_port = seat->flow.port;
		turn_around(&seat->flow);
	}
	if (seat->inbound == answers) {
		seat->flow.source.owner = seat->owner;
		if (seat->flow.protocol == IPPROTO_TCP || seat->flow.protocol == IPPROTO_UDP)
			find_local_receiver(skb, &seat->flow, seat->now.generation);
		decide(&seat->now, &seat->flow, SIDE_EGRESS, &seat->decision);
	} else {
		seat->flow.destination.owner = seat->owner;
		if (seat->flow.protocol == IPPROTO_TCP || seat->flow.protocol == IPPROTO_UDP)
			find_sender(skb, seat);
		judge_arrival(seat);
	}
	if (seat->decision.ruling.verdict == WEIR_DENIED)
		report(&seat->decision, &seat->flow);
	return pass_or_drop(seat);
}

/* What a function that is verified for itself returned. The verifier does not know its range and clang, which does,
 * would drop a plain mask. */
static __always_inline int answer(int verdict)
{
	asm volatile("%0 &= 1" : "+r"(verdict));
	return verdict;
}

/* Nothing is known but whose socket it is: closed. */
static __always_inline int refuse_packet(struct seat *seat, __u8 reason)
{
	seat->decision.generation = seat->now.generation;
	seat->decision.audit = seat->now.audit;
	rule_on(&seat->decision, WEIR_DENIED, reason, seat->inbound ? WEIR_INGRESS : WEIR_EGRESS);
	report(&seat->decision, &seat->flow);
	return pass_or_drop(seat);
}

/* Not judged in the generation in force: find whose the socket is and judge by what it is. */
static __always_inline int judge_packet(struct __sk_buff *skb, const struct weir_current *now, int inbound)
{
	struct socket_state *state;
	struct seat seat = {};
	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return PASS; /* the socket is gone; nobody can read what arrives */
	state = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	seat.now = *now;
	seat.owner = state ? state->owner : 0;
	if (!seat.owner)
		seat.owner = owner_of_socket(now->generation, sk);
	if (!seat.owner) {
		if (state) {
			state->generation = now->generation;
			state->verdict = WEIR_ALLOWED;
		}
		return PASS; /* no workload's */
	}
	seat.inbound = inbound;
	seat.listening = sk->state == TCP_STATE_LISTEN && sk->type == SOCK_STREAM;
	seat.cookie = bpf_get_socket_cookie(skb);
	if (flow_from_packet(skb, &seat.flow))
		return refuse_packet(&seat, WEIR_REASON_MALFORMED);
	if (!state) {
		lose(WEIR_LOSS_STORAGE);
		return refuse_packet(&seat, WEIR_REASON_NO_MEMORY);
	}
	state->owner = seat.owner;
	/* By the socket, not the packet: a raw socket sends what it likes to whom it likes. */
	if (seat.flow.protocol == IPPROTO_TCP && sk->type == SOCK_STREAM)
		return answer(tcp_packet(skb, &seat, state));
	if (seat.flow.protocol == IPPROTO_UDP && sk->type == SOCK_DGRAM)
		return answer(udp_packet(skb, &seat));
	return answer(other_packet(skb, &seat));
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
	if (state && state->generation == now.generation && state->verdict == WEIR_ALLOWED)
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
