/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views through the writer. Where text wants another shape than JSON (reserved of all, ways as one
 * cell) a field stands twice: once with a key and no title, once with a title and no key. */
#include "model/view_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/substrate.h"
#include "model/units.h"

enum { TEXT = 64 };

/* ---- pieces ----------------------------------------------------------------------------- */

/* A list of what stands between separators. */
static void write_words(struct writer *w, const char *key, const char *title, const char *text, const char *separators)
{
	write_list(w, key, title);
	for (const char *at = text ? text : ""; *(at += strspn(at, separators));) {
		size_t n = strcspn(at, separators);
		mem_auto char *word = mem_strn(at, n);

		write_string(w, NULL, NULL, word);
		at += n;
	}
	write_end(w);
}

static void write_pair(struct writer *w, const char *key, const char *a, const char *b)
{
	write_list(w, key, NULL);
	write_string(w, NULL, NULL, a ? a : "");
	write_string(w, NULL, NULL, b ? b : "");
	write_end(w);
}

static void write_counts(struct writer *w, const char *key, const char *title, const uint64_t figure[2])
{
	write_list(w, key, title);
	for (int i = 0; i < 2; i++)
		write_int(w, NULL, NULL, figure[i] > INT64_MAX ? INT64_MAX : (int64_t)figure[i]);
	write_end(w);
}

static void write_now(struct writer *w, const double mbit[2])
{
	static const char *const titles[2] = { "now →", "now ←" };
	char text[TEXT];

	if (mbit[0] >= 0 && mbit[1] >= 0) {
		write_list(w, "mbit_now", NULL);
		write_number(w, NULL, NULL, mbit[0], 2);
		write_number(w, NULL, NULL, mbit[1], 2);
		write_end(w);
	}
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "%.2fmbit", mbit[i]);
		if (mbit[i] >= 0)
			write_quantity(w, NULL, titles[i], mbit[i], text);
	}
}

static const char *mbit_text(double mbit, char text[static UNITS_TEXT])
{
	return units_bandwidth_text(isfinite(mbit) && mbit > 0 ? llround(fmin(mbit, 1e12) * 1000) : 0, text);
}

static const char *cores_text(int64_t milli, char text[static TEXT])
{
	snprintf(text, TEXT, "%.10g", (double)milli / 1000);
	return text;
}

/* Measured memory: never exact, so in the unit that reads best. */
static const char *used_text(int64_t kib, char text[static TEXT])
{
	if (kib >= 1 << 20)
		snprintf(text, TEXT, "%.1fGiB", (double)kib / (1 << 20));
	else
		snprintf(text, TEXT, "%.1fMiB", (double)kib / 1024);
	return text;
}

static const char *time_text(uint64_t wall_ms, char text[static TEXT])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(text, TEXT, "%Y-%m-%d %H:%M:%SZ", &tm))
		snprintf(text, TEXT, "%llu ms", (unsigned long long)wall_ms);
	return text;
}

static const char *delay_text(int64_t us, char text[static UNITS_TEXT])
{
	return units_delay_text(us, text);
}

/* ---- networks --------------------------------------------------------------------------- */

static void write_realtime(struct writer *w, const struct router_view *v)
{
	char a[UNITS_TEXT], b[UNITS_TEXT], text[2 * UNITS_TEXT + 8];

	write_object(w, "realtime", NULL);
	write_int(w, "period_us", NULL, v->rt_period_us);
	write_int(w, "budget_us", NULL, v->rt_budget_us);
	write_end(w);
	snprintf(text, sizeof(text), "%s of %s", units_delay_text(v->rt_budget_us, a), units_delay_text(v->rt_period_us, b));
	write_string(w, NULL, "realtime", text);
}

/* In a table planes have a column where one is not what every router of its kind has. */
static void write_ways_out(struct writer *w, const struct router_view *v)
{
	mem_auto char *program = v->program ? mem_printf("program %s", v->program) : NULL;

	write_string(w, "plane", v->plane && strcmp(v->plane, "split") == 0 ? "plane" : NULL, v->plane);
	write_string(w, "program", NULL, v->program);
	write_string(w, NULL, "plane", program);
	write_string(w, "controller", "controller", v->controller);
	if (v->uplinks && v->uplinks[0])
		write_words(w, "uplinks", "uplinks", v->uplinks, " ");
}

