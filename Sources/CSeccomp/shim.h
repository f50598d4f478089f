/* SPDX-License-Identifier: Apache-2.0 */
/* libseccomp, and what Swift cannot see of it: macros that take arguments. */
#ifndef WEIR_SECCOMP_SHIM_H
#define WEIR_SECCOMP_SHIM_H

#include <linux/sched.h>
#include <seccomp.h>

/* The call is not made and answers -1 with this errno. */
static inline uint32_t weir_seccomp_errno(uint32_t code)
{
	return SCMP_ACT_ERRNO(code);
}

/* The number of a system call that libseccomp does not know; one that another architecture alone has is below it. */
static const int weir_seccomp_unknown = __NR_SCMP_ERROR;

static const uint32_t weir_seccomp_x86_64 = SCMP_ARCH_X86_64;
static const uint32_t weir_seccomp_arm64 = SCMP_ARCH_AARCH64;

#endif
