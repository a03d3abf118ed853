/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See program.h. */
#include "embed/program.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/loop.h"
#include "base/mem.h"
#include "model/solution_read.h"
#include "model/writer.h"

enum { LINES_MAX = 10000, FOREVER_MS = 24 * 3600 * 1000 };

static char *problem_text(const struct search *s)
{
	struct writer *w = writer_json();
	struct buf text = BUF_INIT;
	double left_s = search_seconds_left(s);

	write_object(w, NULL, NULL);
	write_problem(w, s->problem.s, s->problem.left, s->problem.r);
	write_object(w, "options", NULL);
	write_string(w, "objective", NULL, s->options->objective == OBJECTIVE_COST ? "cost" : "balance");
	if (isfinite(left_s))
		write_number(w, "time_limit", NULL, left_s, 3);
	if (s->options->effort > 0)
		write_int(w, "effort", NULL, s->options->effort);
	write_int(w, "seed", NULL, (int64_t)(s->options->seed & INT64_MAX));
	write_end(w);
	write_end(w);
	writer_finish(w, &text);
	return buf_take(&text);
}

struct said {
	size_t answers;          /* that could be read */
	char reason[512];        /* the program's last word, where it found nothing */
	struct err fault;        /* of the last that could not be read */
};

static void take(struct search *s, const char *text, size_t len, struct said *said)
{
	struct solution answer;
	struct err err = { 0 };

	if (solution_parse(text, len, s->problem.s, s->problem.r, &answer, &err) != 0) {
		said->fault = err;
		return;
	}
	said->answers++;
	if (answer.has_embedding)
		search_offer(s, &answer.embedding, "exec");
	else
		snprintf(said->reason, sizeof(said->reason), "%.32s%s%.400s", solve_status_names[answer.status],
		         answer.reason[0] ? ": " : "", answer.reason);
	solution_done(&answer);
}

/* One object a line where the first line is a whole one; else one object over all lines. */
static void take_all(struct search *s, const struct buf *out, struct said *said)
{
	const char *text = buf_cstr(out);
	size_t first = strcspn(text, "\n");

	if (first == 0 || text[0] != '{' || text[first - 1] != '}') {
		if (strspn(text, " \t\r\n") < out->len)
			take(s, text, out->len, said);
		return;
	}
	for (size_t n = 0; *text && n < LINES_MAX; n++) {
		size_t len = strcspn(text, "\n");
		if (text[len] != '\n' && text[len > 0 ? len - 1 : 0] != '}')
			return; /* it was killed in the middle of it */
		if (strspn(text, " \t\r") < len)
			take(s, text, len, said);
		text += len + (text[len] == '\n');
	}
}

static void explain_nothing(struct search *s, const char *program, int ran, int status, const struct said *said, const struct err *err)
{
	struct solution *best = &s->best;

	best->status = SOLVE_UNKNOWN;
	if (s->fault.code != 0)
		snprintf(best->reason, sizeof(best->reason), "%s", s->fault.text);
	else if (ran == -E2BIG)
		snprintf(best->reason, sizeof(best->reason), "%.1000s", err->text);
	else if (said->reason[0]) {
		best->status = SOLVE_REFUSED; /* its word is no proof */
		snprintf(best->reason, sizeof(best->reason), "%.200s says %s", program, said->reason);
	} else if (said->fault.code != 0)
		snprintf(best->reason, sizeof(best->reason), "%.200s: its answer cannot be read: %.600s", program, said->fault.text);
	else if (ran != 0)
		snprintf(best->reason, sizeof(best->reason), "%.1000s", err->text);
	else if (WIFSIGNALED(status))
		snprintf(best->reason, sizeof(best->reason), "%.200s was ended by signal %d (%s) and wrote no answer", program,
		         WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(best->reason, sizeof(best->reason), "%.200s ended with code %d and wrote no answer", program, WEXITSTATUS(status));
}

void program_run(struct search *s)
{
	const char *program = s->options->solver + strlen(PROGRAM_PREFIX);
	const char *argv[] = { program, NULL };
	buf_auto struct buf out = BUF_INIT;
	struct said said = { 0 };
	struct err err = { 0 }, why = { 0 };
	double left_s;
	int status = 0;

	if (problem_narrow(&s->problem, &why) != 0) {
		search_exclude(s, "exec", &why);
		return;
	}
	search_raise_bound(s, s->problem.bound, "exec");
	mem_auto char *input = problem_text(s);
	left_s = search_seconds_left(s);
	int64_t wait_ms = left_s < FOREVER_MS / 1000 ? (int64_t)(left_s * 1000) : FOREVER_MS;
	int ran = child_filter(argv, input, clock_ms() + (wait_ms > 0 ? wait_ms : 0), PROGRAM_OUTPUT_MAX, &out, &status, &err);
	take_all(s, &out, &said);
	if (!s->best.has_embedding)
		explain_nothing(s, program, ran, status, &said, &err);
}
