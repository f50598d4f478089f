# SPDX-License-Identifier: Apache-2.0
"""lose.py PIN KEY: takes the entry with this number out of a pinned map, as nothing but a fault does."""
import ctypes
import os
import platform
import struct
import sys

number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
BPF_OBJ_GET, BPF_MAP_DELETE_ELEM = 7, 3


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"))
    result = ctypes.CDLL(None, use_errno=True).syscall(number, command, buffer, 128)
    if result < 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    return result


path = ctypes.create_string_buffer(sys.argv[1].encode())
key = ctypes.create_string_buffer(struct.pack("=I", int(sys.argv[2])))
descriptor = bpf(BPF_OBJ_GET, struct.pack("=Q", ctypes.addressof(path)))
bpf(BPF_MAP_DELETE_ELEM, struct.pack("=IIQ", descriptor, 0, ctypes.addressof(key)))
