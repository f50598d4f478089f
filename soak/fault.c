/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: makes one bpf(2) call of a process fail. libbpf makes all of its calls through syscall(3).
 *
 *   FAULT_LOG   a file; each call appends "NUMBER COMMAND TYPE RESULT", RESULT an errno or 0; one that was made to fail
 *               ends in " injected"
 *   FAULT_AT    the number of the call to fail, from 1; 0 or absent: none
 *   FAULT_CODE  the errno it gets
 *
 * Only the process that began counts: the variables are gone for its children. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long (*real)(long number, ...);
static atomic_long calls;
static long fail_at;
static int fail_code, log_fd = -1;

__attribute__((constructor)) static void begin(void)
{
	const char *at = getenv("FAULT_AT"), *code = getenv("FAULT_CODE"), *path = getenv("FAULT_LOG");

	real = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
	fail_at = at ? atol(at) : 0;
	fail_code = code ? atoi(code) : EPERM;
	if (path)
		log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	unsetenv("LD_PRELOAD");
	unsetenv("FAULT_AT");
	unsetenv("FAULT_LOG");
}

long syscall(long number, ...)
{
	long a[6], result, mine;
	int error;
	va_list list;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (number != SYS_bpf || !real)
		return real ? real(number, a[0], a[1], a[2], a[3], a[4], a[5]) : (errno = ENOSYS, -1);
	mine = atomic_fetch_add(&calls, 1) + 1;
	if (mine == fail_at) {
		errno = fail_code;
		result = -1;
	} else
		result = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	error = errno;
	if (log_fd >= 0) {
		/* The first word says what kind of program or map it is, where one is made. */
		unsigned type = a[0] == BPF_PROG_LOAD || a[0] == BPF_MAP_CREATE ? *(const uint32_t *)a[1] : 0;

		dprintf(log_fd, "%ld %ld %u %d%s\n", mine, a[0], type, result < 0 ? error : 0, mine == fail_at ? " injected" : "");
	}
	errno = error;
	return result;
}
