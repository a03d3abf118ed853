/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Substrates too large for brute force, and pairs of questions whose answers are related: what is renamed costs
 * the same, what is cheaper by a third is cheaper by a third, who has more room pays no more, who asks for
 * more pays no less. Related answers are held together whatever their status: a bound of the easier
 * question is never above a cost of the harder one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "embed/embed.h"
#include "embed/rng.h"

enum { NODES = 26, LINKS = 64, VNODES = 6, VLINKS = 9, PAIRS = 40 };

struct node {
	int cpu, cost, memory;
};
struct link {
	int a, b, mbit, cost, delay_ms, risk;
};
struct router {
	int cpu, memory;
	uint32_t on; /* mask of nodes */
};
struct wire {
	int a, b, mbit, max_delay_ms; /* 0: none */
	bool split, protect;
};

/* A question as plain numbers, so that another is made of it by changing a number. */
struct question {
	struct node nodes[NODES + 1];
	struct link links[LINKS + 1];
	struct router vnodes[VNODES];
	struct wire vlinks[VLINKS];
	int n_nodes, n_links, n_vnodes, n_vlinks;
	bool pack;
	uint64_t closed; /* mask of links */
	/* Where each is written, and the prefix of its name. */
	int node_at[NODES + 1], link_at[LINKS + 1], vnode_at[VNODES], vlink_at[VLINKS];
	const char *prefix;
};

static int pick(struct rng *rng, int n)
{
	return (int)rng_below(rng, (uint32_t)n);
}

/* ---- questions ----------------------------------------------------------------------------- */

/* i % 4: delays, protection, split, none of them. Sparse, with room for about what is asked. */
static void question_make(struct question *q, struct rng *rng, int i)
{
	*q = (struct question){ .n_nodes = 14 + pick(rng, NODES - 13), .n_vnodes = 3 + pick(rng, VNODES - 2), .prefix = "x",
	                        .pack = i % 8 >= 6 };
	q->n_links = q->n_nodes * 2 + pick(rng, LINKS - 2 * NODES);
	for (int a = 0; a < q->n_nodes; a++)
		q->nodes[a] = (struct node){ 2 + pick(rng, 6), pick(rng, 4), 1 + pick(rng, 8) };
	for (int l = 0; l < q->n_links; l++) {
		int a = l + 1 < q->n_nodes ? l + 1 : pick(rng, q->n_nodes);
		int b = l + 1 < q->n_nodes ? pick(rng, a) : (a + 1 + pick(rng, q->n_nodes - 1)) % q->n_nodes;
		q->links[l] = (struct link){ a, b, 4 + pick(rng, 12), 1 + pick(rng, 4), 1 + pick(rng, 9), pick(rng, 12) };
	}
	for (int u = 0; u < q->n_vnodes; u++) {
		q->vnodes[u] = (struct router){ 1 + pick(rng, 4), pick(rng, 4), 0 };
		while (__builtin_popcount(q->vnodes[u].on) < 5)
			q->vnodes[u].on |= 1u << pick(rng, q->n_nodes);
	}
	q->n_vlinks = q->n_vnodes - 1 + pick(rng, VLINKS - VNODES + 1);
	for (int k = 0; k < q->n_vlinks; k++) {
		int a = k + 1 < q->n_vnodes ? k + 1 : pick(rng, q->n_vnodes);
		int b = k + 1 < q->n_vnodes ? pick(rng, a) : (a + 1 + pick(rng, q->n_vnodes - 1)) % q->n_vnodes;
		q->vlinks[k] = (struct wire){ a, b, 1 + pick(rng, 7), i % 4 == 0 ? 8 + pick(rng, 25) : 0, i % 4 == 2, i % 4 == 1 && pick(rng, 2) };
	}
	for (int j = 0; j <= LINKS; j++)
		q->link_at[j] = j;
	for (int j = 0; j <= NODES; j++)
		q->node_at[j] = j;
	for (int j = 0; j < VNODES; j++)
		q->vnode_at[j] = j;
	for (int j = 0; j < VLINKS; j++)
		q->vlink_at[j] = j;
}

