/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
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

int linux_die_with_parent(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

int linux_own_netns(void)
{
	if (unshare(CLONE_NEWNET) == 0)
		return 0;
	return errno == EPERM ? unshare(CLONE_NEWUSER | CLONE_NEWNET) : -1;
}
