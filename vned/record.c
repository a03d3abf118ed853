/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A network as bytes: what the store keeps of it.
 *
 * The request as its YAML, places by the names of the substrate's parts (a substrate file may be
 * reordered between two starts), each node's plan as it was sent (so that a restart asks for
 * exactly what stands, whatever the planner has learned since). Little endian; counts and
 * lengths are checked on the way in, and embedding_check has the last word. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

enum { RECORD_VERSION = 1 };

/* ---- out ---------------------------------------------------------------------------------- */

static void put_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_add(b, &v, sizeof(v));
}

static void put_real(struct buf *b, double d)
{
	uint64_t v;
	memcpy(&v, &d, sizeof(v));
	put_u64(b, v);
}

static void put_bytes(struct buf *b, const void *data, size_t len)
{
	put_u64(b, len);
	if (len)
		buf_add(b, data, len);
}

static void put_text(struct buf *b, const char *text)
{
	put_bytes(b, text, strlen(text));
}

static void put_path(struct buf *b, const struct substrate *s, const struct path *p)
{
	put_u64(b, (uint64_t)p->bw_kbps);
	put_u64(b, p->n);
	for (size_t i = 0; i < p->n; i++)
		put_text(b, s->links[p->links[i]].name);
}

static void put_embedding(struct buf *b, const struct substrate *s, const struct embedding *e)
{
	for (size_t i = 0; i < e->n_nodes; i++) {
		put_text(b, s->nodes[e->host[i]].name);
		put_text(b, e->kind[i] ? e->kind[i] : "");
	}
	for (size_t i = 0; i < e->n_links; i++) {
		put_u64(b, e->links[i].n_paths);
		for (size_t k = 0; k < e->links[i].n_paths; k++)
			put_path(b, s, &e->links[i].paths[k]);
		put_path(b, s, &e->links[i].backup);
	}
}

void network_pack(const struct network *net, const struct substrate *s, struct buf *out)
{
	put_u64(out, RECORD_VERSION);
	put_u64(out, net->id);
	put_u64(out, net->generation);
	put_text(out, net->owner);
	put_u64(out, net->state);
	put_u64(out, net->submitted_ms);
	put_u64(out, net->changed_ms);
	put_u64(out, net->expires_ms);
	put_real(out, net->cost);
	put_real(out, net->bound);
	put_real(out, net->revenue);
	put_real(out, net->solve_seconds);
	put_text(out, net->solver);
	put_text(out, net->status);
	buf_auto struct buf yaml = BUF_INIT;
	request_write(&net->request, &yaml);
	put_text(out, buf_cstr(&yaml));
	put_embedding(out, s, &net->embedding);
	put_u64(out, net->plan.n_nodes);
	for (size_t i = 0; i < net->plan.n_nodes; i++) {
		uint8_t *data;
		size_t len;
		put_text(out, s->nodes[net->plan.snode[i]].name);
		node_plan_pack(&net->plan.nodes[i], &data, &len);
		put_bytes(out, data, len);
		free(data);
	}
}

/* ---- in: a reader that remembers its first fault, so that fields can be read in a row --------- */

struct reader {
	const uint8_t *p, *end;
	struct err *err;
	int code;
};

static int bad(struct reader *r, const char *what)
{
	if (r->code == 0)
		r->code = err_set(r->err, -EBADMSG, "%s", what);
	return r->code;
}

static uint64_t get_u64(struct reader *r)
{
	uint64_t v;
	if (r->code || r->end - r->p < (ptrdiff_t)sizeof(v))
		return (void)bad(r, "cut short"), 0;
	memcpy(&v, r->p, sizeof(v));
	r->p += sizeof(v);
	return le64toh(v);
}

static double get_real(struct reader *r)
{
	uint64_t v = get_u64(r);
	double d;
	memcpy(&d, &v, sizeof(d));
	return d;
}

