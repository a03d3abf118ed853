/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See solution_read.h: the table of keys first, then what names stand for. */
#include "model/solution_read.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/parts.h"

static const char *const statuses[] = { "optimal", "feasible", "infeasible", "refused", "unknown", NULL };

/* An entry as far as tables take it; a path and a link likewise. */
struct entry {
	char *request, *reason;
	int status;
	const struct yaml_node *nodes, *kinds, *links;
};
struct entry_link {
	char *name;
	const struct yaml_node *paths, *backup;
};
struct entry_path {
	struct yaml_names via, links;
	double mbit;
};

static void read_number(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct err err = { 0 };
	if (node->type != YAML_SCALAR || units_number(node->text, into, &err) != 0)
		yaml_error(errors, node->mark, "\"%s\" is %s; expected a number", key->name,
		           node->type == YAML_SCALAR ? node->text : yaml_type_text(node));
}

static const struct yaml_key entry_keys[] = {
	{ "request", yaml_read_name, offsetof(struct entry, request), false, NULL, "the name of a request" },
	{ "status", yaml_read_choice, offsetof(struct entry, status), true, statuses, "optimal, feasible, infeasible, refused or unknown" },
	{ "reason", yaml_read_string, offsetof(struct entry, reason), false, NULL, NULL },
	{ "nodes", read_node, offsetof(struct entry, nodes), false, NULL, "a mapping from routers to nodes" },
	{ "kinds", read_node, offsetof(struct entry, kinds), false, NULL, "a mapping from routers to kinds" },
	{ "links", read_list, offsetof(struct entry, links), false, NULL, "a list of links" },
	{ "scope", yaml_read_ignore, 0, false, NULL, NULL },     { "cost", yaml_read_ignore, 0, false, NULL, NULL },
	{ "objective", yaml_read_ignore, 0, false, NULL, NULL }, { "bound", yaml_read_ignore, 0, false, NULL, NULL },
	{ "gap", yaml_read_ignore, 0, false, NULL, NULL },       { "revenue", yaml_read_ignore, 0, false, NULL, NULL },
	{ "seconds", yaml_read_ignore, 0, false, NULL, NULL },   { "solver", yaml_read_ignore, 0, false, NULL, NULL },
	{ "relax", yaml_read_ignore, 0, false, NULL, NULL },     { 0 },
};
static const struct yaml_key link_keys[] = {
	{ "name", yaml_read_string, offsetof(struct entry_link, name), true, NULL, "the name of a virtual link" },
	{ "endpoints", yaml_read_ignore, 0, false, NULL, NULL },
	{ "paths", read_list, offsetof(struct entry_link, paths), true, NULL, "a list of paths" },
	{ "backup", read_node, offsetof(struct entry_link, backup), false, NULL, "a path" },
	{ 0 },
};
static const struct yaml_key path_keys[] = {
	{ "via", yaml_read_names, offsetof(struct entry_path, via), false, NULL, "a list of substrate nodes" },
	{ "links", yaml_read_strings, offsetof(struct entry_path, links), false, NULL, "a list of substrate links" },
	{ "mbit", read_number, offsetof(struct entry_path, mbit), false, NULL, "a number of Mbit/s" },
	{ 0 },
};

struct reader {
	const struct substrate *s;
	const struct request *r;
	struct yaml_errors *errors;
	struct embedding e;
};

/* ---- routers ------------------------------------------------------------------------------- */

static void read_hosts(struct reader *rd, const struct yaml_node *nodes)
{
	if (nodes->type != YAML_MAPPING) {
		yaml_error(rd->errors, nodes->mark, "\"nodes\" is %s; expected a mapping from routers to nodes", yaml_type_text(nodes));
		return;
	}
	for (const struct yaml_node *n = nodes->first; n; n = n->next) {
		size_t u = hash_index(rd->r->node_index, n->key);
		size_t a = n->type == YAML_SCALAR ? hash_index(rd->s->node_index, n->text) : SIZE_MAX;
		if (u == SIZE_MAX)
			yaml_error(rd->errors, n->key_mark, "\"%.70s\" is no router of %s", n->key, rd->r->name);
		else if (a == SIZE_MAX)
			yaml_error(rd->errors, n->mark, "\"%.70s\" is no node of %s", n->type == YAML_SCALAR ? n->text : "", rd->s->name);
		else
			rd->e.host[u] = (uint32_t)a;
	}
	for (size_t u = 0; u < rd->r->n_nodes && rd->errors->n == 0; u++)
		if (rd->e.host[u] == UINT32_MAX)
			yaml_error(rd->errors, nodes->mark, "router \"%s\" is on no node", rd->r->nodes[u].name);
}

