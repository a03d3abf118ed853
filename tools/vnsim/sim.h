/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The simulation of a stream of requests: a clock, arrivals and departures, and what is measured.
 *
 * Requests arrive in order and are embedded at once, each onto what those still running leave; one
 * that is not embedded goes away. Those that leave at a time free their share before those that
 * arrive then. A request without lifetime stays for ever; in figures weighted by time it counts
 * until the last arrival. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "embed/embed.h"

struct sim_event {
	int64_t time_us;
	bool arrival;             /* else departure */
	size_t request;           /* index */
	const struct solution *answer; /* of an arrival */
	double revenue, cost;     /* cost: 0 where not embedded */
	double cpu_utilisation, bandwidth_utilisation; /* after it, 0 … 1 */
};

struct sim_options {
	struct embed_options embed;
	/* Told of every event in order; may be NULL. A negative errno ends the simulation. */
	int (*event)(void *arg, const struct sim_event *event, struct err *err);
	void *arg;
};

struct sim_result {
	size_t requests, accepted;
	double revenue, cost;               /* of the accepted */
	double revenue_time, cost_time;     /* weighted by lifetime, seconds */
	double last_arrival_s;
	double *seconds;                    /* per request, ascending; owned */
	double seconds_total;
	double peak_cpu, peak_bandwidth;
};
void sim_result_done(struct sim_result *result);

/* Runs to the last departure. The requests carry arrivals, ascending. */
int sim_run(const struct substrate *s, const struct request *requests, size_t n, const struct sim_options *options,
            struct sim_result *ret, struct err *err) VNE_MUST;

/* The q-quantile of what is sorted, by the nearest rank; 0 of nothing. */
double sim_quantile(const double *sorted, size_t n, double q);
