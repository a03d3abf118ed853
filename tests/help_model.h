/* SPDX-License-Identifier: GPL-3.0-or-later */
/* For tests: substrates and requests from YAML text, embeddings from names. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/embedding.h"
#include "model/request.h"
#include "model/substrate.h"
#include "model/yaml.h"

static inline struct substrate help_substrate(const char *text)
{
	struct yaml_errors errors = { .file = "substrate" };
	struct yaml_doc **docs = NULL;
	struct substrate s = { 0 };
	size_t n = 0;

	yaml_parse(text, strlen(text), &errors, &docs, &n);
	if (errors.n || n != 1 || substrate_read(docs[0], &errors, &s) < 0)
		fail_msg("%s", buf_cstr(&errors.text));
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
	return s;
}

static inline struct request help_request(const char *text)
{
	struct yaml_errors errors = { .file = "request" };
	struct request *all = NULL, r = { 0 };
	struct err err = { 0 };
	size_t n = 0;

	if (request_parse(text, strlen(text), false, &errors, &all, &n, &err) < 0 || n != 1)
		fail_msg("%s: %s", err.text, buf_cstr(&errors.text));
	r = all[0];
	free(all);
	yaml_errors_done(&errors);
	return r;
}

static inline uint32_t help_index(const struct hash *index, const char *name)
{
	size_t i = hash_index(index, name);

	if (i == SIZE_MAX)
		fail_msg("no '%s'", name);
	return (uint32_t)i;
}

static inline void help_host(struct embedding *e, const struct substrate *s, const struct request *r, const char *vnode,
                             const char *snode)
{
	e->host[help_index(r->node_index, vnode)] = help_index(s->node_index, snode);
}

/* links: names separated by blanks. */
static inline struct path help_path(const struct substrate *s, const char *links, int64_t bw_kbps)
{
	mem_auto char *copy = mem_str(links);
	struct path p = { .links = mem_array(s->n_links + 1, sizeof(*p.links)), .bw_kbps = bw_kbps };
	char *save = NULL;

	for (char *name = strtok_r(copy, " ", &save); name; name = strtok_r(NULL, " ", &save))
		p.links[p.n++] = help_index(s->link_index, name);
	return p;
}

static inline void help_add_path(struct embedding *e, const struct substrate *s, const struct request *r,
                                 const char *vlink, const char *links, int64_t bw_kbps)
{
	struct vlink_map *m = &e->links[help_index(r->link_index, vlink)];

	m->paths = mem_grow(m->paths, m->n_paths + 1, sizeof(*m->paths));
	m->paths[m->n_paths++] = help_path(s, links, bw_kbps);
}

static inline void help_backup(struct embedding *e, const struct substrate *s, const struct request *r,
                               const char *vlink, const char *links, int64_t bw_kbps)
{
	struct vlink_map *m = &e->links[help_index(r->link_index, vlink)];

	free(m->backup.links);
	m->backup = help_path(s, links, bw_kbps);
}