static void read_kinds(struct reader *rd, const struct yaml_node *kinds)
{
	for (const struct yaml_node *n = kinds->type == YAML_MAPPING ? kinds->first : NULL; n; n = n->next) {
		size_t u = hash_index(rd->r->node_index, n->key);
		if (u == SIZE_MAX || n->type != YAML_SCALAR) {
			yaml_error(rd->errors, n->key_mark, "\"%.70s\" is no router of %s, or has no kind", n->key, rd->r->name);
			continue;
		}
		free(rd->e.kind[u]);
		rd->e.kind[u] = mem_str(n->text);
	}
}

/* ---- links --------------------------------------------------------------------------------- */

/* The one link between two nodes; UINT32_MAX: none, or several. */
static uint32_t only_link(const struct substrate *s, const char *a, const char *b)
{
	size_t x = hash_index(s->node_index, a), y = hash_index(s->node_index, b);
	uint32_t found = UINT32_MAX;

	for (uint32_t l = 0; l < s->n_links; l++) {
		if (!((s->links[l].a == x && s->links[l].b == y) || (s->links[l].a == y && s->links[l].b == x)))
			continue;
		if (found != UINT32_MAX)
			return UINT32_MAX;
		found = l;
	}
	return found;
}

static void path_links(struct reader *rd, const struct yaml_node *node, const struct entry_path *f, struct path *ret)
{
	bool named = f->links.n > 0;
	size_t n = named ? f->links.n : f->via.n > 0 ? f->via.n - 1 : 0;

	ret->links = mem_array(n + 1, sizeof(*ret->links));
	for (size_t i = 0; i < n; i++) {
		size_t l = named ? hash_index(rd->s->link_index, f->links.v[i]) : only_link(rd->s, f->via.v[i], f->via.v[i + 1]);
		if (named && l == SIZE_MAX)
			yaml_error(rd->errors, node->mark, "\"%.70s\" is no link of %s", f->links.v[i], rd->s->name);
		else if (!named && l == UINT32_MAX)
			yaml_error(rd->errors, node->mark, "not just one link joins \"%.70s\" and \"%.70s\"; expected the path's \"links\"",
			           f->via.v[i], f->via.v[i + 1]);
		else
			ret->links[ret->n++] = (uint32_t)l;
	}
	if (n == 0)
		yaml_error(rd->errors, node->mark, "a path without links; expected their names");
}

static void read_path(struct reader *rd, const struct yaml_node *node, int64_t bw_kbps, struct path *ret)
{
	struct entry_path f = { .mbit = NAN };

	yaml_read_mapping(node, path_keys, &f, NULL, rd->errors);
	path_links(rd, node, &f, ret);
	ret->bw_kbps = bw_kbps;
	if (!isnan(f.mbit)) {
		double kbps = f.mbit * 1000;
		if (kbps >= 0 && kbps <= (double)BW_MAX_KBPS && fabs(kbps - round(kbps)) < 1e-4)
			ret->bw_kbps = llround(kbps);
		else
			yaml_error(rd->errors, node->mark, "%g Mbit/s is no whole number of kbit/s, or out of range", f.mbit);
	}
	yaml_names_done(&f.via);
	yaml_names_done(&f.links);
}

static void read_paths(struct reader *rd, const struct entry_link *f, size_t k)
{
	struct vlink_map *map = &rd->e.links[k];
	int64_t bw = rd->r->links[k].bw_kbps;

	if (map->paths || map->backup.links) {
		yaml_error(rd->errors, f->paths->mark, "link \"%s\" is routed twice", f->name);
		return;
	}
	if (f->paths->n > PATHS_MAX) {
		yaml_error(rd->errors, f->paths->mark, "%zu paths; expected at most %d", f->paths->n, PATHS_MAX);
		return;
	}
	map->paths = mem_array(f->paths->n + 1, sizeof(*map->paths));
	for (const struct yaml_node *n = f->paths->first; n; n = n->next)
		read_path(rd, n, bw, &map->paths[map->n_paths++]);
	if (f->backup)
		read_path(rd, f->backup, bw, &map->backup);
}

static void read_links(struct reader *rd, const struct yaml_node *links)
{
	for (const struct yaml_node *n = links->first; n; n = n->next) {
		struct entry_link f = { 0 };
		yaml_read_mapping(n, link_keys, &f, NULL, rd->errors);
		size_t k = f.name ? hash_index(rd->r->link_index, f.name) : SIZE_MAX;
		if (f.name && k == SIZE_MAX)
			yaml_error(rd->errors, n->mark, "\"%.70s\" is no link of %s", f.name, rd->r->name);
		if (k != SIZE_MAX && f.paths)
			read_paths(rd, &f, k);
		free(f.name);
	}
}

/* ---- whole --------------------------------------------------------------------------------- */

