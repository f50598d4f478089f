/* SPDX-License-Identifier: GPL-2.0-only */
/* Every map: who writes, who reads, how it empties. Types that cross to user space are in wire.h.
 *
 * What programs write goes on to another layout where name, kind, sizes and the members' names and places are the same:
 * who changes what a member means renames it. */
#ifndef WEIR_MAPS_H
#define WEIR_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "wire.h"

/* How deep below the agent's cgroup root a workload's processes may be. */
#define MAX_DEPTH 12

/* Level of the agent's cgroup root in the hierarchy; set before load. */
const volatile __u32 root_level = 0;

/* --- The tables. The agent builds the inner map of a generation aside and puts it into slot generation % WEIR_SLOTS;
 * programs read; the slot is replaced WEIR_SLOTS generations later. --- */
#define TABLE(NAME, TYPE, FLAGS, KEY, VALUE)                 \
	struct NAME##_table {                                \
		__uint(type, TYPE);                          \
		__uint(max_entries, 1);                      \
		__uint(map_flags, FLAGS);                    \
		__uint(key_size, sizeof(KEY));               \
		__uint(value_size, sizeof(VALUE));           \
	};                                                   \
	struct {                                             \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);    \
		__uint(max_entries, WEIR_SLOTS);             \
		__type(key, __u32);                          \
		__array(values, struct NAME##_table);        \
	} NAME SEC(".maps")

TABLE(workloads, BPF_MAP_TYPE_HASH, 0, __u64, struct weir_workload);
TABLE(addresses, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct weir_address_key, struct weir_address);
TABLE(cells, BPF_MAP_TYPE_HASH, 0, struct weir_cell_key, __u32);
TABLE(identities, BPF_MAP_TYPE_HASH, 0, __u32, struct weir_identity);
TABLE(proxies, BPF_MAP_TYPE_HASH, 0, __u32, struct weir_proxy);
TABLE(pairs, BPF_MAP_TYPE_HASH, 0, struct weir_pair_key, __u32);
TABLE(ports, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, struct weir_ports_key, struct weir_ruling);

/* The generation in force. One update by the agent is the switch. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_current);
} current SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct weir_settings);
} settings SEC(".maps");

/* This node's own addresses, by network namespace. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WEIR_HOSTS_MAX);
	__type(key, struct weir_addr);
	__type(value, __u64);
} hosts SEC(".maps");

/* --- State on the socket. Written and read by programs only; goes with the socket. --- */

enum role {
	ROLE_NONE = 0,       /* neither side yet: a listener, or a UDP socket */
	ROLE_CONNECTING = 1, /* opened the connection */
	ROLE_ACCEPTING = 2,  /* was accepted from a listener */
};

struct socket_state {
#ifdef WEIR_TEST_WIDER_STATE /* a layout whose sockets' state cannot be taken over */
	__u64 wider;
#endif
	__u64 owner;           /* cgroup id of the workload or proxy; 0 nobody's */
	__u64 peer_owner;      /* the same of a local peer */
	struct weir_addr peer; /* connecting: the destination that was asked for; accepting: the source */
	__u32 generation;      /* the one that judged; 0 not judged */
	__u32 speaks_for;      /* with speaks, a proxy's upstream socket: the identity it carries on */
	__u32 peer_speaks_for; /* accepted from such a socket */
	__u32 source;          /* workload numbers, for counters */
	__u32 destination;
	__be16 port;           /* destination port of the flow */
	__u16 target;          /* redirected: what the proxy is to judge; on the proxy's accepted socket too */
	struct weir_addr original; /* on a proxy's accepted socket, with target: where the caller wanted to go */
	__be16 original_port;
	__u8 role;
	__u8 verdict;
	__u8 proxy;            /* redirected to this proxy; or, with speaks, this proxy's own */
	__u8 peer_proxy;       /* the same of the peer's socket */
	__u8 speaks;
	__u8 peer_speaks;
	__u8 peer_known;       /* accepted: the sender was announced */
	__u8 redirected;
	__u8 counted;          /* opened was counted */
	__u32 identity;        /* redirected: of the source; on a proxy's accepted socket too */
	__u64 started_ns;      /* when connect() was called */
	__u64 flushed_ns;
	__u64 sent, received;  /* already counted */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* --- UDP exchanges: who began. Programs write and read; the least recently used goes first. --- */

#define EXCHANGE_NS (60ull * 1000000000ull) /* silence after which a packet begins a new exchange */

struct exchange_key {
	__u64 cookie; /* of the socket on this side */
	struct weir_addr peer;
	__be16 port;  /* of the peer */
	__u16 pad[3];
};

struct exchange {
	__u64 seen_ns;
	__u64 announced_ns; /* to a receiver in another namespace */
	__u32 generation;
	__u32 source;
	__u32 destination;
	__be16 port; /* destination port of the exchange */
	__u8 direction; /* WEIR_EGRESS: begun from here */
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct exchange_key);
	__type(value, struct exchange);
} exchanges SEC(".maps");

/* --- senders: who is about to arrive from another network namespace of this node. The sender's egress writes, the
 * receiver's ingress reads; over loopback the sender's socket is looked up instead. Least recently used goes first. --- */

/* Older entries are not believed. A SYN is sent again for about a minute (tcp(7), tcp_syn_retries); a connection takes its
 * entry away when it is accepted. Datagrams are announced again every second. */
#define SENDER_TCP_NS (70ull * 1000000000ull)
#define SENDER_NS (5ull * 1000000000ull)
#define ANNOUNCE_NS (1ull * 1000000000ull)

struct sender_key {
	struct weir_addr source;
	struct weir_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 protocol;
};

struct sender {
	__u64 owner;
	__u64 seen_ns;
	__u32 speaks_for;
	__u8 speaks;
	__u8 proxy;
	__u8 redirected;
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct sender_key);
	__type(value, struct sender);
} senders SEC(".maps");

/* --- Counters: programs add, the agent reads; entries stay until `weir detach`. --- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct weir_connections_key);
	__type(value, struct weir_connections);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct weir_refusals_key);
	__type(value, __u64);
} refusals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_LOSS_LAST);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WEIR_REASON_LAST * 2);
	__type(key, __u32);
	__type(value, __u64);
} faults SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} events SEC(".maps");

#endif
