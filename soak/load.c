/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs; a word NAME=VALUE is an option and may stand anywhere.
 * at=IPV4/IPV6 is where the other side is, for all verbs, instead of loopback; from=IPV4/IPV6 is where this side is;
 * ipv6=0: client and hold do without IPv6.
 *
 *   load serve PORT... [udp=PORT] [ends=FILE ends-of=PORT]
 *                                                 answers each byte with itself on loopback, IPv4 and IPv6, until SIGTERM;
 *                                                 FILE: when each connection to that port ended
 *   load client KIND=PORT... [rate=N] [threads=N] [seconds=N] [long=N] [long-port=PORT] [period=MS] [log=FILE] [wrong=FILE]
 *                                                 opens connections, `rate` a second (0: as fast as it goes)
 *       KIND  allowed, egress (EPERM), ingress (EACCES), ingress4 (without IPv6), logged (whatever), udp-allowed, udp-egress
 *       long  so many connections stay open and exchange a byte every `period` ms
 *   load probe PORT...                            one connect() each: "ok", or the errno's name
 *   load hold COUNT PORT... [again=1] [ends=FILE] keeps COUNT connections open and idle, says "open" on standard output;
 *                                                 again: opens one anew as soon as it may
 *   load race ROOT COUNT [first=N] [parallel=N] [nested=1] allowed=PORT denied=PORT udp=PORT [wrong=FILE] [log=FILE]
 *                                                 COUNT processes that connect in their first instruction in a new cgroup
 *   load churn make|talk|remove ROOT FIRST COUNT allowed=PORT denied=PORT
 *                                                 cgroups ROOT/wN; talk: one process in each, one connect() to each port
 *   load flood KIND PORT [PORT] [rate=N] [seconds=N]
 *                                                 refused, dead: connect()s that nobody waits for; syn: forged SYNs; udp
 *   load flip FILE PIN COUNT [pause=MS] SET...    COUNT times: FILE becomes the next SET, by rename, and the pinned map
 *                                                 `current` is watched; a line "N SET GENERATION WRITTEN BEFORE AFTER" each
 *   load generation PIN                           prints what the pinned map `current` says
 *   load up                                       brings the loopback interface of its network namespace up
 */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

volatile sig_atomic_t ended;

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_until(uint64_t at)
{
	struct timespec t = { .tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u) };

	while (!ended && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *at, *from; /* "IPV4/IPV6" of a neighbour, and of this side */

/* The address of a "IPV4/IPV6". */
static void read_ends(const char *both, struct sockaddr_storage *address)
{
	char four[32] = { 0 };
	const char *slash = strchr(both, '/');

	if (!slash || slash - both >= (long)sizeof four)
		fail("at=IPV4/IPV6");
	memcpy(four, both, (size_t)(slash - both));
	if (address->ss_family == AF_INET)
		inet_pton(AF_INET, four, &((struct sockaddr_in *)address)->sin_addr);
	else
		inet_pton(AF_INET6, slash + 1, &((struct sockaddr_in6 *)address)->sin6_addr);
}

struct sockaddr_storage loopback(int family, uint16_t port, uint32_t index)
{
	struct sockaddr_storage to = { .ss_family = (sa_family_t)family };

	if (family == AF_INET) {
		struct sockaddr_in *four = (struct sockaddr_in *)&to;

		four->sin_port = htons(port);
		four->sin_addr.s_addr = htonl(0x7f000001u + (index % 200) + ((index / 200 % 200) << 8));
	} else {
		struct sockaddr_in6 *six = (struct sockaddr_in6 *)&to;

		six->sin6_port = htons(port);
		six->sin6_addr = in6addr_loopback;
	}
	if (at)
		read_ends(at, &to);
	return to;
}

socklen_t size_of(const struct sockaddr_storage *at)
{
	return at->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

int make_socket(int family, int type, int patience)
{
	struct timeval most = { .tv_sec = patience / 1000, .tv_usec = patience % 1000 * 1000 };
	int fd = socket(family, type | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		fail("socket");
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
	if (from) {
		struct sockaddr_storage own = { .ss_family = (sa_family_t)family };

		read_ends(from, &own);
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(fd, (struct sockaddr *)&own, size_of(&own)))
			fail(from);
	}
	return fd;
}

void close_hard(int fd)
{
	struct linger hard = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
	close(fd);
}

const char *option(char **words, const char *name, const char *otherwise)
{
	size_t length = strlen(name);

	for (; *words; words++)
		if (!strncmp(*words, name, length) && (*words)[length] == '=')
			return *words + length + 1;
	return otherwise;
}

long number_option(char **words, const char *name, long otherwise)
{
	const char *text = option(words, name, NULL);

	return text ? atol(text) : otherwise;
}

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static int bring_up(char **words)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	(void)words;
	if (ioctl(make_socket(AF_INET, SOCK_STREAM, 1000), SIOCSIFFLAGS, &loopback))
		fail("bring up lo");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(char **words);
	} verbs[] = {
		{ "serve", serve }, { "client", client }, { "probe", probe }, { "hold", hold }, { "race", race },
		{ "churn", churn }, { "flood", flood }, { "flip", flip }, { "generation", generation }, { "up", bring_up },
	};
	struct rlimit files = { MAX_FDS, MAX_FDS };
	struct sigaction on_end = { .sa_handler = end }; /* no SA_RESTART: waiting calls return */

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max < MAX_FDS ? files.rlim_max : MAX_FDS;
	setrlimit(RLIMIT_NOFILE, &files);
	sigaction(SIGTERM, &on_end, NULL);
	sigaction(SIGINT, &on_end, NULL);
	signal(SIGPIPE, SIG_IGN);
	at = option(argv + 1, "at", NULL);
	from = option(argv + 1, "from", NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
		if (!strcmp(argv[1], verbs[i].name))
			return verbs[i].run(argv + 2);
	fprintf(stderr, "load: see the comment at the top of load.c\n");
	return 2;
}
