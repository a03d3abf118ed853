/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SNDlib's native format (Orlowski et al. 2010), networks: NODES and LINKS, of META the unit; the rest is skipped. A
 * link has the capacity that is installed, or else its largest module. Coordinates are degrees where all could be
 * and one is no whole number, else a plane's. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/import.h"
#include "origin/import_sndlib.h"
#include "origin/scan.h"

enum { DEPTH_MAX = 32 };

int64_t sndlib_bandwidth(double capacity, const char *unit)
{
	bool bits = strcmp(unit, "BITSPERSEC") == 0;

	return net_bps_to_kbps(bits ? capacity : capacity * 1e6);
}

void sndlib_directions(struct net *net)
{
	if (net_to_and_fro(net))
		net_join_directions(net);
}

void sndlib_coordinates(struct net *net)
{
	bool degrees = true, whole = true;

	for (size_t i = 0; i < net->nodes.n; i++) {
		const struct coords *c = &net->nodes.v[i].coords;
		degrees &= fabs(c->a) <= 90 && fabs(c->b) <= 180;
		whole &= c->a == floor(c->a) && c->b == floor(c->b);
	}
	for (size_t i = 0; i < net->nodes.n; i++) {
		struct coords *c = &net->nodes.v[i].coords;
		if (c->kind != COORDS_NONE)
			*c = degrees && !whole ? (struct coords){ COORDS_LOCATION, c->a, c->b }
			                       : (struct coords){ COORDS_POSITION, c->b, c->a };
	}
}

static int expect(struct scan *s, enum scan_token token, const char *what, struct err *err)
{
	int ret = scan_next(s, err);

	return ret ? ret : s->token == token ? 0 : scan_fault(s, err, "expected %s", what);
}

static int next_number(struct scan *s, double *ret, struct err *err)
{
	int code = expect(s, SCAN_WORD, "a number", err);

	return code ? code : scan_number(s, ret, err);
}

/* Behind a "(": up to its ")". */
static int skip_rest(struct scan *s, struct err *err)
{
	int depth = 1, ret = 0;

	while (depth > 0 && (ret = scan_next(s, err)) == 0) {
		if (s->token == SCAN_END)
			return scan_fault(s, err, "the file ends inside of a section; expected )");
		depth += s->token == SCAN_OPEN ? 1 : s->token == SCAN_CLOSE ? -1 : 0;
		if (depth > DEPTH_MAX)
			return scan_fault(s, err, "brackets inside of each other, deeper than %d", DEPTH_MAX);
	}
	return ret;
}

static int read_meta(struct scan *s, char **unit, struct err *err)
{
	bool key = false;
	int ret;

	while ((ret = scan_next(s, err)) == 0 && s->token != SCAN_CLOSE) {
		if (s->token == SCAN_END)
			return scan_fault(s, err, "META does not end; expected )");
		if (s->token == SCAN_OPEN && (ret = skip_rest(s, err)) != 0)
			return ret;
		if (key && strcmp(buf_cstr(&s->word), "=") != 0) {
			free(*unit);
			*unit = mem_str(buf_cstr(&s->word));
			key = false;
		}
		key |= strcmp(buf_cstr(&s->word), "unit") == 0;
	}
	return ret;
}

/* <node_id> [(<longitude>, <latitude>)], the word is read. */
static int read_node(struct scan *s, struct net *net, struct err *err)
{
	uint32_t at;
	double x, y;
	int ret = net_node(net, buf_cstr(&s->word), &at, err);

	if (ret == -EEXIST)
		return scan_fault(s, err, "there are two nodes '%.40s'", buf_cstr(&s->word));
	if (ret == 0)
		ret = expect(s, SCAN_OPEN, "( longitude latitude )", err);
	if (ret == 0)
		ret = next_number(s, &x, err);
	if (ret == 0)
		ret = next_number(s, &y, err);
	if (ret == 0)
		ret = expect(s, SCAN_CLOSE, ")", err);
	if (ret == 0)
		net->nodes.v[at].coords = (struct coords){ COORDS_POSITION, y, x };
	return ret;
}

