/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the kernel's answers: to batches, to dumps, as news, and as what is there when an agent looks for what it has built. Nothing may
 * crash; of n messages at most n fail, and what fails has a reason. The first byte says where the bytes are cut into datagrams. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "base/nl.h"
#include "vnagent/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MESSAGES = 3, TABLE = 64 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A connection whose far end has said all of it, in pieces, and is gone. */
static struct nl *speaker(const uint8_t *data, size_t size, int type, int *far_end)
{
	int ends[2];
	size_t piece = size ? 16 + data[0] * 16u : 16;
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	for (size_t at = 1; at < size; at += piece)
		if (send(ends[1], data + at, size - at < piece ? size - at : piece, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	shutdown(ends[1], SHUT_WR);
	*far_end = ends[1]; /* can be written to until it is closed */
	return nl_open_stream(ends[0]);
}

static int look(void *arg, const struct nlmsghdr *m)
{
	const struct nlattr *table[TABLE + 1] = { 0 }, *inner[TABLE + 1] = { 0 };
	volatile size_t *sum = arg;
	const struct ifinfomsg *head = nl_head(m, sizeof(*head));
	if (!head)
		return 0;
	*sum += (size_t)head->ifi_index;
	nl_parse(m, sizeof(*head), table, TABLE);
	for (unsigned i = 0; i <= TABLE; i++) {
		*sum += nl_u32(table[i]) + strlen(nl_str(table[i]));
		nl_parse_nested(table[i], inner, TABLE);
		const char *bytes = nl_data(table[i], 6);
		*sum += bytes ? (size_t)bytes[5] : 0;
	}
	return 0;
}

static void ask(struct nl_batch *b, uint16_t flags)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC };
	nl_begin(b, RTM_GETLINK, flags, &head, sizeof(head));
	nl_label(b, "link");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nl_batch *b = nl_batch_new();
	size_t failed = 0, sum = 0;
	int far_end;
	for (int round = 0; round < 4; round++) {
		struct err err = { 0 };
		struct nl *nl = speaker(data, size, round < 3 ? SOCK_SEQPACKET : SOCK_STREAM, &far_end);
		int code = 0;
		nl_batch_clear(b);
		for (int i = 0; i < (round ? 1 : MESSAGES); i++)
			ask(b, round == 1 ? NLM_F_DUMP : 0);
		if (round == 0)
			code = nl_send(nl, b, &failed, &err);
		else if (round < 3)
			code = nl_dump(nl, b, look, &sum, &err);
		else
			for (int i = 0; i < 8 && !code; i++)
				code = nl_events_some(nl, 64, look, &sum, &err);
		must(failed <= MESSAGES && code <= 0 && (code == 0 || code == -EINTR || err.text[0]));
		nl_close(nl);
		close(far_end);
	}
	struct inventory *inv = inventory_new();
	struct err err = { 0 };
	struct nl *nl = speaker(data, size, SOCK_SEQPACKET, &far_end);
	must(inventory_read(inv, nl, &err) == 0 || err.text[0]);
	inventory_free(inv);
	nl_close(nl);
	close(far_end);
	nl_batch_free(b);
	return 0;
}