static void write_substrate(const struct question *q, struct buf *out)
{
	buf_printf(out, "kind: substrate\nname: s\nnodes:\n");
	for (int i = 0; i < q->n_nodes; i++) {
		int a = q->node_at[i];
		buf_printf(out, "  - {name: %s%d, cpu: %d, cost: %d, memory: %dMiB}\n", q->prefix, a, q->nodes[a].cpu, q->nodes[a].cost,
		           q->nodes[a].memory);
	}
	buf_printf(out, "links:\n");
	for (int i = 0; i < q->n_links; i++) {
		int l = q->link_at[i];
		const struct link *link = &q->links[l];
		bool turn = q->link_at[0] != 0 && l % 2;
		buf_printf(out, "  - {name: %sl%d, endpoints: [%s%d, %s%d], bandwidth: %dmbit, cost: %d, delay: %dms, risks: [%s%d]}\n", q->prefix, l,
		           q->prefix, turn ? link->b : link->a, q->prefix, turn ? link->a : link->b, link->mbit, link->cost, link->delay_ms,
		           q->prefix, link->risk);
	}
}

static void write_request(const struct question *q, struct buf *out)
{
	buf_printf(out, "kind: network\nname: r\nplacement: %s\nnodes:\n", q->pack ? "pack" : "distinct");
	for (int i = 0; i < q->n_vnodes; i++) {
		int u = q->vnode_at[i];
		buf_printf(out, "  - {name: %sv%d, cpu: %d, memory: %dMiB, place: {on: [none", q->prefix, u, q->vnodes[u].cpu, q->vnodes[u].memory);
		for (int a = 0; a < q->n_nodes; a++)
			if (q->vnodes[u].on >> a & 1)
				buf_printf(out, ", %s%d", q->prefix, a);
		buf_printf(out, "]}}\n");
	}
	buf_printf(out, "links:\n");
	for (int i = 0; i < q->n_vlinks; i++) {
		int k = q->vlink_at[i];
		const struct wire *link = &q->vlinks[k];
		buf_printf(out, "  - {name: %sk%d, endpoints: [%sv%d, %sv%d], bandwidth: %dmbit", q->prefix, k, q->prefix, link->a, q->prefix,
		           link->b, link->mbit);
		if (link->max_delay_ms)
			buf_printf(out, ", max_delay: %dms", link->max_delay_ms);
		buf_printf(out, "%s%s}\n", link->split ? ", paths: split" : "", link->protect ? ", protection: link" : "");
	}
}

/* ---- answers ------------------------------------------------------------------------------- */

struct answer {
	enum solve_status status;
	double cost, bound; /* INFINITY, -INFINITY: not known; both INFINITY: infeasible */
};

static struct answer ask_under(const struct question *q, const char *solver, int64_t effort, uint64_t seed)
{
	buf_auto struct buf substrate = BUF_INIT, request = BUF_INIT;
	struct yaml_errors errors = { .file = "question" };
	struct embed_options options = { .solver = solver, .effort = effort, .seed = seed };
	struct solution solution = { 0 };
	struct residual left;
	struct yaml_doc **docs;
	struct substrate s;
	struct request *r;
	struct err err = { 0 };
	size_t n;

	write_substrate(q, &substrate);
	write_request(q, &request);
	yaml_parse(substrate.data, substrate.len, &errors, &docs, &n);
	if (n != 1 || substrate_read(docs[0], &errors, &s) != 0
	    || request_parse(request.data, request.len, false, &errors, &r, &n, &err) != 0)
		fail_msg("%s\n%s%s", buf_cstr(&errors.text), buf_cstr(&substrate), buf_cstr(&request));
	yaml_free_docs(docs, 1);
	residual_init(&left, &s);
	for (int i = 0; i < q->n_links; i++)
		if (q->closed >> q->link_at[i] & 1) {
			s.links[i].closed = true;
			left.link_kbps[i] = 0;
		}
	if (embed_solve(&s, &left, r, &options, &solution, &err) != 0)
		fail_msg("%s", err.text);
	struct answer answer = { solution.status, solution.has_embedding ? solution.cost : INFINITY,
	                         solution.has_bound ? solution.bound : -INFINITY };
	if (solution.status == SOLVE_INFEASIBLE)
		answer.bound = INFINITY;
	if (solution.status == SOLVE_OPTIMAL)
		assert_true(answer.bound <= answer.cost && answer.bound >= answer.cost * (1 - 1e-9));
	solution_done(&solution);
	residual_done(&left);
	request_done(r);
	free(r);
	substrate_done(&s);
	return answer;
}

