/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counts what a link loses: sends a numbered datagram every millisecond to a far end that runs the same, and takes what that sends.
 *
 *     pacer ADDRESS PORT SECONDS
 *
 * prints for each interruption "AT LOST GAP": when it ended (monotonic ms), how many datagrams of the far end are missing, and the
 * milliseconds between the last before and the first after; then "all RECEIVED LOST". Interruptions nearer than 100 ms are one. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NEAR_NS = 100000000, STEP_NS = 1000000 };

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

struct heard {
	uint64_t next, received, lost;
	long long last_ns, gap_ns, at_ns;
	uint64_t open_lost; /* of the interruption that may not be over */
};

static void end_interruption(struct heard *h)
{
	if (h->open_lost)
		printf("%lld %llu %lld\n", h->at_ns / 1000000, (unsigned long long)h->open_lost, h->gap_ns / 1000000);
	h->open_lost = 0;
	h->gap_ns = 0;
}

static void take(struct heard *h, uint64_t number, long long now)
{
	if (h->received && number > h->next) {
		if (now - h->at_ns > NEAR_NS)
			end_interruption(h);
		h->open_lost += number - h->next;
		h->lost += number - h->next;
		h->gap_ns += now - h->last_ns;
		h->at_ns = now;
	}
	if (number >= h->next)
		h->next = number + 1;
	h->received++;
	h->last_ns = now;
}

int main(int argc, char **argv)
{
	struct heard h = { 0 };
	if (argc != 4) {
		fprintf(stderr, "usage: pacer ADDRESS PORT SECONDS\n");
		return 2;
	}
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])) }, there = here;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || inet_pton(AF_INET, argv[1], &there.sin_addr) != 1 || bind(fd, (void *)&here, sizeof(here)) < 0 ||
	    connect(fd, (void *)&there, sizeof(there)) < 0) {
		fprintf(stderr, "pacer: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	/* What measures is not to be late itself. */
	struct sched_param p = { .sched_priority = 10 };
	(void)!sched_setscheduler(0, SCHED_FIFO, &p);
	(void)!mlockall(MCL_CURRENT | MCL_FUTURE);
	long long begun = now_ns(), end = begun + (long long)(atof(argv[3]) * 1e9), due = begun;
	for (uint64_t number = 0; due < end; due += STEP_NS, number++) {
		uint64_t in;
		struct timespec until = { due / 1000000000, due % 1000000000 };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
			;
		(void)!send(fd, &number, sizeof(number), MSG_DONTWAIT);
		while (recv(fd, &in, sizeof(in), MSG_DONTWAIT) == sizeof(in))
			take(&h, in, now_ns());
	}
	end_interruption(&h);
	printf("all %llu %llu\n", (unsigned long long)h.received, (unsigned long long)h.lost);
	return 0;
}
