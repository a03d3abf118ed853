/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate changes while networks run on it: the file is read again, and what differs takes effect.
 *
 * What is new or has other properties counts at once. What is gone from the file and has networks on it stays as long as they are there:
 * nothing new is placed on it, and they are moved off, as from a node that is drained; the last one gone, it is forgotten. A change
 * that would break what was promised to a network is refused whole. What is in effect stands in the store, so that a file changed while
 * vned was not running is taken in the same way.
 *
 * Everything here knows nodes and links by their places, and those that stay keep their order; so the places change in one go, and
 * what was asked of solvers before is asked again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

#define SUBSTRATE_KEY "substrate" /* what networks refer to */

/* ---- who is where ------------------------------------------------------------------------------------ */

static void mark_path(const struct vned *v, uint32_t from, const struct path *p, bool *nodes, bool *links)
{
	mem_auto uint32_t *via = mem_array(p->n + 1, sizeof(*via));
	struct err ignored;
	for (size_t i = 0; i < p->n; i++)
		links[p->links[i]] = true;
	for (size_t i = 0; path_via(&v->substrate, from, p, via, &ignored) == 0 && i <= p->n; i++)
		nodes[via[i]] = true;
}

static void mark_network(const struct vned *v, const struct network *net, bool *nodes, bool *links)
{
	for (size_t i = 0; i < net->embedding.n_nodes; i++)
		nodes[net->embedding.host[i]] = true;
	for (size_t k = 0; k < net->embedding.n_links; k++) {
		const struct vlink_map *m = &net->embedding.links[k];
		uint32_t from = net->embedding.host[net->request.links[k].a];
		for (size_t p = 0; p < m->n_paths; p++)
			mark_path(v, from, &m->paths[p], nodes, links);
		mark_path(v, from, &m->backup, nodes, links);
	}
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		nodes[net->plan.snode[i]] = true;
	if (net->next)
		mark_network(v, net->next, nodes, links);
}

static void mark_all(const struct vned *v, bool *nodes, bool *links)
{
	for (size_t i = 0; i < v->n_networks; i++)
		mark_network(v, v->networks[i], nodes, links);
	for (size_t i = 0; i < v->substrate.n_links; i++)
		if (links[i])
			nodes[v->substrate.links[i].a] = nodes[v->substrate.links[i].b] = true;
}

/* ---- places ------------------------------------------------------------------------------------------- */

static void move_path(struct path *p, const uint32_t *links)
{
	for (size_t i = 0; i < p->n; i++)
		p->links[i] = links[p->links[i]];
}

static void move_embedding(struct embedding *e, const uint32_t *nodes, const uint32_t *links)
{
	for (size_t i = 0; i < e->n_nodes; i++)
		e->host[i] = nodes[e->host[i]];
	for (size_t k = 0; k < e->n_links; k++) {
		for (size_t p = 0; p < e->links[k].n_paths; p++)
			move_path(&e->links[k].paths[p], links);
		move_path(&e->links[k].backup, links);
	}
}

static void move_network(struct network *net, const uint32_t *nodes, const uint32_t *links)
{
	move_embedding(&net->embedding, nodes, links);
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		net->plan.snode[i] = nodes[net->plan.snode[i]];
	if (net->next)
		move_network(net->next, nodes, links);
}

/* What has networks on it is in the way of another address: their tunnels go from one to the other. */
static int check_addresses(const struct vned *v, const struct substrate *to, const bool *used_nodes, const bool *used_links, const uint32_t *nodes,
                           const uint32_t *links, struct err *err)
{
	for (size_t i = 0; i < v->substrate.n_nodes; i++) {
		const struct snode *old = &v->substrate.nodes[i], *now = used_nodes[i] ? &to->nodes[nodes[i]] : old;
		if (!addr_same(&now->address, &old->address))
			return err_set(err, -EBUSY, "node %s has another address, and networks are on it: drain it first", now->name);
		if (now->agent != old->agent)
			return err_set(err, -EBUSY, "node %s: \"agent\" is changed, and networks are on it: drain it first", now->name);
	}
	for (size_t i = 0; i < v->substrate.n_links; i++) {
		const struct slink *old = &v->substrate.links[i], *now = used_links[i] ? &to->links[links[i]] : old;
		if (!addr_same(&now->underlay[0], &old->underlay[0]) || !addr_same(&now->underlay[1], &old->underlay[1]))
			return err_set(err, -EBUSY, "link %s has other underlay addresses, and networks are on it: drain one of its nodes first", now->name);
	}
	return 0;
}