static struct answer ask(const struct question *q)
{
	return ask_under(q, "exact", 3000, 3);
}

static bool proven(struct answer a)
{
	return a.status == SOLVE_OPTIMAL || a.status == SOLVE_INFEASIBLE;
}

static void print_question(const struct question *q)
{
	buf_auto struct buf text = BUF_INIT;

	write_substrate(q, &text);
	buf_str(&text, "---\n");
	write_request(q, &text);
	fprintf(stderr, "%s\n", buf_cstr(&text)); /* whole, which cmocka's messages are not */
}

static void complain(const char *what, const struct question *p, struct answer easy, const struct question *q, struct answer hard,
                     double times)
{
	print_question(p);
	print_question(q);
	fail_msg("%s: %s, cost %.9f, bound %.9f of the first; %s, cost %.9f, bound %.9f of the second; factor %g", what,
	         solve_status_names[easy.status], easy.cost, easy.bound, solve_status_names[hard.status], hard.cost, hard.bound, times);
}

/* What fits the harder one fits the easier, at no more than `times` the cost. */
static void no_dearer(const char *what, const struct question *easy, struct answer a, const struct question *hard, struct answer b,
                      double times)
{
	if (a.bound > b.cost * times * (1 + 1e-12))
		complain(what, easy, a, hard, b, times);
	if (proven(a) && proven(b) && a.cost > b.cost * times * (1 + 1e-12))
		complain(what, easy, a, hard, b, times);
}

static void same(const char *what, const struct question *p, struct answer a, const struct question *q, struct answer b, double times)
{
	no_dearer(what, p, a, q, b, times);
	no_dearer(what, q, b, p, a, 1 / times);
}

/* ---- tests --------------------------------------------------------------------------------- */

/* Each test changes `other`, a copy of `base`, and says how the two are related. */
struct pair {
	struct question base, other;
	struct answer at;
	struct rng rng;
	int index;
};

/* Every base is solved once, for all tests; most must be decided, and some must be infeasible, to be worth anything. */
static struct pair pairs[PAIRS];

static int solve_bases(void **state)
{
	int decided = 0, feasible = 0;

	for (int i = 0; i < PAIRS; i++) {
		struct pair *p = &pairs[i];
		rng_init(&p->rng, 1000 + (uint64_t)i);
		question_make(&p->base, &p->rng, i);
		p->index = i;
		p->at = ask(&p->base);
		decided += proven(p->at);
		feasible += p->at.cost < INFINITY;
	}
	if (decided * 10 < PAIRS * 9 || feasible * 2 < PAIRS || feasible == PAIRS) {
		print_message("%d of %d decided, %d feasible\n", decided, PAIRS, feasible);
		return -1;
	}
	return 0;
}

#define EACH_PAIR(p) \
	for (struct pair *p = pairs; p < pairs + PAIRS && (p->other = p->base, true); p++)

static void shuffle(struct rng *rng, int *at, int n)
{
	for (int i = n - 1; i > 0; i--) {
		int j = pick(rng, i + 1), x = at[i];
		at[i] = at[j];
		at[j] = x;
	}
}

static void names_and_order_do_not_matter(void **state)
{
	EACH_PAIR(p) {
		shuffle(&p->rng, p->other.node_at, p->other.n_nodes);
		shuffle(&p->rng, p->other.link_at, p->other.n_links);
		shuffle(&p->rng, p->other.vnode_at, p->other.n_vnodes);
		shuffle(&p->rng, p->other.vlink_at, p->other.n_vlinks);
		p->other.prefix = p->index % 2 ? "Zz-" : "q_";
		same("renamed", &p->other, ask(&p->other), &p->base, p->at, 1);
	}
}

static void ends_may_be_swapped(void **state)
{
	EACH_PAIR(p) {
		for (int k = 0; k < p->other.n_vlinks; k++) {
			struct wire *v = &p->other.vlinks[k];
			int a = v->a;
			v->a = v->b;
			v->b = a;
		}
		same("swapped", &p->other, ask(&p->other), &p->base, p->at, 1);
	}
}

