/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One virtual link of a plan: its paths cut into runs, which give its MTU; then ports, segments and crosses. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/plan_impl.h"

static int underlay_address(const struct substrate *s, uint32_t snode, uint32_t slink, struct addr *ret, struct err *err)
{
	const struct slink *l = &s->links[slink];
	const struct addr *of_link = &l->underlay[l->a == snode ? 0 : 1];
	const struct addr *a = of_link->family ? of_link : &s->nodes[snode].address;

	if (!a->family)
		return err_set(err, -EINVAL, "substrate link '%s' has no underlay address at '%s', and the node has no address",
		               l->name, s->nodes[snode].name);
	*ret = *a;
	return 0;
}

static uint32_t underlay_room(const struct plan_input *in, uint32_t snode, uint32_t slink, uint32_t overhead)
{
	uint32_t mtu = in->underlay_mtu ? in->underlay_mtu(in->arg, snode, slink) : 0;

	if (!mtu)
		mtu = 1500;
	return mtu > overhead ? mtu - overhead : 0;
}

static int complete_run(struct plan_maker *m, struct run *run, uint32_t *mtu, struct err *err)
{
	const struct plan_input *in = m->in;
	uint32_t room[2], least = in->r->pool_links.family == AF_INET6 ? PLAN_MTU_MIN_V6 : PLAN_MTU_MIN_V4;
	int rc = underlay_address(in->s, run->a, run->first, &run->at_a, err);

	if (!rc)
		rc = underlay_address(in->s, run->b, run->last, &run->at_b, err);
	if (rc < 0)
		return rc;
	if (run->at_a.family != run->at_b.family)
		return err_set(err, -EINVAL, "the underlay addresses of '%s' and '%s' on substrate link '%s' are not of one family",
		               in->s->nodes[run->a].name, in->s->nodes[run->b].name, in->s->links[run->first].name);
	run->overhead = run->at_a.family == AF_INET6 ? VXLAN_OVERHEAD_V6 : VXLAN_OVERHEAD_V4;
	room[0] = underlay_room(in, run->a, run->first, run->overhead);
	room[1] = underlay_room(in, run->b, run->last, run->overhead);
	for (size_t i = 0; i < 2; i++) {
		if (room[i] < least)
			return err_set(err, -EINVAL, "the underlay of '%s' on substrate link '%s' leaves room for packets of %u bytes; "
			               "a virtual link needs %u", in->s->nodes[i ? run->b : run->a].name,
			               in->s->links[i ? run->last : run->first].name, room[i], least);
		if (room[i] < *mtu)
			*mtu = room[i];
	}
	return 0;
}

/* Cuts a path into runs, behind those that are there. */
static int cut_path(struct plan_maker *m, size_t link, const struct path *p, uint32_t *mtu, struct err *err)
{
	const struct vlink *l = &m->in->r->links[link];
	int rc = plan_walk(m, l, p, err);

	for (size_t h = 0, begin = 0; !rc && h < p->n; h++) {
		struct run *run;

		if (!m->in->s->nodes[m->via[h + 1]].agent)
			continue;
		run = vec_add(&m->runs);
		*run = (struct run){ .a = m->via[begin], .b = m->via[h + 1], .first = p->links[begin], .last = p->links[h] };
		begin = h + 1;
		rc = complete_run(m, run, mtu, err);
		if (!rc)
			run->vni = plan_standing_vni(m, link, p, run->a, run->b);
		if (!rc && !run->vni)
			rc = m->in->vnis.take(m->in->vnis.arg, &run->vni, err);
		if (!rc)
			*vec_add(&m->vnis) = run->vni;
		if (rc < 0)
			return err_add(err, rc, "link '%s'", l->name);
	}
	return rc;
}

