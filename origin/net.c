/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See net.h. Names: what is no letter, digit or - becomes a -, accents are dropped; the k-th of one name gets
 * -k behind it. All in the order of the file, so that the same file gives the same names. */
#include "origin/net.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { NET_NAME_MAX = 28, FIBRE_US_PER_KM = 5, COUNTER_MAX = 12 };

void net_init(struct net *net)
{
	*net = (struct net){ .arrival_us = NET_UNKNOWN, .lifetime_us = NET_UNKNOWN, .ids = hash_new() };
}

void net_done(struct net *net)
{
	for (size_t i = 0; i < net->nodes.n; i++) {
		free(net->nodes.v[i].id);
		free(net->nodes.v[i].label);
	}
	for (size_t i = 0; i < net->links.n; i++)
		free(net->links.v[i].label);
	vec_done(&net->nodes);
	vec_done(&net->links);
	if (net->ids)
		hash_free(net->ids, NULL);
	free(net->name);
	memset(net, 0, sizeof(*net));
}

int net_node(struct net *net, const char *id, uint32_t *ret, struct err *err)
{
	if (net_find(net, id, ret))
		return -EEXIST;
	if (net->nodes.n >= NET_PARTS_MAX)
		return err_set(err, -EFBIG, "more than %d nodes", NET_PARTS_MAX);
	*ret = (uint32_t)net->nodes.n;
	hash_index_put(net->ids, id, net->nodes.n);
	*vec_add(&net->nodes) = (struct net_node){ .id = mem_str(id), .cpu_milli = NET_UNKNOWN, .mem_kib = NET_UNKNOWN };
	return 0;
}

bool net_find(const struct net *net, const char *id, uint32_t *ret)
{
	size_t i = hash_index(net->ids, id);

	if (i != SIZE_MAX)
		*ret = (uint32_t)i;
	return i != SIZE_MAX;
}

