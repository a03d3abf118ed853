/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checker beside a second one, written from formats.md in the most naive way there is, on random
 * embeddings of which most have been tampered with: both say the same. What is handed in may have
 * any index in it; under SAN=1 this shows that none is used before it is known. */
#include "tests/help_random.h"

#include <math.h>
#include <stdio.h>

enum { CASES = 4000 };

struct naive {
	const struct substrate *s;
	const struct residual *left;
	const struct request *r;
	const struct embedding *e;
};

static bool node_fine(const struct naive *c, size_t i)
{
	const struct vnode *v = &c->r->nodes[i];
	const struct snode *host;
	bool hosts;

	if (c->e->host[i] >= c->s->n_nodes || !c->e->kind[i])
		return false;
	host = &c->s->nodes[c->e->host[i]];
	hosts = host->any_kind;
	for (size_t k = 0; k < host->kinds.n; k++)
		hosts |= !strcmp(host->kinds.v[k], c->e->kind[i]);
	if (!host->agent || !hosts || (v->kind && strcmp(v->kind, c->e->kind[i])))
		return false;
	if (v->image && !host->any_image) {
		bool has = false;

		for (size_t k = 0; k < host->images.n; k++)
			has |= !strcmp(host->images.v[k], v->image);
		if (!has)
			return false;
	}
	if (!strcmp(c->e->kind[i], "xen") && (v->kind || (host->kinds.n == 1 && !host->any_kind)) &&
	    v->demand[RES_PORTS] > host->max_guest_ports)
		return false;
	for (size_t k = 0; k < v->place.not_on.n; k++)
		if (!strcmp(v->place.not_on.v[k], host->name))
			return false;
	for (size_t k = 0; k < i && c->r->placement == PLACEMENT_DISTINCT; k++)
		if (c->e->host[k] == c->e->host[i])
			return false;
	return true;
}

static bool resources_fine(const struct naive *c)
{
	for (size_t h = 0; h < c->s->n_nodes; h++) {
		int64_t cpu = 0, mem = 0, routers = 0, ports = 0, guests = 0, guest_mem = 0, realtime = 0;

		for (size_t i = 0; i < c->r->n_nodes; i++) {
			if (c->e->host[i] != h)
				continue;
			cpu += c->r->nodes[i].demand[RES_CPU_MILLI];
			mem += c->r->nodes[i].demand[RES_MEM_KIB];
			routers++;
			if (!strcmp(c->e->kind[i], "xen")) {
				const struct vnode *v = &c->r->nodes[i];

				guests++;
				guest_mem += v->demand[RES_MEM_KIB] < 65536 ? 65536 : v->demand[RES_MEM_KIB];
				if (v->rt_period_us)
					realtime += (int64_t)ceil(1000.0 * (double)v->rt_budget_us / (double)v->rt_period_us);
			}
			for (size_t k = 0; k < c->r->n_links; k++)
				ports += c->r->links[k].a == i || c->r->links[k].b == i;
		}
		if (cpu > c->left->node[h][RES_CPU_MILLI] || mem > c->left->node[h][RES_MEM_KIB] ||
		    guests > c->left->node[h][RES_GUESTS] || guest_mem > c->left->node[h][RES_GUEST_KIB] ||
		    realtime > c->left->node[h][RES_REALTIME_MILLI] || routers > c->left->node[h][RES_ROUTERS] || ports > c->left->node[h][RES_PORTS])
			return false;
	}
	return true;
}

static bool path_fine(const struct naive *c, const struct vlink *l, const struct path *p)
{
	uint32_t via[64];
	int64_t delay = 0;

	if (!p->n || p->n >= 64)
		return false;
	via[0] = c->e->host[l->a];
	for (size_t h = 0; h < p->n; h++) {
		const struct slink *sl;

		if (p->links[h] >= c->s->n_links)
			return false;
		sl = &c->s->links[p->links[h]];
		if (via[h] != sl->a && via[h] != sl->b)
			return false;
		via[h + 1] = sl->a + sl->b - via[h];
		for (size_t k = 0; k <= h; k++)
			if (via[k] == via[h + 1])
				return false;
		delay += sl->delay_us;
	}
	return via[p->n] == c->e->host[l->b] && (l->max_delay_us < 0 || delay <= l->max_delay_us);
}

