/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_process.h"

#include <sys/prctl.h>
#include <unistd.h>

char *const *linux_environment(void)
{
	return environ;
}

int linux_no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}
