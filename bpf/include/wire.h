/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the two halves say to each other. The BPF programs include this file and Swift imports it:
 * nothing in it is ever written a second time.
 *
 * Rules: fixed-width integers, arrays and nested structs only; every hole is a named pad and is zero;
 * addresses and ports are in network order (__be*), everything else is in host order. A change of any
 * layout below changes WEIR_LAYOUT, which names the pin directory.
 */
#ifndef WEIR_WIRE_H
#define WEIR_WIRE_H

#include <linux/types.h>

/* Swift sees no macro that is defined on the command line alone, so a test build of another layout names another one. */
#ifdef WEIR_TEST_LAYOUT
#define WEIR_LAYOUT WEIR_TEST_LAYOUT
#else
#define WEIR_LAYOUT 3
#endif

/* Generations whose tables are kept; a program that read the number of one just before a switch still
 * finds its tables. */
#define WEIR_SLOTS 4

/* How an identity is shown to a stock proxy as a source address, so that address rules can name it:
 *   IPv4  240.0.0.0/4 | target << 18 | identity        IPv6  fd77:6569:7200::/64 | target << 32 | identity
 * The target stands for the destination whose requests the proxy judges, or, where only the source's policy asks
 * about requests, for what it asks. It is in the high bits so that "anyone to this target" is one prefix. */
#define WEIR_IDENTITY_BITS 18
#define WEIR_TARGET_BITS 10
#define WEIR_SYNTHETIC4 0xf0000000u
#define WEIR_SYNTHETIC6_0 0xfd776569u
#define WEIR_SYNTHETIC6_1 0x72000000u

/* An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d, so that there is one kind of key and one code path. */
struct weir_addr {
	__be32 word[4];
};

enum weir_verdict {
	WEIR_ALLOWED = 1,
	WEIR_DENIED = 2,
	WEIR_PROXIED = 3, /* allowed provided that an L7 proxy agrees */
};

/* Which side's policy spoke. */
enum weir_direction {
	WEIR_EGRESS = 1,
	WEIR_INGRESS = 2,
};

/* Why. Every refusal has one; the sentences are in Sources/Policy/Kinds/Reason.swift. */
enum weir_reason {
	WEIR_REASON_NONE = 0,
	WEIR_REASON_NOT_SELECTED = 1,    /* allowed: no policy selects the workload in this direction */
	WEIR_REASON_RULE = 2,            /* allowed: a rule matches */
	WEIR_REASON_SELF = 3,            /* allowed: a workload always reaches itself */
	WEIR_REASON_L7_RULE = 4,         /* proxied: rules about requests decide */
	WEIR_REASON_PROXY_AGREED = 5,    /* allowed: it comes through the proxy that judged it */
	WEIR_REASON_OWN_NODE = 6,        /* allowed: a workload and the node it runs on always reach each other */
	WEIR_REASON_AUDIT_RULE = 7,      /* allowed, and an AUDIT rule matches */
	WEIR_REASON_NO_RULE = 16,        /* denied: policies select the workload and no rule matches */
	WEIR_REASON_DENY_RULE = 17,      /* denied: a DENY rule matches */
	WEIR_REASON_NO_PROXY = 18,       /* denied: rules about requests decide and no proxy takes the flow */
	WEIR_REASON_BYPASSED_PROXY = 19, /* denied: rules about requests decide and it did not come through the proxy */
	WEIR_REASON_DIRECT_TO_PROXY = 20,/* denied: a program connected to a proxy's port on its own */
	WEIR_REASON_UNKNOWN_IDENTITY = 21,/* denied: a proxy speaks for an identity that no policy set knows */
	WEIR_REASON_NO_TABLES = 22,      /* denied: the tables of the generation are missing */
	WEIR_REASON_NO_MEMORY = 23,      /* denied: no memory for the socket's state */
	WEIR_REASON_MALFORMED = 24,      /* denied: the packet's headers cannot be read */
	WEIR_REASON_UNIDENTIFIED = 25,   /* denied: a process in a managed subtree that is no workload's yet */
	WEIR_REASON_LAST = 26,
};

/* ---- The tables of one generation: Policy makes the entries, Datapath writes them, the programs only read. ---- */

enum weir_kind {
	WEIR_KIND_WORKLOAD = 1,
	WEIR_KIND_PROXY = 2,
	WEIR_KIND_SUBTREE = 3, /* managed: whoever has no nearer entry is somebody's, but not known yet */
};

/* What a managed subtree asks for; its workloads' and addresses' entries have the same. */
enum weir_flag {
	WEIR_FLAG_AUDIT = 1,     /* judged and reported, not refused; goes by the side that decides */
	WEIR_FLAG_FAIL_OPEN = 2, /* a fault of weir's own lets through; else it refuses */
	WEIR_FLAG_ADMIT = 4,     /* who is not identified is let through; else refused */
};

/* workloads: cgroup id (__u64) -> who that subtree is. For a proxy only kind and proxy are set, for a managed subtree
 * only kind and flags. */
