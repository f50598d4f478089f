#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins what clients saw with the switches: check.py EGRESS INGRESS SWITCHES RECORDS ENDS

SWITCHES are the lines of `load flip`, RECORDS the log of `load client`, ENDS that of `load hold again=1`. Set k opens port
EGRESS + k alone of eight, and closes INGRESS + k alone of eight. A switch happened between two looks at the kernel, so
around it two generations are possible; what is counted as wrong is of none that is possible.
"""
import bisect
import errno
import json
import struct
import sys

RECORD = struct.Struct("=QQQHBBB3x")  # struct record in load.h


def spread(values):
    values = sorted(values)
    if not values:
        return [0, 0, 0]
    return [round(values[min(len(values) - 1, int(len(values) * q))], 2) for q in (0.5, 0.99, 1)]


class History:
    """Which set was in force when."""

    def __init__(self, path):
        self.sets, self.before, self.after, self.delays = [7], [0], [0], []
        with open(path) as lines:
            for line in lines:
                _, chosen, _, written, before, after = map(int, line.split())
                self.sets.append(chosen)
                self.before.append(before)
                self.after.append(after)
                self.delays.append((after - written) / 1e6)

    def possible(self, begin, end):
        """Indices of the sets that may have been in force at some time from begin to end."""
        first = bisect.bisect_right(self.after, begin) - 1
        last = bisect.bisect_left(self.before, end) - 1
        return range(max(first, 0), max(last, first, 0) + 1)


class Ports:
    def __init__(self, egress, ingress):
        self.egress, self.ingress = egress, ingress

    def verdict(self, port, chosen):
        """The errno of connect()."""
        if self.egress <= port < self.egress + 8:
            return 0 if port - self.egress == chosen else errno.EPERM
        return errno.EACCES if port - self.ingress == chosen else 0


def check_records(path, history, ports):
    out = {"verdicts": 0, "within_one": 0, "wrong": 0, "neither": 0, "other": 0, "examples": []}
    with open(path, "rb") as data:
        for begin, connected, end, port, family, code, exchange in RECORD.iter_unpack(data.read()):
            out["verdicts"] += 1
            now = history.possible(begin, connected)
            out["within_one"] += len(now) == 1
            could = {ports.verdict(port, history.sets[i]) for i in now}
            at_start = history.possible(begin, begin)
            next_too = range(at_start[0], min(at_start[-1] + 2, len(history.sets)))
            wrong = False
            if code in (0, errno.EPERM, errno.EACCES):
                wrong = code not in could
                out["neither"] += code not in {ports.verdict(port, history.sets[i]) for i in next_too}
                # Let in, and let down before the answer: some generation until then must have forbidden it.
                if code == 0 and exchange:
                    wrong = all(ports.verdict(port, history.sets[i]) == 0 for i in history.possible(begin, end))
            else:
                out["other"] += 1
                wrong = could == {0}  # let go, and refused on its way by the next: not where all allow
            out["wrong"] += wrong
            if wrong and len(out["examples"]) < 5:
                out["examples"].append(
                    f"port {port} IPv{family} connect {code} exchange {exchange} begin {begin} connected {connected} "
                    f"end {end} sets {[history.sets[i] for i in now]}")
    return out


def check_ends(path, history, ports):
    """When each connection that a switch forbade ended after it; how many lived through a whole such generation."""
    delays, outlived, open_at = [], 0, {}
    with open(path) as lines:
        for line in lines:
            what, port, at, _ = line.split()
            port, at = int(port), int(at)
            if what == "open":
                open_at.setdefault(port, []).append(at)
            elif what == "end" and open_at.get(port):
                opened = open_at[port].pop(0)
                i = bisect.bisect_right(history.before, opened)
                while i < len(history.sets) and ports.verdict(port, history.sets[i]) == 0:
                    i += 1
                # One that was let in just before a switch is that switch's to end.
                if i >= len(history.sets) or history.before[i] > at:
                    i = max(bisect.bisect_right(history.before, at) - 1, 0)
                if ports.verdict(port, history.sets[i]) == 0:
                    outlived += 1
                    continue
                delays.append((at - history.before[i]) / 1e6)
    last = len(history.sets) - 1
    for port, times in open_at.items():
        outlived += sum(any(ports.verdict(port, history.sets[i]) for i in range(bisect.bisect_right(history.after, at), last + 1))
                        for at in times)
    return {"ended": len(delays), "ended_ms": spread(delays), "outlived": outlived}


def main():
    egress, ingress, switches, records, ends = sys.argv[1:]
    history, ports = History(switches), Ports(int(egress), int(ingress))
    print(json.dumps({**check_records(records, history, ports), **check_ends(ends, history, ports),
                      "switch_ms": spread(history.delays)}))


main()
