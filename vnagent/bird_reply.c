/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bird_reply.h. Read by words, never by columns: BIRD widens a column for a long name. */
#include "vnagent/bird_reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* ---- bytes into lines ---------------------------------------------------------------------------------- */
void bird_reply_begin(struct bird_reply *r)
{
	r->code = -1;
	r->bytes = r->len = 0;
}

/* The line in r is whole. */
static int take_line(struct bird_reply *r, struct bird_line *ret, struct err *err)
{
	char *line = r->line;
	line[r->len] = 0;
	r->len = 0;
	for (char *c = line; *c; c++)
		if (*c != '\t' && (*c < ' ' || *c > '~'))
			*c = '?';
	if (line[0] == '+')
		return 0;
	if (line[0] == ' ' && r->code >= 0) {
		*ret = (struct bird_line){ .code = r->code, .text = line + 1 };
		return 0;
	}
	if (strspn(line, "0123456789") != 4 || (line[4] != ' ' && line[4] != '-'))
		return err_set(err, -EPROTO, "what answers is not BIRD: “%.32s”", line);
	r->code = atoi(line); /* four digits, and no more */
	*ret = (struct bird_line){ .code = r->code, .last = line[4] == ' ', .text = line + 5 };
	if (ret->last)
		bird_reply_begin(r);
	return 0;
}

long bird_reply_take(struct bird_reply *r, const char *data, size_t len, struct bird_line *ret, struct err *err)
{
	const char *end = len ? memchr(data, '\n', len) : NULL;
	size_t n = end ? (size_t)(end - data) : len;
	*ret = (struct bird_line){ .code = -1 };
	if (n > BIRD_LINE_MAX - r->len)
		return err_set(err, -EPROTO, "what answers is not BIRD: a line of more than %d bytes", BIRD_LINE_MAX);
	if (n && memchr(data, 0, n))
		return err_set(err, -EPROTO, "what answers is not BIRD: zero bytes");
	if (n)
		memcpy(r->line + r->len, data, n);
	r->len += n;
	n += end != NULL;
	if (n > BIRD_REPLY_MAX - r->bytes)
		return err_set(err, -EMSGSIZE, "BIRD answers with more than %d KiB", BIRD_REPLY_MAX >> 10);
	r->bytes += n;
	int code = end ? take_line(r, ret, err) : 0;
	return code ? code : (long)n;
}

/* ---- words --------------------------------------------------------------------------------------------- */
/* The next word; false: there is none, or it has more than size - 1 bytes (*ret is "" then). */
static bool word(const char **at, char *ret, size_t size)
{
	const char *begin = *at + strspn(*at, " \t");
	size_t len = strcspn(begin, " \t");
	bool fits = len && len < size;
	*at = begin + len;
	memcpy(ret, begin, fits ? len : 0);
	ret[fits ? len : 0] = 0;
	return fits;
}

bool bird_read_neighbour(const struct bird_line *line, struct bird_neighbour *ret)
{
	struct bird_neighbour n;
	char priority[16], time[24];
	const char *at = line->text;
	struct addr id;
	if (line->code != BIRD_CODE_NEIGHBOURS || !word(&at, n.router, sizeof(n.router)) || addr_parse(n.router, &id, NULL) || id.family != AF_INET)
		return false;
	if (!word(&at, priority, sizeof(priority)) || !word(&at, n.state, sizeof(n.state)) || !word(&at, time, sizeof(time)) ||
	    !word(&at, n.device, sizeof(n.device)))
		return false;
	*ret = n;
	return true;
}

/* "10.0.0.2/31  unicast [ospf4 03:01:32.998] * I (150/20) [10.255.0.3]" */
bool bird_read_route(const struct bird_line *line, struct addr *ret)
{
	char prefix[ADDR_TEXT];
	const char *at = line->text;
	return line->code == BIRD_CODE_ROUTES && at[0] != '\t' && word(&at, prefix, sizeof(prefix)) && !addr_parse_prefix(prefix, ret, NULL);
}
