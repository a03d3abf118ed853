/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `bench_embed SUBSTRATE REQUEST SOLVER SECONDS`: one solve with reading the files left out of time and memory, as a line
 * of JSON: when the first answer came, the gap in the end, and how far the peak of resident memory rose above what
 * held the parsed files. */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "embed/embed.h"

struct watch {
	int64_t started_us, first_us; /* -1: none yet */
};

static bool told(void *arg, const struct solution *best)
{
	struct watch *w = arg;

	if (w->first_us < 0 && best->has_embedding)
		w->first_us = clock_us() - w->started_us;
	return true;
}

static long status_kib(const char *key)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return kib;
}

/* The peak begins anew from what is held now (proc(5), clear_refs). */
static void forget_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	malloc_trim(0);
	if (f) {
		fputs("5", f);
		fclose(f);
	}
}

int main(int argc, char **argv)
{
	struct watch watch = { .first_us = -1 };
	struct embed_options options = { .seed = 1, .progress = told, .arg = &watch };
	struct yaml_errors errors = { 0 };
	struct solution answer = { 0 };
	struct substrate s;
	struct request *r;
	struct residual left;
	struct err err = { 0 };
	double gap = 1;
	size_t n;

	if (argc != 5 || substrate_load(argv[1], &errors, &s, &err) != 0 || request_load(argv[2], false, &errors, &r, &n, &err) != 0) {
		fprintf(stderr, "usage: bench_embed SUBSTRATE REQUEST SOLVER SECONDS\n%s%s\n", buf_cstr(&errors.text), err.text);
		return 2;
	}
	options.solver = argv[3];
	options.time_limit_s = strtod(argv[4], NULL);
	residual_init(&left, &s);
	forget_peak();
	long before = status_kib("VmRSS:");
	watch.started_us = clock_us();
	if (embed_solve(&s, &left, &r[0], &options, &answer, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		return 70;
	}
	int64_t took_us = clock_us() - watch.started_us;
	if (!solution_gap(&answer, &gap))
		gap = 1;
	printf("{\"status\": \"%s\", \"first_ms\": %.3f, \"ms\": %.3f, \"gap\": %.6f, \"kib\": %ld, \"items\": %zu}\n",
	       solve_status_names[answer.status], answer.has_embedding ? (double)(watch.first_us < 0 ? took_us : watch.first_us) / 1000 : -1.0,
	       (double)took_us / 1000, gap, status_kib("VmHWM:") - before, s.n_nodes + s.n_links);
	solution_done(&answer);
	residual_done(&left);
	for (size_t i = 0; i < n; i++)
		request_done(&r[i]);
	free(r);
	substrate_done(&s);
	yaml_errors_done(&errors);
	return 0;
}
