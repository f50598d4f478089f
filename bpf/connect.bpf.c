/* SPDX-License-Identifier: GPL-2.0-only */
/* connect() and sendmsg(): refuse at once with a telling errno, let go, or turn to the proxy. */
#include "owner.h"
#include "report.h"

#define EPERM 1
#define EACCES 13

#define PASS 1
#define REFUSE 0

/* The destination is an address of the caller's own network namespace. */
static __always_inline int is_here(struct bpf_sock_addr *ctx, const struct weir_addr *addr)
{
	__u64 *cookie;

	if (addr_is_loopback(addr))
		return 1;
	cookie = bpf_map_lookup_elem(&hosts, addr);
	return cookie && *cookie == bpf_get_netns_cookie(ctx);
}

/* Whose socket listens at the destination. Only at an address of this namespace is a listener found here surely the
 * one that the packets will reach; elsewhere a wildcard listener would answer for foreign addresses. */
static __always_inline void find_listener(struct bpf_sock_addr *ctx, struct flow *flow)
{
	struct bpf_sock_tuple tuple = {};
	struct socket_state *state;
	struct bpf_sock *listener;
	__u32 size;

	size = socket_tuple(&tuple, &flow->destination.addr, 0, &flow->destination.addr, flow->port);
	if (flow->protocol == IPPROTO_TCP)
		listener = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		listener = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!listener)
		return;
	state = bpf_sk_storage_get(&sockets, listener, 0, 0);
	if (state)
		flow->destination.owner = state->owner;
	bpf_sk_release(listener);
}

/* The source address is known before routing when the socket is bound, or when the destination is here: the
 * kernel takes 127.0.0.1 for all of 127.0.0.0/8, and otherwise the destination itself. */
static __always_inline void find_source_address(struct bpf_sock_addr *ctx, struct flow *flow, int here)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk && ctx->family == AF_INET && sk->src_ip4) {
		addr_from_v4(&flow->source.addr, sk->src_ip4);
		flow->source.addr_known = 1;
	} else if (here) {
		flow->source.addr = flow->destination.addr;
		if (addr_is_v4(&flow->source.addr) && addr_is_loopback(&flow->source.addr))
			flow->source.addr.word[3] = bpf_htonl(0x7f000001);
		flow->source.addr_known = 1;
	}
}

static __always_inline int is_proxy_port(__u32 generation, const struct who *who, __be16 port)
{
	__u32 number = who->proxy;
	struct weir_proxy *proxy;
	void *map;

	if (who->kind != WEIR_KIND_PROXY)
		return 0;
	map = table(&proxies, generation);
	proxy = map ? bpf_map_lookup_elem(map, &number) : NULL;
	return proxy && proxy->port == port;
}

/* An unconnected UDP socket answering somebody who was let in. */
static __always_inline int is_answer(struct bpf_sock_addr *ctx, const struct flow *flow, __u32 generation)
{
	struct exchange_key key = { .peer = flow->destination.addr, .port = flow->port };
	struct exchange *exchange;

	key.cookie = bpf_get_socket_cookie(ctx);
	exchange = bpf_map_lookup_elem(&exchanges, &key);
	return exchange && exchange->direction == WEIR_INGRESS && exchange->generation == generation &&
	       bpf_ktime_get_ns() - exchange->seen_ns < EXCHANGE_NS;
}

/* Keeps on the socket what its packets will need. Returns 0 without memory. */
static __always_inline int remember(struct bpf_sock_addr *ctx, const struct flow *flow,
				    const struct decision *decision)
{
	struct socket_state *state;

	if (!ctx->sk)
		return 0;
	state = bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE);
		return 0;
	}
	state->owner = flow->source.owner;
	if (flow->protocol != IPPROTO_TCP)
		return 1;
	state->role = ROLE_CONNECTING;
	state->peer = flow->destination.addr;
	state->peer_owner = flow->destination.owner;
	state->port = flow->port;
	state->source = decision->source.workload;
	state->destination = decision->destination.workload;
	state->identity = decision->source.identity;
	state->target = decision->destination.target;
	state->redirected = decision->ruling.verdict == WEIR_PROXIED;
	if (state->redirected)
		state->proxy = decision->ruling.proxy;
	state->verdict = WEIR_ALLOWED;
	state->reason = decision->ruling.reason;
	state->rule = decision->ruling.rule;
	state->direction = decision->direction;
	state->generation = decision->generation;
	state->started_ns = bpf_ktime_get_ns();
	state->counted = 0;
	return 1;
}

static __always_inline int refuse(struct decision *decision, const struct flow *flow, __u8 reason)
{
	decision->ruling.verdict = WEIR_DENIED;
	if (reason)
		decision->ruling.reason = reason;
	report(decision, flow);
	if (decision->audit)
		return PASS;
	bpf_set_retval(decision->direction == WEIR_INGRESS ? -EACCES : -EPERM);
	return REFUSE;
}