struct weir_workload {
	__u32 workload; /* number of the name, for counters and events; never 0 */
	__u32 identity; /* number of (namespace, labels, service account); never 0, below 1 << WEIR_IDENTITY_BITS */
	__u32 class_;   /* what rules can tell apart, when the address in use is not one of its own */
	__u16 target;   /* the number proxies know it by when rules about requests select it; 0 none */
	__u8 kind;
	__u8 proxy;     /* with WEIR_KIND_PROXY: its number in proxies; never 0 */
	__u8 flags;     /* weir_flag */
	__u8 pad[3];
};

/* addresses: longest prefix wins. A /128 (or v4-mapped /128) may belong to an endpoint; shorter ones are cells only. */
struct weir_address_key {
	__u32 prefixlen; /* bits of addr: 0 to 128; an IPv4 prefix of n bits is 96 + n */
	struct weir_addr addr;
};
struct weir_address {
	__u32 workload; /* 0: nobody weir knows by this address */
	__u32 identity; /* 0: outside */
	__u32 class_;   /* what rules can tell apart: identity and address together; 0 what no rule tells from anybody */
	__u32 subject;  /* a local workload's class as a subject; 0: its ingress is not judged on this node */
	__u32 cell;     /* which ipBlocks contain the address; 0 none */
	__u16 target;   /* as in weir_workload */
	__u8 flags;     /* as in weir_workload */
	__u8 pad;
};

/* cells: a local peer that uses an address which is not one of its own (loopback, say) is judged by who it
 * is and by the ipBlocks that contain the address. No entry: the ipBlocks make no difference, class stands. */
struct weir_cell_key {
	__u32 class_;
	__u32 cell;
};
/* value: __u32 class */

/* identities: __u32 identity -> whom a proxy speaks for. */
struct weir_identity {
	__u32 class_;
	__u32 subject;  /* the class that its workloads here have as subjects, for egress; 0 none is here */
	__u32 workload; /* the workload when the identity has just one, else 0 */
	__u8 flags;     /* what all its workloads here ask for */
	__u8 pad[3];
};

/* proxies: __u32 number -> where it takes connections. An address of all zero: none in that family. */
struct weir_proxy {
	struct weir_addr addr4;
	struct weir_addr addr6;
	__be16 port;
	__u16 pad;
};

/* pairs: (subject, direction, peer) -> the number of a ports function. peer 0 is any peer, tried second.
 * Neither found: no policy selects the subject in this direction. Subject and peer are classes; a
 * workload's class as a subject is its weir_workload.class_ (the address is no part of who is selected). */
struct weir_pair_key {
	__u32 subject;
	__u32 peer;
	__u32 direction;
};
/* value: __u32 ports */

/* ports: longest prefix wins: (function), (function, protocol) or (function, protocol, leading bits of the port). */
struct weir_ports_key {
	__u32 prefixlen; /* 32: the function's default; 48: the protocol's; 48 + n: n leading bits of port */
	__u32 ports;
	__u8 protocol;   /* IPPROTO_* */
	__u8 pad;
	__be16 port;     /* destination port; ICMP: the type */
};
struct weir_ruling {
	__u32 rule;      /* number of the deciding rule; 0 none */
	__u32 shadow;    /* number of the rule that would decide, were AUDIT and dry-run policies enforced; 0 none */
	__u16 target;    /* egress, with WEIR_PROXIED: what the proxy judges, where the destination has no say; else 0 */
	__u8 verdict;
	__u8 reason;
	__u8 proxy;      /* with WEIR_PROXIED: its number in proxies */
	__u8 shadow_reason; /* with shadow */
	__u8 pad[2];
};

/* current: one entry, replaced by one update: the switch. Tables are in slot generation % WEIR_SLOTS. In every layout
 * generation comes first: a build of another layout reads it. */
struct weir_current {
	__u32 generation; /* 0: none yet, nothing is judged */
	__u32 audit;      /* 1: everything is judged and reported, nothing refused */
};

/* ---- Counters: the programs write, the agent reads. ---- */

#define WEIR_BUCKETS 20 /* bucket i counts values below 1 << (i + 4) microseconds; the last takes the rest */

enum weir_reporter {
	WEIR_REPORTER_SOURCE = 1,      /* counted at the connecting socket */
	WEIR_REPORTER_DESTINATION = 2, /* counted at the accepting socket */
};

/* Instead of a destination: those that a source has no room of its own for any more. */
#define WEIR_OTHER 0xffffffffu

/* connections: what TCP (and UDP: opened, bytes) did, per pair of workloads and destination port. A source that has had its
 * share of the map is counted under port 0 (other ports) and then under WEIR_OTHER, too. */
struct weir_connections_key {
	__u32 source;      /* workload numbers; 0 outside or no workload */
	__u32 destination;
	__u16 port;        /* destination port, host order; 0 other */
	__u8 protocol;
	__u8 reporter;
};
struct weir_connections {
	__u64 opened, closed;
	__u64 sent_bytes, received_bytes; /* payload, as the reporter's socket sees it, without retransmits */
	__u64 retransmits;                /* segments */
	__u64 rtt_us_sum, rtt_count;
	__u64 connect_us_sum, connect_count;
	__u64 rtt[WEIR_BUCKETS];
	__u64 connect[WEIR_BUCKETS];
};

