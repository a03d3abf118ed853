/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Embeds what was read, by one of three ways, and writes what came of it: as text or JSON through
 * one writer, or as a report. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/batch.h"
#include "embed/reoptimise.h"
#include "model/solution_read.h"
#include "model/writer.h"
#include "tools/vnembed/vnembed.h"

/* Everything that is written, and the substrate as it fills. */
struct output {
	struct work *w;
	struct writer *writer;
	struct buf report;
	bool reports;
	struct residual left;
	int64_t started_us;
};

static void output_begin(struct output *out, struct work *w, const struct settings *s)
{
	bool colour = !s->solver.json && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");

	*out = (struct output){ .w = w, .writer = s->solver.json ? writer_json() : writer_text(colour), .reports = s->report,
	                        .started_us = clock_us() };
	residual_init(&out->left, &w->substrate);
	write_object(out->writer, NULL, "");
	write_string(out->writer, "substrate", NULL, w->substrate.name);
	write_list(out->writer, "results", "");
}

/* One result, whose embedding takes its share. */
static void output_answer(struct output *out, const struct request *r, const struct solution *answer)
{
	const struct substrate *s = &out->w->substrate;

	write_solution(out->writer, s, r, answer);
	if (out->report.len)
		buf_char(&out->report, '\n');
	report_solution(s, r, answer, &out->report);
	if (answer->has_embedding)
		residual_take(&out->left, r, &answer->embedding);
	else
		fprintf(stderr, "vnembed: %s: %s: %s%s%s\n", r->name, solve_status_names[answer->status], answer->reason,
		        answer->relax[0] ? "; it would fit with " : "", answer->relax);
	out->w->exit = worse_exit(out->w->exit, exit_of_status(answer->status));
}