static int fits(const struct network *net, const struct substrate *now, const struct residual *left, const uint32_t *nodes, const uint32_t *links,
                struct embedding *ret, struct err *err)
{
	embedding_copy(&net->embedding, ret);
	move_embedding(ret, nodes, links);
	int r = embedding_check_standing(now, left, &net->request, ret, err);
	return r < 0 ? err_add(err, -EBUSY, "network %s would no longer fit: drain its node or release it first", net->full) : 0;
}

/* Every network is still given what it was promised; of one that is being updated, the old and the new are looked at one by one. */
static int check_networks(const struct vned *v, const struct substrate *now, const uint32_t *nodes, const uint32_t *links, struct err *err)
{
	struct residual left;
	int r = 0;
	residual_init(&left, now);
	for (size_t i = 0; i < now->n_nodes; i++)
		if (!now->nodes[i].realtime_given)
			left.node[i][RES_REALTIME_MILLI] = UNLIMITED; /* what its agent says counts, as anywhere */
	for (size_t i = 0; r == 0 && i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		struct embedding moved;
		if (net->next) {
			r = fits(net->next, now, &left, nodes, links, &moved, err);
			embedding_done(&moved);
		}
		if (r < 0)
			break;
		r = fits(net, now, &left, nodes, links, &moved, err);
		if (r == 0)
			residual_take(&left, &net->request, &moved);
		embedding_done(&moved);
	}
	residual_done(&left);
	return r;
}

/* ---- taking effect -------------------------------------------------------------------------------------- */

static void stored(void *arg, int code, const char *reason)
{
	struct vned *v = arg;
	if (code == 0)
		return;
	log_warn("the substrate cannot be stored: %s; tried again", reason);
	v->substrate_retry_ms = clock_ms() + RETRY_MS;
}

static void store(struct vned *v)
{
	buf_auto struct buf text = BUF_INIT;
	struct err err = { 0 };
	size_t len;
	v->substrate_retry_ms = 0;
	substrate_write(&v->substrate, &text);
	const char *before = v->store->driver->get(v->store, SUBSTRATE_KEY, &len);
	if (before && len == text.len && !memcmp(before, buf_cstr(&text), len))
		return;
	struct store_op op = { SUBSTRATE_KEY, buf_cstr(&text), text.len };
	/* not waited for: what of it is new, the file has too */
	if (v->store->driver->batch(v->store, v->store->driver->revision(v->store), &op, 1, stored, v, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
}

static void recount(struct vned *v)
{
	residual_done(&v->left);
	residual_init(&v->left, &v->substrate);
	for (size_t i = 0; i < v->n_networks; i++) {
		struct network *net = v->networks[i];
		if (net->next)
			networks_hold(v, net, net->next, -1);
		else
			residual_take(&v->left, &net->request, &net->embedding);
	}
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++)
		networks_recount(v, i);
}

static void tell_gone(struct vned *v, const uint32_t *nodes, const uint32_t *links)
{
	for (size_t i = 0; i < v->substrate.n_nodes; i++)
		if (nodes[i] == UINT32_MAX)
			events_publish(v->events, "node", v->substrate.nodes[i].name, "has left the substrate");
	for (size_t i = 0; i < v->substrate.n_links; i++)
		if (links[i] == UINT32_MAX)
			events_publish(v->events, "link", v->substrate.links[i].name, "has left the substrate");
}

static void take_effect(struct vned *v, struct substrate *now, const struct substrate *file, const uint32_t *nodes, const uint32_t *links)
{
	struct substrate old = v->substrate;
	v->leaving = false;
	tell_gone(v, nodes, links);
	for (size_t i = 0; i < v->n_networks; i++)
		move_network(v->networks[i], nodes, links);
	v->substrate = *now;
	agents_move(v, &old, nodes);
	failures_move(v, &old, nodes, links);
	exec_move(v, nodes);
	planes_move(v, nodes);
	repair_move(v, nodes);
	monitor_free(v->monitor);
	v->monitor = monitor_new();
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++) {
		bool leaves = hash_index(file->node_index, v->substrate.nodes[i].name) == SIZE_MAX;
		failures_leave_node(v, i, leaves);
		v->leaving |= leaves;
	}
	for (uint32_t i = 0; i < v->substrate.n_links; i++) {
		bool leaves = hash_index(file->link_index, v->substrate.links[i].name) == SIZE_MAX;
		failures_leave_link(v, i, leaves);
		v->leaving |= leaves;
	}
	recount(v);
	v->substrate_version++;
	v->usable_version++;
	substrate_done(&old);
	repair_load(v); /* one that comes back may have been drained */
	repair_wake(v);
}

