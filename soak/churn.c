/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroups by the hundred, and a process in each that talks once. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0, or which of the two went wrong. */
static int talk(uint16_t allowed, uint16_t denied, uint32_t index)
{
	struct sockaddr_storage to = loopback(AF_INET, allowed, index);
	int fd = make_socket(AF_INET, SOCK_STREAM, 5000), wrong = 0;

	if (connect(fd, (struct sockaddr *)&to, size_of(&to)) || send(fd, "w", 1, 0) != 1 || recv(fd, &(char){ 0 }, 1, 0) != 1)
		wrong = 1;
	close_hard(fd);
	to = loopback(AF_INET, denied, index);
	fd = make_socket(AF_INET, SOCK_STREAM, 5000);
	if (!connect(fd, (struct sockaddr *)&to, size_of(&to)) || errno != EPERM)
		wrong |= 2;
	close_hard(fd);
	return wrong;
}

pid_t clone_into(const char *cgroup)
{
	struct clone_args how = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t child;

	if (fd < 0)
		fail(cgroup);
	how.cgroup = (uint64_t)fd;
	child = (pid_t)syscall(SYS_clone3, &how, sizeof how);
	if (child < 0)
		fail("clone into a cgroup");
	close(fd);
	return child;
}

static void collect(unsigned *wrong)
{
	int status;

	if (wait(&status) > 0 && status)
		(*wrong)++;
}

int churn(char **words)
{
	const char *verb = words[0] && words[1] && words[2] && words[3] ? words[0] : "";
	uint16_t allowed = (uint16_t)number_option(words, "allowed", 0), denied = (uint16_t)number_option(words, "denied", 0);
	long first = *verb ? atol(words[2]) : 0, count = *verb ? atol(words[3]) : 0, running = 0;
	unsigned wrong = 0;
	char path[512];

	if (!*verb || count < 1)
		fail("churn make|talk|remove ROOT FIRST COUNT");
	for (long i = first; i < first + count; i++) {
		snprintf(path, sizeof path, "%s/w%ld", words[1], i);
		if (!strcmp(verb, "make") && mkdir(path, 0755))
			fail(path);
		if (!strcmp(verb, "remove"))
			while (rmdir(path)) {
				if (errno != EBUSY)
					fail(path);
				usleep(1000); /* a process on its way out */
			}
		if (strcmp(verb, "talk"))
			continue;
		if (!clone_into(path))
			_exit(talk(allowed, denied, (uint32_t)i));
		if (++running >= 8) {
			collect(&wrong);
			running--;
		}
	}
	for (; running; running--)
		collect(&wrong);
	if (!strcmp(verb, "talk"))
		printf("{\"talked\":%ld,\"wrong\":%u}\n", count, wrong);
	return 0;
}
