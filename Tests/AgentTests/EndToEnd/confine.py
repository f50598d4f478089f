# SPDX-License-Identifier: Apache-2.0
"""confine.py COMMAND...: runs it where unshare(2) is refused, as a unit with RestrictNamespaces=yes is."""
import ctypes
import errno
import os
import sys

seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
filters = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))
unshare = seccomp.seccomp_syscall_resolve_name(b"unshare")
if seccomp.seccomp_rule_add(filters, ctypes.c_uint32(REFUSE), unshare, 0) or seccomp.seccomp_load(filters):
    sys.exit("confine.py: no filter")
os.execvp(sys.argv[1], sys.argv[1:])
