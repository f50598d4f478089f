/* SPDX-License-Identifier: Apache-2.0 */
/* Idle connections, and when each was ended by somebody else. Lines of ends=FILE: "open PORT NS" once connect() has
 * returned, "end PORT NS ERRNO" (255: the end of the stream), "fail PORT NS ERRNO" for a connect() that failed. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static FILE *ends;
static int poll_fd, again, only_v4;
static uint16_t port_of[MAX_FDS];
static long open_now, opened, lost;

/* Seen to have ended, and not yet closed: ten thousand that end at once are all seen before the first is closed, so
 * that what is measured is when they ended. */
static struct { int fd; uint64_t when; } over[MAX_FDS];
static int over_count;

static void note(const char *what, uint16_t port, uint64_t when, int error)
{
	if (ends)
		fprintf(ends, "%s %d %llu %d\n", what, port, (unsigned long long)when, error);
}

/* Whether it may. */
static int open_one(uint16_t port, uint32_t index)
{
	int family = index % 4 == 3 && !only_v4 ? AF_INET6 : AF_INET, fd = make_socket(family, SOCK_STREAM, 5000);
	struct sockaddr_storage to = loopback(family, port, index);
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.fd = fd };

	if (fd >= MAX_FDS)
		fail("too many files");
	if (connect(fd, (struct sockaddr *)&to, size_of(&to))) {
		if (!again)
			fail("open a connection");
		note("fail", port, now_ns(), errno);
		close(fd);
		return 0;
	}
	/* Across a switch it may have been ended before this is written; the end is then seen at once. */
	note("open", port, now_ns(), 0);
	port_of[fd] = port;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
	open_now++;
	opened++;
	return 1;
}

static void take_end(int fd, uint64_t when)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

	note("end", port_of[fd], when, n < 0 ? errno : 255);
	close_hard(fd);
	open_now--;
	lost++;
}

int hold(char **words)
{
	const char *path = option(words, "ends", NULL);
	struct { uint16_t port; uint8_t due; } *wanted;
	struct epoll_event events[512];
	uint16_t ports[64];
	long count = words[0] ? atol(words[0]) : 0, missing = 0, port_count = 0;

	only_v4 = !number_option(words, "ipv6", 1);
	again = (int)number_option(words, "again", 0);
	for (char **word = words + 1; words[0] && *word; word++)
		if (!strchr(*word, '=') && port_count < 64)
			ports[port_count++] = (uint16_t)atoi(*word);
	if (count < 1 || !port_count)
		fail("hold COUNT PORT...");
	if (path && !(ends = fopen(path, "we")))
		fail(path);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	wanted = calloc((size_t)count, sizeof *wanted);
	for (long i = 0; i < count && !ended; i++) {
		wanted[i].port = ports[i % port_count];
		if (open_one(wanted[i].port, (uint32_t)i))
			wanted[i].port = 0;
		else
			missing++;
	}
	puts("open");
	while (!ended && (again || open_now)) {
		int n = epoll_wait(poll_fd, events, 512, again && missing ? 5 : 50);

		for (int i = 0; i < n; i++) {
			over[over_count].fd = events[i].data.fd;
			over[over_count++].when = now_ns();
		}
		for (; over_count && (again || !n); over_count--) {
			take_end(over[over_count - 1].fd, over[over_count - 1].when);
			for (long j = 0; again && j < count; j++)
				if (!wanted[j].port) {
					wanted[j].port = port_of[over[over_count - 1].fd];
					missing++;
					break;
				}
		}
		if (over_count)
			usleep(500); /* not woken for each: the time is that of who ends them */
		if (!n && ends)
			fflush(ends);
		for (long j = 0; again && missing && j < count && !ended; j++)
			if (wanted[j].port && open_one(wanted[j].port, (uint32_t)j)) {
				wanted[j].port = 0;
				missing--;
			}
	}
	while (over_count--)
		take_end(over[over_count].fd, over[over_count].when);
	if (ends)
		fclose(ends);
	printf("{\"opened\":%ld,\"ended\":%ld,\"open\":%ld}\n", opened, lost, open_now);
	return 0;
}
