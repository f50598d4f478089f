/* SPDX-License-Identifier: GPL-2.0-only */
/* connect() and sendmsg(): refuse at once with a telling errno, let go, or turn to the proxy. */
#include "exchange.h"

#define EPERM 1
#define EACCES 13
#define ECONNREFUSED 111

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

/* Whose a listener is. What the kernel makes for itself (MPTCP's) and what is older than the programs has no tag. */
static __always_inline __u64 owner_of_listener(struct bpf_sock *listener, __u32 generation, int *shared)
{
	struct socket_state *state = bpf_sk_storage_get(&sockets, listener, 0, 0);
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(listener);
	struct sock_reuseport *group = tcp ? ((struct sock *)tcp)->sk_reuseport_cb : NULL;
	struct weir_workload *row;
	__u64 owner;

	if (group && group->num_socks > 1)
		*shared = 1;
	if (state && state->owner)
		return state->owner;
	owner = tcp ? owner_of((struct sock *)tcp, generation) : 0;
	row = owner ? row_of(generation, owner) : NULL;
	return row && row->kind != WEIR_KIND_SUBTREE ? owner : 0; /* who calls somebody not known yet waits */
}

/* Whose socket the flow's destination would be given to. Only at an address of this namespace is a listener found here surely
 * the one that the packets will reach; elsewhere a wildcard listener would answer for foreign addresses. `shared`: several
 * may listen there (SO_REUSEPORT), and which one it will be goes by the source address and port. */
__noinline __u64 listener_owner(struct bpf_sock_addr *ctx, __u32 generation, const struct flow *flow, int *shared)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *listener;
	__u64 owner;
	__u32 size;

	if (!flow || !shared)
		return 0;
	size = socket_tuple(&tuple, &flow->source.addr, flow->source_port, &flow->destination.addr, flow->port);
	if (flow->protocol == IPPROTO_TCP)
		listener = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		listener = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!listener)
		return 0;
	owner = owner_of_listener(listener, generation, shared);
	bpf_sk_release(listener);
	return owner;
}

#define SAMPLES 16

/* Whether a port that refuses the caller is shared with somebody else, who might not. The members of a group cannot be
 * enumerated; other source ports find others, and one that so many tries miss has a small share. The flow is given back
 * without a source port; a copy of it is more than the stack of Linux 6.1 has room for. */
static __noinline int is_mixed(struct bpf_sock_addr *ctx, __u32 generation, struct flow *flow)
{
	int shared = 0, mixed = 0;

	for (int i = 0; i < SAMPLES && !mixed; i++) {
		flow->source_port = bpf_get_prandom_u32();
		mixed = listener_owner(ctx, generation, flow, &shared) != flow->destination.owner;
	}
	flow->source_port = 0;
	return mixed;
}

/* The source address is known before routing when the socket is bound, or when the destination is here: the kernel
 * takes 127.0.0.1 for all of 127.0.0.0/8, and otherwise the destination itself. */
static __always_inline void find_source_address(struct bpf_sock_addr *ctx, struct flow *flow, int here)
{
	struct weir_addr *addr = &flow->source.addr;
	struct bpf_sock *sk = ctx->sk;

	if (sk && ctx->family == AF_INET && sk->src_ip4) {
		addr_from_v4(addr, sk->src_ip4);
	} else if (sk && ctx->family == AF_INET6) {
		addr->word[0] = FIELD(sk->src_ip6[0]);
		addr->word[1] = FIELD(sk->src_ip6[1]);
		addr->word[2] = FIELD(sk->src_ip6[2]);
		addr->word[3] = FIELD(sk->src_ip6[3]);
	}
	flow->source_port = sk ? bpf_htons(sk->src_port) : 0;
	/* ::ffff:0.0.0.0 is no address either. */
	flow->source.addr_known = addr->word[3] || addr->word[0] || addr->word[1] || (addr->word[2] && !addr_is_v4(addr));
	if (!flow->source.addr_known && here) {
		flow->source.addr = flow->destination.addr;
		if (addr_is_v4(&flow->source.addr) && addr_is_loopback(&flow->source.addr))
			flow->source.addr.word[3] = bpf_htonl(0x7f000001);
		flow->source.addr_known = 1;
	}
}