static uint64_t get_bounded(struct reader *r, uint64_t max, const char *what)
{
	uint64_t v = get_u64(r);
	return v <= max ? v : ((void)bad(r, what), 0);
}

static const uint8_t *get_bytes(struct reader *r, size_t *ret_len)
{
	uint64_t len = get_u64(r);
	*ret_len = 0;
	if (r->code || len > (uint64_t)(r->end - r->p))
		return (void)bad(r, "cut short"), NULL;
	const uint8_t *data = r->p;
	r->p += len;
	*ret_len = (size_t)len;
	return data;
}

/* "" after a fault; caller frees. */
static char *get_text(struct reader *r)
{
	size_t len;
	const uint8_t *data = get_bytes(r, &len);
	return mem_strn(data ? (const char *)data : "", len);
}

static void get_chars(struct reader *r, char *into, size_t size)
{
	mem_auto char *text = get_text(r);
	strncpy(into, text, size - 1);
}

static uint32_t get_name(struct reader *r, const struct hash *index, const char *what)
{
	mem_auto char *name = get_text(r);
	size_t at = r->code ? SIZE_MAX : hash_index(index, name);
	if (at == SIZE_MAX && r->code == 0)
		r->code = err_set(r->err, -ENOENT, "substrate %s %s is used, but the substrate file does not have it", what, name);
	return at == SIZE_MAX ? 0 : (uint32_t)at;
}

static void get_path(struct reader *r, const struct substrate *s, struct path *p)
{
	p->bw_kbps = (int64_t)get_u64(r);
	size_t n = (size_t)get_bounded(r, s->n_links, "a path longer than the substrate");
	p->links = n ? mem_array(n, sizeof(*p->links)) : NULL;
	p->n = n;
	for (size_t i = 0; i < n && r->code == 0; i++)
		p->links[i] = get_name(r, s->link_index, "link");
}

static void get_embedding(struct reader *r, const struct substrate *s, struct embedding *e)
{
	for (size_t i = 0; i < e->n_nodes && r->code == 0; i++) {
		e->host[i] = get_name(r, s->node_index, "node");
		char *kind = get_text(r);
		e->kind[i] = kind[0] ? kind : NULL;
		if (!kind[0])
			free(kind);
	}
	for (size_t i = 0; i < e->n_links && r->code == 0; i++) {
		struct vlink_map *map = &e->links[i];
		size_t n = (size_t)get_bounded(r, PATHS_MAX, "too many paths");
		map->paths = n ? mem_array(n, sizeof(*map->paths)) : NULL;
		map->n_paths = n;
		for (size_t k = 0; k < n && r->code == 0; k++)
			get_path(r, s, &map->paths[k]);
		get_path(r, s, &map->backup);
	}
}

static void get_plan(struct reader *r, const struct substrate *s, struct network *net)
{
	struct plan *plan = &net->plan;
	size_t n = (size_t)get_bounded(r, s->n_nodes, "too many nodes");
	plan->net = net->id;
	plan->generation = net->generation;
	plan->nodes = mem_array(n ? n : 1, sizeof(*plan->nodes));
	plan->snode = mem_array(n ? n : 1, sizeof(*plan->snode));
	for (size_t i = 0; i < n && r->code == 0; i++) {
		plan->snode[i] = get_name(r, s->node_index, "node");
		size_t len;
		const uint8_t *data = get_bytes(r, &len);
		if (r->code == 0)
			r->code = node_plan_unpack(data, len, &plan->nodes[i], r->err);
		if (r->code == 0)
			plan->n_nodes = i + 1;
	}
}

