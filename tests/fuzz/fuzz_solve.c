/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as a small problem, given to every solver under a small effort. Nobody knows the optimum, but whatever it
 * is: an embedding passes the checker, no bound is above any cost found, nothing is both found and excluded, and
 * the same question has the same answer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/embed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES_MAX = 9, LINKS_MAX = 16, VNODES_MAX = 6, VLINKS_MAX = 8 };

struct bytes {
	const uint8_t *at, *end;
};

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* 0 … n - 1; 0 when the bytes have come to an end. */
static unsigned take(struct bytes *in, unsigned n)
{
	return in->at < in->end ? *in->at++ % n : 0;
}

static void write_substrate(struct bytes *in, struct buf *out, unsigned n)
{
	static const char *const more[] = { "", "", "", ", memory: 2MiB", ", routers: [xen]", ", agent: false", ", max_ports: 3",
		", max_routers: 1", ", uplinks: [p]", ", labels: {x: y}", ", position: [3, 4]", ", cost: 0" };
	unsigned links = 1 + take(in, LINKS_MAX);

	buf_str(out, "kind: substrate\nname: s\nnodes:\n");
	for (unsigned a = 0; a < n; a++)
		buf_printf(out, "  - {name: n%u, cpu: %u%s}\n", a, take(in, 6), more[take(in, ARRAY_LEN(more))]);
	buf_str(out, "links:\n");
	for (unsigned l = 0; l < links; l++) {
		unsigned a = take(in, n), b = (a + 1 + take(in, n - 1)) % n;
		buf_printf(out, "  - {name: l%u, endpoints: [n%u, n%u], bandwidth: %ukbit, delay: %uus, cost: %u.%u, risks: [r%u]}\n", l, a, b,
		           1 + take(in, 200), take(in, 9), take(in, 4), take(in, 10), take(in, 9));
	}
}

static void write_request(struct bytes *in, struct buf *out, unsigned n)
{
	static const char *const more[] = { "", "", "", ", memory: 1MiB", ", router: xen", ", place: {not_on: [n0, n2]}", ", place: {labels: {x: y}}",
		", uplinks: [{port: p}]", ", place: {near: {position: [0, 0], within: 5}}" };
	static const char *const how[] = { "", "", ", paths: split", ", protection: link", ", max_delay: 9us", ", paths: split, max_delay: 12us",
		", protection: link, max_delay: 15us" };
	unsigned nodes = 1 + take(in, VNODES_MAX), links = nodes > 1 ? take(in, VLINKS_MAX) : 0;

	buf_printf(out, "kind: network\nname: r\nplacement: %s\nnodes:\n", take(in, 3) ? "distinct" : "pack");
	for (unsigned u = 0; u < nodes; u++) {
		buf_printf(out, "  - {name: v%u, cpu: %u.%u", u, take(in, 4), take(in, 10));
		if (take(in, 3) == 0)
			buf_printf(out, ", place: {on: [n%u, n%u]}}\n", take(in, n), n);
		else
			buf_printf(out, "%s}\n", more[take(in, ARRAY_LEN(more))]);
	}
	if (links)
		buf_str(out, "links:\n");
	for (unsigned k = 0; k < links; k++) {
		unsigned a = take(in, nodes), b = (a + 1 + take(in, nodes - 1)) % nodes, kbps = take(in, 90);
		buf_printf(out, "  - {name: k%u, endpoints: [v%u, v%u], bandwidth: %u%s%s}\n", k, a, b, kbps, kbps ? "kbit" : "mbit",
		           how[take(in, ARRAY_LEN(how))]);
	}
}

struct answers {
	double least_cost, most_bound; /* of all */
	bool found, excluded;
};

static void solve(const struct substrate *s, const struct residual *left, const struct request *r, const struct embed_options *options,
                  struct answers *all)
{
	struct solution one = { 0 }, two = { 0 };
	struct err err = { 0 };

	must(embed_solve(s, left, r, options, &one, &err) == 0 && embed_solve(s, left, r, options, &two, &err) == 0);
	must(one.status == two.status && one.has_bound == two.has_bound && (!one.has_bound || one.bound == two.bound));
	must(one.has_embedding == two.has_embedding && strcmp(one.reason, two.reason) == 0);
	if (one.has_embedding) {
		must(one.objective == two.objective && embedding_check(s, left, r, &one.embedding, &err) == 0);
		must(memcmp(one.embedding.host, two.embedding.host, r->n_nodes * sizeof(*one.embedding.host)) == 0);
		all->found = true;
		all->least_cost = fmin(all->least_cost, one.objective);
	} else {
		must(one.reason[0] != '\0');
	}
	if (one.has_bound)
		all->most_bound = fmax(all->most_bound, one.bound);
	if (one.status == SOLVE_OPTIMAL)
		all->most_bound = fmax(all->most_bound, one.objective);
	all->excluded |= one.status == SOLVE_INFEASIBLE;
	solution_done(&one);
	solution_done(&two);
}

static void solve_all(const struct substrate *s, const struct request *r, enum embed_objective objective)
{
	static const char *const solvers[] = { "heuristic", "exact", "mip", "auto" };
	struct answers all = { INFINITY, -INFINITY, false, false };
	struct residual left;

	residual_init(&left, s);
	for (size_t i = 0; i < ARRAY_LEN(solvers); i++)
		solve(s, &left, r, &(struct embed_options){ .solver = solvers[i], .effort = i == 2 ? 5 : 25, .seed = 1, .objective = objective,
		                                            .explain = i == 3 }, &all);
	must(!(all.found && all.excluded));
	must(all.excluded || all.most_bound <= all.least_cost + 1e-9 * fabs(all.least_cost));
	residual_done(&left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in = { data, data + size };
	buf_auto struct buf substrate = BUF_INIT, request = BUF_INIT;
	struct yaml_errors errors = { .file = "fuzz" };
	unsigned n = 2 + take(&in, NODES_MAX - 1);
	enum embed_objective objective = take(&in, 4) ? OBJECTIVE_COST : OBJECTIVE_BALANCE;
	struct yaml_doc **docs;
	struct request *r;
	struct substrate s;
	struct err err = { 0 };
	size_t count;

	write_substrate(&in, &substrate, n);
	write_request(&in, &request, n);
	if (getenv("FUZZ_PRINT"))
		fprintf(stderr, "%s---\n%s", buf_cstr(&substrate), buf_cstr(&request));
	yaml_parse(substrate.data, substrate.len, &errors, &docs, &count);
	must(count == 1 && substrate_read(docs[0], &errors, &s) == 0);
	yaml_free_docs(docs, count);
	must(request_parse(request.data, request.len, false, &errors, &r, &count, &err) == 0);
	solve_all(&s, r, objective);
	request_done(r);
	free(r);
	substrate_done(&s);
	yaml_errors_done(&errors);
	return 0;
}
