/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the load is kept as history: every SAMPLE_MS one sample of each node, substrate link, network, router and virtual
 * link goes into its series. Series are known by the name of their subject, so that they go on through updates and
 * reloads, which change places; what a round no longer finds is forgotten. With vned all of it begins anew.
 *
 * Bound: SERIES_BYTES_MAX for all series together. Beyond it what is new gets none, and asking for it says so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/series.h"
#include "vned/vned.h"

enum { SAMPLE_MS = 5000, RECOUNT_ROUNDS = 12 };
#define SERIES_BYTES_MAX ((size_t)40 << 20)

static const char *const node_columns[] = { "cpu_ratio", "memory_mib", NULL };
static const char *const link_columns[] = { "mbit_ab", "mbit_ba", NULL };
static const char *const network_columns[] = { "mbit", "cpu", NULL };
static const char *const router_columns[] = { "cpu", "memory_mib", NULL };
static const char *const vlink_columns[] = { "mbit_ab", "mbit_ba", "drops_ab", "drops_ba", NULL };

struct subject {
	char *name;
	const char *const *columns;
	struct series *series;
	uint64_t round;      /* in which it was last found */
	uint64_t drops[2];   /* vlinks: as last seen */
	int64_t drops_ms;    /* ... and when; 0: not */
};

struct samples {
	struct hash *subjects; /* by name */
	int64_t next_ms;
	uint64_t round;
	size_t bytes;
	bool full; /* said so */
	double (*carried)[2]; /* scratch: of substrate links, bytes/s; < 0: not known */
};

struct samples *samples_new(void)
{
	struct samples *s = mem_alloc(sizeof(*s));
	s->subjects = hash_new();
	return s;
}

static void subject_free(void *value)
{
	struct subject *s = value;
	series_free(s->series);
	free(s->name);
	free(s);
}

void samples_free(struct samples *s)
{
	if (!s)
		return;
	hash_free(s->subjects, subject_free);
	free(s->carried);
	free(s);
}

/* ---- taking ---------------------------------------------------------------------------------- */

static size_t count_columns(const char *const *columns)
{
	size_t n = 0;
	while (columns[n])
		n++;
	return n;
}

static struct subject *subject(struct samples *s, const char *name, const char *const *columns)
{
	struct subject *x = hash_get(s->subjects, name);
	if (!x && s->bytes >= SERIES_BYTES_MAX) {
		if (!s->full)
			log_warn("history takes %zu MiB: what is new gets none until something ends", s->bytes >> 20);
		s->full = true;
		return NULL;
	}
	if (!x) {
		x = mem_alloc(sizeof(*x));
		*x = (struct subject){ .name = mem_str(name), .columns = columns, .series = series_new(count_columns(columns)) };
		hash_put(s->subjects, name, x);
		s->bytes += series_bytes(x->series);
	}
	x->round = s->round;
	return x;
}

static void take(struct samples *s, int64_t now_ms, const char *name, const char *const *columns, const double values[])
{
	struct subject *x = subject(s, name, columns);
	if (x)
		series_add(x->series, now_ms, values);
}

static double or_zero(double v)
{
	return v > 0 ? v : 0;
}

static double mbit_of(double bytes_per_second)
{
	return bytes_per_second < 0 ? -1 : bytes_per_second * 8 / 1e6;
}

static void take_vlink(struct samples *s, int64_t now_ms, const struct network *net, size_t i, double *sum)
{
	const struct port_mon *ports = &net->load.ports[2 * i];
	double values[SERIES_COLUMNS] = { -1, -1, -1, -1 };
	mem_auto char *name = mem_printf("vlink:%s/%s", net->full, net->request.links[i].name);
	struct subject *x = subject(s, name, vlink_columns);
	for (int end = 0; end < 2; end++) {
		if (!ports[end].known)
			continue;
		values[end] = mbit_of(rate_per_second(&ports[end].tx_bytes, now_ms * 1000));
		*sum += or_zero(values[end]);
		uint64_t drops = ports[end].last.tx_drops;
		if (x && x->drops_ms && now_ms > x->drops_ms && drops >= x->drops[end])
			values[2 + end] = (double)(drops - x->drops[end]) * 1000 / (double)(now_ms - x->drops_ms);
		if (x)
			x->drops[end] = drops;
	}
	if (!x)
		return;
	x->drops_ms = now_ms;
	series_add(x->series, now_ms, values);
}

static void take_network(struct samples *s, int64_t now_ms, const struct network *net)
{
	double mbit = 0, cpu = 0;
	for (size_t i = 0; i < net->load.n_routers && i < net->request.n_nodes; i++) {
		const struct router_mon *m = &net->load.routers[i];
		double us = m->known ? rate_per_second(&m->cpu, now_ms * 1000) : -1;
		double values[SERIES_COLUMNS] = { us < 0 ? -1 : us / 1e6, m->known && m->mem_kib >= 0 ? (double)m->mem_kib / 1024 : -1 };
		mem_auto char *name = mem_printf("router:%s/%s", net->full, net->request.nodes[i].name);
		take(s, now_ms, name, router_columns, values);
		cpu += or_zero(values[0]);
	}
	for (size_t i = 0; 2 * i + 1 < net->load.n_ports && i < net->request.n_links; i++)
		take_vlink(s, now_ms, net, i, &mbit);
	double values[SERIES_COLUMNS] = { mbit, cpu };
	mem_auto char *name = mem_printf("network:%s", net->full);
	take(s, now_ms, name, network_columns, values);
}