static void write_router(struct writer *w, const struct router_view *v)
{
	char text[TEXT], units[UNITS_TEXT];

	write_object(w, NULL, NULL);
	write_string(w, "name", "router", v->name);
	write_string(w, "node", "node", v->node);
	write_string(w, "kind", "kind", v->kind);
	write_string(w, "state", "state", v->state);
	write_words(w, "loopbacks", "loopback", v->loopback, " ");
	write_quantity(w, "cpu", "cpu", (double)v->cpu_milli / 1000, cores_text(v->cpu_milli, text));
	if (v->cpu_used >= 0)
		write_number(w, "cpu_used", "used", v->cpu_used, 3);
	write_int(w, "memory_kib", NULL, v->mem_kib);
	write_quantity(w, NULL, "memory", 0, units_memory_text(v->mem_kib, units));
	if (v->mem_used_kib >= 0) {
		write_int(w, "memory_used_kib", NULL, v->mem_used_kib);
		write_quantity(w, NULL, "in use", 0, used_text(v->mem_used_kib, text));
	}
	if (v->image)
		write_string(w, "image", "image", v->image);
	if (v->rt_period_us)
		write_realtime(w, v);
	write_ways_out(w, v);
	write_string(w, "reason", "reason", v->reason);
	write_end(w);
}

static void write_path(struct writer *w, const char *key, const struct path_view *p)
{
	write_object(w, key, NULL);
	write_words(w, "via", NULL, p->via, " ");
	write_words(w, "links", NULL, p->links, " ");
	write_number(w, "mbit", NULL, p->mbit, 3);
	write_end(w);
}

static void write_ways(struct writer *w, const struct vlink_view *v)
{
	buf_auto struct buf text = BUF_INIT;
	size_t primaries = 0;

	for (size_t i = 0; i < v->n_paths; i++)
		primaries += !v->paths[i].backup;
	write_list(w, "paths", NULL);
	for (size_t i = 0; i < v->n_paths; i++)
		if (!v->paths[i].backup)
			write_path(w, NULL, &v->paths[i]);
	write_end(w);
	for (size_t i = 0; i < v->n_paths; i++) {
		const struct path_view *p = &v->paths[i];

		if (p->backup)
			write_path(w, "backup", p);
		buf_printf(&text, "%s%s%s", i ? "; " : "", p->backup ? "backup: " : "", p->via ? p->via : "");
		if (primaries > 1 && !p->backup)
			buf_printf(&text, " (%.10gmbit)", p->mbit);
	}
	write_string(w, "in_use", "path", v->in_use);
	write_string(w, NULL, "via", text.len ? buf_cstr(&text) : v->delay_us >= 0 ? "(inside one node)" : NULL);
}

static void write_link(struct writer *w, const struct vlink_view *v)
{
	char text[UNITS_TEXT];

	write_object(w, NULL, NULL);
	write_string(w, "name", "link", v->name);
	write_pair(w, "endpoints", v->a, v->b);
	write_pair(w, "addresses", v->address_a, v->address_b);
	write_string(w, NULL, "from", v->a);
	write_string(w, NULL, "to", v->b);
	write_quantity(w, "mbit", "promised", v->mbit, v->mbit > 0 ? mbit_text(v->mbit, text) : "best effort");
	write_now(w, v->mbit_now);
	write_counts(w, "frames", NULL, v->frames);
	write_counts(w, "bytes", NULL, v->bytes);
	write_counts(w, "drops", "drops → ←", v->drops);
	if (v->delay_us >= 0) { /* a link that was refused has no way */
		write_int(w, "delay_us", NULL, v->delay_us);
		write_quantity(w, NULL, "delay", 0, delay_text(v->delay_us, text));
	}
	if (v->max_delay_us >= 0) {
		write_int(w, "max_delay_us", NULL, v->max_delay_us);
		write_quantity(w, NULL, "at most", 0, delay_text(v->max_delay_us, text));
	}
	write_int(w, "mtu", "mtu", v->mtu);
	write_ways(w, v);
	write_end(w);
}