static __always_inline struct weir_proxy *find_proxy(__u32 generation, __u32 number)
{
	void *map = table(&proxies, generation);

	return map ? bpf_map_lookup_elem(map, &number) : NULL;
}

static __always_inline int is_proxy_port(__u32 generation, const struct who *who, __be16 port)
{
	struct weir_proxy *proxy;

	if (who->kind != WEIR_KIND_PROXY)
		return 0;
	proxy = find_proxy(generation, who->proxy);
	return proxy && proxy->port == port;
}

/* Where to turn a proxied connection: the proxy's address of the destination's family, provided that it is the proxy
 * who listens there. Anybody may take the port of a proxy that is down. Returns 0 if there is nowhere. */
static __always_inline int find_turn(struct bpf_sock_addr *ctx, __u32 generation, const struct flow *flow,
				     __u32 number, struct weir_proxy *turned)
{
	struct weir_proxy *proxy = find_proxy(generation, number);
	struct weir_workload *listening;
	struct flow to = { .protocol = IPPROTO_TCP };
	int shared;
	__u64 owner;
	void *map;

	if (!proxy || flow->protocol != IPPROTO_TCP)
		return 0;
	to.destination.addr = addr_is_v4(&flow->destination.addr) ? proxy->addr4 : proxy->addr6;
	if (!to.destination.addr.word[0] && !to.destination.addr.word[1] && !to.destination.addr.word[2] &&
	    !to.destination.addr.word[3])
		return 0; /* it has none in this family */
	to.source.addr = to.destination.addr;
	to.port = proxy->port;
	owner = listener_owner(ctx, generation, &to, &shared);
	map = table(&workloads, generation);
	listening = map ? bpf_map_lookup_elem(map, &owner) : NULL;
	if (!listening || listening->kind != WEIR_KIND_PROXY || listening->proxy != number)
		return 0;
	*turned = *proxy;
	return 1;
}

/* An unconnected UDP socket answering somebody who was let in; its packet is judged in that direction again. */
static __always_inline int is_answer(struct bpf_sock_addr *ctx, const struct flow *flow)
{
	struct held *held = NULL;

	if (flow->protocol == IPPROTO_UDP && ctx->sk)
		held = bpf_sk_storage_get(&exchanges, ctx->sk, 0, 0);
	return held && is_asked_by(held, &flow->destination.addr, flow->port);
}

/* The same when what it remembers of others was pushed out: only its packet is judged as that, for the peer's sake. */
static __always_inline int is_forgetful(struct bpf_sock_addr *ctx, const struct flow *flow)
{
	struct held *held = NULL;

	if (flow->protocol == IPPROTO_UDP && ctx->sk)
		held = bpf_sk_storage_get(&exchanges, ctx->sk, 0, 0);
	return held && has_overflowed(held, bpf_ktime_get_ns());
}

/* Keeps on the socket what its packets will need. Returns 0 without memory. */
static __always_inline int remember(struct bpf_sock_addr *ctx, const struct flow *flow,
				    const struct decision *decision, int redirected)
{
	struct socket_state *state;

	if (!ctx->sk)
		return 0;
	state = bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE, decision->source.workload);
		return 0;
	}
	if (state->owner != flow->source.owner)
		state->generation = 0; /* what was let through as nobody's */
	state->owner = flow->source.owner;
	if (flow->protocol != IPPROTO_TCP)
		return 1;
	count_again(state);
	state->role = ROLE_CONNECTING;
	state->peer = flow->destination.addr;
	state->peer_owner = flow->destination.owner;
	state->port = flow->port;
	/* What a proxy does for itself is not counted. */
	state->source = decision->source.kind == WEIR_KIND_PROXY ? 0 : decision->source.workload;
	state->destination = decision->source.kind == WEIR_KIND_PROXY ? 0 : decision->destination.workload;
	state->identity = decision->source.identity;
	state->target = decision->target;
	state->redirected = redirected;
	if (redirected)
		state->proxy = decision->ruling.proxy;
	state->verdict = WEIR_ALLOWED;
	state->unsure = flow->unsure && !redirected;
	state->generation = state->unsure ? 0 : decision->generation;
	state->started_ns = bpf_ktime_get_ns();
	return 1;
}

