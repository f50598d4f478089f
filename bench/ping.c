/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of the benchmarks. One process, one connection at a time, on IPv4 loopback. Times are in ns; the
 * first tenth of COUNT warms up and is not counted.
 *
 *   ping serve PORT               accepts, answers each message of 64 bytes with itself, ends with its standard input
 *   ping connect PORT COUNT       COUNT times connect, one exchange, close; prints median and p99 of connect()
 *   ping refused PORT COUNT       the same of a connect() that weir must refuse
 *   ping echo PORT COUNT          one connection, COUNT messages of 64 bytes; median and p99 of a round trip
 *   ping get PORT COUNT PATH      one HTTP/1.1 connection, COUNT requests; the same
 *   ping until PORT               connects every 100 us until weir refuses; prints CLOCK_MONOTONIC of that moment, and
 *                                 how many attempts before had no answer in 2 ms
 *   ping watch PORT               connects every 100 us until SIGTERM; prints the attempts, and how many got through
 *   ping stamp FILE COMMAND...    writes CLOCK_MONOTONIC into FILE and becomes COMMAND
 *   ping time COMMAND...          how long COMMAND took, wall clock; its output goes nowhere
 *   ping up                       brings the loopback interface of its network namespace up
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
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

static int make_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };
	struct timeval patience = { .tv_sec = 5 };

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* no TIME_WAIT: ports are not the subject */
	return fd;
}

/* 0, or the errno of connect(). The time is that of connect() alone. */
static int try_connect(int fd, const struct sockaddr_in *to, uint64_t *took)
{
	uint64_t begin = now_ns();
	int error = connect(fd, (const struct sockaddr *)to, sizeof *to) ? errno : 0;

	*took = now_ns() - begin;
	return error;
}

/* Weir says which side's policy refused: the client's own, or the server's. */
static int is_refusal(int error)
{
	return error == EPERM || error == EACCES;
}

/* Nobody needs to listen. EINPROGRESS: no answer of any kind, as when the SYN is dropped. */
static int attempt(const struct sockaddr_in *to)
{
	struct timeval patience = { .tv_usec = 2000 };
	uint64_t ignored;
	int fd = make_socket(), error;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	error = try_connect(fd, to, &ignored);
	close(fd);
	return error;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print_times(uint64_t *times, int count)
{
	times += count / 10;
	count -= count / 10;
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
	if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096))
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

static void time_connects(const struct sockaddr_in *to, uint64_t *times, int count, int refused)
{
	char request[MESSAGE] = { 0 };

	for (int i = 0; i < count; i++) {
		int fd = make_socket(), error = try_connect(fd, to, &times[i]);

		if (refused ? !is_refusal(error) : error) {
			errno = error;
			fail(refused ? "connect was to be refused" : "connect");
		}
		if (!refused)
			exchange(fd, request, sizeof request); /* keeps the server's queue of new connections empty */
		close(fd);
	}
}

static void time_requests(const struct sockaddr_in *to, uint64_t *times, int count, const char *path)
{
	char request[1024] = { 0 };
	size_t size = MESSAGE;
	uint64_t ignored;
	int fd = make_socket();

	if ((errno = try_connect(fd, to, &ignored)))
		fail("connect");
	if (path)
		size = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);
	for (int i = 0; i < count; i++) {
		uint64_t begin = now_ns();

		exchange(fd, request, size);
		times[i] = now_ns() - begin;
	}
	close(fd);
}

static void until_refused(const struct sockaddr_in *to)
{
	uint64_t begin = now_ns();
	unsigned unanswered = 0;
	int error = attempt(to);

	if (is_refusal(error)) {
		fprintf(stderr, "ping: refused from the start\n");
		exit(2);
	}
	for (; !is_refusal(error); error = attempt(to)) {
		unanswered += error == EINPROGRESS;
		if (now_ns() - begin > 20000000000u) {
			fprintf(stderr, "ping: not refused in 20 s\n");
			exit(2);
		}
		usleep(100);
	}
	printf("%llu %u\n", (unsigned long long)now_ns(), unanswered);
}

static volatile sig_atomic_t ended;

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void watch(const struct sockaddr_in *to)
{
	unsigned attempts = 0, passed = 0;

	signal(SIGTERM, end);
	for (; !ended; usleep(100), attempts++) {
		int error = attempt(to);

		passed += !error || error == ECONNREFUSED;
	}
	printf("%u %u\n", attempts, passed);
}

static void stamp(const char *path, char **command)
{
	FILE *file = fopen(path, "we");

	if (!file)
		fail(path);
	fprintf(file, "%llu\n", (unsigned long long)now_ns());
	fclose(file);
	execv(command[0], command);
	fail(command[0]);
}

static void time_command(char **command)
{
	uint64_t begin = now_ns();
	int status, child = fork();

	if (child < 0)
		fail("fork");
	if (!child) {
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 1);
		execv(command[0], command);
		fail(command[0]);
	}
	if (waitpid(child, &status, 0) != child || status) {
		fprintf(stderr, "ping: %s: status %d\n", command[0], status);
		exit(2);
	}
	printf("%llu\n", (unsigned long long)(now_ns() - begin));
}

static void bring_up(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (ioctl(make_socket(), SIOCSIFFLAGS, &loopback))
		fail("bring up lo");
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	struct sockaddr_in to = loopback(argc > 2 ? argv[2] : "0");
	int count = argc > 3 ? atoi(argv[3]) : 0;

	if (argc == 2 && !strcmp(verb, "up"))
		return bring_up(), 0;
	if (argc == 3 && !strcmp(verb, "serve"))
		return serve(argv[2]), 0;
	if (argc == 3 && !strcmp(verb, "until"))
		return until_refused(&to), 0;
	if (argc == 3 && !strcmp(verb, "watch"))
		return watch(&to), 0;
	if (argc > 3 && !strcmp(verb, "stamp"))
		return stamp(argv[2], argv + 3), 0;
	if (argc > 2 && !strcmp(verb, "time"))
		return time_command(argv + 2), 0;

	uint64_t *times = count >= 10 && count <= 1000000 ? calloc((size_t)count, sizeof *times) : NULL;

	if (times && argc == 4 && (!strcmp(verb, "connect") || !strcmp(verb, "refused")))
		time_connects(&to, times, count, *verb == 'r');
	else if (times && argc == 4 && !strcmp(verb, "echo"))
		time_requests(&to, times, count, NULL);
	else if (times && argc == 5 && !strcmp(verb, "get"))
		time_requests(&to, times, count, argv[4]);
	else {
		fprintf(stderr, "ping: see the comment at the top of ping.c\n");
		return 2;
	}
	print_times(times, count);
	return 0;
}