static void costs_scale(void **state)
{
	EACH_PAIR(p) {
		for (int a = 0; a < p->other.n_nodes; a++)
			p->other.nodes[a].cost *= 7;
		for (int l = 0; l < p->other.n_links; l++)
			p->other.links[l].cost *= 7;
		same("costs × 7", &p->other, ask(&p->other), &p->base, p->at, 7);
	}
}

static void quantities_scale(void **state)
{
	EACH_PAIR(p) {
		for (int a = 0; a < p->other.n_nodes; a++)
			p->other.nodes[a].cpu *= 3;
		for (int l = 0; l < p->other.n_links; l++)
			p->other.links[l].mbit *= 3;
		for (int u = 0; u < p->other.n_vnodes; u++)
			p->other.vnodes[u].cpu *= 3;
		for (int k = 0; k < p->other.n_vlinks; k++)
			p->other.vlinks[k].mbit *= 3;
		/* a split into thirds of kbit/s has become possible */
		if (p->base.vlinks[0].split)
			no_dearer("quantities × 3", &p->other, ask(&p->other), &p->base, p->at, 3);
		else
			same("quantities × 3", &p->other, ask(&p->other), &p->base, p->at, 3);
	}
}

/* A link that is closed is as one that is not there, for best effort, too. */
static void what_is_closed_is_not_there(void **state)
{
	EACH_PAIR(p) {
		struct question without;
		for (int i = 0; i < 4; i++)
			p->other.closed |= UINT64_C(1) << pick(&p->rng, p->other.n_links);
		p->other.vlinks[p->index % p->other.n_vlinks].mbit = 0;
		without = p->other;
		without.closed = 0;
		without.n_links = 0;
		for (int i = 0; i < p->other.n_links; i++)
			if (!(p->other.closed >> i & 1))
				without.link_at[without.n_links++] = i;
		same("closed", &p->other, ask(&p->other), &without, ask(&without), 1);
	}
}

static void delays_scale(void **state)
{
	EACH_PAIR(p) {
		for (int l = 0; l < p->other.n_links; l++)
			p->other.links[l].delay_ms *= 5;
		for (int k = 0; k < p->other.n_vlinks; k++)
			p->other.vlinks[k].max_delay_ms *= 5;
		same("delays × 5", &p->other, ask(&p->other), &p->base, p->at, 1);
	}
}

static void room_never_costs(void **state)
{
	EACH_PAIR(p) {
		for (int i = 0; i < 4; i++) {
			p->other.nodes[pick(&p->rng, p->other.n_nodes)].cpu += 3;
			p->other.links[pick(&p->rng, p->other.n_links)].mbit += 5;
		}
		no_dearer("more room", &p->other, ask(&p->other), &p->base, p->at, 1);
	}
}

static void want_of_room_never_saves(void **state)
{
	EACH_PAIR(p) {
		for (int i = 0; i < 4; i++) {
			struct node *node = &p->other.nodes[pick(&p->rng, p->other.n_nodes)];
			struct link *link = &p->other.links[pick(&p->rng, p->other.n_links)];
			node->cpu -= node->cpu > 2 ? 2 : 0;
			link->mbit -= link->mbit > 3 ? 3 : 0;
		}
		no_dearer("less room", &p->base, p->at, &p->other, ask(&p->other), 1);
	}
}

static void a_new_link_never_costs(void **state)
{
	EACH_PAIR(p) {
		struct question *q = &p->other;
		int a = pick(&p->rng, q->n_nodes);
		q->links[q->n_links++] = (struct link){ a, (a + 1 + pick(&p->rng, q->n_nodes - 1)) % q->n_nodes, 9, 1, 1, 50 };
		no_dearer("a new link", q, ask(q), &p->base, p->at, 1);
	}
}

static void a_new_node_never_costs(void **state)
{
	EACH_PAIR(p) {
		struct question *q = &p->other;
		int a = q->n_nodes++;
		q->nodes[a] = (struct node){ 8, 0, 8 };
		q->links[q->n_links++] = (struct link){ a, pick(&p->rng, a), 20, 1, 1, 60 };
		q->vnodes[pick(&p->rng, q->n_vnodes)].on |= 1u << a;
		no_dearer("a new node", q, ask(q), &p->base, p->at, 1);
	}
}

static void a_lost_link_never_saves(void **state)
{
	EACH_PAIR(p) {
		struct question *q = &p->other;
		q->links[pick(&p->rng, q->n_links)] = q->links[q->n_links - 1];
		q->n_links--;
		no_dearer("a lost link", &p->base, p->at, q, ask(q), 1);
	}
}

