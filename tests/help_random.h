/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For property tests: small random substrates, requests, and embeddings of one on the other. The
 * same seed gives the same case. */
#pragma once

#include "tests/help_model.h"

#include "base/buf.h"

enum { RANDOM_NODES_MAX = 12 };

static uint64_t random_state;

static inline void random_seed(uint64_t seed)
{
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint32_t pick(uint32_t n) /* 0 … n - 1 */
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % n);
}

/* Connected, with links side by side, and about one node in five a switch without an agent. tight:
 * capacities that run out, delays, shared risks, nodes that host only some kinds. */
static inline struct substrate random_substrate(bool tight)
{
	static const char *const hosts[] = { "", ", routers: [netns]", ", routers: [xen, netns]", ", routers: [xen]", ", routers: []",
		", routers: [xen], max_guests: 1, realtime: 0.5", ", max_guests: 1, realtime: 0.3, images: [small]",
		", guest_memory: 130MiB, max_guest_ports: 2",
		", max_routers: 1", ", max_ports: 3", ", memory: 128MiB" };
	buf_auto struct buf text = BUF_INIT;
	uint32_t n = 3 + pick(RANDOM_NODES_MAX - 2), extra = pick(n + 3);

	buf_str(&text, "kind: substrate\nname: s\nnodes:\n");
	for (uint32_t i = 0; i < n; i++) {
		if (i > 1 && pick(5) == 0)
			buf_printf(&text, "  - {name: n%u, cpu: 1, agent: false}\n", i);
		else
			buf_printf(&text, "  - {name: n%u, cpu: %u, address: 192.0.2.%u%s}\n", i, tight ? 1 + pick(4) : 100, i + 1,
			           tight ? hosts[pick(ARRAY_LEN(hosts))] : "");
	}
	buf_str(&text, "links:\n");
	for (uint32_t i = 1; i < n + extra; i++) {
		uint32_t a = i < n ? i : pick(n), b = i < n ? pick(i) : (a + 1 + pick(n - 1)) % n;

		buf_printf(&text, "  - {endpoints: [n%u, n%u], name: l%u, bandwidth: %umbit", a, b, i, tight ? 12 * (1 + pick(5)) : 1000000);
		if (tight)
			buf_printf(&text, ", delay: %ums", pick(5));
		if (tight && pick(4) == 0)
			buf_printf(&text, ", risks: [d%u, e%u]", pick(3), pick(3));
		buf_str(&text, "}\n");
	}
	return help_substrate(buf_cstr(&text));
}

/* hosts: how many nodes there are to be distinct on. */
static inline struct request random_request(uint32_t hosts, bool tight)
{
	buf_auto struct buf text = BUF_INIT;
	bool pack = hosts < 2 || pick(2);
	uint32_t n = pack ? 2 + pick(tight ? 3 : 7) : 1 + pick(hosts), links = n > 1 ? pick(tight ? n + 1 : 2 * n) : 0;

	buf_printf(&text, "kind: network\nname: r\nplacement: %s\ndefaults: {node: {cpu: 1, memory: 64MiB}, link: {bandwidth: 12mbit}}\n"
	           "nodes:\n", pack ? "pack" : "distinct");
	for (uint32_t i = 0; i < n; i++) {
		buf_printf(&text, "  - {name: r%u", i);
		if (tight && pick(6) == 0)
			buf_str(&text, ", router: xen");
		else if (tight && pick(8) == 0)
			buf_str(&text, pick(2) ? ", realtime: {period: 10ms, budget: 3ms}" : ", image: small");
		if (tight && pick(6) == 0)
			buf_printf(&text, ", place: {not_on: [n%u]}", pick(5));
		buf_str(&text, "}\n");
	}
	if (links)
		buf_str(&text, "links:\n");
	for (uint32_t i = 0; i < links; i++) {
		static const char *const more[] = { "", ", paths: split", ", protection: link", "", ", max_delay: 12ms", ", bandwidth: 0mbit" };
		uint32_t a = pick(n), b = (a + 1 + pick(n - 1)) % n;

		buf_printf(&text, "  - {endpoints: [r%u, r%u], name: v%u%s}\n", a, b, i, more[pick(tight ? 6 : 4)]);
	}
	return help_request(buf_cstr(&text));
}

/* Walks at random from `at`, never to a node twice, until it is at `to`. */
static inline bool random_walk(const struct substrate *s, uint32_t at, uint32_t to, bool *seen, struct path *p)
{
	uint32_t offset = pick((uint32_t)s->n_links);

	if (at == to)
		return true;
	seen[at] = true;
	for (uint32_t i = 0; i < s->n_links; i++) {
		uint32_t k = (i + offset) % (uint32_t)s->n_links;
		const struct slink *l = &s->links[k];
		uint32_t next = l->a == at ? l->b : l->a;

		if ((l->a != at && l->b != at) || seen[next])
			continue;
		p->links[p->n++] = k;
		if (random_walk(s, next, to, seen, p))
			return true;
		p->n--;
	}
	return false;
}

static inline struct path random_path(const struct substrate *s, uint32_t from, uint32_t to, int64_t bw_kbps)
{
	struct path p = { .links = mem_array(s->n_links, sizeof(*p.links)), .bw_kbps = bw_kbps };
	bool seen[RANDOM_NODES_MAX + 1] = { false };

	assert_true(random_walk(s, from, to, seen, &p));
	return p;
}

static inline bool random_share_link(const struct path *p, const struct path *q)
{
	for (size_t i = 0; i < p->n; i++)
		for (size_t k = 0; k < q->n; k++)
			if (p->links[i] == q->links[k])
				return true;
	return false;
}

static inline void random_link(const struct substrate *s, struct request *r, struct embedding *e, size_t i)
{
	struct vlink *l = &r->links[i];
	struct vlink_map *m = &e->links[i];
	uint32_t from = e->host[l->a], to = e->host[l->b];

	if (from == to)
		return;
	m->n_paths = l->split ? 1 + pick(3) : 1;
	m->paths = mem_array(m->n_paths, sizeof(*m->paths));
	for (size_t k = 0; k < m->n_paths; k++)
		m->paths[k] = random_path(s, from, to, l->bw_kbps / (int64_t)m->n_paths);
	for (int tries = 0; l->protect && tries < 10; tries++) {
		m->backup = random_path(s, from, to, l->bw_kbps);
		if (!random_share_link(&m->paths[0], &m->backup))
			return;
		free(m->backup.links);
		m->backup = (struct path){ 0 };
	}
	l->protect = false; /* there was no second way */
}

/* Where capacities are ample the checker accepts it; else it may not. r: a link that cannot be
 * protected no longer asks for it. */
static inline struct embedding random_embedding(const struct substrate *s, struct request *r)
{
	uint32_t hosts[RANDOM_NODES_MAX + 1], n = 0;
	struct embedding e;

	embedding_init(&e, r->n_nodes, r->n_links);
	for (uint32_t i = 0; i < s->n_nodes; i++)
		if (s->nodes[i].agent)
			hosts[n++] = i;
	for (uint32_t i = 0; i < r->n_nodes; i++) {
		uint32_t k = pick(n);

		e.host[i] = hosts[k];
		if (r->placement == PLACEMENT_DISTINCT)
			hosts[k] = hosts[--n];
	}
	for (size_t i = 0; i < r->n_links; i++)
		random_link(s, r, &e, i);
	embedding_choose_kinds(&e, s, r);
	return e;
}

static inline uint32_t random_hosts(const struct substrate *s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s->n_nodes; i++)
		n += s->nodes[i].agent;
	return n;
}
