/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the substrate is lost, as far as is known.
 *
 * A link is down when the agent at one of its ends says that nothing goes out by its address there any more, or that of what is sent over it
 * nothing is heard (MSG_WATCH: continuity probes between the agents, told at once). A node is lost when
 * its agent has been silent for long enough that it was not only restarted (`repair_after`), or at once where all its links
 * are down as seen from their other ends, too. A link that goes down again and again stays lost for a while after it came back,
 * each time longer: what was moved away from it would else have to move again. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { CALM_MS = 600000, HOLD_MAX_MS = 300000, FALLS_FREE = 2 };

struct slink_state {
	bool down[2];           /* as said at its first and second node */
	bool silent[2];         /* as heard there */
	char *why[2];           /* the latter's reason, or NULL */
	size_t first;           /* who said so first: the one that is named for as long as it says so */
	unsigned int falls;     /* times it went down without a calm between */
	int64_t fell_ms, rose_ms;
};

struct failures {
	struct slink_state *links;
	bool *drained; /* per node */
	bool *leaving_nodes, *leaving_links; /* the file has them no more, and networks are on them */
};

void failures_init(struct vned *v)
{
	v->failures = mem_alloc(sizeof(*v->failures));
	v->failures->links = mem_array(v->substrate.n_links + 1, sizeof(*v->failures->links));
	v->failures->drained = mem_array(v->substrate.n_nodes + 1, sizeof(*v->failures->drained));
	v->failures->leaving_nodes = mem_array(v->substrate.n_nodes + 1, sizeof(bool));
	v->failures->leaving_links = mem_array(v->substrate.n_links + 1, sizeof(bool));
}

static void links_done(struct slink_state *links, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(links[i].why[0]);
		free(links[i].why[1]);
	}
	free(links);
}

void failures_done(struct vned *v)
{
	struct failures *f = v->failures;
	if (!f)
		return;
	links_done(f->links, v->substrate.n_links);
	free(f->drained);
	free(f->leaving_nodes);
	free(f->leaving_links);
	free(f);
	v->failures = NULL;
}

void failures_move(struct vned *v, const struct substrate *old, const uint32_t *nodes, const uint32_t *links)
{
	struct failures *were = v->failures;
	failures_init(v);
	for (size_t i = 0; i < old->n_links; i++) {
		if (links[i] == UINT32_MAX)
			continue;
		v->failures->links[links[i]] = were->links[i];
		were->links[i] = (struct slink_state){ 0 };
	}
	for (size_t i = 0; i < v->substrate.n_links; i++)
		for (size_t side = 0; side < 2; side++) {
			struct slink_state *l = &v->failures->links[i];
			if (v->substrate.nodes[side ? v->substrate.links[i].b : v->substrate.links[i].a].agent)
				continue;
			l->down[side] = l->silent[side] = false; /* nobody is there any more to take it back */
			free(l->why[side]);
			l->why[side] = NULL;
		}
	for (size_t i = 0; i < old->n_nodes; i++)
		if (nodes[i] != UINT32_MAX)
			v->failures->drained[nodes[i]] = were->drained[i];
	links_done(were->links, old->n_links);
	free(were->drained);
	free(were->leaving_nodes);
	free(were->leaving_links);
	free(were);
}

void failures_leave_node(struct vned *v, uint32_t snode, bool leaves)
{
	v->failures->leaving_nodes[snode] = leaves;
}

void failures_leave_link(struct vned *v, uint32_t slink, bool leaves)
{
	v->failures->leaving_links[slink] = leaves;
}

bool failures_node_leaves(const struct vned *v, uint32_t snode)
{
	return v->failures->leaving_nodes[snode];
}

bool failures_link_leaves(const struct vned *v, uint32_t slink)
{
	return v->failures->leaving_links[slink];
}

/* ---- links -------------------------------------------------------------------------------------------- */

/* After so many falls without a calm, how long it has to be up before it counts as up. */
static int64_t hold_ms(const struct vned *v, const struct slink_state *l)
{
	int64_t hold = v->config.flap_hold_us / 1000;
	for (unsigned int i = FALLS_FREE; hold && i < l->falls && hold < HOLD_MAX_MS; i++)
		hold *= 2;
	return l->falls < FALLS_FREE ? 0 : hold < HOLD_MAX_MS ? hold : HOLD_MAX_MS;
}

