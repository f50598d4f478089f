#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the kernel holds of BPF: objects.py BPFFS [--after FILE] | --all

Prints one line of JSON: how many pins there are below BPFFS, and how many links, programs and maps they hold, also
through one another; and `strays`: objects that no pin, no descriptor and no other object on this machine holds. --after
FILE leaves out those that were there when `--all` wrote FILE.
"""
import ctypes
import json
import os
import platform
import sys

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
MAP_LOOKUP, OBJ_GET, PROG_NEXT, MAP_NEXT, PROG_FD, MAP_FD, INFO, LINK_FD, LINK_NEXT = 1, 7, 11, 12, 13, 14, 15, 30, 31
ARRAY_OF_MAPS, HASH_OF_MAPS = 12, 13
KINDS = {"map": (MAP_NEXT, MAP_FD), "prog": (PROG_NEXT, PROG_FD), "link": (LINK_NEXT, LINK_FD)}
libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr):
    return libc.syscall(BPF, command, attr, len(attr))


def words(*values):
    """An attr of 32-bit words, 64 bytes long."""
    return ctypes.create_string_buffer(b"".join(v.to_bytes(4, "little") for v in values), 64)


def ids(kind):
    found, last = [], 0
    while True:
        attr = words(last, 0, 0)
        if bpf(KINDS[kind][0], attr) < 0:
            return found
        last = int.from_bytes(attr[4:8], "little")
        found.append(last)


def info(fd, size=256, **pointers):
    """struct bpf_*_info, with buffers put at offsets beforehand."""
    about = ctypes.create_string_buffer(size)
    for offset, value in pointers.values():
        about[offset : offset + len(value)] = value
    attr = ctypes.create_string_buffer(
        fd.to_bytes(4, "little") + size.to_bytes(4, "little") + ctypes.addressof(about).to_bytes(8, "little"), 64)
    return about.raw if bpf(INFO, attr) >= 0 else None


def number(data, offset, size=4):
    return int.from_bytes(data[offset : offset + size], "little")


def held_by(kind, identity):
    """What an object holds: [(kind, id)], and its name."""
    fd = bpf(KINDS[kind][1], words(identity))
    if fd < 0:
        return [], None
    try:
        about = info(fd)
        if about is None:
            return [], None
        if kind == "link":
            return [("prog", number(about, 8))], f"link type {number(about, 0)}"
        if kind == "prog":
            count = number(about, 52)  # bpf_prog_info.nr_map_ids; map_ids follows
            room = (ctypes.c_uint32 * max(count, 1))()
            about = info(fd, count=(52, count.to_bytes(4, "little")),
                         ids=(56, ctypes.addressof(room).to_bytes(8, "little"))) or about
            return [("map", i) for i in room[:count]], about[64:80].split(b"\0")[0].decode()
        name = about[24:40].split(b"\0")[0].decode()
        if number(about, 0) != ARRAY_OF_MAPS:
            return [], name
        inner = []
        for index in range(number(about, 16)):
            key, value = ctypes.c_uint32(index), ctypes.c_uint32(0)
            attr = ctypes.create_string_buffer(
                fd.to_bytes(8, "little") + ctypes.addressof(key).to_bytes(8, "little")
                + ctypes.addressof(value).to_bytes(8, "little"), 64)
            if bpf(MAP_LOOKUP, attr) >= 0:
                inner.append(("map", value.value))
        return inner, name
    finally:
        os.close(fd)


def named_in(fdinfo):
    try:
        with open(fdinfo) as text:
            for line in text:
                key, _, value = line.partition(":")
                if key in ("map_id", "prog_id", "link_id"):
                    yield key[:-3], int(value)
    except OSError:
        return


def pins(top):
    """(path, [(kind, id)]) of each pin."""
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            text = ctypes.create_string_buffer(path.encode())
            attr = ctypes.create_string_buffer(ctypes.addressof(text).to_bytes(8, "little"), 64)
            fd = bpf(OBJ_GET, attr)
            if fd >= 0:
                yield path, list(named_in(f"/proc/self/fdinfo/{fd}"))
                os.close(fd)


def closure(roots):
    seen, left = set(), list(roots)
    while left:
        item = left.pop()
        if item in seen:
            continue
        seen.add(item)
        left += held_by(*item)[0]
    return seen


def descriptors():
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir(f"/proc/{process}/fd"):
                try:
                    target = os.readlink(f"/proc/{process}/fd/{fd}")
                except OSError:
                    continue
                # Also perf events and iterators, which hold a program or a link.
                if "bpf" in target or target.startswith("anon_inode"):
                    yield from named_in(f"/proc/{process}/fdinfo/{fd}")
        except OSError:
            continue


def bpf_mounts():
    with open("/proc/self/mountinfo") as text:
        return {line.split()[4] for line in text if " - bpf " in line}


def main():
    everything = {(kind, i) for kind in KINDS for i in ids(kind)}
    if "--all" in sys.argv:
        print(json.dumps(sorted(everything)))
        return
    before = set()
    if "--after" in sys.argv:
        with open(sys.argv[sys.argv.index("--after") + 1]) as text:
            before = {tuple(item) for item in json.load(text)}
    own = list(pins(sys.argv[1]))
    ours = closure(item for _, items in own for item in items)
    held = closure([item for top in bpf_mounts() for _, items in pins(top) for item in items] + list(descriptors()))
    strays = sorted(everything - before - held - ours)
    print(json.dumps({
        "pins": len(own), "links": sum(k == "link" for k, _ in ours), "programs": sum(k == "prog" for k, _ in ours),
        "maps": sum(k == "map" for k, _ in ours),
        "strays": [f"{kind} {i} {held_by(kind, i)[1]}" for kind, i in strays if held_by(kind, i)[1] is not None]}))


main()
