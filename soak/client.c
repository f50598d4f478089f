/* SPDX-License-Identifier: Apache-2.0 */
/* The client: threads that open short connections one after the other, and one that keeps long ones busy. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_TARGETS 64
#define MAX_THREADS 16
#define PATIENCE 5000 /* ms */

static const struct kind {
	const char *name;
	int type;
	int expected; /* errno of connect(), of the first send() for a datagram; -1 whatever comes */
	int only_v4;
} kinds[] = {
	{ "allowed", SOCK_STREAM, 0, 0 }, { "egress", SOCK_STREAM, EPERM, 0 }, { "ingress", SOCK_STREAM, EACCES, 0 },
	{ "ingress4", SOCK_STREAM, EACCES, 1 }, { "logged", SOCK_STREAM, -1, 0 },
	{ "udp-allowed", SOCK_DGRAM, 0, 0 }, { "udp-egress", SOCK_DGRAM, EPERM, 0 },
};

static struct target {
	const struct kind *kind;
	uint16_t port;
	atomic_ullong attempts, wrong;
} targets[MAX_TARGETS];

static int target_count, thread_count;
static long rate, period, only_v4;
static FILE *log_file, *wrong_file;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_ullong established, slowest, long_exchanges, long_broken, long_slowest;
static long long_count;
static uint16_t long_port;
static volatile sig_atomic_t say;

static void raise_to(atomic_ullong *most, uint64_t value)
{
	unsigned long long before = *most;

	while (value > before && !atomic_compare_exchange_weak(most, &before, value))
		;
}

static void tell_wrong(const char *what, int port, int expected, int got, uint64_t begin, uint64_t end)
{
	pthread_mutex_lock(&log_lock);
	fprintf(wrong_file, "wrong %s port=%d expected=%s got=%s begin=%llu end=%llu\n", what, port,
		expected ? strerrorname_np(expected) : "ok",
		got == 255 ? "closed" : got ? strerrorname_np(got) : "ok", (unsigned long long)begin,
		(unsigned long long)end);
	fflush(wrong_file);
	pthread_mutex_unlock(&log_lock);
}

/* 0, an errno, or 255 for the end of the stream. */
static int exchange(int fd)
{
	char byte = 'w';
	ssize_t n = send(fd, &byte, 1, 0);

	if (n == 1)
		n = recv(fd, &byte, 1, 0);
	return n == 1 ? 0 : n == 0 ? 255 : errno;
}

static void try_one(struct target *target, uint32_t index)
{
	int family = index % 4 == 3 && !only_v4 && !target->kind->only_v4 ? AF_INET6 : AF_INET, type = target->kind->type;
	struct sockaddr_storage to = loopback(family, target->port, type == SOCK_DGRAM ? 0 : index);
	int fd = make_socket(family, type, PATIENCE), wrong, got;
	struct record seen = { .begin = now_ns(), .port = target->port, .family = family == AF_INET ? 4 : 6 };

	if (type == SOCK_DGRAM && index % 2) /* unconnected: judged by sendmsg */
		seen.connect_error = sendto(fd, "w", 1, 0, (struct sockaddr *)&to, size_of(&to)) == 1 ? 0 : (uint8_t)errno;
	else
		seen.connect_error = connect(fd, (struct sockaddr *)&to, size_of(&to)) ? (uint8_t)errno : 0;
	seen.end = seen.connected = now_ns();
	if (!seen.connect_error) {
		if (type == SOCK_DGRAM && index % 2)
			seen.exchange_error = recv(fd, &(char){ 0 }, 1, 0) == 1 ? 0 : (uint8_t)errno;
		else
			seen.exchange_error = (uint8_t)exchange(fd);
		seen.end = now_ns();
	}
	/* One in eight says goodbye, and its port waits; the others would use up the ports. */
	if (index % 8 || type == SOCK_DGRAM)
		close_hard(fd);
	else
		close(fd);
	target->attempts++;
	established += type == SOCK_STREAM && !seen.connect_error;
	raise_to(&slowest, seen.end - seen.begin);
	got = seen.connect_error ? seen.connect_error : seen.exchange_error;
	wrong = target->kind->expected >= 0 && got != target->kind->expected;
	if (wrong) {
		target->wrong++;
		tell_wrong(target->kind->name, target->port, target->kind->expected, got, seen.begin, seen.end);
	}
	if (log_file && target->kind->expected < 0) {
		pthread_mutex_lock(&log_lock);
		fwrite(&seen, sizeof seen, 1, log_file);
		pthread_mutex_unlock(&log_lock);
	}
}

static void *open_connections(void *context)
{
	uint32_t thread = (uint32_t)(uintptr_t)context, index = thread * 7919;
	uint64_t next = now_ns(), step = rate ? (uint64_t)thread_count * 1000000000u / (uint64_t)rate : 0;

	for (; !ended; index++) {
		try_one(&targets[index % (uint32_t)target_count], index / (uint32_t)target_count + thread);
		next += step;
		if (now_ns() > next + 200000000u)
			next = now_ns(); /* what could not be done is not made up for at once */
		else if (step)
			sleep_until(next);
	}
	return NULL;
}

static int open_long(uint32_t index)
{
	int family = index % 4 == 3 ? AF_INET6 : AF_INET, fd = make_socket(family, SOCK_STREAM, PATIENCE);
	struct sockaddr_storage to = loopback(family, long_port, index);

	if (connect(fd, (struct sockaddr *)&to, size_of(&to)))
		fail("open a long connection");
	return fd;
}