static int become(struct vned *v, const struct substrate *to, struct err *err)
{
	size_t n_nodes = v->substrate.n_nodes, n_links = v->substrate.n_links;
	mem_auto bool *used_nodes = mem_array(n_nodes + 1, sizeof(*used_nodes)), *used_links = mem_array(n_links + 1, sizeof(*used_links));
	mem_auto uint32_t *nodes = mem_array(n_nodes + 1, sizeof(*nodes)), *links = mem_array(n_links + 1, sizeof(*links));
	struct substrate now;
	mark_all(v, used_nodes, used_links);
	int r = substrate_merge(&v->substrate, to, used_nodes, used_links, &now, nodes, links, err);
	if (r < 0)
		return r;
	r = check_addresses(v, &now, used_nodes, used_links, nodes, links, err);
	if (r == 0)
		r = check_networks(v, &now, nodes, links, err);
	if (r < 0) {
		substrate_done(&now);
		return r;
	}
	take_effect(v, &now, to, nodes, links);
	store(v);
	return 0;
}

/* What left is forgotten once nothing is on it any more. */
void substrate_tick(struct vned *v)
{
	struct err err = { 0 };
	if (v->substrate_retry_ms && clock_ms() >= v->substrate_retry_ms)
		store(v);
	if (!v->leaving || clock_ms() < v->leaving_retry_ms)
		return;
	mem_auto bool *nodes = mem_array(v->substrate.n_nodes + 1, sizeof(*nodes)), *links = mem_array(v->substrate.n_links + 1, sizeof(*links));
	bool empty = false;
	mark_all(v, nodes, links);
	for (size_t i = 0; i < v->substrate.n_nodes; i++)
		empty |= !nodes[i] && hash_index(v->declared.node_index, v->substrate.nodes[i].name) == SIZE_MAX;
	for (size_t i = 0; i < v->substrate.n_links; i++)
		empty |= !links[i] && hash_index(v->declared.link_index, v->substrate.links[i].name) == SIZE_MAX;
	if (empty && become(v, &v->declared, &err) < 0) {
		log_warn("the substrate: %s", err.text);
		v->leaving_retry_ms = clock_ms() + RETRY_MS;
	}
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* Lines of `to` that `from` has not: nodes and links that are new or have other properties. */
static size_t other_lines(const struct substrate *from, const struct substrate *to)
{
	struct buf out[2] = { BUF_INIT, BUF_INIT };
	struct hash *lines = hash_new();
	size_t n = 0;
	char *rest;
	substrate_write(from, &out[0]);
	substrate_write(to, &out[1]);
	mem_auto char *was = buf_take(&out[0]), *is = buf_take(&out[1]);
	for (char *line = strtok_r(was, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		hash_index_put(lines, line, 0);
	for (char *line = strtok_r(is, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		n += hash_index(lines, line) == SIZE_MAX;
	hash_free(lines, NULL);
	return n;
}

/* Those of `to` that `from` has not, by name. */
static size_t new_names(const struct substrate *from, const struct substrate *to, size_t *ret_links)
{
	size_t nodes = 0;
	*ret_links = 0;
	for (size_t i = 0; i < to->n_nodes; i++)
		nodes += hash_index(from->node_index, to->nodes[i].name) == SIZE_MAX;
	for (size_t i = 0; i < to->n_links; i++)
		*ret_links += hash_index(from->link_index, to->links[i].name) == SIZE_MAX;
	return nodes;
}

static void count_changes(const struct substrate *from, const struct substrate *to, struct buf *out)
{
	size_t links, less_links, nodes = new_names(from, to, &links), less_nodes = new_names(to, from, &less_links);
	size_t other = other_lines(from, to);
	buf_printf(out, "%zu nodes, %zu links; new: %zu and %zu; gone from the file: %zu and %zu; changed: %zu", to->n_nodes, to->n_links, nodes, links,
	           less_nodes, less_links, other > nodes + links ? other - nodes - links : 0);
}

static bool same_text(const struct substrate *a, const struct substrate *b)
{
	buf_auto struct buf x = BUF_INIT, y = BUF_INIT;
	substrate_write(a, &x);
	substrate_write(b, &y);
	return !strcmp(buf_cstr(&x), buf_cstr(&y));
}

static void name_leaving(const struct vned *v, struct buf *out)
{
	for (uint32_t i = 0; i < v->substrate.n_nodes; i++)
		if (hash_index(v->declared.node_index, v->substrate.nodes[i].name) == SIZE_MAX)
			buf_printf(out, "\nnode %s goes once no network is on it", v->substrate.nodes[i].name);
	for (uint32_t i = 0; i < v->substrate.n_links; i++)
		if (hash_index(v->declared.link_index, v->substrate.links[i].name) == SIZE_MAX)
			buf_printf(out, "\nlink %s goes once no network is on it", v->substrate.links[i].name);
}

int substrate_reread(struct vned *v, struct buf *out, struct err *err)
{
	struct yaml_errors errors = { 0 };
	struct substrate file;
	int r = substrate_load(v->config.substrate, &errors, &file, err);
	if (r < 0 && errors.n)
		buf_str(out, buf_cstr(&errors.text));
	else if (r < 0)
		buf_str(out, err->text);
	yaml_errors_done(&errors);
	if (r < 0)
		return r;
	buf_auto struct buf what = BUF_INIT;
	count_changes(&v->declared, &file, &what);
	if (!same_text(&v->declared, &file)) /* else nothing is asked or measured anew, as where only keys have changed */
		r = become(v, &file, err);
	if (r < 0) {
		substrate_done(&file);
		buf_str(out, err->text);
		return r;
	}
	substrate_done(&v->declared);
	v->declared = file;
	log_info("the substrate was read again: %s", buf_cstr(&what));
	events_publish(v->events, "substrate", v->substrate.name, "%s", buf_cstr(&what));
	buf_str(out, buf_cstr(&what));
	name_leaving(v, out);
	return 0;
}

/* What the store has, and what only the file has: of that, too, networks may be, if the store was full when it came. */
static int both(struct vned *v, struct substrate *from_store, struct err *err)
{
	size_t n_nodes = v->declared.n_nodes, n_links = v->declared.n_links;
	mem_auto bool *keep_nodes = mem_array(n_nodes + 1, sizeof(*keep_nodes)), *keep_links = mem_array(n_links + 1, sizeof(*keep_links));
	mem_auto uint32_t *nodes = mem_array(n_nodes + 1, sizeof(*nodes)), *links = mem_array(n_links + 1, sizeof(*links));
	memset(keep_nodes, true, n_nodes);
	memset(keep_links, true, n_links);
	int r = substrate_merge(&v->declared, from_store, keep_nodes, keep_links, &v->substrate, nodes, links, err);
	if (r == -EBUSY) { /* the file has another link of the same name */
		v->substrate = *from_store;
		return 0;
	}
	substrate_done(from_store);
	return r;
}

int substrate_open(struct vned *v, struct err *err)
{
	size_t len, n;
	const char *text = v->store->driver->get(v->store, SUBSTRATE_KEY, &len);
	if (!text)
		return substrate_copy(&v->declared, &v->substrate, err);
	struct yaml_errors errors = { .file = "store" };
	struct yaml_doc **docs;
	struct substrate from_store;
	yaml_parse(text, len, &errors, &docs, &n);
	int r = n == 1 && !errors.n ? substrate_read(docs[0], &errors, &from_store) : -EBADMSG;
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
	return r < 0 ? err_set(err, -EBADMSG, "the store: " SUBSTRATE_KEY ": not understood") : both(v, &from_store, err);
}

int substrate_loaded(struct vned *v, struct err *err)
{
	int r = become(v, &v->declared, err);
	return r < 0 ? err_add(err, r, "%s is not what it was", v->config.substrate) : 0;
}
