/* SPDX-License-Identifier: GPL-2.0-only */
/* Every hook family, one object: they share the maps. What an older kernel refuses comes first: all is loaded again
 * without it, and the verifier takes longest over what comes last. */
#include "sweep.bpf.c"
#include "tidy.bpf.c"
#include "socket.bpf.c"
#include "proxy.bpf.c"
#include "connect.bpf.c"
#include "packet.bpf.c"
