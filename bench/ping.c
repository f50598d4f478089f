/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of the benchmarks. One process, one connection at a time, on IPv4 loopback.
 *
 *   ping serve PORT              accepts, answers each message of 64 bytes with itself, ends with its standard input
 *   ping connect PORT COUNT      COUNT times connect and close; prints the median and p99 of connect() in ns
 *   ping echo PORT COUNT         one connection, COUNT messages of 64 bytes; prints median and p99 of a round trip in ns
 *   ping get PORT COUNT PATH     one HTTP/1.1 connection, COUNT requests; the same
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 64

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "ping: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct sockaddr_in loopback(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

static int dial(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* no TIME_WAIT: ports are not the subject */
	if (connect(fd, (const struct sockaddr *)to, sizeof *to))
		fail("connect");
	return fd;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(uint64_t *times, int count)
{
	qsort(times, (size_t)count, sizeof *times, ascending);
	printf("%llu %llu\n", (unsigned long long)times[count / 2], (unsigned long long)times[count * 99 / 100]);
}

static void serve(const char *port)
{
	struct sockaddr_in at = loopback(port);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct pollfd watched[64] = { { .fd = 0, .events = POLLIN } };
	int count = 2;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 128))
		fail("listen");
	watched[1] = (struct pollfd){ .fd = listener, .events = POLLIN };
	while (poll(watched, (nfds_t)count, -1) > 0) {
		char message[MESSAGE];

		if (watched[0].revents)
			return;
		for (int i = count - 1; i >= 2; i--) {
			if (!watched[i].revents)
				continue;
			ssize_t n = read(watched[i].fd, message, sizeof message);
			if (n > 0 && write(watched[i].fd, message, (size_t)n) == n)
				continue;
			close(watched[i].fd);
			watched[i] = watched[--count];
		}
		if (watched[1].revents) {
			int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

			if (fd < 0)
				continue;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
			if (count == 64)
				close(fd);
			else
				watched[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
	}
}

static void exchange(int fd, const char *request, size_t size)
{
	char answer[16384];
	size_t have = 0, want = size;

	if (write(fd, request, size) != (ssize_t)size)
		fail("write");
	if (request[0] == 'G')
		want = SIZE_MAX;
	while (have < want) {
		ssize_t n = read(fd, answer + have, sizeof answer - 1 - have);

		if (n <= 0)
			fail("read");
		have += (size_t)n;
		answer[have] = 0;
		if (want == SIZE_MAX) {
			const char *body = strstr(answer, "\r\n\r\n"), *length = strcasestr(answer, "content-length:");

			if (body && length)
				want = (size_t)(body + 4 - answer) + (size_t)atoi(length + 15);
		}
	}
	if (request[0] == 'G' && strncmp(answer, "HTTP/1.1 200", 12)) {
		fprintf(stderr, "ping: %.40s\n", answer);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve")) {
		serve(argv[2]);
		return 0;
	}
	if (argc < 4) {
		fprintf(stderr, "ping: see the comment at the top of ping.c\n");
		return 2;
	}
	int count = atoi(argv[3]);
	struct sockaddr_in to = loopback(argv[2]);
	uint64_t *times = count > 0 && count <= 1000000 ? calloc((size_t)count, sizeof *times) : NULL;

	if (!times)
		fail("count");
	if (!strcmp(argv[1], "connect")) {
		for (int i = 0; i < count; i++) {
			uint64_t begin = now_ns();
			int fd = dial(&to);

			times[i] = now_ns() - begin;
			close(fd);
		}
	} else {
		char request[1024] = { 0 };
		size_t size = MESSAGE;
		int fd = dial(&to);

		if (!strcmp(argv[1], "get"))
			size = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n",
						argc > 4 ? argv[4] : "/");
		for (int i = 0; i < count; i++) {
			uint64_t begin = now_ns();

			exchange(fd, request, size);
			times[i] = now_ns() - begin;
		}
		close(fd);
	}
	print_times(times, count);
	return 0;
}
