/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic of the soak: one program, a verb a file. load.c says how each is called. Times are CLOCK_MONOTONIC in
 * ns, ports in host order. Every verb prints one line of JSON at its end. */
#ifndef WEIR_SOAK_LOAD_H
#define WEIR_SOAK_LOAD_H

#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#define MAX_FDS 20000

/* Set by SIGTERM and SIGINT. */
extern volatile sig_atomic_t ended;

uint64_t now_ns(void);
void sleep_until(uint64_t at);
__attribute__((noreturn)) void fail(const char *what);

/* An address of loopback: 127.a.b.c for an `index`, or ::1. Many, so that ports in TIME_WAIT do not run out. With at=, that. */
struct sockaddr_storage loopback(int family, uint16_t port, uint32_t index);
socklen_t size_of(const struct sockaddr_storage *at);

/* A TCP or UDP socket whose blocking calls end after `patience` ms, with EAGAIN. */
int make_socket(int family, int type, int patience);
/* The next close() sends a reset: no TIME_WAIT. */
void close_hard(int fd);

/* fork(), the child being born in a cgroup. */
pid_t clone_into(const char *cgroup);

/* The value of "NAME=VALUE" among the words, or `otherwise`. */
const char *option(char **words, const char *name, const char *otherwise);
long number_option(char **words, const char *name, long otherwise);

/* One connection as a client saw it: the log of `client log=FILE` is an array of these. */
struct record {
	uint64_t begin;     /* before connect() */
	uint64_t connected; /* after connect(), whatever came of it */
	uint64_t end;       /* after the exchange of one byte */
	uint16_t port;
	uint8_t family;     /* 4 or 6 */
	uint8_t connect_error;  /* errno; 0 none */
	uint8_t exchange_error; /* errno; 0 none, 255 the end of the stream */
	uint8_t pad[3];
};

int serve(char **words);
int client(char **words);
int probe(char **words);
int hold(char **words);
int race(char **words);
int churn(char **words);
int flood(char **words);
int flip(char **words);
int generation(char **words);

#endif
