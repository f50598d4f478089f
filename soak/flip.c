/* SPDX-License-Identifier: Apache-2.0 */
/* Changes a policy file again and again, and sees in the kernel itself when each change is in force: the pinned map
 * `current` has the generation in its first word. */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_NS 50000u            /* between two looks */
#define PATIENCE_NS 20000000000ull

static int open_pin(const char *path)
{
	union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)path };
	int fd = (int)syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof attr);

	if (fd < 0)
		fail(path);
	return fd;
}

static uint32_t generation_of(int map)
{
	uint32_t key = 0, value[2] = { 0 };
	union bpf_attr attr = { .map_fd = (uint32_t)map };

	attr.key = (uint64_t)(uintptr_t)&key;
	attr.value = (uint64_t)(uintptr_t)value;
	if (syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof attr))
		fail("look at the generation");
	return value[0];
}

/* Whole, or not at all. */
static void replace(const char *path, const char *set)
{
	char aside[512], buffer[65536];
	int from = open(set, O_RDONLY | O_CLOEXEC), to;
	const char *slash = strrchr(path, '/');
	ssize_t n;

	snprintf(aside, sizeof aside, "%.*s/.next", (int)(slash - path), path);
	to = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (from < 0 || to < 0)
		fail(set);
	while ((n = read(from, buffer, sizeof buffer)) > 0)
		if (write(to, buffer, (size_t)n) != n)
			fail(aside);
	close(from);
	close(to);
	if (rename(aside, path))
		fail(path);
}

int generation(char **words)
{
	if (!words[0])
		fail("generation PIN");
	printf("%u\n", generation_of(open_pin(words[0])));
	return 0;
}

int flip(char **words)
{
	long count = words[0] && words[1] && words[2] ? atol(words[2]) : 0, pause = number_option(words, "pause", 10);
	char *sets[64];
	long set_count = 0, done = 0;
	uint32_t before;
	int map;

	for (char **word = words + 3; count && *word; word++)
		if (!strchr(*word, '=') && set_count < 64)
			sets[set_count++] = *word;
	if (count < 1 || set_count < 2)
		fail("flip FILE PIN COUNT SET SET...");
	map = open_pin(words[1]);
	before = generation_of(map);
	srandom((unsigned)now_ns());
	for (; done < count && !ended; done++) {
		long set = done % set_count;
		uint64_t written = now_ns(), last = written, seen = written;
		uint32_t generation = before;

		replace(words[0], sets[set]);
		while (generation == before && !ended) {
			if (seen - written > PATIENCE_NS) {
				fprintf(stderr, "load: change %ld, %s: not in force in 20 s\n", done, sets[set]);
				return 1;
			}
			sleep_until(now_ns() + LOOK_NS);
			last = seen;
			seen = now_ns(); /* before the look: a change that it shows may be as late as after it */
			generation = generation_of(map);
		}
		seen = now_ns();
		printf("%ld %ld %u %llu %llu %llu\n", done, set, generation, (unsigned long long)written,
		       (unsigned long long)last, (unsigned long long)seen);
		before = generation;
		sleep_until(now_ns() + (uint64_t)(random() % (2 * pause + 1)) * 1000000u);
	}
	return 0;
}
