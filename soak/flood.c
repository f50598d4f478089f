/* SPDX-License-Identifier: Apache-2.0 */
/* Floods, bounded in rate and time, on loopback of a network namespace of the soak's own. */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BURST 64

static uint16_t first_port, last_port;
static unsigned long long sent, failed;

static uint16_t port_for(uint32_t index)
{
	return (uint16_t)(first_port + index % (uint32_t)(last_port - first_port + 1));
}

static void connect_once(uint32_t index)
{
	struct sockaddr_storage to = loopback(AF_INET, port_for(index), index);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&to, size_of(&to)) && errno != EINPROGRESS)
		failed++;
	close_hard(fd);
}

static uint32_t sum_words(uint32_t sum, const void *data, size_t bytes)
{
	const uint16_t *word = data;

	for (; bytes > 1; bytes -= 2)
		sum += *word++;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~(sum + (sum >> 16));
}

/* RFC 791 and RFC 9293; the checksum covers a pseudo header of addresses, protocol and length. */
static void send_syn(int raw, uint32_t index)
{
	struct { struct iphdr ip; struct tcphdr tcp; } __attribute__((packed)) packet = { 0 };
	struct sockaddr_storage to = loopback(AF_INET, port_for(index), index);
	uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof packet.tcp);

	packet.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
				    .tot_len = htons(sizeof packet),
				    .saddr = htonl(0x7f800000u + (index * 2654435761u >> 12)),
				    .daddr = ((struct sockaddr_in *)&to)->sin_addr.s_addr };
	packet.tcp = (struct tcphdr){ .source = htons((uint16_t)(1024 + index % 60000)), .dest = htons(port_for(index)),
				      .seq = index, .doff = 5, .syn = 1, .window = htons(65535) };
	sum = sum_words(sum, &packet.ip.saddr, 8);
	packet.tcp.check = folded(sum_words(sum, &packet.tcp, sizeof packet.tcp));
	if (sendto(raw, &packet, sizeof packet, 0, (struct sockaddr *)&to, size_of(&to)) < 0)
		failed++;
}

static void send_datagram(int fd, uint32_t index)
{
	struct sockaddr_storage to = loopback(AF_INET, port_for(index), index);

	if (sendto(fd, "w", 1, MSG_DONTWAIT, (struct sockaddr *)&to, size_of(&to)) < 0)
		failed++;
}

int flood(char **words)
{
	long rate = number_option(words, "rate", 10000), seconds = number_option(words, "seconds", 5);
	const char *kind = words[0] ? words[0] : "";
	uint64_t began = now_ns(), next = began;
	int fd = -1;

	if (!words[0] || !words[1] || rate < 1 || rate > 1000000 || seconds < 1 || seconds > 600)
		fail("flood KIND PORT [PORT]");
	first_port = last_port = (uint16_t)atoi(words[1]);
	if (words[2] && !strchr(words[2], '='))
		last_port = (uint16_t)atoi(words[2]);
	if (!strcmp(kind, "syn"))
		fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	else if (!strcmp(kind, "udp"))
		fd = make_socket(AF_INET, SOCK_DGRAM, 1000);
	if (fd < 0 && !strcmp(kind, "syn"))
		fail("raw socket");
	for (uint32_t index = (uint32_t)(began >> 10); !ended && now_ns() - began < (uint64_t)seconds * 1000000000u;) {
		for (int i = 0; i < BURST; i++, index++, sent++) {
			if (!strcmp(kind, "syn"))
				send_syn(fd, index);
			else if (fd >= 0)
				send_datagram(fd, index);
			else
				connect_once(index);
		}
		next += BURST * 1000000000ull / (uint64_t)rate;
		if (now_ns() > next + 100000000u)
			next = now_ns();
		else
			sleep_until(next);
	}
	printf("{\"sent\":%llu,\"failed\":%llu,\"rate\":%.0f}\n", sent, failed,
	       (double)sent * 1e9 / (double)(now_ns() - began));
	return 0;
}