struct net_link *net_link(struct net *net, uint32_t a, uint32_t b, struct err *err)
{
	if (a == b) {
		net->loops++;
		return NULL;
	}
	if (net->links.n >= NET_PARTS_MAX) {
		err_set(err, -EFBIG, "more than %d links", NET_PARTS_MAX);
		return NULL;
	}
	struct net_link *l = vec_add(&net->links);
	*l = (struct net_link){ .a = a, .b = b, .bw_kbps = NET_UNKNOWN, .delay_us = NET_UNKNOWN, .cost_micro = NET_UNKNOWN };
	return l;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The k-th from a to b is one with the k-th from b to a. */
void net_join_directions(struct net *net)
{
	struct hash *open = hash_new(); /* key of the ends, in order: the last link that waits for its opposite, + 1 */
	size_t *before = mem_array(net->links.n + 1, sizeof(*before)), n = 0;

	for (size_t i = 0; i < net->links.n; i++) {
		struct net_link l = net->links.v[i];
		uint64_t there = (uint64_t)l.a << 32 | l.b, back = (uint64_t)l.b << 32 | l.a;
		size_t waits = (size_t)(uintptr_t)hash_get_u64(open, back);
		if (waits > 0) {
			struct net_link *first = &net->links.v[waits - 1];
			hash_put_u64(open, back, (void *)(uintptr_t)before[waits - 1]);
			first->bw_kbps = larger(first->bw_kbps, l.bw_kbps);
			first->delay_us = larger(first->delay_us, l.delay_us);
			first->cost_micro = larger(first->cost_micro, l.cost_micro);
			free(l.label);
			net->halves++;
			continue;
		}
		before[n] = (size_t)(uintptr_t)hash_get_u64(open, there);
		hash_put_u64(open, there, (void *)(uintptr_t)(n + 1));
		net->links.v[n++] = l;
	}
	net->links.n = n;
	free(before);
	hash_free(open, NULL);
}

bool net_to_and_fro(const struct net *net)
{
	struct hash *balance = hash_new(); /* of the smaller and the larger end: links up, less links down, + n */
	size_t n = net->links.n, open = 0;

	for (size_t i = 0; i < n; i++) {
		const struct net_link *l = &net->links.v[i];
		bool up = l->a < l->b;
		uint64_t key = up ? (uint64_t)l->a << 32 | l->b : (uint64_t)l->b << 32 | l->a;
		size_t old = (size_t)(uintptr_t)hash_get_u64(balance, key);
		old = old ? old : n + 1;
		size_t now = up ? old + 1 : old - 1;
		open += (now != n + 1) - (old != n + 1); /* wraps, and back */
		hash_put_u64(balance, key, (void *)(uintptr_t)now);
	}
	hash_free(balance, NULL);
	return n > 0 && open == 0;
}

/* ---- names --------------------------------------------------------------------------------- */

/* The letter under the accent, of the code points that Western names are written with; 0: none. */
static char plain_letter(unsigned code)
{
	static const char latin1[] = "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo-ouuuuyty";
	static const char extended[] = "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSs"
	                               "SsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

	if (code >= 0xc0 && code <= 0xff)
		return latin1[code - 0xc0];
	return code >= 0x100 && code <= 0x17f ? extended[code - 0x100] : 0;
}

/* One character of UTF-8, or of an XML reference as GML has them (&#233;); *at moves behind it. */
static unsigned next_code(const char **at)
{
	const unsigned char *s = (const unsigned char *)*at;
	unsigned code = 0;
	int len = 1;

	if (s[0] == '&' && s[1] == '#' && isdigit(s[2])) {
		for (len = 2; isdigit(s[len]) && len < 9; len++)
			code = code * 10 + (s[len] - '0');
		*at += len + (s[len] == ';');
		return code;
	}
	code = s[0];
	if (s[0] >= 0xc2 && s[0] < 0xe0 && (s[1] & 0xc0) == 0x80) {
		code = (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
		len = 2;
	}
	*at += len;
	return code;
}

static char *clean_name(const char *text, const char *otherwise)
{
	char name[NET_NAME_MAX + 1];
	size_t n = 0;

	while (*text && n < NET_NAME_MAX) {
		unsigned code = next_code(&text);
		char c = code < 0x80 && (isalnum((int)code) || code == '_') ? (char)code : plain_letter(code);
		if (!c && (n == 0 || name[n - 1] == '-'))
			continue;
		name[n++] = c ? c : '-';
		if (n == 1 && !isalnum((unsigned char)name[0]))
			n = 0;
	}
	while (n > 0 && name[n - 1] == '-')
		n--;
	name[n] = '\0';
	return mem_str(n ? name : otherwise);
}

/* Of the names that are taken, this one, or with the first number behind it that is free. Takes `name`. */
static char *unique_name(struct hash *taken, struct hash *counters, char *name)
{
	size_t k = (size_t)(uintptr_t)hash_get(counters, name);
	char *made = mem_str(name);

	if (k == 0)
		k = 1;
	while (!hash_index_put(taken, made, 0)) {
		free(made);
		made = mem_printf("%.*s-%zu", NAME_MAX_LEN - COUNTER_MAX, name, ++k);
	}
	hash_put(counters, name, (void *)(uintptr_t)k);
	free(name);
	return made;
}

struct names {
	struct hash *taken, *counters;
};

static struct names names_begin(void)
{
	return (struct names){ hash_new(), hash_new() };
}

static void names_end(struct names *n)
{
	hash_free(n->taken, NULL);
	hash_free(n->counters, NULL);
}

static char *node_name(struct names *names, const struct net_node *n)
{
	return unique_name(names->taken, names->counters, clean_name(n->label && *n->label ? n->label : n->id, "node"));
}

static char *link_name(struct names *names, const struct net_link *l, const char *a, const char *b)
{
	return unique_name(names->taken, names->counters,
	                   l->label ? clean_name(l->label, "link") : mem_printf("%s-%s", a, b));
}

/* ---- amounts ------------------------------------------------------------------------------- */

int64_t net_bps_to_kbps(double bps)
{
	if (!(bps > 0))
		return NET_UNKNOWN;
	double kbps = floor(bps / 1000 + 0.5);
	return kbps < 1 ? 1 : kbps > (double)BW_MAX_KBPS ? BW_MAX_KBPS : (int64_t)kbps;
}

/* "OC-48", "OC48c", "STM 16", "DS3", "E1", "T1": the carriers' levels. */
static int64_t level_speed(const char *at, const char **end)
{
	static const struct {
		const char *word;
		double kbps[5]; /* by level, or times the level */
	} levels[] = {
		{ "OC", { 51840 } }, { "STM", { 155520 } }, { "DS", { 64, 1544, 6312, 44736, 274176 } },
		{ "T", { 0, 1544, 6312, 44736, 274176 } }, { "E", { 0, 2048, 8448, 34368, 139264 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		size_t n = strlen(levels[i].word);
		if (strncasecmp(at, levels[i].word, n) != 0)
			continue;
		const char *digits = at + n + (at[n] == '-' || at[n] == ' ');
		if (!isdigit((unsigned char)*digits))
			continue;
		unsigned long level = strtoul(digits, (char **)end, 10);
		if (i < 2 && level >= 1 && level <= 3072)
			return (int64_t)(levels[i].kbps[0] * (double)level);
		if (i >= 2 && level < ARRAY_LEN(levels[i].kbps) && levels[i].kbps[level] > 0)
			return (int64_t)levels[i].kbps[level];
	}
	return NET_UNKNOWN;
}

/* "2.5 Gbps", "100Mb/s", "1 Gbit/s". */
static int64_t unit_speed(const char *at, const char **end)
{
	char *behind;
	double number = strtod(at, &behind), unit;

	while (*behind == ' ')
		behind++;
	switch (tolower((unsigned char)*behind)) {
	case 'k':
		unit = 1e3;
		break;
	case 'm':
		unit = 1e6;
		break;
	case 'g':
		unit = 1e9;
		break;
	case 't':
		unit = 1e12;
		break;
	default:
		return NET_UNKNOWN;
	}
	if (tolower((unsigned char)behind[1]) != 'b' && (isalpha((unsigned char)behind[1]) || behind[1] == '/'))
		return NET_UNKNOWN; /* metres, months */
	*end = behind + 1;
	return net_bps_to_kbps(number * unit);
}

int64_t net_speed(const char *text)
{
	int64_t best = NET_UNKNOWN;
	bool word = false; /* inside of one */

	while (*text) {
		const char *end = text + 1;
		int64_t kbps = NET_UNKNOWN;
		if (isdigit((unsigned char)*text) && !word) {
			kbps = unit_speed(text, &end);
			if (kbps == NET_UNKNOWN)
				end = text + strspn(text, "0123456789.");
		} else if (isalpha((unsigned char)*text) && !word)
			kbps = level_speed(text, &end);
		best = larger(best, kbps);
		text = end;
		word = isalnum((unsigned char)text[-1]) && isalpha((unsigned char)text[-1]);
	}
	return best;
}

static int64_t scaled(int64_t kbps, int64_t scale_micro)
{
	double x = floor((double)kbps * (double)scale_micro / 1e6 + 0.5);

	return x < 1 ? 1 : x > (double)BW_MAX_KBPS ? BW_MAX_KBPS : (int64_t)x;
}

static int64_t link_bandwidth(const struct net_link *l, const struct net_defaults *d)
{
	return l->bw_kbps == NET_UNKNOWN ? d->bw_kbps : scaled(l->bw_kbps, d->scale_micro);
}

static int64_t link_delay(const struct net *net, const struct net_link *l, const struct net_defaults *d)
{
	const struct coords *p = &net->nodes.v[l->a].coords, *q = &net->nodes.v[l->b].coords;

	if (l->delay_us != NET_UNKNOWN)
		return l->delay_us;
	if (d->coords_delay && p->kind == COORDS_LOCATION && q->kind == COORDS_LOCATION)
		return (int64_t)(coords_distance(p, q) * FIBRE_US_PER_KM + 0.5);
	return d->delay_us;
}

/* ---- what becomes of it -------------------------------------------------------------------- */

int net_substrate(const struct net *net, const struct net_defaults *d, struct substrate *ret, struct err *err)
{
	struct substrate s = { .name = clean_name(net->name ? net->name : "", "imported") };
	struct names nodes = names_begin(), links = names_begin();

	s.n_nodes = net->nodes.n;
	s.nodes = mem_array(s.n_nodes, sizeof(*s.nodes));
	for (size_t i = 0; i < s.n_nodes; i++) {
		const struct net_node *n = &net->nodes.v[i];
		int64_t memory = n->mem_kib != NET_UNKNOWN ? n->mem_kib : d->mem_kib;
		s.nodes[i] = (struct snode){
			.name = node_name(&nodes, n), .coords = n->coords, .any_kind = !n->forwards, .agent = true, .any_image = true,
			.max_guest_ports = UNLIMITED, .cost_micro = 1000000,
			.cap = { n->forwards ? 0 : n->cpu_milli != NET_UNKNOWN ? n->cpu_milli : d->cpu_milli,
			         n->forwards || memory == NET_UNKNOWN ? UNLIMITED : memory, UNLIMITED, UNLIMITED,
			         UNLIMITED, UNLIMITED, 0 },
		};
	}
	s.n_links = net->links.n;
	s.links = mem_array(s.n_links, sizeof(*s.links));
	for (size_t i = 0; i < s.n_links; i++) {
		const struct net_link *l = &net->links.v[i];
		s.links[i] = (struct slink){
			.name = link_name(&links, l, s.nodes[l->a].name, s.nodes[l->b].name), .a = l->a, .b = l->b,
			.bw_kbps = link_bandwidth(l, d), .delay_us = link_delay(net, l, d),
			.cost_micro = l->cost_micro != NET_UNKNOWN ? l->cost_micro : 1000000,
		};
	}
	names_end(&nodes);
	names_end(&links);
	int code = substrate_check(&s, err);
	if (code == 0)
		*ret = s;
	else
		substrate_done(&s);
	return code;
}

int net_request(const struct net *net, const struct net_defaults *d, bool trace, struct request *ret, struct err *err)
{
	struct request r = { .name = clean_name(net->name ? net->name : "", "imported"), .arrival_us = -1,
		             .lifetime_us = net->lifetime_us, .priority_micro = 1000000 };
	struct names nodes = names_begin(), links = names_begin();

	if (trace)
		r.arrival_us = net->arrival_us != NET_UNKNOWN ? net->arrival_us : 0;
	r.n_nodes = net->nodes.n;
	r.nodes = mem_array(r.n_nodes, sizeof(*r.nodes));
	for (size_t i = 0; i < r.n_nodes; i++) {
		const struct net_node *n = &net->nodes.v[i];
		r.nodes[i].name = node_name(&nodes, n);
		r.nodes[i].demand[RES_CPU_MILLI] = n->cpu_milli != NET_UNKNOWN ? n->cpu_milli : d->cpu_milli;
		r.nodes[i].demand[RES_MEM_KIB] = n->mem_kib != NET_UNKNOWN ? n->mem_kib : larger(d->mem_kib, 0);
	}
	r.n_links = net->links.n;
	r.links = mem_array(r.n_links, sizeof(*r.links));
	for (size_t i = 0; i < r.n_links; i++) {
		const struct net_link *l = &net->links.v[i];
		r.links[i] = (struct vlink){
			.name = link_name(&links, l, r.nodes[l->a].name, r.nodes[l->b].name), .a = l->a, .b = l->b,
			.bw_kbps = link_bandwidth(l, d), .max_delay_us = l->delay_us > 0 ? l->delay_us : -1,
		};
	}
	names_end(&nodes);
	names_end(&links);
	int code = request_check(&r, err);
	if (code == 0)
		*ret = r;
	else
		request_done(&r);
	return code;
}