/* Few networks have any. */
static void write_uplinks(struct writer *w, const struct network_view *v)
{
	if (!v->n_uplinks)
		return;
	write_list(w, "uplinks", "uplinks");
	for (size_t i = 0; i < v->n_uplinks; i++) {
		const struct uplink_view *u = &v->uplinks[i];

		write_object(w, NULL, NULL);
		write_string(w, "router", "router", u->router);
		write_string(w, "port", "uplink", u->port);
		if (u->address && u->address[0])
			write_string(w, "address", "address", u->address);
		if (u->gateway && u->gateway[0])
			write_string(w, "gateway", "gateway", u->gateway);
		write_bool(w, "nat", "nat", u->nat);
		write_now(w, u->mbit_now);
		write_counts(w, "frames", NULL, u->frames);
		write_counts(w, "bytes", NULL, u->bytes);
		write_counts(w, "drops", "drops → ←", u->drops);
		write_end(w);
	}
	write_end(w);
}

static void write_times(struct writer *w, const struct network_view *v)
{
	char text[TEXT], units[UNITS_TEXT];

	if (v->submitted_ms)
		write_int(w, "submitted_ms", NULL, (int64_t)v->submitted_ms);
	if (v->changed_ms)
		write_int(w, "changed_ms", NULL, (int64_t)v->changed_ms);
	if (v->detailed && v->submitted_ms)
		write_string(w, NULL, "submitted", time_text(v->submitted_ms, text));
	if (v->detailed && v->changed_ms)
		write_string(w, NULL, "changed", time_text(v->changed_ms, text));
	if (v->lifetime_us < 0)
		return;
	write_number(w, "lifetime_seconds", NULL, (double)v->lifetime_us / 1e6, 3);
	write_string(w, NULL, v->detailed ? "lifetime" : NULL, units_duration_text(v->lifetime_us, units));
}

static void write_answer(struct writer *w, const struct network_view *v)
{
	double gap = v->cost - v->bound <= 1e-9 * v->cost ? 0 : (v->cost - v->bound) / v->cost;
	bool known = v->bound >= 0 && (gap == 0 || v->cost > 0);

	write_number(w, "cost", "cost", v->cost, 2);
	if (v->bound >= 0)
		write_number(w, "bound", v->detailed ? "bound" : NULL, v->bound, 2);
	if (known)
		write_number(w, "gap", NULL, gap, 4);
	if (known && v->detailed) {
		char text[TEXT];

		snprintf(text, sizeof(text), "%.2g %%", 100 * gap);
		write_quantity(w, NULL, "gap", gap, text);
	}
	write_number(w, "revenue", v->detailed ? "revenue" : NULL, v->revenue, 2);
	write_number(w, "solve_seconds", v->detailed ? "solved in (s)" : NULL, v->solve_seconds, 4);
	write_string(w, "solver", v->detailed ? "solver" : NULL, v->solver);
	write_string(w, "status", v->detailed ? "status" : "answer", v->status);
}

static void write_changes(struct writer *w, const struct network_view *v)
{
	if (!v->n_changes)
		return;
	write_list(w, "changes", "changes");
	for (size_t i = 0; i < v->n_changes; i++) {
		const struct change_view *c = &v->changes[i];

		write_object(w, NULL, NULL);
		write_string(w, "of", "of", c->of_link ? "link" : "router");
		write_string(w, "name", "name", c->name);
		write_string(w, "change", "change", c->what);
		write_bool(w, "interrupted", NULL, c->interrupted);
		write_string(w, NULL, "interrupted", c->interrupted ? "for a while" : "no");
		write_end(w);
	}
	write_end(w);
}

