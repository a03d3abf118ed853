/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routes of one router; see split_table.h. */
#include "vnagent/split_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

struct route {
	struct route *next;
	uint32_t metric;
	uint8_t tos, epoch;
	bool local;
	bool gone;    /* deleted during this dump */
	bool several; /* more than one of this kind: which is first is not told */
	struct split_hop hop;
};

struct prefix {
	struct addr to;
	struct route *routes;
	bool decided;
	uint8_t decided_epoch;
	struct split_hop hop; /* as it was decided */
};

enum { KEY = 40 };
struct split_table {
	struct split_table_options options;
	struct hash *prefixes;
	size_t n, n_odd;
	uint8_t epoch;
	bool dumping, full;
	bool anew;     /* this dump decides all */
};

struct split_table *split_table_new(const struct split_table_options *options)
{
	struct split_table *t = mem_alloc(sizeof(*t));
	t->options = *options;
	t->prefixes = hash_new();
	return t;
}

static void free_prefix(void *value)
{
	struct prefix *p = value;
	while (p->routes) {
		struct route *r = p->routes;
		p->routes = r->next;
		free(r);
	}
	free(p);
}

void split_table_free(struct split_table *t)
{
	if (!t)
		return;
	hash_free(t->prefixes, free_prefix);
	free(t);
}

static size_t addr_bytes(const struct addr *a)
{
	return a->family == AF_INET6 ? 16 : 4;
}

/* Names of the map end with NUL: so the bytes as hex digits. */
static const char *key_of(const struct addr *a, char key[static KEY])
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0, len = addr_bytes(a);
	for (size_t i = 0; i <= len; i++) {
		uint8_t byte = i ? a->bytes[i - 1] : a->prefix;
		key[n++] = digits[byte >> 4];
		key[n++] = digits[byte & 15];
	}
	key[n] = 0;
	return key;
}

static struct prefix *find(struct split_table *t, const struct addr *to, bool make)
{
	char key[KEY];
	struct prefix *p = hash_get(t->prefixes, key_of(to, key));
	if (!p && make) {
		p = mem_alloc(sizeof(*p));
		p->to = *to;
		(void)hash_put(t->prefixes, key, p);
	}
	return p;
}

static struct route **find_route(struct prefix *p, const struct split_told *told)
{
	struct route **at = &p->routes;
	while (*at && ((*at)->metric != told->metric || (*at)->tos != told->tos || (*at)->local != told->local))
		at = &(*at)->next;
	return at;
}

static bool same_hop(const struct split_hop *a, const struct split_hop *b)
{
	return a->device == b->device && !memcmp(a->via, b->via, sizeof(a->via));
}

/* Of `local`: host addresses are longest anyway, and to 127/8 and ff00::/8 nothing is forwarded. */
static bool is_odd(const struct prefix *p, const struct route *r)
{
	bool v6 = p->to.family == AF_INET6;
	return r->local && p->to.prefix < addr_bytes(&p->to) * 8 && p->to.bytes[0] != (v6 ? 0xff : 127);
}

static void drop_route(struct split_table *t, struct prefix *p, struct route **at)
{
	struct route *r = *at;
	*at = r->next;
	if (is_odd(p, r))
		t->n_odd--;
	t->n--;
	free(r);
}

/* The best that is left; two of the same preference, or one for some kinds of traffic only, are the router's business. */
static bool best(const struct prefix *p, struct split_hop *ret)
{
	const struct route *best = NULL;
	bool plain = true;
	for (const struct route *r = p->routes; r; r = r->next) {
		if (r->gone)
			continue;
		plain &= !r->tos;
		if (best && (r->local < best->local || (r->local == best->local && r->metric > best->metric)))
			continue;
		best = r;
	}
	*ret = best && plain && !best->several ? best->hop : (struct split_hop){ 0 };
	return best;
}

