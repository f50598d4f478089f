/* SPDX-License-Identifier: Apache-2.0 */
/* Start races: a process is born inside a cgroup that is a moment old (CLONE_INTO_CGROUP), and the first thing it does
 * is connect(). Until weir has identified the workload every attempt must end with ECONNREFUSED, though somebody
 * listens; from then on every attempt must have the policy's verdict. A TCP socket and a UDP socket made in that first
 * moment are used at the end: they must be judged as the workload's, not as nobody's. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define AFTER 50                  /* attempts of each kind once identified */
#define PATIENCE_NS 30000000000ull

struct result {
	uint64_t made;       /* before the cgroup was made */
	uint64_t first;      /* before the first connect() */
	uint64_t identified; /* after the first attempt that was not refused as unidentified; 0 never */
	uint32_t refused, judged, wrong;
	int32_t number;
	char what[64];       /* of the first wrong one */
};

static uint16_t allowed_port, denied_port, udp_port;

static int attempt(int family, uint16_t port, uint32_t index)
{
	struct sockaddr_storage to = loopback(family, port, index);
	int fd = make_socket(family, SOCK_STREAM, 3000);
	int error = connect(fd, (struct sockaddr *)&to, size_of(&to)) ? errno : 0;

	if (!error && (send(fd, "w", 1, 0) != 1 || recv(fd, &(char){ 0 }, 1, 0) != 1))
		error = EPIPE; /* connected, and then let down */
	close_hard(fd);
	return error;
}

static void blame(struct result *result, const char *when, const char *what, int got)
{
	if (!result->wrong++)
		snprintf(result->what, sizeof result->what, "%s,%s,%s", when, what, got ? strerrorname_np(got) : "ok");
}

static int is_denial(int error)
{
	return error == EPERM || error == EACCES;
}

/* Alternates the two ports until both are judged, then goes on for a while. */
static void run_race(struct result *result, int held, int datagram)
{
	struct sockaddr_storage denied = loopback(AF_INET, denied_port, 0);
	struct sockaddr_storage answers = loopback(AF_INET, udp_port, 0);
	uint64_t begin = result->first = now_ns();
	int got;

	for (uint32_t i = 0; result->judged < 2 * AFTER && now_ns() - begin < PATIENCE_NS; i++) {
		int family = i % 4 < 2 ? AF_INET : AF_INET6, is_allowed = !(i % 2);

		got = attempt(family, is_allowed ? allowed_port : denied_port, i);
		if (!result->identified && got == ECONNREFUSED) {
			result->refused++;
			if (i >= 100)
				usleep(500); /* the first moment is what counts; the wait for the agent is not to hold it up */
			continue;
		}
		if (!result->identified)
			result->identified = now_ns();
		result->judged++;
		if (is_allowed ? got : !is_denial(got))
			blame(result, result->judged == 1 ? "first" : "after", is_allowed ? "allowed" : "denied", got);
	}
	if (!result->identified)
		return blame(result, "never", "identified", ECONNREFUSED);
	got = connect(held, (struct sockaddr *)&denied, sizeof(struct sockaddr_in)) ? errno : 0;
	if (!is_denial(got))
		blame(result, "held", "denied", got);
	got = sendto(datagram, "w", 1, 0, (struct sockaddr *)&denied, sizeof(struct sockaddr_in)) < 0 ? errno : 0;
	if (!is_denial(got))
		blame(result, "datagram", "denied", got);
	got = sendto(datagram, "w", 1, 0, (struct sockaddr *)&answers, sizeof(struct sockaddr_in)) < 0 ? errno : 0;
	if (got)
		blame(result, "datagram", "allowed", got);
}

/* The process of one race; its result goes into the pipe. */
static void start_race(const char *root, int number, int nested, int pipe_end)
{
	struct result result = { .number = number };
	int held, datagram;
	char path[512];
	pid_t child;

	result.made = now_ns();
	snprintf(path, sizeof path, "%s/race%d", root, number);
	if (mkdir(path, 0755))
		fail(path);
	if (nested) {
		strcat(path, "/app");
		if (mkdir(path, 0755))
			fail(path);
	}
	child = clone_into(path);
	if (child)
		return;
	held = make_socket(AF_INET, SOCK_STREAM, 3000);
	datagram = make_socket(AF_INET, SOCK_DGRAM, 3000);
	run_race(&result, held, datagram);
	if (write(pipe_end, &result, sizeof result) != sizeof result)
		_exit(1);
	_exit(0);
}

int race(char **words)
{
	const char *wrong_path = option(words, "wrong", NULL), *log_path = option(words, "log", NULL);
	FILE *wrong_file = wrong_path ? fopen(wrong_path, "ae") : stderr, *log = log_path ? fopen(log_path, "ae") : NULL;
	long from = number_option(words, "first", 0), parallel = number_option(words, "parallel", 10);
	long nested = number_option(words, "nested", 0), count = words[0] && words[1] ? atol(words[1]) : 0;
	unsigned long long refused = 0, judged = 0, wrong = 0, races = 0, at_once = 0, longest = 0;
	long running = 0, next = 0;
	int ends[2];

	allowed_port = (uint16_t)number_option(words, "allowed", 0);
	denied_port = (uint16_t)number_option(words, "denied", 0);
	udp_port = (uint16_t)number_option(words, "udp", 0);
	if (count < 1 || !wrong_file || pipe2(ends, O_CLOEXEC))
		fail("race ROOT COUNT");
	while (!ended && (next < count || running)) {
		struct result result;

		/* All of a round are made at once: the agent meets them together. */
		if (!running)
			for (; running < parallel && next < count; running++, next++)
				start_race(words[0], (int)(from + next), nested && next % 2, ends[1]);
		if (read(ends[0], &result, sizeof result) != sizeof result)
			break;
		waitpid(-1, NULL, WNOHANG);
		running--;
		races++;
		refused += result.refused;
		judged += result.judged;
		wrong += result.wrong;
		at_once += !result.refused;
		if (result.identified && result.identified - result.made > longest)
			longest = result.identified - result.made;
		if (log)
			fprintf(log, "%d %llu %llu %llu %u %u %u\n", result.number, (unsigned long long)result.made,
				(unsigned long long)result.first, (unsigned long long)result.identified, result.refused,
				result.judged, result.wrong);
		if (result.wrong)
			fprintf(wrong_file, "wrong race=%d count=%u %s made=%llu identified=%llu refused=%u\n", result.number,
				result.wrong, result.what, (unsigned long long)result.made,
				(unsigned long long)result.identified, result.refused);
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	printf("{\"races\":%llu,\"refused\":%llu,\"judged\":%llu,\"wrong\":%llu,\"judged_at_once\":%llu,"
	       "\"longest_ms\":%.1f}\n", races, refused, judged, wrong, at_once, (double)longest / 1e6);
	return 0;
}