/* By their places in this substrate, which may be others than they were: plan_align goes by them. */
static void sort_plan(struct plan *plan)
{
	for (size_t i = 1; i < plan->n_nodes; i++) {
		uint32_t snode = plan->snode[i];
		struct node_plan np = plan->nodes[i];
		size_t at = i;
		for (; at && plan->snode[at - 1] > snode; at--) {
			plan->snode[at] = plan->snode[at - 1];
			plan->nodes[at] = plan->nodes[at - 1];
		}
		plan->snode[at] = snode;
		plan->nodes[at] = np;
	}
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* The VNIs of a plan: each stands at both of its ends. */
static void collect_vnis(struct plan *plan)
{
	size_t n = 0;
	for (size_t i = 0; i < plan->n_nodes; i++)
		n += plan->nodes[i].n_segments;
	plan->vnis = mem_array(n ? n : 1, sizeof(*plan->vnis));
	n = 0;
	for (size_t i = 0; i < plan->n_nodes; i++) {
		for (size_t k = 0; k < plan->nodes[i].n_segments; k++)
			plan->vnis[n++] = plan->nodes[i].segments[k].vni;
	}
	qsort(plan->vnis, n, sizeof(*plan->vnis), compare_u32);
	for (size_t i = 0; i < n; i++) {
		if (plan->n_vnis == 0 || plan->vnis[plan->n_vnis - 1] != plan->vnis[i])
			plan->vnis[plan->n_vnis++] = plan->vnis[i];
	}
}

static struct network *get_request(struct reader *r, const char *owner)
{
	size_t len, n = 0;
	const uint8_t *yaml = get_bytes(r, &len);
	if (r->code)
		return NULL;
	struct yaml_errors errors = { .file = "store" };
	struct request *requests = NULL;
	r->code = request_parse((const char *)yaml, len, false, &errors, &requests, &n, r->err);
	yaml_errors_done(&errors);
	struct network *net = NULL;
	if (r->code == 0 && n != 1)
		(void)bad(r, "not one request");
	if (r->code == 0)
		net = network_new(owner, &requests[0], r->err);
	if (r->code == 0 && !net)
		r->code = r->err->code;
	for (size_t i = 0; i < n; i++)
		request_done(&requests[i]);
	free(requests);
	return net;
}

int network_unpack(const void *data, size_t len, const struct substrate *s, struct network **ret, struct err *err)
{
	struct err reason = { 0 };
	struct reader r = { data, (const uint8_t *)data + len, &reason, 0 };
	struct network head = { 0 };
	if (get_u64(&r) != RECORD_VERSION)
		(void)bad(&r, "written by another release");
	head.id = (uint32_t)get_bounded(&r, NET_ID_MAX, "a number out of range");
	head.generation = (uint32_t)get_bounded(&r, UINT32_MAX, "a generation out of range");
	mem_auto char *owner = get_text(&r);
	head.state = (enum net_state)get_bounded(&r, NET_STATES - 1, "a state out of range");
	head.submitted_ms = get_u64(&r);
	head.changed_ms = get_u64(&r);
	head.expires_ms = get_u64(&r);
	head.cost = get_real(&r);
	head.bound = get_real(&r);
	head.revenue = get_real(&r);
	head.solve_seconds = get_real(&r);
	get_chars(&r, head.solver, sizeof(head.solver));
	get_chars(&r, head.status, sizeof(head.status));
	struct network *net = get_request(&r, owner);
	if (net) {
		/* what get_request has made, around what was read before it */
		struct network made = *net;
		*net = head;
		net->owner = made.owner;
		net->name = made.name;
		net->full = made.full;
		net->request = made.request;
		net->load = made.load;
		embedding_init(&net->embedding, net->request.n_nodes, net->request.n_links);
		get_embedding(&r, s, &net->embedding);
		get_plan(&r, s, net);
	}
	if (r.code == 0 && !net->id)
		(void)bad(&r, "a network without a number");
	for (size_t i = 0; r.code == 0 && i < net->plan.n_nodes; i++)
		if (net->plan.nodes[i].net != net->id)
			(void)bad(&r, "the plan of another network");
	if (r.code < 0) {
		network_free(net);
		return err_set(err, r.code, "a network in the store: %s", reason.text);
	}
	sort_plan(&net->plan);
	collect_vnis(&net->plan);
	network_make_parts(net);
	*ret = net;
	return 0;
}