static void read_embedding(struct reader *rd, const struct yaml_node *entry, const struct entry *f)
{
	if (!f->nodes) {
		yaml_error(rd->errors, entry->mark, "\"nodes\" is missing; expected it where status is %s", statuses[f->status]);
		return;
	}
	read_hosts(rd, f->nodes);
	if (f->kinds)
		read_kinds(rd, f->kinds);
	if (f->links)
		read_links(rd, f->links);
	if (rd->errors->n == 0)
		embedding_choose_kinds(&rd->e, rd->s, rd->r);
}

int solution_read(const struct yaml_node *entry, const struct substrate *s, const struct request *r, struct yaml_errors *errors,
                  struct solution *ret)
{
	struct reader rd = { .s = s, .r = r, .errors = errors };
	struct solution answer = { 0 };
	struct entry f = { .status = SOLVE_UNKNOWN };
	size_t before = errors->n;

	yaml_read_mapping(entry, entry_keys, &f, NULL, errors);
	answer.status = (enum solve_status)f.status;
	if (f.reason)
		snprintf(answer.reason, sizeof(answer.reason), "%s", f.reason);
	embedding_init(&rd.e, r->n_nodes, r->n_links);
	if (errors->n == before && answer.status <= SOLVE_FEASIBLE) {
		read_embedding(&rd, entry, &f);
		answer.has_embedding = true;
	}
	free(f.request);
	free(f.reason);
	if (errors->n > before || !answer.has_embedding)
		embedding_done(&rd.e);
	if (errors->n > before)
		return -EINVAL;
	answer.embedding = rd.e;
	if (answer.has_embedding)
		answer.cost = answer.objective = nano_to_units(embedding_cost_nano(s, r, &rd.e));
	*ret = answer;
	return 0;
}

int solution_parse(const char *text, size_t len, const struct substrate *s, const struct request *r, struct solution *ret,
                   struct err *err)
{
	struct yaml_errors errors = { .file = "answer" };
	struct yaml_doc **docs;
	size_t n;
	int code = -EINVAL;

	yaml_parse(text, len, &errors, &docs, &n);
	if (n == 1 && errors.n == 0)
		code = solution_read(yaml_root(docs[0]), s, r, &errors, ret);
	yaml_free_docs(docs, n);
	if (code != 0) {
		for (size_t i = 0; i + 1 < errors.text.len; i++)
			if (errors.text.data[i] == '\n')
				errors.text.data[i] = ';';
		const char *why = errors.n ? buf_cstr(&errors.text) : "no JSON object";
		code = err_set(err, -EINVAL, "%.*s", (int)strcspn(why, "\n"), why);
	}
	yaml_errors_done(&errors);
	return code;
}

static void read_result(const struct yaml_node *entry, const struct substrate *s, const struct request *requests, size_t n,
                        struct yaml_errors *errors, struct solution *ret, bool *seen)
{
	const struct yaml_node *name = entry->type == YAML_MAPPING ? yaml_get(entry, "request") : NULL;
	size_t i = 0;

	if (!name || name->type != YAML_SCALAR) {
		yaml_error(errors, entry->mark, "a result that names no \"request\"");
		return;
	}
	while (i < n && (seen[i] || strcmp(requests[i].name, name->text) != 0))
		i++;
	if (i == n) {
		yaml_error(errors, name->mark, "\"%.70s\" is none of the requests, or has a result already", name->text);
		return;
	}
	seen[i] = true;
	if (solution_read(entry, s, &requests[i], errors, &ret[i]) != 0)
		return; /* errors has grown */
}

int solutions_load(const char *path, const struct substrate *s, const struct request *requests, size_t n,
                   struct yaml_errors *errors, struct solution *ret, struct err *err)
{
	mem_auto bool *seen = mem_array(n + 1, sizeof(*seen));
	struct yaml_doc **docs;
	size_t n_docs, len;
	char *text;
	int code = yaml_load_file(path, &text, &len, err);

	errors->file = path;
	if (code < 0)
		return code;
	for (size_t i = 0; i < n; i++)
		ret[i] = (struct solution){ .status = SOLVE_UNKNOWN };
	yaml_parse(text, len, errors, &docs, &n_docs);
	free(text);
	const struct yaml_node *root = n_docs > 0 ? yaml_root(docs[0]) : NULL;
	const struct yaml_node *results = root && root->type == YAML_MAPPING ? yaml_get(root, "results") : NULL;
	if (errors->n == 0 && (!results || results->type != YAML_SEQUENCE))
		yaml_error(errors, (struct yaml_mark){ 1, 1 }, "no \"results\"; expected what vnembed -o json writes");
	for (const struct yaml_node *entry = errors->n == 0 ? results->first : NULL; entry; entry = entry->next)
		read_result(entry, s, requests, n, errors, ret, seen);
	yaml_free_docs(docs, n_docs);
	if (errors->n == 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		solution_done(&ret[i]);
	return err_set(err, -EINVAL, "%s: %zu error%s", path, errors->n, errors->n == 1 ? "" : "s");
}
