/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "linux_process.h"

#include <unistd.h>

char *const *linux_environment(void)
{
	return environ;
}
