/* SPDX-License-Identifier: GPL-2.0-only */
/* On a proxy's cgroup only: what a stock L7 proxy asks about a redirected connection, and whom its own speak for. */
#include "owner.h"
#include "report.h"

#define SOL_IP 0
#define SOL_SOCKET 1
#define SOL_IPV6 41
#define SO_ORIGINAL_DST 80 /* also IP6T_SO_ORIGINAL_DST */
#define IP_TRANSPARENT 19
#define IPV6_TRANSPARENT 75
#define SO_MARK 36

#define IDENTITY_MASK ((1u << WEIR_IDENTITY_BITS) - 1)

struct sockaddr4 {
	__u16 family;
	__be16 port;
	__be32 addr;
	__u64 zero;
};

struct sockaddr6 {
	__u16 family;
	__be16 port;
	__be32 flowinfo;
	__be32 addr[4];
	__u32 scope;
};

/* The state of a connection the proxy accepted, with what its sender's socket knows. The sender is in the same
 * namespace (the proxy's address is loopback there) and is asked once; getpeername hooks run within accept(). */
static __always_inline struct socket_state *accepted(struct bpf_sock_addr *ctx, const struct weir_addr *remote)
{
	struct weir_addr local = {};
	struct socket_state *state, *sender;
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *peer, *sk = ctx->sk;
	__u32 size;

	if (!sk)
		return NULL;
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || state->role != ROLE_ACCEPTING)
		return NULL;
	if (state->target)
		return state;
	if (ctx->family == AF_INET) {
		addr_from_v4(&local, sk->src_ip4);
	} else {
		local.word[0] = FIELD(sk->src_ip6[0]);
		local.word[1] = FIELD(sk->src_ip6[1]);
		local.word[2] = FIELD(sk->src_ip6[2]);
		local.word[3] = FIELD(sk->src_ip6[3]);
	}
	size = socket_tuple(&tuple, &local, bpf_htons(sk->src_port), remote, ctx->user_port);
	peer = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!peer)
		return NULL;
	sender = bpf_sk_storage_get(&sockets, peer, 0, 0);
	if (sender && sender->redirected) {
		state->original = sender->peer;
		state->original_port = sender->port;
		state->identity = sender->identity;
		state->target = sender->target;
	}
	bpf_sk_release(peer);
	return state->target ? state : NULL;
}

/* Who called, as an address that the proxy's rules can name. */
SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	struct weir_addr remote;
	struct socket_state *state;

	addr_from_v4(&remote, ctx->user_ip4);
	state = accepted(ctx, &remote);
	if (state)
		ctx->user_ip4 = bpf_htonl(WEIR_SYNTHETIC4 | (__u32)state->target << WEIR_IDENTITY_BITS |
					  (state->identity & IDENTITY_MASK));
	return 1;
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	struct weir_addr remote;
	struct socket_state *state;

	remote.word[0] = FIELD(ctx->user_ip6[0]);
	remote.word[1] = FIELD(ctx->user_ip6[1]);
	remote.word[2] = FIELD(ctx->user_ip6[2]);
	remote.word[3] = FIELD(ctx->user_ip6[3]);
	state = accepted(ctx, &remote);
	if (!state)
		return 1;
	FIELD(ctx->user_ip6[0]) = bpf_htonl(WEIR_SYNTHETIC6_0);
	FIELD(ctx->user_ip6[1]) = bpf_htonl(WEIR_SYNTHETIC6_1);
	FIELD(ctx->user_ip6[2]) = bpf_htonl(state->target);
	FIELD(ctx->user_ip6[3]) = bpf_htonl(state->identity);
	return 1;
}

