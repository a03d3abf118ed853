/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much a tenant may have at once: the file `tenants:` of the configuration, and the check of each request against it, with all that the
 * tenant's networks hold. What is still being embedded holds nothing yet, so a request is checked before the solver is troubled and again
 * the moment it is taken; that is one thread, so none slips between.
 *
 *     kind: tenants
 *     default: {networks: 10, routers: 100, cores: 16, memory: 32GiB, bandwidth: 1gbit}   # of tenants not listed
 *     tenants:
 *       - {name: alice, networks: 2, cores: 4}        # what is left out is not limited */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/units.h"
#include "model/yaml.h"
#include "vned/vned.h"

enum { TENANTS_MAX = 100000 };

struct tenant {
	char *name; /* NULL: the default */
	int64_t limit[QUOTA_COUNT]; /* < 0: none */
};

struct quotas {
	struct tenant rest;
	struct tenant *v;
	size_t n;
	struct hash *by_name; /* index */
};

#define LIMIT(key, reader, at, expected) { key, reader, offsetof(struct tenant, limit) + (at) * sizeof(int64_t), false, NULL, expected }
#define LIMITS                                                                                                             \
	LIMIT("networks", yaml_read_count, QUOTA_NETWORKS, "a number of networks"), LIMIT("routers", yaml_read_count, QUOTA_ROUTERS, "a number of routers"), \
	LIMIT("cores", yaml_read_cpu, QUOTA_CORES, "cores such as 4 or 0.5"), LIMIT("memory", yaml_read_memory, QUOTA_MEMORY, "an amount such as 8GiB"), \
	LIMIT("bandwidth", yaml_read_bandwidth, QUOTA_BANDWIDTH, "a bandwidth such as 1gbit")
static const struct yaml_key default_keys[] = { LIMITS, { 0 } };
static const struct yaml_key tenant_keys[] = { { "name", yaml_read_name, offsetof(struct tenant, name), true, NULL, "the name of an identity" }, LIMITS, { 0 } };

/* ---- the file ----------------------------------------------------------------------------------- */

void quotas_free(struct quotas *q)
{
	if (!q)
		return;
	for (size_t i = 0; i < q->n; i++)
		free(q->v[i].name);
	free(q->v);
	hash_free(q->by_name, NULL);
	free(q);
}

static void unlimited(struct tenant *t)
{
	for (size_t i = 0; i < QUOTA_COUNT; i++)
		t->limit[i] = -1;
}

static void read_default(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	(void)key;
	yaml_read_mapping(node, default_keys, into, NULL, errors);
}

static void read_tenants(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct quotas *q = (struct quotas *)(void *)((char *)into - offsetof(struct quotas, v));
	if (node->type != YAML_SEQUENCE) {
		yaml_error(errors, node->mark, "%s is %s; expected %s", key->name, yaml_type_text(node), key->expected);
		return;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct tenant t;
		unlimited(&t);
		t.name = NULL;
		yaml_read_mapping(child, tenant_keys, &t, NULL, errors);
		if (t.name && q->n < TENANTS_MAX && hash_index_put(q->by_name, t.name, q->n)) {
			q->v = mem_grow(q->v, q->n + 1, sizeof(*q->v));
			q->v[q->n++] = t;
			continue;
		}
		if (t.name)
			yaml_error(errors, child->mark, "%s stands here a second time", t.name);
		free(t.name);
	}
}

static const struct yaml_key file_keys[] = {
	{ "kind", yaml_read_ignore, 0, true, NULL, "kind: tenants" },
	{ "default", read_default, offsetof(struct quotas, rest), false, NULL, "what tenants have that are not listed" },
	{ "tenants", read_tenants, offsetof(struct quotas, v), false, NULL, "a list of {name: …, networks: …, cores: …}" },
	{ 0 }
};

static void parse(const char *text, size_t len, struct quotas *q, struct yaml_errors *errors)
{
	struct yaml_doc **docs;
	size_t n;
	yaml_parse(text, len, errors, &docs, &n);
	if (n != 1 && errors->n == 0)
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "%zu documents; expected one, kind: tenants", n);
	const char *kind = errors->n == 0 ? yaml_kind(docs[0], "tenants", errors) : NULL;
	if (kind && strcmp(kind, "tenants") != 0)
		yaml_error(errors, yaml_root(docs[0])->mark, "kind %s; expected tenants", kind);
	else if (kind)
		yaml_read_mapping(yaml_root(docs[0]), file_keys, q, NULL, errors);
	yaml_free_docs(docs, n);
}

int quotas_load(const char *path, struct yaml_errors *errors, struct quotas **ret, struct err *err)
{
	struct quotas *q = mem_alloc(sizeof(*q));
	q->by_name = hash_new();
	unlimited(&q->rest);
	mem_auto char *text = NULL;
	size_t len;
	int r = path ? yaml_load_file(path, &text, &len, err) : 0;
	if (r == 0 && path) {
		errors->file = path;
		parse(text, len, q, errors);
	}
	if (errors->n)
		r = err_set(err, -EINVAL, "%s: %zu error%s", path, errors->n, errors->n > 1 ? "s" : "");
	if (r < 0) {
		quotas_free(q);
		return r;
	}
	*ret = q;
	return 0;
}

int quotas_reload(struct vned *v, struct buf *out)
{
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	struct quotas *fresh;
	int r = quotas_load(v->config.tenants, &errors, &fresh, &err);
	if (r < 0) {
		buf_printf(out, "%squotas stay as they were: %s", out->len ? "\n" : "", errors.n ? buf_cstr(&errors.text) : err.text);
	} else {
		quotas_free(v->quotas);
		v->quotas = fresh;
	}
	yaml_errors_done(&errors);
	return r;
}