/* The whole of a connect(): who, whereto, verdict, then one of three ways. `turned` receives the proxy's address. */
static __always_inline int judge(struct bpf_sock_addr *ctx, struct flow *flow, int connecting,
				 struct weir_proxy *turned)
{
	struct weir_current *now = in_force();
	struct decision decision = {};
	struct socket_state *state;
	int verdict, here;

	if (!now)
		return PASS; /* nothing is in force yet */
	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return PASS; /* judged per packet */
	state = ctx->sk ? bpf_sk_storage_get(&sockets, ctx->sk, 0, 0) : NULL;
	if (state) {
		flow->source.owner = state->owner;
		flow->source.speaks_for = state->speaks_for;
		flow->source.proxy = state->proxy;
	}
	if (!flow->source.owner)
		flow->source.owner = owner_of_current(now->generation);
	flow->destination.addr_known = 1;
	addr_resolve_any(&flow->destination.addr);
	here = is_here(ctx, &flow->destination.addr);
	if (here)
		find_listener(ctx, flow);
	find_source_address(ctx, flow, here);
	if (!connecting && is_answer(ctx, flow, now->generation))
		return PASS;

	verdict = decide(now, flow, SIDE_EGRESS | SIDE_INGRESS, &decision);
	if (is_proxy_port(now->generation, &decision.destination, flow->port) && flow->protocol == IPPROTO_TCP) {
		decision.direction = WEIR_INGRESS;
		decision.ruling.rule = 0;
		return refuse(&decision, flow, WEIR_REASON_DIRECT_TO_PROXY);
	}
	if (verdict == WEIR_DENIED && decision.direction == WEIR_INGRESS && !flow->source.addr_known) {
		/* The receiver knows the source address and may have a rule for it; it will judge. */
		decision.ruling.verdict = verdict = WEIR_ALLOWED;
	}
	if (verdict == WEIR_DENIED)
		return refuse(&decision, flow, 0);
	if (verdict == WEIR_PROXIED) {
		__u32 number = decision.ruling.proxy;
		void *map = table(&proxies, now->generation);
		struct weir_proxy *proxy = map ? bpf_map_lookup_elem(map, &number) : NULL;

		if (!proxy || flow->protocol != IPPROTO_TCP)
			return refuse(&decision, flow, WEIR_REASON_NO_PROXY);
		*turned = *proxy;
	}
	if (!flow->source.owner && verdict != WEIR_PROXIED)
		return PASS; /* nobody's socket: nothing to keep */
	if (!remember(ctx, flow, &decision))
		return refuse(&decision, flow, WEIR_REASON_NO_MEMORY);
	if (flow->protocol == IPPROTO_TCP)
		report(&decision, flow);
	return PASS;
}

static __always_inline int judge4(struct bpf_sock_addr *ctx, int connecting)
{
	struct weir_proxy turned = {};
	struct flow flow = {};
	int answer;

	flow.protocol = ctx->protocol;
	flow.port = ctx->user_port;
	addr_from_v4(&flow.destination.addr, ctx->user_ip4);
	answer = judge(ctx, &flow, connecting, &turned);
	if (turned.port && answer == PASS && connecting) {
		ctx->user_ip4 = turned.addr4.word[3];
		FIELD(ctx->user_port) = turned.port;
	}
	return answer;
}

static __always_inline int judge6(struct bpf_sock_addr *ctx, int connecting)
{
	struct weir_proxy turned = {};
	struct flow flow = {};
	int answer;

	flow.protocol = ctx->protocol;
	flow.port = ctx->user_port;
	flow.destination.addr.word[0] = FIELD(ctx->user_ip6[0]);
	flow.destination.addr.word[1] = FIELD(ctx->user_ip6[1]);
	flow.destination.addr.word[2] = FIELD(ctx->user_ip6[2]);
	flow.destination.addr.word[3] = FIELD(ctx->user_ip6[3]);
	answer = judge(ctx, &flow, connecting, &turned);
	if (turned.port && answer == PASS && connecting) {
		/* A v4-mapped destination stays one: the socket speaks IPv4. */
		struct weir_addr to = addr_is_v4(&flow.destination.addr) ? turned.addr4 : turned.addr6;

		FIELD(ctx->user_ip6[0]) = to.word[0];
		FIELD(ctx->user_ip6[1]) = to.word[1];
		FIELD(ctx->user_ip6[2]) = to.word[2];
		FIELD(ctx->user_ip6[3]) = to.word[3];
		FIELD(ctx->user_port) = turned.port;
	}
	return answer;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, 1);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, 1);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx, 0);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx, 0);
}