void write_network_view(struct writer *w, const struct network_view *v)
{
	mem_auto char *full = mem_printf("%s/%s", v->owner ? v->owner : "", v->name ? v->name : "");

	write_object(w, NULL, "");
	write_string(w, "owner", NULL, v->owner);
	write_string(w, "name", NULL, v->name);
	write_string(w, NULL, "network", full);
	if (v->id) /* what is only planned has none, and no times either */
		write_int(w, "id", "id", v->id);
	else if (!v->detailed) /* in a table the column stays where it is */
		write_quantity(w, NULL, "id", 0, "-");
	write_int(w, "generation", "generation", v->generation);
	write_string(w, "state", "state", net_state_names[v->state < NET_STATES ? v->state : NET_FAILED]);
	write_int(w, "router_count", v->detailed ? NULL : "routers", (int64_t)v->n_routers);
	write_int(w, "link_count", v->detailed ? NULL : "links", (int64_t)v->n_links);
	write_times(w, v);
	write_answer(w, v);
	write_string(w, "reason", "reason", v->reason);
	if (v->detailed) {
		write_list(w, "routers", "routers");
		for (size_t i = 0; i < v->n_routers; i++)
			write_router(w, &v->routers[i]);
		write_end(w);
		write_list(w, "links", "links");
		for (size_t i = 0; i < v->n_links; i++)
			write_link(w, &v->links[i]);
		write_end(w);
		write_uplinks(w, v);
		write_changes(w, v);
	}
	write_end(w);
}

/* ---- nodes and links of the substrate --------------------------------------------------- */

static void write_node_memory(struct writer *w, const struct node_view *v)
{
	char a[UNITS_TEXT], b[UNITS_TEXT], text[2 * TEXT];

	if (v->mem_kib != UNLIMITED)
		write_int(w, "memory_kib", NULL, v->mem_kib);
	write_int(w, "memory_reserved_kib", NULL, v->mem_reserved_kib);
	snprintf(text, sizeof(text), v->mem_kib == UNLIMITED ? "%s" : "%s of %s", units_memory_text(v->mem_reserved_kib, a),
	         v->mem_kib == UNLIMITED ? "" : units_memory_text(v->mem_kib, b));
	write_string(w, NULL, "memory promised", text);
	if (v->mem_total_kib >= 0)
		write_int(w, "memory_total_kib", NULL, v->mem_total_kib);
	if (v->mem_used_kib >= 0)
		write_int(w, "memory_used_kib", NULL, v->mem_used_kib);
	if (v->mem_total_kib > 0 && v->mem_used_kib >= 0)
		write_number(w, "memory_used_ratio", "in use", (double)v->mem_used_kib / (double)v->mem_total_kib, 3);
}

/* Of a node that hosts guests: as text one column, as JSON an object. */
static void write_guests(struct writer *w, const struct node_view *v)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];
	buf_auto struct buf text = BUF_INIT;

	write_object(w, "guests", NULL);
	write_int(w, "count", NULL, (int64_t)v->guests);
	buf_printf(&text, "%zu", v->guests);
	if (v->guests_max != UNLIMITED) {
		write_int(w, "max", NULL, v->guests_max);
		buf_printf(&text, " of %lld", (long long)v->guests_max);
	}
	write_int(w, "memory_reserved_kib", NULL, v->guest_reserved_kib);
	if (v->guest_kib != UNLIMITED) {
		write_int(w, "memory_kib", NULL, v->guest_kib);
		buf_printf(&text, ", %s of %s", units_memory_text(v->guest_reserved_kib, a), units_memory_text(v->guest_kib, b));
	}
	write_number(w, "realtime", NULL, (double)v->realtime_milli / 1000, 3);
	write_number(w, "realtime_reserved", NULL, (double)v->realtime_reserved_milli / 1000, 3);
	if (v->realtime_milli)
		buf_printf(&text, ", realtime %s of %s", units_cpu_text(v->realtime_reserved_milli, a), units_cpu_text(v->realtime_milli, b));
	write_words(w, "images", NULL, v->images, " ");
	write_end(w);
	write_string(w, NULL, "guests", buf_cstr(&text));
}

/* Names that a node has for whoever asks; most have none. */
static void write_offered(struct writer *w, const char *key, const char *names)
{
	if (names && names[0])
		write_words(w, key, key, names, " ");
}