/* ---- counting ------------------------------------------------------------------------------------- */

void quota_asked(const struct request *r, int64_t ret[QUOTA_COUNT])
{
	memset(ret, 0, QUOTA_COUNT * sizeof(*ret));
	ret[QUOTA_NETWORKS] = 1;
	ret[QUOTA_ROUTERS] = (int64_t)r->n_nodes;
	for (size_t i = 0; i < r->n_nodes; i++) {
		ret[QUOTA_CORES] += r->nodes[i].demand[RES_CPU_MILLI];
		ret[QUOTA_MEMORY] += r->nodes[i].demand[RES_MEM_KIB];
	}
	for (size_t i = 0; i < r->n_links; i++)
		ret[QUOTA_BANDWIDTH] += r->links[i].bw_kbps * (r->links[i].protect ? 2 : 1);
}

/* With an update under way the larger of both, as both are held; but for `except`. */
static void used_by(const struct vned *v, const char *owner, const struct network *except, int64_t ret[QUOTA_COUNT])
{
	memset(ret, 0, QUOTA_COUNT * sizeof(*ret));
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		int64_t one[QUOTA_COUNT], other[QUOTA_COUNT] = { 0 };
		if (net == except || strcmp(net->owner, owner) != 0)
			continue;
		quota_asked(&net->request, one);
		if (net->next)
			quota_asked(&net->next->request, other);
		for (size_t k = 0; k < QUOTA_COUNT; k++)
			ret[k] += one[k] > other[k] ? one[k] : other[k];
	}
}

/* Operators are not limited unless they are listed. */
static const struct tenant *limits_of(const struct vned *v, const char *owner)
{
	size_t at = hash_index(v->quotas->by_name, owner);
	const struct identity *id = at == SIZE_MAX ? allow_list_named(v->allow, owner) : NULL;
	return at != SIZE_MAX ? &v->quotas->v[at] : id && id->role == ROLE_ADMIN ? NULL : strcmp(owner, "root") == 0 ? NULL : &v->quotas->rest;
}

static const char *amount(size_t what, int64_t value, char text[static UNITS_TEXT])
{
	if (what == QUOTA_MEMORY)
		return units_memory_text(value, text);
	if (what == QUOTA_BANDWIDTH)
		return units_bandwidth_text(value, text);
	if (what == QUOTA_CORES)
		snprintf(text, UNITS_TEXT, "%.10g", (double)value / 1000);
	else
		snprintf(text, UNITS_TEXT, "%lld", (long long)value);
	return text;
}

const char *const quota_names[QUOTA_COUNT] = { "networks", "routers", "cores", "memory", "bandwidth" };

int quota_check(const struct vned *v, const char *owner, const struct request *r, const struct network *stands, struct err *err)
{
	const struct tenant *t = limits_of(v, owner);
	int64_t used[QUOTA_COUNT], asked[QUOTA_COUNT], had[QUOTA_COUNT] = { 0 };
	if (!t)
		return 0;
	used_by(v, owner, stands, used);
	quota_asked(r, asked);
	if (stands)
		quota_asked(&stands->request, had);
	for (size_t i = 0; i < QUOTA_COUNT; i++) {
		char has[UNITS_TEXT], wants[UNITS_TEXT], may[UNITS_TEXT];
		bool grows = asked[i] > had[i]; /* what shrinks is welcome, also where a quota was lowered meanwhile */
		if (t->limit[i] >= 0 && grows && used[i] + asked[i] > t->limit[i])
			return err_set(err, -EDQUOT, "the quota of %s: %s: %s in use%s, %s asked for, %s allowed", owner, quota_names[i], amount(i, used[i], has),
			               stands ? " by other networks" : "", amount(i, asked[i], wants), amount(i, t->limit[i], may));
	}
	return 0;
}

/* ---- asking ------------------------------------------------------------------------------------- */

static void view(const struct vned *v, const char *owner, struct quota_view *ret)
{
	const struct tenant *t = limits_of(v, owner);
	ret->tenant = mem_str(owner);
	used_by(v, owner, NULL, ret->used);
	for (size_t i = 0; i < QUOTA_COUNT; i++)
		ret->limit[i] = t ? t->limit[i] : -1;
}

static void put(const struct vned *v, const struct peer *peer, struct hash *seen, const char *owner, struct message *m)
{
	if ((peer->role == ROLE_TENANT && strcmp(owner, peer->identity) != 0) || !hash_index_put(seen, owner, 0))
		return;
	m->u.quotas.v = mem_grow(m->u.quotas.v, m->u.quotas.n + 1, sizeof(*m->u.quotas.v));
	m->u.quotas.v[m->u.quotas.n] = (struct quota_view){ 0 };
	view(v, owner, &m->u.quotas.v[m->u.quotas.n++]);
}

/* Of all who are tenants, are listed, or own something; of a tenant only its own. */
void quota_message(struct vned *v, const struct peer *peer, const struct message *q)
{
	const struct identity *const *all;
	struct hash *seen = hash_new();
	struct message m = { .type = MSG_QUOTA_LIST, .reply_to = q->sequence, .more = true };
	size_t n = allow_list_all(v->allow, &all);
	for (size_t i = 0; i < n; i++)
		if (all[i]->role == ROLE_TENANT)
			put(v, peer, seen, all[i]->name, &m);
	for (size_t i = 0; i < v->quotas->n; i++)
		put(v, peer, seen, v->quotas->v[i].name, &m);
	for (size_t i = 0; i < v->n_networks; i++)
		put(v, peer, seen, v->networks[i]->owner, &m);
	hash_free(seen, NULL);
	api_send(v, peer, &m);
	api_reply(v, peer, q->sequence, 0, "");
}
