/* SPDX-License-Identifier: GPL-2.0-only */
/* struct flow -> verdict. The only decision. */
#ifndef WEIR_POLICY_H
#define WEIR_POLICY_H

#include "flow.h"

/* What the tables know of a party. */
struct who {
	__u32 workload;
	__u32 identity;
	__u32 class_;  /* as a peer */
	__u32 subject; /* as a subject; 0 not judged on this node */
	__u16 target;
	__u8 kind;
	__u8 proxy;
	__u8 flags; /* weir_flag */
	__u8 pad[3];
};

struct decision {
	struct who source;
	struct who destination;
	struct weir_ruling ruling;
	__u32 generation;
	__u16 target; /* what the proxy is to judge; with WEIR_DENIED, that the source's side would have asked it */
	__u8 audit;
	__u8 direction; /* of the deciding side */
};

static __always_inline void *table_by(void *outer, __u32 generation, __u32 *slot)
{
	*slot = generation % WEIR_SLOTS;
	return bpf_map_lookup_elem(outer, slot);
}

static __always_inline void *table(void *outer, __u32 generation)
{
	__u32 slot;

	return table_by(outer, generation, &slot);
}

/* The generation in force, read once, whole: a program that read it again in mid-decision could mix two generations.
 * Returns 0 when nothing is in force yet. */
static __always_inline int in_force(struct weir_current *now)
{
	__u32 zero = 0;
	struct weir_current *entry = bpf_map_lookup_elem(&current, &zero);
	__u64 both;

	_Static_assert(sizeof *now == sizeof both, "read at once");
	if (!entry)
		return 0;
	both = *(volatile __u64 *)entry;
	__builtin_memcpy(now, &both, sizeof both);
	return now->generation != 0;
}

static __always_inline int rule_on(struct decision *out, __u8 verdict, __u8 reason, __u8 direction)
{
	out->ruling.verdict = verdict;
	out->ruling.reason = reason;
	out->ruling.rule = 0;
	out->ruling.shadow = 0;
	out->ruling.shadow_reason = 0;
	out->ruling.proxy = 0;
	out->direction = direction;
	return verdict;
}

/* The side whose policy spoke. */
static __always_inline const struct who *decider(const struct decision *decision)
{
	return decision->direction == WEIR_INGRESS ? &decision->destination : &decision->source;
}

/* Judged and reported, not refused: by the node's setting, or by that of the deciding side's subtree. */
static __always_inline int audited(const struct decision *decision)
{
	return decision->audit || decider(decision)->flags & WEIR_FLAG_AUDIT;
}

/* weir itself cannot judge: the fail mode of the deciding side's subtree does. Each use is counted. */
__noinline int fault(struct decision *out, __u8 reason, __u8 direction)
{
	__u32 index = reason * 2;
	__u8 verdict = WEIR_DENIED;
	__u64 *count;

	if (!out)
		return WEIR_DENIED;
	out->direction = direction;
	if (decider(out)->flags & WEIR_FLAG_FAIL_OPEN) {
		verdict = WEIR_ALLOWED;
		index++;
	}
	count = bpf_map_lookup_elem(&faults, &index);
	if (count)
		__sync_fetch_and_add(count, 1);
	return rule_on(out, verdict, reason, direction);
}

/* The fail mode of whoever cannot be looked up. `key`: room on the caller's stack. */
static __always_inline __u8 flags_of_nobody(__u32 *key)
{
	struct weir_settings *now;

	*key = 0;
	now = bpf_map_lookup_elem(&settings, key);
	return now && now->fail_open ? WEIR_FLAG_FAIL_OPEN : 0;
}

/* What resolve() looks up with, one after the other. On the stack, because Linux before 6.2 takes no key from a function's
 * argument; in one place, because 6.1 counts a frame of 33 bytes as 64 and the verifier allows 512 for all of a chain. */
union keys {
	struct weir_address_key address;
	struct weir_cell_key cell;
	__u32 slot;
	__u32 identity;
	__u64 owner;
};

/* A local peer at an address that is not its own is told apart by the address's ipBlocks, too. */
static __always_inline __u32 class_in_cell(__u32 generation, __u32 class_, const struct weir_address *at,
					   union keys *key)
{
	__u32 *narrowed;
	void *map;

