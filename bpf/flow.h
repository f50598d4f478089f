/* SPDX-License-Identifier: GPL-2.0-only */
/* Packet or socket -> struct flow. The only parser. */
#ifndef WEIR_FLOW_H
#define WEIR_FLOW_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "maps.h"

#define AF_INET 2
#define AF_INET6 10
#define TCP_STATE_LISTEN 10 /* enum in net/tcp_states.h */

/* A field of a context, accessed at its own offset and width: clang would merge neighbours or compute addresses,
 * which the verifier refuses on a context. */
#define FIELD(x) (*(volatile typeof(x) *)&(x))

/* One end of a flow, as far as it is known. */
struct party {
	__u64 owner;      /* cgroup id of the local workload; 0 not known */
	struct weir_addr addr;
	__u32 speaks_for; /* with speaks: the identity that a proxy carries on; 0 somebody outside */
	__u8 speaks;
	__u8 proxy;       /* with speaks or redirected: the proxy's number */
	__u8 redirected;  /* a source that was turned to this proxy's port */
	__u8 addr_known;
};

struct flow {
	struct party source;
	struct party destination;
	__be16 source_port;
	__be16 port; /* destination port; ICMP: the type */
	__u8 protocol;
	__u8 begins; /* TCP: a SYN without ACK */
	__u8 resets; /* TCP: a RST */
	__u8 unsure; /* connect(): which socket will get it is known only when its SYN leaves */
};

static __always_inline void addr_from_v4(struct weir_addr *addr, __be32 v4)
{
	addr->word[0] = 0;
	addr->word[1] = 0;
	addr->word[2] = bpf_htonl(0xffff);
	addr->word[3] = v4;
}

static __always_inline int addr_is_v4(const struct weir_addr *addr)
{
	return !addr->word[0] && !addr->word[1] && addr->word[2] == bpf_htonl(0xffff);
}

