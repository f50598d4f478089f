/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static atomic_long left;    /* calls until the one that fails; 0: none is to */
static atomic_long counted; /* since armed */
static atomic_int code;
static atomic_int failed = -1;

typedef long call(long number, ...);

/* Other tests' threads run beside this one. A thread's name goes on to those that it starts. */
static const char mark[16] = "weir-interposed";

static int is_marked(void)
{
	char name[16] = "";

	return prctl(PR_GET_NAME, name) == 0 && strcmp(name, mark) == 0;
}

void interpose_fail(long nth, int error)
{
	prctl(PR_SET_NAME, nth ? mark : "tests");
	code = error;
	counted = 0;
	failed = -1;
	left = nth;
}

int interpose_failed(void)
{
	return failed;
}

long interpose_counted(void)
{
	return counted;
}

/* libbpf has no wrapper of the C library for bpf(2): every call of it comes by here, before the C library's own. */
long syscall(long number, ...)
{
	static _Atomic(call *) next;
	long argument[6];
	va_list list;
	call *real = next;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	if (number == SYS_bpf && is_marked()) {
		counted++;
		if (left > 0 && --left == 0) {
			failed = (int)argument[0];
			errno = code;
			return -1;
		}
	}
	if (!real) {
		real = (call *)dlsym(RTLD_NEXT, "syscall");
		next = real;
	}
	return real(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
}
