/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"
#include "wire.h"

#pragma clang diagnostic ignored "-Wc23-extensions"
static const unsigned char object[] __attribute__((aligned(8))) = {
#embed "out/datapath.bpf.o"
};

const void *weir_object(void)
{
	return object;
}

size_t weir_object_size(void)
{
	return sizeof object;
}
