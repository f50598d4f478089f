/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"
#include "wire.h"

#pragma clang diagnostic ignored "-Wc23-extensions"
static const unsigned char object[] __attribute__((aligned(8))) = {
#embed "out/datapath.bpf.o"
};

static const unsigned char lesser[] __attribute__((aligned(8))) = {
#embed "out/lesser.bpf.o"
};

const void *weir_object(void)
{
	return object;
}

size_t weir_object_size(void)
{
	return sizeof object;
}

const void *weir_lesser_object(void)
{
	return lesser;
}

size_t weir_lesser_object_size(void)
{
	return sizeof lesser;
}
