/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_calls.h"

#include <sched.h>

int linux_enter_netns(int fd)
{
	return setns(fd, CLONE_NEWNET);
}

int linux_new_netns(void)
{
	return unshare(CLONE_NEWNET);
}
