/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What comes over BIRD's control socket: bytes into lines, lines into neighbours and routes. Nothing is asked here, nothing waits.
 *
 * A line is a code of four digits, '-' where more of the reply follows and ' ' where it ends, and text; a line that begins with a
 * blank has the code of the one before, one that begins with '+' belongs to no reply. It all comes from inside a router and is a
 * tenant's word: lines and replies are bounded, and what is kept is plain printable text, whatever came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/units.h"

enum {
	BIRD_LINE_MAX = 1024,       /* BIRD's own are below 600 */
	BIRD_REPLY_MAX = 512 << 10,  /* bytes of one reply */
	BIRD_CODE_NEIGHBOURS = 1013,
	BIRD_CODE_ROUTES = 1007,
	BIRD_CODE_REFUSED = 8000    /* this and above: the question was not answered, the text says why */
};

/* ---- bytes into lines ---- */
struct bird_reply {
	int code;     /* of the line before; -1: none */
	size_t bytes; /* of the reply so far */
	size_t len;   /* of the line that is not whole yet */
	char line[BIRD_LINE_MAX + 1];
};
struct bird_line {
	int code;
	bool last;        /* it ends its reply */
	const char *text; /* what follows the code, control characters as '?'; in the reply, valid until the next call. NULL: no line is whole */
};

void bird_reply_begin(struct bird_reply *r); /* nothing has come yet */
/* Takes bytes until a line is whole: how many it took, 1 … len (0 where len is 0). After the last line of a reply the next one
 * begins by itself. -EPROTO: that is not BIRD; -EMSGSIZE: a reply beyond BIRD_REPLY_MAX. After either the connection is of no use. */
long bird_reply_take(struct bird_reply *r, const char *data, size_t len, struct bird_line *ret, struct err *err) VNE_MUST;

/* ---- `show ospf neighbors [NAME]` ---- */
struct bird_neighbour {
	char router[16]; /* its router id, a dotted quad */
	char state[24];  /* as BIRD says it: "Full/PtP", "Init/Other" */
	char device[16]; /* of ours, towards it */
};
bool bird_read_neighbour(const struct bird_line *line, struct bird_neighbour *ret); /* false: the line is none; *ret is as it was */

/* ---- `show route primary …` ---- */
/* Where a route leads to; false: the line begins none (further lines of a route tell its ways); *ret is as it was. */
bool bird_read_route(const struct bird_line *line, struct addr *ret);