static void output_end(struct output *out)
{
	buf_auto struct buf text = BUF_INIT;

	write_number(out->writer, "seconds", NULL, (double)(clock_us() - out->started_us) / 1e6, 4);
	write_end(out->writer);
	writer_finish(out->writer, &text);
	if (out->reports) {
		buf_clear(&text);
		buf_add(&text, buf_cstr(&out->report), out->report.len);
		buf_char(&text, '\n');
		report_substrate(&out->w->substrate, &out->left, &text);
	}
	if (fwrite(buf_cstr(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0) {
		fprintf(stderr, "vnembed: cannot write: %s\n", strerror(errno));
		out->w->exit = EXIT_MACHINE;
	}
	buf_done(&out->report);
	residual_done(&out->left);
}

static void tell_fault(struct work *w, const char *name, const struct err *err)
{
	fprintf(stderr, "vnembed: %s%s%s\n", name ? name : "", name ? ": " : "", err->text);
	w->exit = worse_exit(w->exit, EXIT_MACHINE);
}

/* ---- in order ------------------------------------------------------------------------------ */

void run_in_order(struct work *w, const struct settings *s)
{
	struct output out;

	output_begin(&out, w, s);
	for (size_t i = 0; i < w->requests.n; i++) {
		const struct request *r = &w->requests.v[i];
		struct embed_options options = s->solver.embed;
		struct solution answer = { 0 };
		struct err err = { 0 };
		struct status status;
		status_begin(&status, r->name, &options);
		int ret = embed_solve(&w->substrate, &out.left, r, &options, &answer, &err);
		status_end(&status);
		if (ret == 0)
			output_answer(&out, r, &answer);
		else
			tell_fault(w, r->name, &err);
		solution_done(&answer);
	}
	write_end(out.writer);
	output_end(&out);
}

/* ---- as a batch ---------------------------------------------------------------------------- */

static void write_batch(struct output *out, const struct batched *b)
{
	write_object(out->writer, "batch", "");
	write_string(out->writer, "status", NULL, solve_status_names[b->status]);
	write_number(out->writer, "value", NULL, b->value, 3);
	write_number(out->writer, "bound", NULL, b->bound, 3);
	write_number(out->writer, "cost", NULL, b->cost, 3);
	if (b->cost_bound > 0)
		write_number(out->writer, "cost_bound", NULL, b->cost_bound, 3);
	buf_auto struct buf line = BUF_INIT;
	buf_printf(&line, "batch: %s, value %.10g of at most %.10g, cost %.10g", solve_status_names[b->status], b->value, b->bound, b->cost);
	if (b->cost_bound > 0)
		buf_printf(&line, " of at least %.10g", b->cost_bound);
	write_line(out->writer, "%s", buf_cstr(&line));
	write_end(out->writer);
	buf_printf(&out->report, "\n%s\n", buf_cstr(&line));
}

void run_batch(struct work *w, const struct settings *s)
{
	struct residual empty;
	struct batched batch;
	struct output out;
	struct err err = { 0 };

	output_begin(&out, w, s);
	residual_init(&empty, &w->substrate);
	int ret = embed_batch(&w->substrate, &empty, w->requests.v, w->requests.n, &s->solver.embed, &batch, &err);
	if (ret != 0)
		tell_fault(w, NULL, &err);
	for (size_t i = 0; ret == 0 && i < batch.n; i++)
		output_answer(&out, &w->requests.v[i], &batch.answer[i]);
	write_end(out.writer);
	if (ret == 0) {
		write_batch(&out, &batch);
		batched_done(&batch);
	}
	residual_done(&empty);
	output_end(&out);
}

/* ---- where it runs, anew ------------------------------------------------------------------- */

static void write_moves(struct output *out, const struct embed_network *nets, const struct reoptimised *again)
{
	struct writer *w = out->writer;
	const struct substrate *s = &out->w->substrate;

	write_object(w, "reoptimised", "");
	write_int(w, "moves", NULL, (int64_t)again->moves);
	write_int(w, "lost", NULL, (int64_t)again->lost);
	write_number(w, "cost_before", NULL, again->cost_before, 3);
	write_number(w, "cost_after", NULL, again->cost_after, 3);
	write_list(w, "networks", "moves");
	for (size_t i = 0; i < again->n; i++) {
		const struct request *r = nets[i].request;
		const struct solution *answer = &again->answer[i];
		write_object(w, NULL, NULL);
		write_string(w, "request", "network", r->name);
		if (nets[i].now)
			write_number(w, "before", "before", nano_to_units(embedding_cost_nano(s, r, nets[i].now)), 3);
		if (answer->has_embedding)
			write_number(w, "after", "after", answer->cost, 3);
		write_list(w, "moved", "moved");
		for (size_t u = 0; nets[i].now && answer->has_embedding && u < r->n_nodes; u++)
			if (answer->embedding.host[u] != nets[i].now->host[u]) {
				write_string(w, NULL, NULL, r->nodes[u].name);
				buf_printf(&out->report, "%s: %s moves from %s to %s\n", r->name, r->nodes[u].name,
				           s->nodes[nets[i].now->host[u]].name, s->nodes[answer->embedding.host[u]].name);
			}
		write_end(w);
		write_end(w);
	}
	write_end(w);
	write_line(w, "%zu routers moved, %zu networks lost, cost %.10g, before %.10g", again->moves, again->lost, again->cost_after,
	           again->cost_before);
	write_end(w);
	buf_printf(&out->report, "%zu routers moved, %zu networks lost, cost %.10g, before %.10g\n", again->moves, again->lost,
	           again->cost_after, again->cost_before);
}

static void embed_again(struct work *w, const struct settings *s, const struct embed_network *nets)
{
	size_t n = w->requests.n, moves = s->moves < 0 ? SIZE_MAX : (size_t)s->moves;
	struct reoptimised again;
	struct residual empty;
	struct output out;
	struct err err = { 0 };

	output_begin(&out, w, s);
	residual_init(&empty, &w->substrate);
	int ret = embed_reoptimise(&w->substrate, &empty, nets, n, moves, &s->solver.embed, &again, &err);
	if (ret != 0)
		tell_fault(w, NULL, &err);
	for (size_t i = 0; ret == 0 && i < n; i++)
		output_answer(&out, nets[i].request, &again.answer[i]);
	write_end(out.writer);
	if (ret == 0) {
		buf_char(&out.report, '\n');
		write_moves(&out, nets, &again);
		reoptimised_done(&again);
	}
	residual_done(&empty);
	output_end(&out);
}

void run_again(struct work *w, const struct settings *s)
{
	size_t n = w->requests.n;
	mem_auto struct solution *now = mem_array(n + 1, sizeof(*now));
	mem_auto struct embed_network *nets = mem_array(n + 1, sizeof(*nets));
	struct yaml_errors errors = { 0 };
	struct err err = { 0 };

	int ret = solutions_load(s->running, &w->substrate, w->requests.v, n, &errors, now, &err);
	if (ret != 0) {
		if (errors.n > 0)
			fputs(buf_cstr(&errors.text), stderr);
		else
			fprintf(stderr, "vnembed: %s\n", err.text);
		w->exit = worse_exit(w->exit, exit_of_error(ret));
	}
	for (size_t i = 0; i < n; i++)
		nets[i] = (struct embed_network){ .request = &w->requests.v[i], .now = now[i].has_embedding ? &now[i].embedding : NULL };
	if (ret == 0)
		embed_again(w, s, nets);
	for (size_t i = 0; i < n; i++)
		solution_done(&now[i]);
	yaml_errors_done(&errors);
}