/* One number of the request gets worse. */
static void tighter_is_never_cheaper(void **state)
{
	EACH_PAIR(p) {
		struct question *q = &p->other;
		struct router *v = &q->vnodes[pick(&p->rng, q->n_vnodes)];
		struct wire *k = &q->vlinks[pick(&p->rng, q->n_vlinks)];
		switch (p->index / 4 % 5) {
		case 0:
			v->cpu++;
			break;
		case 1:
			v->on &= v->on - 1;
			break;
		case 2:
			k->mbit += 2;
			break;
		case 3:
			k->max_delay_ms = k->max_delay_ms ? k->max_delay_ms - 3 : k->split ? 0 : 20;
			break;
		default:
			k->protect = !k->split;
			v->memory++;
			break;
		}
		no_dearer("tighter", &p->base, p->at, q, ask(q), 1);
	}
}

static void laxer_is_never_dearer(void **state)
{
	EACH_PAIR(p) {
		struct question *q = &p->other;
		struct wire *k = &q->vlinks[pick(&p->rng, q->n_vlinks)];
		switch (p->index / 4 % 4) {
		case 0:
			q->pack = true;
			break;
		case 1:
			k->split = !k->protect && !k->max_delay_ms;
			k->max_delay_ms = 0;
			break;
		case 2:
			k->protect = false;
			k->mbit -= k->mbit > 1;
			break;
		default:
			q->n_vlinks--;
			break;
		}
		no_dearer("laxer", q, ask(q), &p->base, p->at, 1);
	}
}

/* Whether a router is here or there: the optimum is the better of the two. */
static void conditions_unite(void **state)
{
	EACH_PAIR(p) {
		struct question *here = &p->other, there = p->base;
		int u = pick(&p->rng, here->n_vnodes);
		uint32_t on = here->vnodes[u].on, half = on & (on - 1) & 0x155555 ? on & (on - 1) & 0x155555 : on & (on - 1);
		here->vnodes[u].on = half;
		there.vnodes[u].on = on & ~half;
		struct answer a = ask(here), b = ask(&there);
		no_dearer("one half", &p->base, p->at, here, a, 1);
		no_dearer("the other half", &p->base, p->at, &there, b, 1);
		const struct question *better = a.cost < b.cost ? here : &there;
		if (proven(a) && proven(b))
			same("both halves", &p->base, p->at, better, a.cost < b.cost ? a : b, 1);
	}
}

/* No solver is above another's bound, whatever its effort. */
static void solvers_agree(void **state)
{
	static const char *const solvers[] = { "heuristic", "mip", "auto", "exact" };

	EACH_PAIR(p)
		for (int i = 0; i < 4; i++)
			for (int64_t effort = 5; effort <= (i == 1 ? 50 : 500); effort *= 10)
				same(solvers[i], &p->base, ask_under(&p->base, solvers[i], effort, 3), &p->base, p->at, 1);
}

/* Another seed takes another way, by other programs and prices, to the same end. */
static void seeds_agree(void **state)
{
	EACH_PAIR(p)
		for (uint64_t seed = 4; p->index % 4 < 2 && seed < 8; seed++)
			same("another seed", &p->base, ask_under(&p->base, "exact", seed % 2 ? 3000 : 400, seed), &p->base, p->at, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_order_do_not_matter), cmocka_unit_test(ends_may_be_swapped), cmocka_unit_test(costs_scale),
		cmocka_unit_test(quantities_scale), cmocka_unit_test(what_is_closed_is_not_there), cmocka_unit_test(delays_scale), cmocka_unit_test(room_never_costs),
		cmocka_unit_test(want_of_room_never_saves), cmocka_unit_test(a_new_link_never_costs), cmocka_unit_test(a_new_node_never_costs),
		cmocka_unit_test(a_lost_link_never_saves), cmocka_unit_test(tighter_is_never_cheaper), cmocka_unit_test(laxer_is_never_dearer),
		cmocka_unit_test(conditions_unite), cmocka_unit_test(solvers_agree), cmocka_unit_test(seeds_agree),
	};
	return cmocka_run_group_tests(tests, solve_bases, NULL);
}
