/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_queries.h"

#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

const char *linux_errno_name(int code)
{
	return strerrorname_np(code);
}

long linux_filesystem(const char *path)
{
	struct statfs information;

	return statfs(path, &information) ? -1 : (long)information.f_type;
}

char *const *linux_environment(void)
{
	return environ;
}