static bool down_at(const struct slink_state *l, size_t side)
{
	return l->down[side] || l->silent[side];
}

static bool is_down(const struct slink_state *l)
{
	return down_at(l, 0) || down_at(l, 1);
}

static bool is_held(const struct vned *v, const struct slink_state *l)
{
	return !is_down(l) && l->falls && clock_ms() - l->rose_ms < hold_ms(v, l);
}

bool failures_link(const struct vned *v, uint32_t slink, struct buf *why)
{
	const struct slink *s = &v->substrate.links[slink];
	const struct slink_state *l = &v->failures->links[slink];
	if (!is_down(l) && !is_held(v, l))
		return false;
	size_t side = down_at(l, l->first) ? l->first : !l->first;
	if (why && is_down(l)) {
		buf_printf(why, "link %s is down at %s", s->name, v->substrate.nodes[side ? s->b : s->a].name);
		if (!l->down[side] && l->why[side])
			buf_printf(why, " (%s)", l->why[side]);
	}
	else if (why)
		buf_printf(why, "link %s has gone down %u times; it is not relied on before it has been up for %lld s", s->name, l->falls,
		           (long long)hold_ms(v, l) / 1000);
	return true;
}

static void link_says(struct vned *v, uint32_t slink, size_t side, bool *says, bool down)
{
	struct slink_state *l = &v->failures->links[slink];
	const char *node = v->substrate.nodes[side ? v->substrate.links[slink].b : v->substrate.links[slink].a].name;
	bool before = is_down(l), there = down_at(l, side);
	if (*says == down)
		return;
	*says = down;
	if (there == down_at(l, side))
		return;
	if (!before && down) {
		if (l->fell_ms && clock_ms() - l->fell_ms > CALM_MS)
			l->falls = 0;
		l->falls++;
		l->first = side;
		l->fell_ms = clock_ms();
	}
	if (before && !is_down(l))
		l->rose_ms = clock_ms();
	log_warn("link %s: %s at %s", v->substrate.links[slink].name, down ? "down" : "up again", node);
	events_publish(v->events, "link", v->substrate.links[slink].name, "%s at %s", down ? "down" : "up", node);
	repair_wake(v);
}

static bool listed(char *const *texts, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(texts[i], text))
			return true;
	return false;
}

void failures_report(struct vned *v, const struct agent *a, char *const *down, size_t n)
{
	for (uint32_t i = 0; i < v->substrate.n_links; i++) {
		const struct slink *l = &v->substrate.links[i];
		char text[ADDR_TEXT];
		if (l->a != a->snode && l->b != a->snode)
			continue;
		size_t side = l->b == a->snode;
		const struct addr *address = l->underlay[side].family ? &l->underlay[side] : &v->substrate.nodes[a->snode].address;
		link_says(v, i, side, &v->failures->links[i].down[side], address->family && listed(down, n, addr_host_text(address, text)));
	}
}

static void link_heard(struct vned *v, const struct agent *a, uint32_t slink, enum heard state, const char *why)
{
	const struct slink *s = &v->substrate.links[slink];
	if (s->a != a->snode && s->b != a->snode) { /* an agent's word counts for its own links */
		if (state != HEARD_UNKNOWN)
			agent_claims(v, a, "link", s->name);
		return;
	}
	size_t side = s->b == a->snode;
	struct slink_state *l = &v->failures->links[slink];
	free(l->why[side]);
	l->why[side] = state == HEARD_DOWN && why[0] ? mem_str(why) : NULL;
	link_says(v, slink, side, &l->silent[side], state == HEARD_DOWN);
}