static int read_end(struct scan *s, const struct net *net, uint32_t *end, struct err *err)
{
	int ret = expect(s, SCAN_WORD, "a node", err);

	if (ret == 0 && !net_find(net, buf_cstr(&s->word), end))
		ret = scan_fault(s, err, "no node is called '%.40s'", buf_cstr(&s->word));
	return ret;
}

/* <link_id> ( a b ) <installed> <its cost> <routing cost> <setup cost> ( {<module> <cost>}* ), the id is read. */
static int read_link(struct scan *s, struct net *net, const char *unit, struct err *err)
{
	mem_auto char *label = mem_str(buf_cstr(&s->word));
	struct err full = { 0 };
	double capacity = 0, x;
	uint32_t a, b;

	int ret = expect(s, SCAN_OPEN, "( source target )", err);
	if (ret == 0)
		ret = read_end(s, net, &a, err);
	if (ret == 0)
		ret = read_end(s, net, &b, err);
	if (ret == 0)
		ret = expect(s, SCAN_CLOSE, ")", err);
	for (int i = 0; ret == 0 && i < 4; i++) {
		ret = next_number(s, &x, err);
		capacity = i == 0 ? x : capacity;
	}
	if (ret == 0)
		ret = expect(s, SCAN_OPEN, "( modules )", err);
	bool installed = capacity > 0;
	for (int i = 0; ret == 0 && (ret = scan_next(s, err)) == 0 && s->token != SCAN_CLOSE; i++) {
		ret = scan_number(s, &x, err);
		if (ret == 0 && i % 2 == 0 && !installed && x > capacity)
			capacity = x;
	}
	if (ret != 0)
		return ret;
	struct net_link *l = net_link(net, a, b, &full);
	if (!l && full.code)
		return scan_fault(s, err, "%s", full.text);
	if (l) {
		l->label = mem_str(label);
		l->bw_kbps = sndlib_bandwidth(capacity, unit);
	}
	return 0;
}

static int read_section(struct scan *s, const char *section, struct net *net, char **unit, struct err *err)
{
	bool nodes = strcmp(section, "NODES") == 0, links = strcmp(section, "LINKS") == 0;
	int ret = 0;

	if (strcmp(section, "META") == 0)
		return read_meta(s, unit, err);
	if (!nodes && !links)
		return skip_rest(s, err);
	while (ret == 0 && (ret = scan_next(s, err)) == 0 && s->token != SCAN_CLOSE) {
		if (s->token != SCAN_WORD)
			return scan_fault(s, err, "expected the id of a %s, or )", nodes ? "node" : "link");
		ret = nodes ? read_node(s, net, err) : read_link(s, net, *unit ? *unit : "", err);
	}
	return ret;
}

int import_sndlib(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	const char *body = memchr(text, '\n', len); /* behind "?SNDlib native format; …" */
	struct scan s;
	mem_auto char *unit = NULL;
	size_t head = body ? (size_t)(body - text) : 0;
	int ret = 0;

	scan_init(&s, file, text + head, len - head, "()");
	while (ret == 0 && (ret = scan_next(&s, err)) == 0 && s.token != SCAN_END) {
		if (s.token != SCAN_WORD) {
			ret = scan_fault(&s, err, "expected the name of a section");
			break;
		}
		mem_auto char *section = mem_str(buf_cstr(&s.word));
		ret = expect(&s, SCAN_OPEN, "(", err);
		if (ret == 0)
			ret = read_section(&s, section, net, &unit, err);
	}
	if (ret == 0 && net->nodes.n == 0)
		ret = scan_fault(&s, err, "no NODES in this file");
	if (ret == 0) {
		sndlib_coordinates(net);
		sndlib_directions(net);
	}
	scan_done(&s);
	return ret;
}
