/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The numbers behind the names. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "origin/generate.h"

#define S INT64_C(1000000) /* a second, in µs; one, in millionths */
#define UNIT INT64_C(10000) /* of the plane */

#define WAXMAN(n, alpha) \
	.graph = { .model = GRAPH_WAXMAN, .nodes = n, .alpha_micro = alpha, .beta_micro = 500000, .side = UNIT, .step = 1 }
#define CAPACITIES \
	.cpu = { 50, 100 }, .bandwidth = { 50, 100 }, .left_milli = { 1000, 1000 }, .node_cost = { 1, 1 }, .positions = true

const struct preset presets[] = {
	/* Virne 1.0's settings. Its alpha and beta reach networkx's function in the other order: what happens is
	 * 0.5 exp(-d / (0.2 L)). */
	{ "virne", "Virne's defaults: Waxman of 100 nodes, 1000 requests of 2-10 nodes",
	  { WAXMAN(100, 200000), CAPACITIES },
	  { .nodes = { 2, 10 }, .probability_micro = 500000, .cpu = { 0, 20 }, .bandwidth = { 0, 50 },
	    .count = 1000, .gap_us = 25 * S, .gap_poisson = true, .lifetime_us = 500 * S } },
	/* Chowdhury, Rahman and Boutaba 2009: four arrivals in 100 units of time. */
	{ "vineyard", "ViNE-Yard: G(50, 0.5) on a 25 by 25 grid, 2000 requests of 2-10 nodes, each within 15 of a point",
	  { .graph = { .model = GRAPH_GNP, .nodes = 50, .beta_micro = 500000, .side = 25 * UNIT, .step = 1 }, CAPACITIES },
	  { .nodes = { 2, 10 }, .probability_micro = 500000, .cpu = { 0, 20 }, .bandwidth = { 0, 50 }, .within = 15 * UNIT,
	    .count = 2000, .gap_us = 25 * S, .lifetime_us = 1000 * S } },
	{ "wx500", "Waxman of 500 nodes, 1000 requests of 2-10 nodes, four times as often",
	  { WAXMAN(500, 200000), CAPACITIES },
	  { .nodes = { 2, 10 }, .probability_micro = 500000, .cpu = { 0, 20 }, .bandwidth = { 0, 50 },
	    .count = 1000, .gap_us = 25 * S / 4, .gap_poisson = true, .lifetime_us = 500 * S } },
	{ "wx1000-big", "Waxman of 1000 nodes, 100 requests of 30-100 nodes",
	  { WAXMAN(1000, 50000), CAPACITIES },
	  { .nodes = { 30, 100 }, .probability_micro = 120000, .cpu = { 0, 20 }, .bandwidth = { 0, 10 },
	    .count = 100, .gap_us = 25 * S / 4, .gap_poisson = true, .lifetime_us = 80 * S } },
	{ 0 },
};