void write_node_view(struct writer *w, const struct node_view *v)
{
	char a[TEXT], b[TEXT], text[3 * TEXT];

	write_object(w, NULL, "");
	write_string(w, "name", "node", v->name);
	write_string(w, "state", "state", v->state);
	if (v->drained)
		write_bool(w, "drained", NULL, true);
	if (v->leaves)
		write_bool(w, "leaves", NULL, true);
	write_string(w, NULL, "drained", v->leaves ? "leaves" : v->drained ? "yes" : NULL);
	write_words(w, "kinds", "kinds", v->kinds, " ");
	write_int(w, "routers", "routers", (int64_t)v->routers);
	write_int(w, "segments", "segments", (int64_t)v->segments);
	write_number(w, "cpu", NULL, (double)v->cpu_milli / 1000, 3);
	write_number(w, "cpu_reserved", NULL, (double)v->cpu_reserved_milli / 1000, 3);
	snprintf(text, sizeof(text), "%s of %s", cores_text(v->cpu_reserved_milli, a), cores_text(v->cpu_milli, b));
	write_string(w, NULL, "cpu promised", text);
	if (v->cpu_used_ratio >= 0)
		write_number(w, "cpu_used_ratio", "load", v->cpu_used_ratio, 3);
	write_node_memory(w, v);
	if (v->hosts_guests)
		write_guests(w, v);
	if (v->seen_ms_ago >= 0) {
		write_int(w, "seen_ms_ago", NULL, v->seen_ms_ago);
		snprintf(text, sizeof(text), "%.1f s ago", (double)v->seen_ms_ago / 1000);
		write_quantity(w, NULL, "seen", 0, text);
	}
	write_string(w, "address", NULL, v->address);
	if (v->has_location) {
		write_list(w, "location", NULL);
		write_number(w, NULL, NULL, v->latitude, 4);
		write_number(w, NULL, NULL, v->longitude, 4);
		write_end(w);
	}
	write_words(w, "lacks", NULL, v->lacks, ", ");
	write_string(w, NULL, "lacks", v->lacks);
	write_offered(w, "uplinks", v->uplinks);
	write_offered(w, "programs", v->programs);
	write_end(w);
}

void write_slink_view(struct writer *w, const struct slink_view *v)
{
	char text[UNITS_TEXT];

	write_object(w, NULL, "");
	write_string(w, "name", "link", v->name);
	write_pair(w, "endpoints", v->a, v->b);
	write_string(w, NULL, "from", v->a);
	write_string(w, NULL, "to", v->b);
	write_quantity(w, "mbit", "bandwidth", v->mbit, mbit_text(v->mbit, text));
	write_quantity(w, "reserved_mbit", "promised", v->reserved_mbit, mbit_text(v->reserved_mbit, text));
	if (v->mbit > 0)
		write_number(w, "reserved_ratio", "of it", v->reserved_mbit / v->mbit, 3);
	write_now(w, v->mbit_now);
	if (v->delay_us >= 0) { /* a link that was refused has no way */
		write_int(w, "delay_us", NULL, v->delay_us);
		write_quantity(w, NULL, "delay", 0, delay_text(v->delay_us, text));
	}
	write_int(w, "segments", "segments", (int64_t)v->segments);
	write_string(w, "lost", "lost", v->lost);
	write_end(w);
}

/* ---- events ----------------------------------------------------------------------------- */

static void write_event(struct writer *w, const struct event_view *v, bool row)
{
	char text[TEXT];

	time_text(v->wall_ms, text);
	write_object(w, NULL, "");
	if (!row)
		write_line(w, "%s  %s %s: %s", text, v->kind, v->object, v->what);
	write_int(w, "sequence", NULL, (int64_t)v->sequence);
	write_int(w, "wall_ms", NULL, (int64_t)v->wall_ms);
	write_string(w, NULL, row ? "time" : NULL, text);
	write_string(w, "kind", row ? "kind" : NULL, v->kind);
	write_string(w, "object", row ? "object" : NULL, v->object);
	write_string(w, "what", row ? "what" : NULL, v->what);
	write_end(w);
}

void write_event_view(struct writer *w, const struct event_view *v)
{
	write_event(w, v, false);
}

/* ---- lists ------------------------------------------------------------------------------ */

