/* SPDX-License-Identifier: GPL-2.0-only */
/* Every hook family, one object: they share the maps. */
#include "connect.bpf.c"
#include "packet.bpf.c"
#include "proxy.bpf.c"
#include "socket.bpf.c"
#include "sweep.bpf.c"