static void take_nodes(struct samples *s, int64_t now_ms, const struct vned *v)
{
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		const struct agent *a = &v->agents[i];
		bool known = a->connected && a->has_report;
		double values[SERIES_COLUMNS] = { known ? a->report.cpu_permille / 1000.0 : -1,
			                              known && a->report.mem_used_kib >= 0 ? (double)a->report.mem_used_kib / 1024 : -1 };
		mem_auto char *name = mem_printf("node:%s", v->substrate.nodes[i].name);
		if (v->substrate.nodes[i].agent)
			take(s, now_ms, name, node_columns, values);
	}
}

void slinks_carried(const struct vned *v, double (*ret)[2])
{
	int64_t now_us = clock_us();
	for (size_t i = 0; i < v->substrate.n_links; i++) {
		ret[i][0] = v->agents[v->substrate.links[i].a].has_report ? 0 : -1;
		ret[i][1] = v->agents[v->substrate.links[i].b].has_report ? 0 : -1;
	}
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct plan *plan = &v->networks[i]->plan;
		for (size_t p = 0; p < plan->n_nodes; p++) {
			for (size_t k = 0; k < plan->nodes[p].n_segments; k++) {
				const struct plan_segment *seg = &plan->nodes[p].segments[k];
				size_t at = hash_index(v->substrate.link_index, seg->slink);
				const struct seg_mon *m = at == SIZE_MAX ? NULL : monitor_segment(v->monitor, plan->snode[p], seg->vni);
				double rate = m ? rate_per_second(&m->tx_bytes, now_us) : -1;
				if (rate > 0)
					ret[at][v->substrate.links[at].b == plan->snode[p]] += rate;
			}
		}
	}
}

static void take_slinks(struct samples *s, int64_t now_ms, const struct vned *v)
{
	s->carried = mem_grow(s->carried, v->substrate.n_links ? v->substrate.n_links : 1, sizeof(*s->carried));
	slinks_carried(v, s->carried);
	for (size_t i = 0; i < v->substrate.n_links; i++) {
		double values[SERIES_COLUMNS] = { mbit_of(s->carried[i][0]), mbit_of(s->carried[i][1]) };
		mem_auto char *name = mem_printf("link:%s", v->substrate.links[i].name);
		take(s, now_ms, name, link_columns, values);
	}
}

static void forget_absent(void *value, void *arg)
{
	struct samples *s = arg;
	struct subject *x = value;
	if (x->round == s->round) {
		s->bytes += series_bytes(x->series);
	} else {
		hash_del(s->subjects, x->name);
		subject_free(x);
	}
}

void samples_tick(struct vned *v)
{
	struct samples *s = v->samples;
	int64_t now_ms = clock_ms();
	if (now_ms < s->next_ms)
		return;
	s->next_ms = now_ms + SAMPLE_MS;
	s->round++;
	take_nodes(s, now_ms, v);
	take_slinks(s, now_ms, v);
	for (size_t i = 0; i < v->n_networks; i++)
		if (network_committed(v->networks[i]))
			take_network(s, now_ms, v->networks[i]);
	if (s->round % RECOUNT_ROUNDS != 0)
		return;
	s->bytes = 0;
	hash_each(s->subjects, forget_absent, s);
	s->full = s->full && s->bytes >= SERIES_BYTES_MAX;
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* "router:o/n/r" → "o/n"; NULL: not of a network. The caller frees. */
static char *network_of(const char *of)
{
	const char *name = strchr(of, ':') + 1, *slash = strchr(name, '/'), *end = slash ? strchr(slash + 1, '/') : NULL;
	if (strncmp(of, "node:", 5) == 0 || strncmp(of, "link:", 5) == 0)
		return NULL;
	return end ? mem_strn(name, (size_t)(end - name)) : mem_str(name);
}

int samples_find(const struct vned *v, const struct peer *peer, const char *of, int64_t span_us, struct series_view *ret, struct err *err)
{
	if (!strchr(of, ':'))
		return err_set(err, -EINVAL, "%s: expected node:NAME, link:NAME, network:OWNER/NAME, router:OWNER/NAME/ROUTER or vlink:OWNER/NAME/LINK", of);
	mem_auto char *full = network_of(of);
	const struct network *net = full ? hash_get(v->by_name, full) : NULL;
	if (peer->role == ROLE_TENANT && !full)
		return err_set(err, -EACCES, "what nodes and links carry is shown to admins and viewers only");
	const struct subject *x = !full || (net && network_visible(peer, net)) ? hash_get(v->samples->subjects, of) : NULL;
	if (!x)
		return err_set(err, -ENOENT, "%s: there is no history of it%s", of,
		               v->samples->full ? "; history is full" : "; what is new has some after a few seconds");
	int64_t now_ms = clock_ms();
	uint64_t offset = (uint64_t)(clock_wall_ms() - now_ms);
	*ret = (struct series_view){ .of = mem_str(of), .n_columns = count_columns(x->columns) };
	ret->columns = mem_array(ret->n_columns, sizeof(*ret->columns));
	for (size_t c = 0; c < ret->n_columns; c++)
		ret->columns[c] = mem_str(x->columns[c]);
	series_read(x->series, now_ms, span_us / 1000, &ret->points, &ret->n_points, &ret->step_ms);
	for (size_t i = 0; i < ret->n_points; i++)
		ret->points[i].at_ms += offset;
	return 0;
}