/* refusals: what was denied: each refused connect(), datagram or arriving SYN, and once in a generation a
 * connection that is no longer allowed. Coarser entries as in connections; under WEIR_OTHER rule and protocol are 0. */
struct weir_refusals_key {
	__u32 source;
	__u32 destination;
	__u32 rule;
	__u16 port;
	__u8 protocol;
	__u8 direction;
	__u8 reason;
	__u8 pad[3];
};
/* value: __u64 */

/* faults: array of __u64, at reason * 2 + (1: let through, 0: refused): each time that weir itself could not judge, and the
 * fail mode decided. */

/* losses: array of __u64; nothing is lost without one of these. */
enum weir_loss {
	WEIR_LOSS_EVENTS = 0,      /* verdict events beyond the source's budget, or that found the ring full */
	WEIR_LOSS_CONNECTIONS = 1, /* counts that found no entry in the connections map, not even a coarse one */
	WEIR_LOSS_REFUSALS = 2,
	WEIR_LOSS_EXCHANGES = 3,   /* UDP exchanges that their own socket's later ones pushed out */
	WEIR_LOSS_STORAGE = 4,     /* sockets whose state could not be kept */
	WEIR_LOSS_SENDERS = 5,     /* senders whose receiver in another namespace was not told: the share was used up */
	WEIR_LOSS_LAST = 6,
};

/* The maps that all workloads share. */
enum weir_shared {
	WEIR_SHARED_SENDERS = 0,
	WEIR_SHARED_CONNECTIONS = 1,
	WEIR_SHARED_REFUSALS = 2,
	WEIR_SHARED_LAST = 3,
};

/* usage: whose share (__u32) -> what it has. A workload's number; that of a destination with WEIR_FROM_OUTSIDE when the
 * source is nobody's; 0 proxies; WEIR_EVERYBODY the sums. */
#define WEIR_GONE_MAX 4096 /* workloads and rules that can be forgotten at once */
#define WEIR_GONE_RULE 0x100000000ull
#define WEIR_FROM_OUTSIDE 0x80000000u
#define WEIR_EVERYBODY 0xffffffffu
struct weir_usage {
	__u64 entries[WEIR_SHARED_LAST]; /* by weir_shared */
	__u64 lost[WEIR_LOSS_LAST];      /* its part of losses, by weir_loss */
	__u64 second;                    /* of CLOCK_MONOTONIC, in which it had so many events: */
	__u32 refusals;
	__u32 allowed;
};

/* events: ring buffer; one for each verdict on a new flow. Refusals always, the rest while somebody follows. */
struct weir_event {
	__u64 time_ns;     /* CLOCK_MONOTONIC */
	__u32 generation;
	__u32 rule;
	__u32 source;      /* workload numbers; 0 none */
	__u32 destination;
	__u32 source_identity;
	__u32 destination_identity;
	struct weir_addr source_addr;      /* all zero while not known (connect) */
	struct weir_addr destination_addr;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 direction;
	__u8 verdict;
	__u8 reason;
	__u8 proxy;
	__u8 audit;        /* 1: would have been refused, was not */
	__u8 pad[6];
};

/* settings: one entry; the agent writes. */
struct weir_settings {
	__u32 followers; /* events of allowed flows are wanted when not 0 */
	__u32 fail_open; /* what a fault does where it cannot even be said which subtree it is */
};

/* hosts: weir_addr -> cookie (__u64, SO_NETNS_COOKIE) of the network namespace that has the address. The agent writes
 * its own namespace's addresses, and keeps them up to date; loopback needs no entry. Whoever connects to one within
 * that namespace stays on this node, so the listener there is the peer. */
#define WEIR_HOSTS_MAX 4096

#ifndef __bpf__
_Static_assert(sizeof(struct weir_addr) == 16, "weir_addr");
_Static_assert(sizeof(struct weir_workload) == 20, "weir_workload");
_Static_assert(sizeof(struct weir_identity) == 16, "weir_identity");
_Static_assert(sizeof(struct weir_address_key) == 20, "weir_address_key");
_Static_assert(sizeof(struct weir_address) == 24, "weir_address");
_Static_assert(sizeof(struct weir_proxy) == 36, "weir_proxy");
_Static_assert(sizeof(struct weir_pair_key) == 12, "weir_pair_key");
_Static_assert(sizeof(struct weir_ports_key) == 12, "weir_ports_key");
_Static_assert(sizeof(struct weir_ruling) == 16, "weir_ruling");
_Static_assert(sizeof(struct weir_connections_key) == 12, "weir_connections_key");
_Static_assert(sizeof(struct weir_refusals_key) == 20, "weir_refusals_key");
_Static_assert(sizeof(struct weir_event) == 80, "weir_event");
_Static_assert(sizeof(struct weir_usage) == 88, "weir_usage");
#endif

#endif
