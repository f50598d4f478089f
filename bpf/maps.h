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
	ROLE_NONE = 0,       /* neither side yet: a listener, or a UDP socket that is not connected */
	ROLE_CONNECTING = 1, /* opened the connection; UDP: began the exchange with the peer it is connected to */
	ROLE_ACCEPTING = 2,  /* was accepted from a listener; UDP: the peer began */
};

/* Under what a sender is known to a receiver in another network namespace. */
struct sender_key {
	struct weir_addr source;
	struct weir_addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u32 protocol; /* 0: none */
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
	__u8 counted;          /* opened was counted, at enum share - 1 */
	__u8 unsure;           /* connecting: see struct flow; the SYN is judged by the socket that will get it */
	__u32 identity;        /* redirected: of the source; on a proxy's accepted socket too */
	__u64 started_ns;      /* when connect() was called */
	__u64 flushed_ns;
	__u64 sent, received;  /* already counted */
	struct sender_key announced; /* connecting: under what senders has it, until the peer has surely taken it */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* --- UDP exchanges: who began. Programs write and read. On the socket, with which they go: nobody but its own peers
 * can push anything out. --- */

#define EXCHANGE_NS (60ull * 1000000000ull) /* silence after which a packet begins a new exchange */
#define EXCHANGE_SET_BITS 4
#define EXCHANGE_WAYS 4
#define EXCHANGES (EXCHANGE_WAYS << EXCHANGE_SET_BITS)

struct exchange {
	struct weir_addr peer;
	__u64 seen_ns;
	__u64 announced_ns; /* to a receiver in another namespace; 0 not */
	__u32 generation;
	__u32 source;
	__u32 destination;
	__be16 peer_port;
	__be16 port;    /* destination port of the exchange */
	__u8 direction; /* WEIR_EGRESS: begun from here; 0 none */
	__u8 pad[7];
};

struct held {
	struct bpf_spin_lock lock; /* of exchanges */
	__be16 announced_port;     /* the end on this side under which its exchanges were announced last */
	__u16 pad;
	struct weir_addr announced_addr;
	__u64 overflowed_until_ns; /* so long an exchange that began elsewhere may have been pushed out */
	struct exchange exchanges[EXCHANGES];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct held);
} exchanges SEC(".maps");

/* --- senders: who is about to arrive from another network namespace of this node. The sender's egress writes, the
 * receiver's ingress reads; over loopback the sender's socket is looked up instead. An entry goes when the receiver
 * accepts, when the sender's first data is acknowledged, when its socket goes or announces another; tidy() takes what
 * is left. A workload gets its share (usage). --- */

/* Older entries are not believed. A SYN is sent again for about a minute (tcp(7), tcp_syn_retries). Datagrams are
 * announced again every second. */
#define SENDER_TCP_NS (70ull * 1000000000ull)
#define SENDER_NS (5ull * 1000000000ull)
#define ANNOUNCE_NS (1ull * 1000000000ull)

struct sender {
	__u64 owner;
	__u64 seen_ns;
	__u32 speaks_for;
	__u32 charged; /* whose share it is of: a key of usage */
	__u8 speaks;
	__u8 proxy;
	__u8 redirected;
	__u8 pad[5];
};

#define SENDERS_MAX 65536

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SENDERS_MAX);
	__type(key, struct sender_key);
	__type(value, struct sender);
} senders SEC(".maps");

/* --- Counters: programs add, the agent reads; entries stay until the agent says that a workload is gone. One that has
 * had its share of connections or refusals is counted on in coarser entries (enum share). --- */

#define COUNTERS_MAX 16384

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, struct weir_connections_key);
	__type(value, struct weir_connections);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, struct weir_refusals_key);
	__type(value, __u64);
} refusals SEC(".maps");

/* Who has how much of what all share. Programs add and take away, each with the entry itself; the agent reads. Two
 * entries a workload at most; they go with its counters. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct weir_usage);
} usage SEC(".maps");

/* Numbers of workloads and (with WEIR_GONE_RULE) rules that are no more, while forget_gone() runs. The agent writes and empties it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WEIR_GONE_MAX);
	__type(key, __u64);
	__type(value, __u32);
} gone SEC(".maps");

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

#define EVENTS_BYTES (1 << 18)

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

#endif
