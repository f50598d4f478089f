/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled BPF object, carried inside the binary. */
#ifndef WEIR_OBJECT_H
#define WEIR_OBJECT_H

#include <stddef.h>

/* The ELF image of datapath.bpf.o and its size in bytes; lives as long as the process. */
const void *weir_object(void);
size_t weir_object_size(void);

/* The same without the programs that call bpf_sock_destroy(), for kernels that have no such function. */
const void *weir_lesser_object(void);
size_t weir_lesser_object_size(void);

#endif