void write_network_views(struct writer *w, const char *key, const char *title, const struct network_view *v, size_t n)
{
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++)
		write_network_view(w, &v[i]);
	write_end(w);
}

void write_node_views(struct writer *w, const char *key, const char *title, const struct node_view *v, size_t n)
{
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++)
		write_node_view(w, &v[i]);
	write_end(w);
}

void write_slink_views(struct writer *w, const char *key, const char *title, const struct slink_view *v, size_t n)
{
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++)
		write_slink_view(w, &v[i]);
	write_end(w);
}

void write_event_views(struct writer *w, const char *key, const char *title, const struct event_view *v, size_t n)
{
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++)
		write_event(w, &v[i], true);
	write_end(w);
}

void write_history_views(struct writer *w, const char *key, const char *title, const struct history_view *v, size_t n)
{
	char text[TEXT];
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++) {
		time_text(v[i].wall_ms, text);
		write_object(w, NULL, "");
		write_string(w, NULL, "time", text);
		write_int(w, "wall_ms", NULL, (int64_t)v[i].wall_ms);
		write_string(w, "network", "network", v[i].network);
		write_int(w, "id", "id", v[i].id);
		write_int(w, "generation", "generation", v[i].generation);
		write_string(w, "state", "state", net_state_names[v[i].state]);
		write_string(w, "who", "who", v[i].who);
		write_string(w, "why", "why", v[i].why);
		write_end(w);
	}
	write_end(w);
}

void write_series_view(struct writer *w, const struct series_view *v)
{
	char text[TEXT];
	write_object(w, NULL, "");
	write_string(w, "of", "of", v->of);
	write_int(w, "step_ms", NULL, v->step_ms);
	write_list(w, "points", "");
	for (size_t i = 0; i < v->n_points; i++) {
		time_text(v->points[i].at_ms, text);
		write_object(w, NULL, "");
		write_string(w, NULL, "from", text);
		write_int(w, "at_ms", NULL, (int64_t)v->points[i].at_ms);
		for (size_t c = 0; c < v->n_columns && c < SERIES_COLUMNS; c++) {
			mem_auto char *max = mem_printf("%s_max", v->columns[c]);
			if (v->points[i].mean[c] < 0)
				continue;
			write_number(w, v->columns[c], v->columns[c], v->points[i].mean[c], 3);
			write_number(w, max, max, v->points[i].max[c], 3);
		}
		write_end(w);
	}
	write_end(w);
	write_end(w);
}

void write_routes_views(struct writer *w, const char *key, const char *title, const struct routes_view *v, size_t n)
{
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++) {
		write_object(w, NULL, "");
		write_string(w, "router", "router", v[i].router);
		write_string(w, "node", "node", v[i].node);
		write_string(w, "why", "not known", v[i].why[0] ? v[i].why : NULL);
		write_list(w, "neighbours", v[i].n_neighbours ? "neighbours" : NULL);
		for (size_t k = 0; k < v[i].n_neighbours; k++) {
			const struct neighbour_view *x = &v[i].neighbours[k];
			write_object(w, NULL, "");
			write_string(w, "router", "router", x->router);
			write_string(w, "device", "device", x->device);
			write_int(w, "family", "family", x->family);
			write_string(w, "state", "state", x->state[0] ? x->state : "nothing heard");
			write_end(w);
		}
		write_end(w);
		write_list(w, "routes", v[i].n_routes ? "routes" : NULL);
		for (size_t k = 0; k < v[i].n_routes; k++) {
			const struct route_view *x = &v[i].routes[k];
			write_object(w, NULL, "");
			write_string(w, "to", "to", x->to);
			write_string(w, "via", "via", x->via[0] ? x->via : NULL);
			write_string(w, "device", "device", x->device[0] ? x->device : NULL);
			write_string(w, "protocol", "protocol", x->protocol[0] ? x->protocol : NULL);
			write_int(w, "metric", "metric", x->metric);
			write_end(w);
		}
		write_end(w);
		if (v[i].left_out)
			write_int(w, "left_out", "more that are not shown", (int64_t)v[i].left_out);
		write_end(w);
	}
	write_end(w);
}