/* Tells what has changed; frees the prefix where nothing of it is left. */
static void decide(struct split_table *t, struct prefix *p)
{
	struct split_hop hop;
	bool any = best(p, &hop), again = t->anew && p->decided_epoch != t->epoch;
	if (any != p->decided || (any && (again || !same_hop(&hop, &p->hop)))) {
		int code = t->options.decide(t->options.arg, &p->to, any ? &hop : NULL);
		if (code < 0)
			t->full = true;
		/* What could not be told stays as it was told before; the owner trusts no table that is full. */
		if (!code) {
			p->decided = any;
			p->hop = hop;
			p->decided_epoch = t->epoch;
		}
	}
	if (!p->routes && !p->decided) {
		char key[KEY];
		(void)hash_del(t->prefixes, key_of(&p->to, key));
		free(p);
	}
}

void split_table_put(struct split_table *t, const struct split_told *told)
{
	struct prefix *p = find(t, &told->to, true);
	struct route **at = find_route(p, told), *r = *at;
	if (r && r->gone && told->dumped)
		return;
	if (!r && t->n >= t->options.most) {
		t->full = true;
		decide(t, p);
		return;
	}
	if (!r) {
		r = *at = mem_alloc(sizeof(*r));
		*r = (struct route){ .metric = told->metric, .tos = told->tos, .local = told->local, .hop = told->hop };
		t->n++;
		t->n_odd += is_odd(p, r);
	} else if (r->gone || told->replaces || (told->dumped && r->epoch != t->epoch)) {
		r->hop = told->hop;
		r->several = false;
	} else if (!same_hop(&r->hop, &told->hop)) {
		r->several = true;
	}
	r->gone = false;
	r->epoch = t->epoch;
	decide(t, p);
}

bool split_table_del(struct split_table *t, const struct split_told *told)
{
	struct prefix *p = find(t, &told->to, t->dumping);
	struct route **at = p ? find_route(p, told) : NULL;
	if (!at)
		return true;
	if (*at && ((*at)->several || !same_hop(&(*at)->hop, &told->hop))) {
		(*at)->several = true; /* there may be another one */
		decide(t, p);
		return false;
	}
	if (*at && !t->dumping) {
		drop_route(t, p, at);
	} else if (t->dumping) {
		if (!*at && t->n < t->options.most) {
			*at = mem_alloc(sizeof(**at));
			**at = (struct route){ .metric = told->metric, .tos = told->tos, .local = told->local };
			t->n++;
			t->n_odd += is_odd(p, *at);
		}
		if (*at) {
			(*at)->gone = true;
			(*at)->epoch = t->epoch;
		}
	}
	decide(t, p);
	return true;
}

void split_table_begin(struct split_table *t, bool anew)
{
	t->epoch++;
	t->dumping = true;
	t->anew |= anew; /* where the last dump was not ended, too */
	t->full = false;
}

static void end_prefix(void *value, void *arg)
{
	struct split_table *t = arg;
	struct prefix *p = value;
	bool changed = !p->routes;
	for (struct route **at = &p->routes; *at;) {
		if (!(*at)->gone && (*at)->epoch == t->epoch) {
			at = &(*at)->next;
			continue;
		}
		drop_route(t, p, at);
		changed = true;
	}
	if (changed)
		decide(t, p);
}

void split_table_end(struct split_table *t)
{
	t->dumping = false;
	hash_each(t->prefixes, end_prefix, t);
	t->anew = false;
}

struct visiting {
	void (*visit)(void *arg, const struct addr *to);
	void *arg;
};

static void visit_prefix(void *value, void *arg)
{
	const struct prefix *p = value;
	const struct visiting *v = arg;
	if (p->decided)
		v->visit(v->arg, &p->to);
}

void split_table_each(const struct split_table *t, void (*visit)(void *arg, const struct addr *to), void *arg)
{
	struct visiting v = { visit, arg };
	hash_each(t->prefixes, visit_prefix, &v);
}

size_t split_table_count(const struct split_table *t)
{
	return t->n;
}

bool split_table_full(const struct split_table *t)
{
	return t->full;
}

bool split_table_odd(const struct split_table *t)
{
	return t->n_odd;
}