static __always_inline int refuse(struct decision *decision, const struct flow *flow, __u8 reason, int code)
{
	decision->ruling.verdict = WEIR_DENIED;
	if (reason)
		decision->ruling.reason = reason;
	report(decision, flow);
	if (audited(decision))
		return PASS;
	bpf_set_retval(-code);
	return REFUSE;
}

/* EPERM: the caller's own policy; EACCES: the other side's. Who is not identified is told what programs try again on. */
static __always_inline int errno_of(const struct decision *decision)
{
	if (decision->ruling.reason == WEIR_REASON_UNIDENTIFIED)
		return ECONNREFUSED;
	return decision->direction == WEIR_INGRESS ? EACCES : EPERM;
}

/* No memory for the socket's state: the fail mode decides, but what goes to a proxy cannot go there without. */
static __always_inline int refuse_forgotten(struct decision *decision, const struct flow *flow, int redirected)
{
	int verdict = fault(decision, WEIR_REASON_NO_MEMORY, WEIR_EGRESS);

	if (verdict == WEIR_ALLOWED && !redirected)
		return PASS;
	decision->ruling.verdict = WEIR_DENIED;
	report(decision, flow);
	bpf_set_retval(-EPERM);
	return REFUSE;
}

/* The whole of a connect(): who, whereto, verdict, then one of three ways. `turned` receives the proxy's address. */
static __always_inline int judge(struct bpf_sock_addr *ctx, struct flow *flow,
				 struct weir_proxy *turned)
{
	struct decision decision = {};
	struct socket_state *state;
	struct weir_current now;
	int verdict, here, shared = 0, redirected = 0;

	if (!in_force(&now))
		return PASS;
	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return PASS; /* judged per packet */
	state = ctx->sk ? bpf_sk_storage_get(&sockets, ctx->sk, 0, 0) : NULL;
	if (state && state->speaks)
		source_of(state, &flow->source);
	flow->source.redirected = 0;
	flow->source.owner = state ? state->owner : 0;
	if (!flow->source.owner || !row_of(now.generation, flow->source.owner))
		flow->source.owner = owner_of_current(now.generation);
	flow->destination.addr_known = 1;
	here = is_here(ctx, &flow->destination.addr);
	find_source_address(ctx, flow, here);
	if (here)
		flow->destination.owner = listener_owner(ctx, now.generation, flow, &shared);
	/* Routes that go by the device can lead away even from an address of this namespace. */
	flow->unsure = shared || (ctx->sk && ctx->sk->bound_dev_if > LOOPBACK_IFINDEX);
	/* A bound socket's port says which of them it is. Of UDP's it is not known how many there are. */
	shared = here && !flow->source_port && (shared || flow->protocol == IPPROTO_UDP);
	flow->source_port = 0;
	if (is_answer(ctx, flow))
		return PASS;

