/* SPDX-License-Identifier: Apache-2.0 */
/* Lets one bpf(2) call of a thread, or of those that it starts, fail. */
#ifndef WEIR_INTERPOSE_H
#define WEIR_INTERPOSE_H

/* The nth call from now on answers this errno; 0: none does. */
void interpose_fail(long nth, int error);
/* The command (enum bpf_cmd) of the call that failed; -1 while none did. */
int interpose_failed(void);
/* Calls since interpose_fail(). */
long interpose_counted(void);

#endif
