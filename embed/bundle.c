/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See bundle.h. */
#include "embed/bundle.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static char bundle_name[] = "batch";

void bundle_make(const struct request *const *requests, size_t n, struct request *ret)
{
	size_t n_nodes = 0, n_links = 0;

	for (size_t i = 0; i < n; i++) {
		n_nodes += requests[i]->n_nodes;
		n_links += requests[i]->n_links;
	}
	*ret = (struct request){ .name = bundle_name, .arrival_us = -1, .lifetime_us = -1, .priority_micro = 1000000,
	                         .placement = PLACEMENT_GROUPS, .nodes = mem_array(n_nodes + 1, sizeof(*ret->nodes)),
	                         .links = mem_array(n_links + 1, sizeof(*ret->links)) };
	for (size_t i = 0; i < n; i++) {
		const struct request *r = requests[i];
		size_t first = ret->n_nodes;
		for (size_t u = 0; u < r->n_nodes; u++) {
			struct vnode *node = &ret->nodes[ret->n_nodes++];
			*node = r->nodes[u];
			node->group = (uint32_t)(r->placement == PLACEMENT_DISTINCT ? first : first + u);
		}
		for (size_t k = 0; k < r->n_links; k++) {
			struct vlink *link = &ret->links[ret->n_links++];
			*link = r->links[k];
			link->a += (uint32_t)first;
			link->b += (uint32_t)first;
		}
	}
}

void bundle_done(struct request *bundle)
{
	free(bundle->nodes);
	free(bundle->links);
	*bundle = (struct request){ 0 };
}

void bundle_part(const struct request *const *requests, size_t i, const struct embedding *whole, struct embedding *ret)
{
	size_t first_node = 0, first_link = 0;

	for (size_t j = 0; j < i; j++) {
		first_node += requests[j]->n_nodes;
		first_link += requests[j]->n_links;
	}
	const struct embedding part = { .host = whole->host + first_node, .kind = whole->kind + first_node,
	                                .links = whole->links + first_link, .n_nodes = requests[i]->n_nodes,
	                                .n_links = requests[i]->n_links };
	embedding_copy(&part, ret);
}