static __always_inline int addr_is_loopback(const struct weir_addr *addr)
{
	if (addr_is_v4(addr))
		return (addr->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !addr->word[0] && !addr->word[1] && !addr->word[2] && addr->word[3] == bpf_htonl(1);
}

static __always_inline int addr_is_multicast(const struct weir_addr *addr)
{
	if (addr_is_v4(addr))
		return (addr->word[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000);
	return (addr->word[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
}

static __always_inline int addr_equal(const struct weir_addr *a, const struct weir_addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* A packet between two sockets of one network namespace: over loopback, or from an address to itself, which is how
 * the kernel routes to an address of its own. */
static __always_inline int within_namespace(const struct weir_addr *source, const struct weir_addr *destination)
{
	return addr_is_loopback(source) || addr_equal(source, destination);
}

/* The transport header at `offset`. Extension headers are walked by the caller. */
static __always_inline int flow_from_transport(struct __sk_buff *skb, struct flow *flow, __u32 offset)
{
	__be16 ports[2];

	if (flow->protocol == IPPROTO_ICMP || flow->protocol == IPPROTO_ICMPV6) {
		__u8 type;

		if (bpf_skb_load_bytes(skb, offset, &type, sizeof type))
			return -1;
		flow->port = bpf_htons(type);
		return 0;
	}
	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP && flow->protocol != IPPROTO_SCTP)
		return 0; /* no ports: judged by protocol alone */
	if (bpf_skb_load_bytes(skb, offset, ports, sizeof ports))
		return -1;
	flow->source_port = ports[0];
	flow->port = ports[1];
	if (flow->protocol == IPPROTO_TCP) {
		__u8 flags;

		if (bpf_skb_load_bytes(skb, offset + 13, &flags, sizeof flags))
			return -1;
		/* RFC 9293 3.1 */
		flow->begins = (flags & 0x12) == 0x02;
		flow->resets = !!(flags & 0x04);
	}
	return 0;
}

#define MAX_OPTIONS 8
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137

/* The packet says itself which way it goes, so its destination is not where it goes. RFC 791 section 3.1; no program needs it,
 * and hosts drop what arrives with it (RFC 7126 section 4.3). */
static __always_inline int is_source_routed(struct __sk_buff *skb, __u32 end)
{
	__u32 offset = sizeof(struct iphdr);

	for (int i = 0; i < MAX_OPTIONS; i++) {
		__u8 type, length;

		if (offset >= end)
			return 0;
		if (bpf_skb_load_bytes(skb, offset, &type, sizeof type))
			return 1;
		if (type == OPTION_END)
			return 0;
		if (type == OPTION_LOOSE_ROUTE || type == OPTION_STRICT_ROUTE)
			return 1;
		if (type == OPTION_NOP) {
			offset++;
			continue;
		}
		if (bpf_skb_load_bytes(skb, offset + 1, &length, sizeof length) || length < 2)
			return 1;
		offset += length;
	}
	return 1;
}

#define MAX_EXTENSIONS 6

/* Where the transport header is; sets the protocol. RFC 8200 section 4. */
static __always_inline int skip_extensions(struct __sk_buff *skb, __u8 *protocol)
{
	__u32 offset = sizeof(struct ipv6hdr);
	__u8 next = *protocol;

	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 header[4];

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_DSTOPTS) {
			*protocol = next;
			return offset;
		}
		if (bpf_skb_load_bytes(skb, offset, header, sizeof header))
			return -1;
		if (next == IPPROTO_FRAGMENT && (header[2] || header[3] & 0xf8))
			return -1; /* as for IPv4 */
		if (next == IPPROTO_ROUTING && header[3])
			return -1; /* segments left: the destination is a place on the way, or lies behind it */
		offset += next == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		next = header[0];
	}
	return -1;
}

/* Addresses, ports and protocol of a packet seen by cgroup_skb, whose data begins at the network header. */
__noinline int flow_from_packet(struct __sk_buff *skb, struct flow *flow)
{
	if (!flow)
		return -1;
	if (skb->protocol == bpf_htons(0x0800)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof ip) || ip.ihl < 5)
			return -1;
		if (ip.frag_off & bpf_htons(0x1fff))
			return -1; /* no first fragment, so no ports: only a raw socket makes one here */
		if (ip.ihl > 5 && is_source_routed(skb, ip.ihl * 4))
			return -1;
		addr_from_v4(&flow->source.addr, ip.saddr);
		addr_from_v4(&flow->destination.addr, ip.daddr);
		flow->protocol = ip.protocol;
		flow->source.addr_known = flow->destination.addr_known = 1;
		return flow_from_transport(skb, flow, ip.ihl * 4);
	}
	if (skb->protocol == bpf_htons(0x86dd)) {
		struct ipv6hdr ip;
		int offset;

		if (bpf_skb_load_bytes(skb, 0, &ip, sizeof ip))
			return -1;
		__builtin_memcpy(&flow->source.addr, &ip.saddr, sizeof flow->source.addr);
		__builtin_memcpy(&flow->destination.addr, &ip.daddr, sizeof flow->destination.addr);
		flow->protocol = ip.nexthdr;
		flow->source.addr_known = flow->destination.addr_known = 1;
		offset = skip_extensions(skb, &flow->protocol);
		if (offset < 0)
			return -1;
		return flow_from_transport(skb, flow, offset);
	}
	return -1;
}

/* The tuple under which the kernel finds the socket at `local`, talking to `remote`. Returns its size for
 * bpf_sk_lookup_*(), whose saddr is the remote end. */
static __always_inline __u32 socket_tuple(struct bpf_sock_tuple *tuple, const struct weir_addr *remote,
					  __be16 remote_port, const struct weir_addr *local, __be16 local_port)
{
	if (addr_is_v4(local)) {
		tuple->ipv4.saddr = addr_is_v4(remote) ? remote->word[3] : 0;
		tuple->ipv4.daddr = local->word[3];
		tuple->ipv4.sport = remote_port;
		tuple->ipv4.dport = local_port;
		return sizeof tuple->ipv4;
	}
	__builtin_memcpy(tuple->ipv6.saddr, remote->word, sizeof tuple->ipv6.saddr);
	__builtin_memcpy(tuple->ipv6.daddr, local->word, sizeof tuple->ipv6.daddr);
	tuple->ipv6.sport = remote_port;
	tuple->ipv6.dport = local_port;
	return sizeof tuple->ipv6;
}

#endif