/* Where the caller wanted to go. clang would merge the two stores at the end into one that the verifier refuses. */
SEC("cgroup/getsockopt")
int getsockopt(struct bpf_sockopt *ctx)
{
	void *value = ctx->optval, *end = ctx->optval_end;
	struct socket_state *state;
	struct bpf_sock *sk = ctx->sk;
	__s32 length;

	if (ctx->optname != SO_ORIGINAL_DST || (ctx->level != SOL_IP && ctx->level != SOL_IPV6) || !sk) {
		if (ctx->optlen > 4096)
			ctx->optlen = 0; /* too long to be shown here: the kernel's answer stands */
		return 1;
	}
	state = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!state || !state->target)
		return 1;
	if (ctx->level == SOL_IP) {
		struct sockaddr4 *to = value;

		if (value + sizeof *to > end || !addr_is_v4(&state->original))
			return 1;
		to->family = AF_INET;
		to->port = state->original_port;
		to->addr = state->original.word[3];
		to->zero = 0;
		length = sizeof *to;
	} else {
		struct sockaddr6 *to = value;

		if (value + sizeof *to > end)
			return 1;
		to->family = AF_INET6;
		to->port = state->original_port;
		to->flowinfo = 0;
		to->addr[0] = state->original.word[0];
		to->addr[1] = state->original.word[1];
		to->addr[2] = state->original.word[2];
		to->addr[3] = state->original.word[3];
		to->scope = 0;
		length = sizeof *to;
	}
	*(volatile __s32 *)&ctx->optlen = length;
	*(volatile __s32 *)&ctx->retval = 0;
	return 1;
}

/* A transparent bind needs no capability here: the bind hook below takes the address away again. */
SEC("cgroup/setsockopt")
int setsockopt(struct bpf_sockopt *ctx)
{
	if ((ctx->level == SOL_IP && ctx->optname == IP_TRANSPARENT) ||
	    (ctx->level == SOL_IPV6 && ctx->optname == IPV6_TRANSPARENT) ||
	    (ctx->level == SOL_SOCKET && ctx->optname == SO_MARK))
		ctx->optlen = -1; /* done: the kernel is not asked */
	else if (ctx->optlen > 4096)
		ctx->optlen = 0;
	return 1;
}

/* The upstream socket speaks for the identity whose address the proxy binds it to. */
static __always_inline int speak_for(struct bpf_sock_addr *ctx, __u32 identity)
{
	struct weir_workload *proxy;
	struct socket_state *state;
	struct weir_current now;
	__u64 owner;
	void *map;

	if (!in_force(&now) || !ctx->sk)
		return 0;
	owner = owner_of_current(now.generation);
	map = table(&workloads, now.generation);
	proxy = map ? bpf_map_lookup_elem(map, &owner) : NULL;
	if (!proxy || proxy->kind != WEIR_KIND_PROXY)
		return 0; /* the proxy's entry has gone: EPERM */
	state = bpf_sk_storage_get(&sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!state) {
		lose(WEIR_LOSS_STORAGE, 0);
		return 0;
	}
	state->owner = owner;
	state->speaks = 1;
	state->speaks_for = identity;
	state->proxy = proxy->proxy;
	return 1;
}

SEC("cgroup/bind4")
int bind4(struct bpf_sock_addr *ctx)
{
	__u32 address = bpf_ntohl(ctx->user_ip4);

	if ((address & 0xf0000000u) != WEIR_SYNTHETIC4 || address == 0xffffffffu)
		return 1;
	if (!speak_for(ctx, address & IDENTITY_MASK))
		return 0;
	ctx->user_ip4 = 0;
	return 1;
}

SEC("cgroup/bind6")
int bind6(struct bpf_sock_addr *ctx)
{
	if (FIELD(ctx->user_ip6[0]) != bpf_htonl(WEIR_SYNTHETIC6_0) || FIELD(ctx->user_ip6[1]) != bpf_htonl(WEIR_SYNTHETIC6_1))
		return 1;
	if (!speak_for(ctx, bpf_ntohl(FIELD(ctx->user_ip6[3])) & IDENTITY_MASK))
		return 0;
	FIELD(ctx->user_ip6[0]) = 0;
	FIELD(ctx->user_ip6[1]) = 0;
	FIELD(ctx->user_ip6[2]) = 0;
	FIELD(ctx->user_ip6[3]) = 0;
	return 1;
}