	if (!at || !at->cell)
		return class_;
	map = table_by(&cells, generation, &key->slot);
	key->cell.class_ = class_;
	key->cell.cell = at->cell;
	narrowed = map ? bpf_map_lookup_elem(map, &key->cell) : NULL;
	return narrowed ? *narrowed : class_;
}

/* Who a party is in this generation. Returns 0, or the reason why it cannot be said. */
__noinline int resolve(__u32 generation, const struct party *party, struct who *who)
{
	union keys key;
	const struct weir_address *at = NULL;
	void *map;

	if (!party || !who)
		return WEIR_REASON_NO_TABLES;
	if (!table_by(&workloads, generation, &key.slot))
		goto no_tables;
	if (party->addr_known) {
		map = table_by(&addresses, generation, &key.slot);
		if (!map)
			goto no_tables;
		key.address.prefixlen = 128;
		key.address.addr = party->addr;
		at = bpf_map_lookup_elem(map, &key.address);
	}
	if (party->speaks && !party->speaks_for)
		return 0; /* for somebody outside, as whom its own address does not count */
	if (party->speaks) {
		const struct weir_identity *identity;

		map = table_by(&identities, generation, &key.slot);
		key.identity = party->speaks_for;
		identity = map ? bpf_map_lookup_elem(map, &key.identity) : NULL;
		if (!identity)
			return WEIR_REASON_UNKNOWN_IDENTITY;
		who->workload = identity->workload;
		who->identity = party->speaks_for;
		who->class_ = identity->class_;
		who->subject = identity->subject;
		who->flags = identity->flags;
		return 0;
	}
	if (party->owner) {
		const struct weir_workload *workload;

		map = table_by(&workloads, generation, &key.slot); /* not kept: that would take stack */
		key.owner = party->owner;
		workload = map ? bpf_map_lookup_elem(map, &key.owner) : NULL;
		if (workload) {
			who->kind = workload->kind;
			who->flags = workload->flags;
			who->proxy = workload->proxy;
			who->workload = workload->workload;
			who->identity = workload->identity;
			who->subject = workload->class_;
			who->target = workload->target;
			/* For itself, a proxy is whoever has the address; and so is who is not identified. */
			if (workload->kind != WEIR_KIND_WORKLOAD)
				who->class_ = at ? at->class_ : 0;
			else if (at && at->workload && at->workload == workload->workload)
				who->class_ = at->class_;
			else
				who->class_ = class_in_cell(generation, workload->class_, at, &key);
			return 0;
		}
	}
	if (at) {
		who->workload = at->workload;
		who->identity = at->identity;
		who->class_ = at->class_;
		who->subject = at->subject;
		who->target = at->target;
		who->flags = at->flags;
	}
	return 0;
no_tables:
	who->flags = flags_of_nobody(&key.slot);
	return WEIR_REASON_NO_TABLES;
}

struct question {
	__u32 generation;
	__u32 subject;
	__u32 peer;
	__u8 protocol;
	__u8 direction;
	__be16 port;
};

/* What one side's policy says: two or three lookups, however many rules there are. */
__noinline int ask(const struct question *question, struct weir_ruling *out)
{
	struct weir_ports_key key = { .prefixlen = 64 };
	struct weir_pair_key pair;
	struct weir_ruling *ruling;
	void *map;
	__u32 *function;

	if (!question || !out)
		return 0;
	__builtin_memset(out, 0, sizeof *out);
	out->verdict = WEIR_ALLOWED;
	out->reason = WEIR_REASON_NOT_SELECTED;
	if (!question->subject)
		return 0; /* judged where it lives */
	map = table(&pairs, question->generation);
	if (!map)
		goto no_tables;
	pair.subject = question->subject;
	pair.peer = question->peer;
	pair.direction = question->direction;
	function = bpf_map_lookup_elem(map, &pair);
	if (!function && pair.peer) {
		pair.peer = 0;
		function = bpf_map_lookup_elem(map, &pair);
	}
	if (!function)
		return 0; /* no policy selects the subject in this direction */
	key.ports = *function;
	key.protocol = question->protocol;
	key.port = question->port;
	map = table(&ports, question->generation);
	ruling = map ? bpf_map_lookup_elem(map, &key) : NULL;
	if (!ruling)
		goto no_tables;
	*out = *ruling;
	return 0;
no_tables:
	out->verdict = WEIR_DENIED;
	out->reason = WEIR_REASON_NO_TABLES;
	return 0;
}