/* By relaxing every link as often as there are nodes. */
static size_t hops(const struct substrate *s, uint32_t from, uint32_t to)
{
	size_t d[RANDOM_NODES_MAX + 1];

	for (size_t i = 0; i < s->n_nodes; i++)
		d[i] = i == from ? 0 : 1000;
	for (size_t round = 0; round < s->n_nodes; round++)
		for (size_t k = 0; k < s->n_links; k++) {
			uint32_t a = s->links[k].a, b = s->links[k].b;

			d[a] = d[b] + 1 < d[a] ? d[b] + 1 : d[a];
			d[b] = d[a] + 1 < d[b] ? d[a] + 1 : d[b];
		}
	return d[to];
}

static bool disjoint(const struct substrate *s, const struct path *p, const struct path *q)
{
	if (random_share_link(p, q))
		return false;
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < q->n; k++) {
			const struct yaml_names *a = &s->links[p->links[i]].risks, *b = &s->links[q->links[k]].risks;

			for (size_t x = 0; x < a->n; x++)
				for (size_t y = 0; y < b->n; y++)
					if (!strcmp(a->v[x], b->v[y]))
						return false;
		}
	return true;
}

static bool link_fine(const struct naive *c, size_t i)
{
	const struct vlink *l = &c->r->links[i];
	const struct vlink_map *m = &c->e->links[i];
	int64_t sum = 0;

	if (c->e->host[l->a] == c->e->host[l->b])
		return !m->n_paths && !m->backup.n;
	if (!m->n_paths || m->n_paths > (l->split && l->bw_kbps ? 8 : 1))
		return false;
	for (size_t k = 0; k < m->n_paths; k++) {
		if (!path_fine(c, l, &m->paths[k]) || m->paths[k].bw_kbps < 0 || (l->bw_kbps && !m->paths[k].bw_kbps))
			return false;
		sum += m->paths[k].bw_kbps;
	}
	if (sum != l->bw_kbps || (!l->bw_kbps && m->paths[0].n != hops(c->s, c->e->host[l->a], c->e->host[l->b])))
		return false;
	if (!l->protect)
		return !m->backup.n;
	return path_fine(c, l, &m->backup) && m->backup.bw_kbps == l->bw_kbps && disjoint(c->s, &m->paths[0], &m->backup);
}

static int64_t carried(const struct path *p, uint32_t link)
{
	for (size_t h = 0; h < p->n; h++)
		if (p->links[h] == link)
			return p->bw_kbps;
	return 0;
}

static bool fine(const struct naive *c)
{
	for (size_t i = 0; i < c->r->n_nodes; i++)
		if (!node_fine(c, i))
			return false;
	if (!resources_fine(c))
		return false;
	for (size_t i = 0; i < c->r->n_links; i++)
		if (!link_fine(c, i))
			return false;
	for (uint32_t k = 0; k < c->s->n_links; k++) {
		int64_t sum = 0;

		for (size_t i = 0; i < c->r->n_links; i++) {
			for (size_t p = 0; p < c->e->links[i].n_paths; p++)
				sum += carried(&c->e->links[i].paths[p], k);
			sum += carried(&c->e->links[i].backup, k);
		}
		if (sum > c->left->link_kbps[k])
			return false;
	}
	return true;
}

/* ---- tampering -------------------------------------------------------------------------- */

/* There, back, and there again: joined and with the right ends, but not simple. */
static void pace(struct path *p)
{
	if (!p->n)
		return;
	p->links = mem_grow(p->links, p->n + 2, sizeof(*p->links));
	p->links[p->n] = p->links[p->n + 1] = p->links[p->n - 1];
	p->n += 2;
}