static void add_segment(struct plan_maker *m, size_t link, const struct run *run, bool at_b, uint32_t mtu)
{
	struct node_plan *np = plan_node_at(m, at_b ? run->b : run->a);
	struct plan_segment *seg = plan_append(&np->segments, &np->n_segments, sizeof(*seg));

	seg->vni = run->vni;
	seg->link = m->numbers.link[link];
	seg->local = at_b ? run->at_b : run->at_a;
	seg->remote = at_b ? run->at_a : run->at_b;
	seg->slink = mem_str(m->in->s->links[run->first].name);
	seg->mtu = mtu;
	seg->best_effort = !m->in->r->links[link].bw_kbps;
}

static void add_cross(struct plan_maker *m, uint32_t snode, const struct plan_cross *x)
{
	struct node_plan *np = plan_node_at(m, snode);

	*(struct plan_cross *)plan_append(&np->crosses, &np->n_crosses, sizeof(*x)) = *x;
}

/* Writes the segments and crosses of one path, whose runs are run[0 … n - 1]. */
static void add_path(struct plan_maker *m, size_t link, uint32_t number, enum cross_role role, int64_t bw_kbps,
                     const struct run *run, size_t n, uint32_t mtu)
{
	uint32_t end = (uint32_t)link << 1;
	struct endpoint port[2] = { { ENDPOINT_PORT, plan_port_id(m, end) }, { ENDPOINT_PORT, plan_port_id(m, end | 1) } };
	struct plan_cross x = { .role = role, .path = number };

	for (size_t i = 0; i < n; i++) {
		add_segment(m, link, &run[i], false, mtu);
		add_segment(m, link, &run[i], true, mtu);
		if (run[i].overhead > x.overhead)
			x.overhead = run[i].overhead;
	}
	for (size_t i = 0; i <= n; i++) {
		struct endpoint to = { ENDPOINT_SEGMENT, i < n ? run[i].vni : 0 };
		struct endpoint from = { ENDPOINT_SEGMENT, i ? run[i - 1].vni : 0 };
		bool last = i == 0 || i == n;

		x.a = i == 0 ? port[0] : i == n ? port[1] : from;
		x.b = i == n ? from : to;
		x.bw_kbps = last ? bw_kbps : 0;
		add_cross(m, i < n ? run[i].a : run[n - 1].b, &x);
	}
}

int plan_add_link(struct plan_maker *m, size_t link, struct err *err)
{
	const struct vlink *l = &m->in->r->links[link];
	const struct vlink_map *map = &m->in->e->links[link];
	size_t end[PATHS_MAX + 1] = { 0 }, begin = 0;
	uint32_t mtu = PLAN_MTU_MAX;
	int rc = 0;

	if (m->in->e->host[l->a] == m->in->e->host[l->b]) {
		struct plan_cross x = {
			.a = { ENDPOINT_PORT, plan_port_id(m, (uint32_t)link << 1) },
			.b = { ENDPOINT_PORT, plan_port_id(m, (uint32_t)link << 1 | 1) },
			.bw_kbps = l->bw_kbps,
		};

		plan_add_port(m, link, 0, mtu);
		plan_add_port(m, link, 1, mtu);
		add_cross(m, m->in->e->host[l->a], &x);
		return 0;
	}
	if (!map->n_paths || map->n_paths > PATHS_MAX)
		return err_set(err, -EINVAL, "link '%s' has %zu paths", l->name, map->n_paths);
	m->runs.n = 0;
	for (size_t k = 0; !rc && k < map->n_paths; k++) {
		rc = cut_path(m, link, &map->paths[k], &mtu, err);
		end[k] = m->runs.n;
	}
	if (!rc && map->backup.n)
		rc = cut_path(m, link, &map->backup, &mtu, err);
	if (rc < 0)
		return rc;
	plan_add_port(m, link, 0, mtu);
	plan_add_port(m, link, 1, mtu);
	for (size_t k = 0; k < map->n_paths; begin = end[k++])
		add_path(m, link, (uint32_t)k, CROSS_PRIMARY, map->paths[k].bw_kbps, &m->runs.v[begin], end[k] - begin, mtu);
	if (map->backup.n)
		add_path(m, link, (uint32_t)map->n_paths, CROSS_BACKUP, map->backup.bw_kbps, &m->runs.v[begin],
		         m->runs.n - begin, mtu);
	return 0;
}
