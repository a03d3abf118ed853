/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Substrates and requests from a few numbers and a seed: the published workloads, classes of instances,
 * and whatever else is spelled out. Same numbers and seed, same result, everywhere. */
#pragma once

#include "base/err.h"
#include "model/request.h"
#include "model/substrate.h"
#include "origin/random_graph.h"

/* Cores, MiB and Mbit/s are whole numbers drawn evenly. What is left of them, where `left` is not all, is a
 * fraction drawn for each part by itself. */
struct substrate_spec {
	struct graph_spec graph;
	struct range cpu, memory, bandwidth; /* cores, MiB (high 0: no limit), Mbit/s */
	struct range left_milli;             /* of all three; {1000, 1000}: nothing is taken */
	int64_t delay_us_per_unit;           /* of distance; in whole ms, at least 1; 0: by `delay` */
	struct range delay;                  /* µs */
	struct range node_cost;              /* per core */
	bool load_price;                     /* a link with less than 0.7 left costs 2 */
	bool positions;                      /* say where the nodes are */
};

struct request_spec {
	struct range nodes;
	uint64_t probability_micro; /* of a link between two, given that all are connected */
	struct range cpu, memory, bandwidth;
	struct range candidates;    /* as many nodes next to a point at random; high 0: anywhere */
	bool scattered;             /* candidates are any nodes, not neighbours */
	int64_t within;             /* of a point at random, in units of 1/10000; 0: not asked for */
	struct range max_delay_ms;  /* high 0: none */
	uint64_t max_delay_micro;   /* share of links that are so bounded */
	bool split;
	/* a trace: */
	uint32_t count;             /* 0: one request without arrival */
	int64_t gap_us;             /* mean between arrivals; exponential, or Poisson in whole seconds */
	bool gap_poisson;
	int64_t lifetime_us;        /* mean; exponential, in ms */
};

struct preset {
	const char *name, *about;
	struct substrate_spec substrate;
	struct request_spec request;
};
extern const struct preset presets[]; /* streams of requests; ended by a NULL name */
const struct preset *preset_find(const char *name);

/* Arrivals `load_micro` / 10^6 times as often, and as many requests, 0: as they are. -EINVAL outside of 0.001 to 1000. */
int preset_adapt(struct preset *p, int64_t load_micro, uint32_t requests, struct err *err) VNE_MUST;

/* Instances by class: R (G(n, 0.5)), W (Waxman with 5 links a node) or I (sparse like an ISP), nodes, then L
 * (10–20 candidates each), A (anywhere), D (delay bounds and prices), H (10–16 virtual nodes), S (split) or
 * T (tight). S in front: stress; there A and L take the number of virtual nodes (SW100L20). */
int instance_class(const char *name, struct preset *ret, struct err *err) VNE_MUST;

/* Substrates of this many nodes, 5 links each, and a request of 10 nodes with 15 candidates each, all at random; near:
 * links and candidates join what is near. */
void scale_class(uint32_t nodes, bool near, struct preset *ret);

/* Seed n of one preset has nothing in common with seed n of another. */
uint64_t preset_seed(const struct preset *p, uint64_t seed);

int generate_substrate(const struct substrate_spec *spec, const char *name, uint64_t seed, struct substrate *ret,
                       struct err *err) VNE_MUST;
/* Of a trace all, else one called `name`. O(candidates × nodes log nodes) for candidates. Caller frees each and the
 * array. */
int generate_requests(const struct request_spec *spec, const struct substrate *s, const char *name, uint64_t seed,
                      struct request **ret, size_t *ret_n, struct err *err) VNE_MUST;