	verdict = decide(&now, flow, SIDE_EGRESS | SIDE_INGRESS, &decision);
	if (flow->protocol == IPPROTO_TCP && is_proxy_port(now.generation, &decision.destination, flow->port)) {
		rule_on(&decision, WEIR_DENIED, WEIR_REASON_DIRECT_TO_PROXY, WEIR_INGRESS);
		return refuse(&decision, flow, 0, EACCES);
	}
	if (verdict == WEIR_DENIED && decision.direction == WEIR_INGRESS && !flow->source.addr_known && !decision.target)
		/* The receiver knows the source address and may have a rule for it; it will judge. */
		verdict = rule_on(&decision, WEIR_ALLOWED, WEIR_REASON_NONE, WEIR_INGRESS);
	if (verdict == WEIR_DENIED && is_forgetful(ctx, flow))
		return PASS;
	if (verdict == WEIR_DENIED && shared && is_mixed(ctx, now.generation, flow))
		verdict = rule_on(&decision, WEIR_ALLOWED, WEIR_REASON_NONE, WEIR_EGRESS); /* its packets are judged */
	if (verdict == WEIR_DENIED && refuse(&decision, flow, 0, errno_of(&decision)) == REFUSE)
		return REFUSE;
	if (decision.source.kind == WEIR_KIND_SUBTREE)
		flow->source.owner = 0; /* let go; whose it is will be known later */
	if (verdict == WEIR_PROXIED) {
		if (find_turn(ctx, now.generation, flow, decision.ruling.proxy, turned))
			redirected = 1;
		else if (refuse(&decision, flow, WEIR_REASON_NO_PROXY, ECONNREFUSED) == REFUSE)
			return REFUSE;
		else
			verdict = WEIR_DENIED; /* told, and let go for the audit's sake */
	}
	if (!flow->source.owner && !redirected)
		return PASS; /* nobody's socket: nothing to keep */
	if (!remember(ctx, flow, &decision, redirected))
		return refuse_forgotten(&decision, flow, redirected);
	decision.ruling.shadow_reason = 0; /* told where the flow arrives */
	if (flow->protocol == IPPROTO_TCP && verdict != WEIR_DENIED)
		report(&decision, flow);
	return PASS;
}

static __always_inline int judge4(struct bpf_sock_addr *ctx)
{
	struct weir_proxy turned = {};
	struct flow flow = {};
	int answer;

	flow.protocol = ctx->protocol;
	flow.port = ctx->user_port;
	addr_from_v4(&flow.destination.addr, ctx->user_ip4);
	/* The unspecified address means this host: the socket's own address, or loopback; ip_route_connect(). */
	if (!flow.destination.addr.word[3])
		flow.destination.addr.word[3] = ctx->sk && ctx->sk->src_ip4 ? ctx->sk->src_ip4 : bpf_htonl(0x7f000001);
	answer = judge(ctx, &flow, &turned);
	if (turned.port && answer == PASS) {
		ctx->user_ip4 = turned.addr4.word[3];
		FIELD(ctx->user_port) = turned.port;
	}
	return answer;
}

/* As for IPv4; a socket that is bound to a v4-mapped address stays with IPv4: tcp_v6_connect(). */
static __always_inline void resolve_any6(struct bpf_sock_addr *ctx, struct weir_addr *addr)
{
	struct bpf_sock *sk = ctx->sk;
	int mapped = sk && FIELD(sk->src_ip6[2]) == bpf_htonl(0xffff);
	__be32 own = mapped ? FIELD(sk->src_ip6[3]) : 0;

	if (addr->word[0] || addr->word[1] || addr->word[3])
		return;
	if (addr->word[2] == bpf_htonl(0xffff))
		addr->word[3] = own ? own : bpf_htonl(0x7f000001);
	else if (!addr->word[2] && mapped)
		addr_from_v4(addr, bpf_htonl(0x7f000001));
	else if (!addr->word[2])
		addr->word[3] = bpf_htonl(1);
}

static __always_inline int judge6(struct bpf_sock_addr *ctx)
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
	resolve_any6(ctx, &flow.destination.addr);
	answer = judge(ctx, &flow, &turned);
	if (turned.port && answer == PASS) {
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
	return judge4(ctx);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return judge4(ctx);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return judge6(ctx);
}
