/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as the answer of somebody's own program. Nothing may crash, what is refused has a reason, and what is
 * taken is an embedding whose every index exists, on which the checker has the last word. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/solution_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char substrate_text[] =
	"kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 4, routers: [xen, netns]}\n  - {name: b, cpu: 4}\n  - {name: c, cpu: 2}\nlinks:\n"
	"  - {endpoints: [a, b], bandwidth: 10mbit}\n  - {endpoints: [b, c], bandwidth: 10mbit}\n"
	"  - {name: x, endpoints: [a, c], bandwidth: 5mbit}\n  - {name: y, endpoints: [a, c], bandwidth: 5mbit}\n";
static const char request_text[] =
	"kind: network\nname: r\nnodes:\n  - {name: r1, cpu: 1}\n  - {name: r2, cpu: 1}\n  - {name: r3, cpu: 1}\nlinks:\n"
	"  - {endpoints: [r1, r2], bandwidth: 2mbit}\n  - {name: k, endpoints: [r2, r3], bandwidth: 6mbit, paths: split}\n"
	"  - {endpoints: [r1, r3], bandwidth: 1mbit, protection: link}\n";

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Read once; libFuzzer ends without leaving main. */
static void problem(struct substrate *s, struct request *r)
{
	struct yaml_errors errors = { .file = "problem" };
	struct yaml_doc **docs;
	struct request *requests;
	size_t n;

	yaml_parse(substrate_text, sizeof(substrate_text) - 1, &errors, &docs, &n);
	must(n == 1 && substrate_read(docs[0], &errors, s) == 0);
	yaml_free_docs(docs, n);
	must(request_parse(request_text, sizeof(request_text) - 1, false, &errors, &requests, &n, NULL) == 0 && n == 1);
	*r = requests[0];
	free(requests);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct substrate s;
	static struct request r;
	static struct residual left;
	mem_auto char *text = mem_dup(data, size); /* its own block, so that reading past its end shows */
	struct solution answer = { 0 };
	struct err err = { 0 };

	if (!s.name) {
		problem(&s, &r);
		residual_init(&left, &s);
	}
	if (solution_parse(text, size, &s, &r, &answer, &err) != 0) {
		must(err.text[0] != '\0');
		return 0;
	}
	if (answer.has_embedding) {
		must(answer.embedding.n_nodes == r.n_nodes && answer.embedding.n_links == r.n_links);
		if (embedding_check(&s, &left, &r, &answer.embedding, &err) == 0)
			must(embedding_cost_nano(&s, &r, &answer.embedding) > 0);
		else
			must(err.text[0] != '\0');
	}
	solution_done(&answer);
	return 0;
}
