/* SPDX-License-Identifier: Apache-2.0 */
/* The server: one thread, epoll. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum what { NOTHING, LISTENER, DATAGRAMS, CONNECTION };

static struct {
	uint8_t what;
	uint8_t watched; /* when its connections end is written down */
	uint16_t port;
	uint64_t when; /* one was seen to have ended */
} seats[MAX_FDS];

static int poll_fd;
static FILE *ends;
static int over[MAX_FDS], over_count; /* watched, seen to have ended, not yet closed: as in hold.c */
static uint64_t accepted, answered, open_now, most_open;

static void watch(int fd, enum what what, uint16_t port, uint8_t watched)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | (what == CONNECTION && watched ? EPOLLET : 0),
				     .data.fd = fd };

	if (fd >= MAX_FDS)
		fail("too many files");
	seats[fd].what = (uint8_t)what;
	seats[fd].port = port;
	seats[fd].watched = watched;
	seats[fd].when = 0;
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event))
		fail("epoll_ctl");
}

static void open_at(int family, int type, uint16_t port, uint8_t watched)
{
	struct sockaddr_storage at = loopback(family, port, 0);
	int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	else if (type == SOCK_STREAM) /* all of 127.0.0.0/8; an answer to a datagram must come from where it went */
		((struct sockaddr_in *)&at)->sin_addr.s_addr = htonl(INADDR_ANY);
	if (bind(fd, (struct sockaddr *)&at, size_of(&at)) || (type == SOCK_STREAM && listen(fd, 4096)))
		fail("listen");
	watch(fd, type == SOCK_STREAM ? LISTENER : DATAGRAMS, port, watched);
}

static void take_connections(int listener)
{
	int fd, one = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		watch(fd, CONNECTION, seats[listener].port, seats[listener].watched);
		accepted++;
		if (++open_now > most_open)
			most_open = open_now;
	}
}

static void end_connection(int fd, int error)
{
	if (seats[fd].watched && ends)
		fprintf(ends, "%llu %d %d\n", (unsigned long long)seats[fd].when, seats[fd].port, error);
	seats[fd].what = NOTHING;
	open_now--;
	close(fd);
}

static void answer(int fd)
{
	char bytes[64];
	ssize_t n = read(fd, bytes, sizeof bytes);

	if (n > 0) {
		answered++;
		n = write(fd, bytes, (size_t)n);
	}
	if (n <= 0 && !(n < 0 && errno == EAGAIN))
		end_connection(fd, n < 0 ? errno : 255);
}

static void answer_datagrams(int fd)
{
	struct sockaddr_storage from;
	socklen_t size = sizeof from;
	char bytes[64];
	ssize_t n;

	while ((n = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size)) >= 0) {
		answered++;
		sendto(fd, bytes, (size_t)n, 0, (struct sockaddr *)&from, size);
		size = sizeof from;
	}
}

int serve(char **words)
{
	const char *path = option(words, "ends", NULL);
	long udp = number_option(words, "udp", 0);
	struct epoll_event events[256];
	long watched = number_option(words, "ends-of", 0);

	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (path && !(ends = fopen(path, "ae")))
		fail(path);
	for (; *words; words++) {
		uint16_t port = (uint16_t)atoi(*words);

		if (strchr(*words, '='))
			continue;
		open_at(AF_INET, SOCK_STREAM, port, port == watched);
		open_at(AF_INET6, SOCK_STREAM, port, port == watched);
	}
	if (udp) {
		open_at(AF_INET, SOCK_DGRAM, (uint16_t)udp, 0);
		open_at(AF_INET6, SOCK_DGRAM, (uint16_t)udp, 0);
	}
	puts("listening");
	while (!ended) {
		int count = epoll_wait(poll_fd, events, 256, 50);

		while (over_count && !count)
			answer(over[--over_count]);
		if (over_count)
			usleep(500); /* not woken for each: the time is that of who ends them */
		if (!count && ends)
			fflush(ends);
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			switch ((enum what)seats[fd].what) {
			case LISTENER: take_connections(fd); break;
			case DATAGRAMS: answer_datagrams(fd); break;
			case CONNECTION:
				if (seats[fd].watched && events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
					if (!seats[fd].when) {
						seats[fd].when = now_ns();
						over[over_count++] = fd;
					}
				} else {
					answer(fd);
				}
				break;
			case NOTHING: break;
			}
		}
	}
	while (over_count)
		answer(over[--over_count]);
	if (ends)
		fclose(ends);
	printf("{\"accepted\":%llu,\"answered\":%llu,\"open\":%llu,\"most_open\":%llu}\n", (unsigned long long)accepted,
	       (unsigned long long)answered, (unsigned long long)open_now, (unsigned long long)most_open);
	return 0;
}
