/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See sim.h. */
#include "tools/vnsim/sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "embed/path.h"

struct sim {
	const struct substrate *s;
	const struct request *requests;
	size_t n;
	const struct sim_options *options;
	struct sim_result result;
	struct residual left;
	struct embedding *running; /* per request; host NULL: not running */
	double *cost;              /* per request */
	struct heap leaving;       /* by time, then by request */
	double cpu_all, bw_all, cpu_used, bw_used;
};

static double ratio(double part, double all)
{
	return all > 0 ? part / all : 0;
}

static double carried_kbps(const struct embedding *e)
{
	double sum = 0;

	for (size_t k = 0; k < e->n_links; k++) {
		for (size_t i = 0; i < e->links[k].n_paths; i++)
			sum += (double)e->links[k].paths[i].bw_kbps * (double)e->links[k].paths[i].n;
		sum += (double)e->links[k].backup.bw_kbps * (double)e->links[k].backup.n;
	}
	return sum;
}

static void sim_use(struct sim *sim, size_t i, int sign)
{
	const struct request *r = &sim->requests[i];

	for (size_t u = 0; u < r->n_nodes; u++)
		sim->cpu_used += sign * (double)r->nodes[u].demand[RES_CPU_MILLI];
	sim->bw_used += sign * carried_kbps(&sim->running[i]);
}

static int sim_tell(struct sim *sim, struct sim_event event, struct err *err)
{
	event.cpu_utilisation = ratio(sim->cpu_used, sim->cpu_all);
	event.bandwidth_utilisation = ratio(sim->bw_used, sim->bw_all);
	event.revenue = nano_to_units(request_revenue_nano(&sim->requests[event.request]));
	event.cost = sim->cost[event.request];
	if (event.cpu_utilisation > sim->result.peak_cpu)
		sim->result.peak_cpu = event.cpu_utilisation;
	if (event.bandwidth_utilisation > sim->result.peak_bandwidth)
		sim->result.peak_bandwidth = event.bandwidth_utilisation;
	return sim->options->event ? sim->options->event(sim->options->arg, &event, err) : 0;
}

/* All that leave until now, those of one moment in the order in which they came. */
static int sim_leave(struct sim *sim, int64_t now_us, struct err *err)
{
	int ret = 0;

	while (ret == 0 && sim->leaving.n > 0 && sim->leaving.v[0].key <= now_us) {
		struct heap_item item = heap_pop(&sim->leaving);
		size_t i = item.id;
		residual_give(&sim->left, &sim->requests[i], &sim->running[i]);
		sim_use(sim, i, -1);
		embedding_done(&sim->running[i]);
		sim->running[i] = (struct embedding){ 0 };
		ret = sim_tell(sim, (struct sim_event){ .time_us = item.key, .request = i }, err);
	}
	return ret;
}

static void sim_accept(struct sim *sim, size_t i, const struct solution *answer)
{
	const struct request *r = &sim->requests[i];
	struct sim_result *result = &sim->result;
	double revenue = nano_to_units(request_revenue_nano(r));
	double stays_s = r->lifetime_us >= 0 ? (double)r->lifetime_us / 1e6
	                                     : result->last_arrival_s - (double)r->arrival_us / 1e6;

	embedding_copy(&answer->embedding, &sim->running[i]);
	residual_take(&sim->left, r, &answer->embedding);
	sim->cost[i] = answer->cost;
	sim_use(sim, i, 1);
	if (r->lifetime_us >= 0)
		heap_push(&sim->leaving, r->arrival_us + r->lifetime_us, (int64_t)i, (uint32_t)i);
	result->accepted++;
	result->revenue += revenue;
	result->cost += answer->cost;
	result->revenue_time += revenue * stays_s;
	result->cost_time += answer->cost * stays_s;
}

static int sim_arrive(struct sim *sim, size_t i, struct err *err)
{
	const struct request *r = &sim->requests[i];
	struct solution answer = { 0 };
	int ret = embed_solve(sim->s, &sim->left, r, &sim->options->embed, &answer, err);

	if (ret != 0)
		return err_add(err, ret, "%s", r->name);
	sim->result.seconds[i] = answer.seconds;
	sim->result.seconds_total += answer.seconds;
	if (answer.has_embedding)
		sim_accept(sim, i, &answer);
	ret = sim_tell(sim, (struct sim_event){ .time_us = r->arrival_us, .arrival = true, .request = i, .answer = &answer },
	               err);
	solution_done(&answer);
	return ret;
}

static int by_value(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;
	return (a > b) - (a < b);
}

static void sim_init(struct sim *sim)
{
	const struct substrate *s = sim->s;

	residual_init(&sim->left, s);
	sim->running = mem_array(sim->n + 1, sizeof(*sim->running));
	sim->cost = mem_array(sim->n + 1, sizeof(*sim->cost));
	sim->result.requests = sim->n;
	sim->result.seconds = mem_array(sim->n + 1, sizeof(*sim->result.seconds));
	if (sim->n > 0)
		sim->result.last_arrival_s = (double)sim->requests[sim->n - 1].arrival_us / 1e6;
	for (size_t a = 0; a < s->n_nodes; a++)
		sim->cpu_all += (double)s->nodes[a].cap[RES_CPU_MILLI];
	for (size_t l = 0; l < s->n_links; l++)
		sim->bw_all += (double)s->links[l].bw_kbps;
}

static void sim_done(struct sim *sim)
{
	for (size_t i = 0; i < sim->n; i++)
		if (sim->running[i].host)
			embedding_done(&sim->running[i]);
	free(sim->running);
	free(sim->cost);
	free(sim->leaving.v);
	residual_done(&sim->left);
}

int sim_run(const struct substrate *s, const struct request *requests, size_t n, const struct sim_options *options,
            struct sim_result *ret, struct err *err)
{
	struct sim sim = { .s = s, .requests = requests, .n = n, .options = options };
	int rc = 0;

	sim_init(&sim);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = sim_leave(&sim, requests[i].arrival_us, err);
		if (rc == 0)
			rc = sim_arrive(&sim, i, err);
	}
	if (rc == 0)
		rc = sim_leave(&sim, INT64_MAX, err);
	qsort(sim.result.seconds, n, sizeof(*sim.result.seconds), by_value);
	sim_done(&sim);
	if (rc != 0)
		sim_result_done(&sim.result);
	else
		*ret = sim.result;
	return rc;
}

void sim_result_done(struct sim_result *result)
{
	free(result->seconds);
	memset(result, 0, sizeof(*result));
}

double sim_quantile(const double *sorted, size_t n, double q)
{
	size_t rank = (size_t)ceil(q * (double)n);

	return n == 0 ? 0 : sorted[rank > 0 ? rank - 1 : 0];
}