/* Each connection sends a byte every `period` ms and must have had the answer by the next time. */
static void *keep_long(void *context)
{
	int *fds = calloc((size_t)long_count, sizeof *fds), alive = (int)long_count;
	uint64_t next = now_ns();

	(void)context;
	for (long i = 0; i < long_count; i++)
		fds[i] = open_long((uint32_t)i);
	for (long i = 0; !ended && alive; i = (i + 1) % long_count) {
		uint64_t begin = now_ns();
		int error;

		if (fds[i] < 0)
			continue;
		if ((error = exchange(fds[i]))) {
			tell_wrong("long", long_port, 0, error, begin, now_ns());
			long_broken++;
			close(fds[i]);
			fds[i] = -1;
			alive--;
		} else
			long_exchanges++;
		raise_to(&long_slowest, now_ns() - begin);
		next += (uint64_t)period * 1000000u / (uint64_t)long_count;
		if (now_ns() < next)
			sleep_until(next);
		else if (now_ns() > next + 1000000000u)
			next = now_ns();
	}
	return NULL;
}

static void report(uint64_t began)
{
	double seconds = (double)(now_ns() - began) / 1e9;
	unsigned long long attempts = 0, wrong = 0, connects = 0;

	for (int i = 0; i < target_count; i++) {
		attempts += targets[i].attempts;
		connects += targets[i].kind->type == SOCK_STREAM ? targets[i].attempts : 0;
		wrong += targets[i].wrong;
	}
	printf("{\"attempts\":%llu,\"wrong\":%llu,\"seconds\":%.2f,\"connects_a_second\":%.0f,\"established\":%llu,"
	       "\"slowest_ms\":%.1f,", attempts, wrong, seconds, (double)connects / seconds, (unsigned long long)established,
	       (double)slowest / 1e6);
	printf("\"long\":%ld,\"long_exchanges\":%llu,\"long_broken\":%llu,\"long_slowest_ms\":%.1f,\"targets\":[", long_count,
	       long_exchanges, long_broken, (double)long_slowest / 1e6);
	for (int i = 0; i < target_count; i++)
		printf("%s{\"kind\":\"%s\",\"port\":%d,\"attempts\":%llu,\"wrong\":%llu}", i ? "," : "", targets[i].kind->name,
		       targets[i].port, targets[i].attempts, targets[i].wrong);
	puts("]}");
}

static void on_usr1(int signal)
{
	(void)signal;
	say = 1;
}

static void read_targets(char **words)
{
	for (; *words; words++) {
		char *equals = strchr(*words, '=');

		for (size_t k = 0; equals && k < sizeof kinds / sizeof *kinds; k++) {
			if (strncmp(*words, kinds[k].name, (size_t)(equals - *words)) || kinds[k].name[equals - *words])
				continue;
			if (target_count == MAX_TARGETS)
				fail("too many targets");
			targets[target_count].kind = &kinds[k];
			targets[target_count++].port = (uint16_t)atoi(equals + 1);
		}
	}
}

/* One connect() to each port, without an exchange: "ok", or the errno's name. */
int probe(char **words)
{
	for (; *words; words++) {
		struct sockaddr_storage to = loopback(AF_INET, (uint16_t)atoi(*words), 0);
		int fd = make_socket(AF_INET, SOCK_STREAM, 2000);

		printf("%s%s", connect(fd, (struct sockaddr *)&to, size_of(&to)) ? strerrorname_np(errno) : "ok",
		       words[1] ? " " : "\n");
		close_hard(fd);
	}
	return 0;
}

int client(char **words)
{
	const char *path = option(words, "log", NULL), *wrong_path = option(words, "wrong", NULL);
	long seconds = number_option(words, "seconds", 0);
	pthread_t threads[MAX_THREADS], keeper;
	uint64_t began = now_ns();
	sigset_t taken;

	read_targets(words);
	rate = number_option(words, "rate", 0);
	only_v4 = !number_option(words, "ipv6", 1);
	period = number_option(words, "period", 40);
	long_count = number_option(words, "long", 0);
	long_port = (uint16_t)number_option(words, "long-port", 0);
	thread_count = (int)number_option(words, "threads", 4);
	if (thread_count < 1 || thread_count > MAX_THREADS || (!target_count && !long_count))
		fail("nothing to do");
	wrong_file = wrong_path ? fopen(wrong_path, "ae") : stderr;
	if (!wrong_file || (path && !(log_file = fopen(path, "we"))))
		fail("open the log");
	signal(SIGUSR1, on_usr1);
	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	sigaddset(&taken, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &taken, NULL); /* no connect() of a thread is to be interrupted */
	if (long_count)
		pthread_create(&keeper, NULL, keep_long, NULL);
	for (long i = 0; target_count && i < thread_count; i++)
		pthread_create(&threads[i], NULL, open_connections, (void *)i);
	pthread_sigmask(SIG_UNBLOCK, &taken, NULL);
	while (!ended) {
		sleep_until(now_ns() + 20000000u);
		if (seconds && now_ns() - began > (uint64_t)seconds * 1000000000u)
			ended = 1;
		if (say) {
			say = 0;
			report(began);
		}
	}
	for (int i = 0; target_count && i < thread_count; i++)
		pthread_join(threads[i], NULL);
	if (long_count)
		pthread_join(keeper, NULL);
	if (log_file)
		fclose(log_file);
	report(began);
	return 0;
}