/* What the policy of `side` says. Of who is in a managed subtree and no workload's yet it is not known. */
static __always_inline void ask_for(const struct who *side, const struct question *question, struct weir_ruling *out)
{
	ask(question, out);
	if (side->kind != WEIR_KIND_SUBTREE || side->flags & WEIR_FLAG_ADMIT)
		return;
	out->verdict = WEIR_DENIED;
	out->reason = WEIR_REASON_UNIDENTIFIED;
}

enum sides {
	SIDE_EGRESS = 1,
	SIDE_INGRESS = 2,
};

/* Whether the ingress ruling is the one to go by: it asks for more than the egress ruling, or only it has an opinion. */
static __always_inline int names_itself(const struct weir_ruling *egress, const struct weir_ruling *ingress)
{
	if (ingress->verdict != WEIR_ALLOWED)
		return 1;
	return egress->verdict == WEIR_ALLOWED && ingress->reason != WEIR_REASON_NOT_SELECTED;
}

/* The verdict on a flow: the source's egress, then the destination's ingress, as far as `sides` asks. */
__noinline int decide(const struct weir_current *now, const struct flow *flow, __u32 sides,
			     struct decision *out)
{
	struct question question = {};
	struct weir_ruling ruling = {};
	int reason;

	if (!now || !flow || !out)
		return 0;
	__builtin_memset(out, 0, sizeof *out);
	out->generation = now->generation;
	out->audit = now->audit;
	reason = resolve(now->generation, &flow->source, &out->source);
	if (reason == WEIR_REASON_NO_TABLES)
		return fault(out, reason, WEIR_EGRESS);
	if (reason)
		return rule_on(out, WEIR_DENIED, reason, WEIR_EGRESS);
	reason = resolve(now->generation, &flow->destination, &out->destination);
	if (reason)
		return fault(out, reason, WEIR_INGRESS);

	if (out->source.workload && out->source.workload == out->destination.workload)
		return rule_on(out, WEIR_ALLOWED, WEIR_REASON_SELF, WEIR_EGRESS);

	question.generation = out->generation;
	question.protocol = flow->protocol;
	question.port = flow->port;
	if (sides & SIDE_EGRESS) {
		question.subject = out->source.subject;
		question.peer = out->destination.class_;
		question.direction = WEIR_EGRESS;
		ask_for(&out->source, &question, &out->ruling);
		out->direction = WEIR_EGRESS;
		out->target = out->ruling.target;
		if (out->ruling.reason == WEIR_REASON_NO_TABLES)
			return fault(out, WEIR_REASON_NO_TABLES, WEIR_EGRESS);
		if (out->ruling.verdict == WEIR_DENIED && !audited(out))
			return WEIR_DENIED;
	}
	if (sides & SIDE_INGRESS) {
		question.subject = out->destination.subject;
		question.peer = out->source.class_;
		question.direction = WEIR_INGRESS;
		ask_for(&out->destination, &question, &ruling);
		if (ruling.reason == WEIR_REASON_NO_TABLES)
			return fault(out, WEIR_REASON_NO_TABLES, WEIR_INGRESS);
		if (names_itself(&out->ruling, &ruling) || !(sides & SIDE_EGRESS)) {
			if (out->ruling.verdict == WEIR_DENIED) { /* for the audit's sake not refused; told beside what is */
				ruling.shadow = out->ruling.rule;
				ruling.shadow_reason = out->ruling.reason;
			}
			out->ruling = ruling;
			out->direction = WEIR_INGRESS;
			if (ruling.verdict == WEIR_PROXIED)
				out->target = out->destination.target;
		} else if (ruling.shadow) {
			out->ruling.shadow = ruling.shadow;
			out->ruling.shadow_reason = ruling.shadow_reason;
		}
	}
	if (out->ruling.verdict != WEIR_PROXIED || (!flow->source.speaks && out->source.kind != WEIR_KIND_PROXY))
		return out->ruling.verdict;
	/* Requests decide, and it comes from a proxy: it must be the one that was asked, for whom it was asked. */
	if (flow->source.speaks && flow->source.proxy == out->ruling.proxy) {
		out->ruling.verdict = WEIR_ALLOWED;
		out->ruling.reason = WEIR_REASON_PROXY_AGREED;
	} else {
		out->ruling.verdict = WEIR_DENIED;
		out->ruling.reason = WEIR_REASON_BYPASSED_PROXY;
	}
	return out->ruling.verdict;
}

#endif
