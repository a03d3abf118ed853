/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as what answers on BIRD's control socket in a tenant's router, in pieces of any size. Nothing may crash; lines are within
 * their bounds and printable, however they came in pieces, and what is read from them is text that ends. The first byte is the size of pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/bird_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void look(const struct bird_line *line, struct buf *all)
{
	struct bird_neighbour n;
	struct addr to;
	must(line->code >= 0 && line->code <= 9999 && strlen(line->text) <= BIRD_LINE_MAX);
	for (const char *c = line->text; *c; c++)
		must(*c == '\t' || (*c >= ' ' && *c <= '~'));
	if (bird_read_neighbour(line, &n))
		must(line->code == BIRD_CODE_NEIGHBOURS && strlen(n.router) >= 7 && strlen(n.router) < sizeof(n.router) && n.state[0] &&
		     strlen(n.state) < sizeof(n.state) && n.device[0] && strlen(n.device) < sizeof(n.device));
	if (bird_read_route(line, &to))
		must(line->code == BIRD_CODE_ROUTES && to.prefix <= 128);
	buf_printf(all, "%d%c%s\n", line->code, line->last ? ' ' : '-', line->text);
}

/* All lines of it, up to where it is refused. */
static void read_all(const uint8_t *data, size_t size, size_t piece, struct buf *all)
{
	struct bird_reply r;
	struct err err = { 0 };
	bird_reply_begin(&r);
	for (size_t at = 0; at < size; at += piece) {
		size_t len = size - at < piece ? size - at : piece;
		mem_auto char *text = mem_dup(data + at, len); /* its own block, so that reading past its end shows */
		for (size_t in = 0; in < len;) {
			struct bird_line line;
			long n = bird_reply_take(&r, text + in, len - in, &line, &err);
			if (n < 0) {
				must(err.text[0] && !line.text);
				return;
			}
			must(n > 0 && (size_t)n <= len - in);
			in += (size_t)n;
			if (line.text)
				look(&line, all);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	buf_auto struct buf whole = BUF_INIT, pieces = BUF_INIT;
	if (!size)
		return 0;
	read_all(data + 1, size - 1, size, &whole);
	read_all(data + 1, size - 1, data[0] + 1u, &pieces);
	must(!strcmp(buf_cstr(&whole), buf_cstr(&pieces)));
	return 0;
}
