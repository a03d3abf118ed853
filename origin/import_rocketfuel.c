/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rocketfuel's maps of providers (Spring, Mahajan and Wetherall 2002): a line for each direction, "from to number", the
 * number a latency in ms or an inferred weight, which becomes the link's cost. Places are written as City,+Country1234. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "origin/import.h"
#include "origin/scan.h"

static int add_node(struct net *net, const char *word, uint32_t *ret, struct err *err)
{
	int code = net_node(net, word, ret, err);

	return code == -EEXIST ? 0 : code;
}

static int read_line(struct scan *s, struct net *net, bool latencies, struct err *err)
{
	uint32_t line = s->token_line, a, b;
	double x = 0;
	struct err full = { 0 };
	int ret = add_node(net, buf_cstr(&s->word), &a, &full);

	if (ret == 0)
		ret = scan_next(s, err);
	if (ret == 0 && (s->token != SCAN_WORD || s->token_line != line))
		return scan_fault(s, err, "expected: from to number");
	if (ret == 0)
		ret = add_node(net, buf_cstr(&s->word), &b, &full);
	if (ret == 0)
		ret = scan_next(s, err);
	if (ret == 0 && (s->token != SCAN_WORD || s->token_line != line))
		return scan_fault(s, err, "expected: from to number");
	if (ret == 0)
		ret = scan_number(s, &x, err);
	if (full.code)
		return scan_fault(s, err, "%s", full.text);
	if (ret == 0 && !(x >= 0 && x <= 1e6))
		return scan_fault(s, err, "%g; expected 0 to 1000000", x);
	if (ret != 0)
		return ret;
	struct net_link *l = net_link(net, a, b, &full);
	if (!l)
		return full.code ? scan_fault(s, err, "%s", full.text) : 0;
	if (latencies)
		l->delay_us = (int64_t)(x * 1000 + 0.5);
	else
		l->cost_micro = (int64_t)(x * 1e6 + 0.5);
	return 0;
}

static int read_map(const char *text, size_t len, const char *file, bool latencies, struct net *net, struct err *err)
{
	struct scan s;
	int ret = 0;

	scan_init(&s, file, text, len, "\n\n"); /* no brackets */
	while (ret == 0 && (ret = scan_next(&s, err)) == 0 && s.token != SCAN_END)
		ret = s.token == SCAN_WORD ? read_line(&s, net, latencies, err) : scan_fault(&s, err, "expected: from to number");
	if (ret == 0 && net->nodes.n == 0)
		ret = scan_fault(&s, err, "the file is empty");
	scan_done(&s);
	if (ret == 0)
		net_join_directions(net);
	return ret;
}

int import_latencies(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	return read_map(text, len, file, true, net, err);
}

int import_weights(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	return read_map(text, len, file, false, net, err);
}