static void guard_heard(struct vned *v, const struct agent *a, const struct guard_heard *g)
{
	struct network *net = networks_find(v, g->net);
	uint32_t at = net ? network_port_at(net, g->port) : UINT32_MAX;
	if (at >= PLAN_UPLINK_ID)
		return;
	const struct vlink *l = &net->request.links[at >> 1];
	if (net->embedding.host[at & 1 ? l->b : l->a] != a->snode)
		return;
	const struct guard_mon *m = &net->load.ports[at].guard;
	bool was = m->on_backup, safe = m->primary == HEARD_UP && m->backup == HEARD_UP;
	if (!net_load_guard(&net->load, at, g))
		return;
	if (was != g->on_backup)
		events_publish(v->events, "network", net->full, "link %s: on its %s path at %s%s%s", l->name, g->on_backup ? "backup" : "primary",
		               v->substrate.nodes[a->snode].name, g->why[0] ? ": " : "", g->why);
	if (!safe && m->primary == HEARD_UP && m->backup == HEARD_UP)
		events_publish(v->events, "network", net->full, "link %s: both of its paths carry at %s", l->name, v->substrate.nodes[a->snode].name);
	if (network_committed(net) && !net->txn)
		health_judge(v, net);
}

void failures_watch(struct vned *v, const struct agent *a, const struct message *m)
{
	for (uint32_t i = 0; m->u.watch.all && i < v->substrate.n_links; i++) {
		bool told = false;
		for (size_t k = 0; k < m->u.watch.n_links; k++)
			told |= !strcmp(m->u.watch.links[k].slink, v->substrate.links[i].name);
		if (!told)
			link_heard(v, a, i, HEARD_UNKNOWN, "");
	}
	for (size_t k = 0; k < m->u.watch.n_links; k++) {
		const struct link_heard *l = &m->u.watch.links[k];
		size_t at = hash_index(v->substrate.link_index, l->slink);
		if (at != SIZE_MAX)
			link_heard(v, a, (uint32_t)at, l->state, l->why);
	}
	for (size_t k = 0; k < m->u.watch.n_guards; k++)
		guard_heard(v, a, &m->u.watch.guards[k]);
}

/* ---- protected links ------------------------------------------------------------------------------------ */

void failures_guards(const struct vned *v, const struct network *net, struct buf *why)
{
	for (size_t at = 0; at < net->load.n_ports && at >> 1 < net->request.n_links; at++) {
		const struct guard_mon *g = &net->load.ports[at].guard;
		const char *link = net->request.links[at >> 1].name;
		if (!net->embedding.links[at >> 1].backup.n)
			continue;
		if (g->primary == HEARD_DOWN && g->backup == HEARD_DOWN)
			buf_printf(why, "link %s: neither path carries anything", link);
		else if (g->on_backup)
			buf_printf(why, "link %s: on its backup path%s%s", link, g->why[0] ? ": " : "", g->why);
		else if (g->backup == HEARD_DOWN)
			buf_printf(why, "link %s: its backup path carries nothing", link);
		if (why->len)
			return;
	}
}

/* ---- nodes ---------------------------------------------------------------------------------------------- */

/* From the other ends: there is no way to it. */
static bool cut_off(const struct vned *v, uint32_t snode)
{
	size_t n = 0;
	for (uint32_t i = 0; i < v->substrate.n_links; i++) {
		const struct slink *l = &v->substrate.links[i];
		if (l->a != snode && l->b != snode)
			continue;
		n++;
		if (!down_at(&v->failures->links[i], l->a == snode))
			return false;
	}
	return n > 0;
}

bool failures_node(const struct vned *v, uint32_t snode, struct buf *why)
{
	const struct agent *a = &v->agents[snode];
	if (!agents_down(v, snode))
		return false;
	int64_t since = a->heard_ms > v->started_ms ? a->heard_ms : v->started_ms;
	if (clock_ms() - since < (v->config.timeout_us + v->config.repair_after_us) / 1000 && !(a->seen && cut_off(v, snode)))
		return false;
	if (why)
		buf_printf(why, "node %s is lost: no word from its agent%s", v->substrate.nodes[snode].name, cut_off(v, snode) ? ", and all its links are down" : "");
	return true;
}

bool failures_drained(const struct vned *v, uint32_t snode)
{
	return v->failures->drained[snode] || v->failures->leaving_nodes[snode];
}

void failures_drain(struct vned *v, uint32_t snode, bool drained)
{
	v->failures->drained[snode] = drained;
}