const struct preset *preset_find(const char *name)
{
	for (const struct preset *p = presets; p->name; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

int preset_adapt(struct preset *p, int64_t load_micro, uint32_t requests, struct err *err)
{
	if (load_micro < S / 1000 || load_micro > 1000 * S)
		return err_set(err, -EINVAL, "load: expected 0.001 to 1000");
	p->request.gap_us = p->request.gap_us * S / load_micro;
	if (requests > 0 && p->request.count > 0)
		p->request.count = requests;
	return 0;
}

uint64_t preset_seed(const struct preset *p, uint64_t seed)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (const char *c = p->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return seed ^ hash;
}

static void class_substrate(char family, uint32_t nodes, bool sparse, struct preset *p)
{
	p->substrate = (struct substrate_spec){
		.graph = { .nodes = nodes, .side = 100 * UNIT, .step = UNIT },
		.cpu = { 50, 100 }, .memory = { 50, 100 }, .bandwidth = { 50, 100 }, .left_milli = { 400, 1000 },
		.delay_us_per_unit = 200, .node_cost = { 0, 0 }, .positions = true,
	};
	struct graph_spec *g = &p->substrate.graph;
	g->model = family == 'R' ? GRAPH_GNP : GRAPH_WAXMAN;
	g->beta_micro = 500000;
	g->alpha_micro = family == 'W' ? 210000 : 50000;
	if (family != 'R')
		g->links = family == 'W' ? 5 * nodes : sparse ? nodes * 7 / 4 : 2 * nodes;
}

static void hard(struct preset *p, int64_t left_milli, int64_t probability_micro)
{
	p->substrate.left_milli.low = left_milli;
	p->request.probability_micro = (uint64_t)probability_micro;
}

/* What the letters behind the size say; `digits`: of a stress case. False: no such class. */
static bool class_request(char family, bool stress, char kind, uint32_t digits, struct preset *p)
{
	struct request_spec *r = &p->request;

	*r = (struct request_spec){ .nodes = { 3, 9 }, .probability_micro = 500000, .cpu = { 1, 20 }, .memory = { 1, 20 },
		                    .bandwidth = { 1, 50 }, .candidates = { 10, 20 } };
	if (kind == 'A')
		r->candidates = (struct range){ 0, 0 };
	else if (kind == 'D') {
		r->max_delay_ms = (struct range){ 12, 25 };
		r->max_delay_micro = 800000;
		p->substrate.node_cost = (struct range){ 1, 3 };
		p->substrate.load_price = true;
	} else if (kind == 'H') {
		r->nodes = (struct range){ 10, 16 };
		hard(p, family == 'I' ? 800 : 700, 300000);
		r->bandwidth.high = family == 'I' ? 30 : 50;
	} else if (kind == 'S')
		r->split = true;
	else if (kind == 'T') {
		r->nodes = (struct range){ 9, 10 };
		hard(p, 500, 400000);
		r->bandwidth.high = 40;
	} else if (kind != 'L')
		return false;
	if (!stress)
		return digits == 0 && kind != 'T';
	if (kind == 'T')
		return digits == 0;
	r->nodes = (struct range){ digits * 4 / 5, digits };
	if (kind == 'L')
		hard(p, 800, 200000);
	else if (kind == 'A' && family != 'W')
		hard(p, 700, family == 'R' ? 400000 : 300000);
	if (family == 'I')
		r->bandwidth.high = 30;
	return (kind == 'A' || kind == 'L') && digits >= 2 && digits <= 100;
}

int instance_class(const char *name, struct preset *ret, struct err *err)
{
	const char *at = name;
	bool stress = *at == 'S' && strchr("RWI", at[1]) && at[1];
	char *end = NULL, family = at[stress], kind;
	struct preset p = { .name = name, .about = "an instance" };

	at += stress + 1;
	if (!family || !strchr("RWI", family) || !isdigit((unsigned char)*at))
		goto unknown;
	unsigned long nodes = strtoul(at, &end, 10), digits = 0;
	kind = *end;
	if (kind && isdigit((unsigned char)*++end))
		digits = strtoul(end, &end, 10);
	if (*end || digits > 100)
		goto unknown;
	/* more nodes have all of Waxman's pairs in reach, fewer cannot have 5 links each, half of them at most */
	if (nodes < 24 || nodes > 2000)
		return err_set(err, -EINVAL, "class %s: %lu nodes; expected 24 to 2000", name, nodes);
	class_substrate(family, (uint32_t)nodes, kind != 'H' && !(stress && kind == 'A'), &p);
	if (!class_request(family, stress, kind, (uint32_t)digits, &p))
		goto unknown;
	*ret = p;
	return 0;
unknown:
	return err_set(err, -EINVAL, "class '%s' is unknown; expected R, W or I, a number of nodes, and A, D, H, L or S, as in W100H; "
	               "or a stress case such as SI60T, SW100L20, SR50A15", name);
}

void scale_class(uint32_t nodes, bool near, struct preset *ret)
{
	*ret = (struct preset){
		.name = near ? "scale-near" : "scale", .about = "large substrates",
		.substrate = { .graph = { .model = near ? GRAPH_NEAR : GRAPH_REGULAR, .nodes = nodes, .degree = 5,
		                          .side = 100 * UNIT, .step = UNIT / 100 },
		               .cpu = { 50, 100 }, .bandwidth = { 50, 100 }, .left_milli = { 400, 1000 },
		               .delay = { 1000, 10000 }, .node_cost = { 1, 1 }, .positions = near },
		.request = { .nodes = { 10, 10 }, .probability_micro = 300000, .cpu = { 1, 20 }, .bandwidth = { 1, 30 },
		             .candidates = { 15, 15 }, .scattered = !near },
	};
}
