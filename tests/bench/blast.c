/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sends UDP as fast as it can, for `make compare`: small enough to be carried into any router, statically linked.
 *
 *     blast ADDRESS PORT BYTES SECONDS [RATE]      BYTES of payload each; RATE packets a second at most
 *
 * prints what it sent and how long it took: "PACKETS NANOSECONDS". Where the path runs on the sender's processor, as between
 * network namespaces, time per packet is the path's cost with the sender's and the receiver's, which are the same for all. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, BYTES_MAX = 1472 };

static long long now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int fail(const char *what)
{
	fprintf(stderr, "blast: %s: %s\n", what, strerror(errno));
	return 1;
}

static int target(const char *host, const char *port)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = v6.sin6_port };
	bool is6 = inet_pton(AF_INET6, host, &v6.sin6_addr) == 1;
	if (!is6 && inet_pton(AF_INET, host, &v4.sin_addr) != 1)
		return -1;
	int fd = socket(is6 ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	if (fd >= 0 && (is6 ? connect(fd, (void *)&v6, sizeof(v6)) : connect(fd, (void *)&v4, sizeof(v4))) < 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int main(int argc, char **argv)
{
	static char payload[BYTES_MAX];
	struct iovec part = { payload, 0 };
	struct mmsghdr batch[BATCH];
	if (argc < 5) {
		fprintf(stderr, "usage: blast ADDRESS PORT BYTES SECONDS [RATE]\n");
		return 2;
	}
	int fd = target(argv[1], argv[2]);
	if (fd < 0)
		return fail(argv[1]);
	part.iov_len = (size_t)atoi(argv[3]) < BYTES_MAX ? (size_t)atoi(argv[3]) : BYTES_MAX;
	long long begun = now_ns(), end = begun + (long long)(atof(argv[4]) * 1e9), sent = 0, now = begun;
	double rate = argc > 5 ? atof(argv[5]) : 0;
	memset(batch, 0, sizeof(batch));
	for (int i = 0; i < BATCH; i++) {
		batch[i].msg_hdr.msg_iov = &part;
		batch[i].msg_hdr.msg_iovlen = 1;
	}
	while (now < end) {
		int n = rate > 0 && (double)(now - begun) * rate / 1e9 < (double)sent ? 0 : sendmmsg(fd, batch, rate > 0 ? 1 : BATCH, 0);
		if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			return fail("sending");
		sent += n > 0 ? n : 0;
		if (n == 0) /* it is too early for the next */
			nanosleep(&(struct timespec){ .tv_nsec = 50000 }, NULL);
		now = now_ns();
	}
	printf("%lld %lld\n", sent, now - begun);
	return 0;
}