static void tamper_path(struct path *p, uint32_t n_links)
{
	switch (pick(6)) {
	case 4:
		pace(p);
		break;
	case 0:
		p->bw_kbps += pick(3) - 1;
		break;
	case 1:
		p->n -= p->n > 0;
		break;
	case 2:
		p->links = mem_grow(p->links, p->n + 1, sizeof(*p->links));
		p->links[p->n++] = pick(n_links);
		break;
	case 3:
		if (p->n)
			p->links[pick((uint32_t)p->n)] = pick(n_links);
		break;
	default:
		if (p->n)
			p->links[pick((uint32_t)p->n)] = pick(2) ? UINT32_MAX : n_links;
	}
}

static void tamper_link(const struct substrate *s, struct vlink *l, struct vlink_map *m)
{
	switch (pick(7)) {
	case 0:
		if (m->n_paths)
			free(m->paths[--m->n_paths].links);
		break;
	case 3: /* no other way than the primary's */
		if (!m->backup.n || !m->n_paths)
			break;
		free(m->backup.links);
		m->backup = m->paths[0];
		m->backup.links = mem_dup(m->paths[0].links, m->paths[0].n * sizeof(*m->paths[0].links));
		break;
	case 4:
		m->backup.bw_kbps -= pick(2);
		break;
	case 1:
		tamper_path(&m->backup, (uint32_t)s->n_links);
		break;
	case 2:
		l->protect = !l->protect && !l->split;
		break;
	default:
		if (m->n_paths)
			tamper_path(&m->paths[pick((uint32_t)m->n_paths)], (uint32_t)s->n_links);
	}
}

static void tamper(const struct substrate *s, struct residual *left, struct request *r, struct embedding *e)
{
	uint32_t node = pick((uint32_t)r->n_nodes);

	switch (pick(8)) {
	case 0:
		e->host[node] = pick((uint32_t)s->n_nodes + 1);
		break;
	case 1:
		e->host[node] = UINT32_MAX;
		break;
	case 2:
		free(e->kind[node]);
		e->kind[node] = pick(3) ? mem_str("xen") : NULL;
		break;
	case 3:
		left->node[pick((uint32_t)s->n_nodes)][pick(RES_COUNT)] = pick(2) ? 1 : 1000;
		break;
	case 4:
		left->link_kbps[pick((uint32_t)s->n_links)] = 12000 * pick(2);
		break;
	default:
		if (r->n_links) {
			uint32_t link = pick((uint32_t)r->n_links);

			tamper_link(s, &r->links[link], &e->links[link]);
		}
	}
}

static void test_agree(void **state)
{
	size_t accepted = 0, refused = 0;

	for (uint64_t i = 1; i <= CASES; i++) {
		struct substrate s;
		struct request r;
		struct embedding e;
		struct residual left;
		struct err err = { 0 };
		bool want, got;

		random_seed(i);
		s = random_substrate(i % 4 != 0);
		r = random_request(random_hosts(&s), i % 3 != 0);
		e = random_embedding(&s, &r);
		residual_init(&left, &s);
		for (uint32_t k = pick(3); k; k--)
			tamper(&s, &left, &r, &e);
		want = fine(&(struct naive){ &s, &left, &r, &e });
		got = embedding_check(&s, &left, &r, &e, &err) == 0;
		if (want != got)
			fail_msg("case %llu: the naive one says %s, the checker: %s", (unsigned long long)i, want ? "yes" : "no",
			         got ? "yes" : err.text);
		if (got == !!err.text[0])
			fail_msg("case %llu: a refusal without a reason, or a reason without one", (unsigned long long)i);
		*(got ? &accepted : &refused) += 1;
		residual_done(&left);
		embedding_done(&e);
		request_done(&r);
		substrate_done(&s);
	}
	assert_true(accepted > CASES / 10 && refused > CASES / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agree) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
