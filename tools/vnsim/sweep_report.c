/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a sweep leaves behind: means with their intervals, differences from the first solver where the trace is the
 * same, a plot by gnuplot where it is installed, and a record of how all came about. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <commit.h> /* made by make: VNE_COMMIT */

#include "base/child.h"
#include "base/mem.h"
#include "model/writer.h"
#include "tools/vnsim/stats.h"
#include "tools/vnsim/sweep.h"

enum { PLOT_TIMEOUT_MS = 60000 };

/* Runs of one workload and load: seeds × solvers, solver by solver within a seed. */
struct group {
	const struct run *runs;
	size_t seeds, solvers;
};

static double value(const struct group *g, size_t seed, size_t solver, int metric)
{
	return g->runs[seed * g->solvers + solver].v[metric];
}

static struct interval mean_of(const struct group *g, size_t solver, int metric)
{
	double *x = mem_array(g->seeds, sizeof(*x));

	for (size_t k = 0; k < g->seeds; k++)
		x[k] = value(g, k, solver, metric);
	struct interval i = interval_of(x, g->seeds);
	free(x);
	return i;
}

/* Of this solver less the first one, trace by trace. */
static struct interval difference_of(const struct group *g, size_t solver, int metric)
{
	double *x = mem_array(g->seeds, sizeof(*x));

	for (size_t k = 0; k < g->seeds; k++)
		x[k] = value(g, k, solver, metric) - value(g, k, 0, metric);
	struct interval i = interval_of(x, g->seeds);
	free(x);
	return i;
}

/* The group that begins at run `at`; returns where the next one begins. */
static size_t next_group(const struct sweep *s, const struct run *runs, size_t n, size_t at, struct group *ret)
{
	size_t end = at;

	while (end < n && runs[end].workload == runs[at].workload && runs[end].load_micro == runs[at].load_micro)
		end++;
	*ret = (struct group){ &runs[at], (end - at) / s->solvers.n, s->solvers.n };
	return end;
}

static int write_whole(const char *directory, const char *name, const struct buf *text, struct err *err)
{
	mem_auto char *path = mem_printf("%s/%s", directory, name);
	FILE *file = fopen(path, "we");

	if (!file)
		return err_sys(err, -errno, "%s", path);
	bool bad = fwrite(buf_cstr(text), 1, text->len, file) != text->len;
	bad |= fclose(file) != 0;
	return bad ? err_sys(err, -EIO, "%s", path) : 0;
}

static void put_cell(struct buf *out, double x)
{
	buf_char(out, ',');
	if (isfinite(x))
		buf_printf(out, "%.10g", x);
}

static void put_row(struct buf *out, const struct group *g, const char *solver, const char *against, int metric,
                    struct interval i)
{
	char load[UNITS_TEXT];

	buf_printf(out, "%s,%s,%s", g->runs->workload->name, load_text(g->runs->load_micro, load), solver);
	if (against)
		buf_printf(out, ",%s", against);
	buf_printf(out, ",%s,%zu", metrics[metric].name, i.n);
	put_cell(out, i.mean);
	put_cell(out, i.low);
	put_cell(out, i.high);
	buf_char(out, '\n');
}

static int write_tables(const struct sweep *s, const struct run *runs, size_t n, const char *directory, struct err *err)
{
	buf_auto struct buf summary = BUF_INIT, paired = BUF_INIT;
	struct group g;

	buf_str(&summary, "workload,load,solver,metric,n,mean,low,high\n");
	buf_str(&paired, "workload,load,solver,against,metric,n,mean,low,high\n");
	for (size_t at = 0; at < n;) {
		at = next_group(s, runs, n, at, &g);
		for (size_t i = 0; i < g.solvers; i++)
			for (int m = 0; m < METRICS; m++) {
				put_row(&summary, &g, s->solvers.v[i].name, NULL, m, mean_of(&g, i, m));
				if (i > 0)
					put_row(&paired, &g, s->solvers.v[i].name, s->solvers.v[0].name, m, difference_of(&g, i, m));
			}
	}
	int ret = write_whole(directory, "summary.csv", &summary, err);
	return ret ? ret : write_whole(directory, "paired.csv", &paired, err);
}

/* ---- the plot ------------------------------------------------------------------------------ */

static void put_data(struct buf *out, const struct sweep *s, const struct run *runs, size_t n, size_t workload, size_t solver)
{
	struct group g;

	buf_printf(out, "$d%zu_%zu << EOD\n", workload, solver);
	for (size_t at = 0; at < n;) {
		at = next_group(s, runs, n, at, &g);
		if (g.runs->workload != &s->workloads.v[workload])
			continue;
		buf_printf(out, "%.6g", (double)g.runs->load_micro / 1e6);
		for (int m = 0; m < METRICS; m++) {
			struct interval i = mean_of(&g, solver, m);
			if (isfinite(i.mean))
				buf_printf(out, " %.10g %.10g", i.mean, isfinite(i.low) ? i.high - i.mean : 0.0);
			else
				buf_str(out, " NaN NaN");
		}
		buf_char(out, '\n');
	}
	buf_str(out, "EOD\n");
}

/* A row for each workload; in it four figures, with a curve for each solver. Names are made of letters, digits, _ and -. */
static void put_plot(struct buf *out, const struct sweep *s, const struct run *runs, size_t n)
{
	static const int shown[] = { 0, 1, 3, 4 };

	for (size_t w = 0; w < s->workloads.n; w++)
		for (size_t i = 0; i < s->solvers.n; i++)
			put_data(out, s, runs, n, w, i);
	buf_printf(out, "set terminal svg size 1500,%zu noenhanced background 'white'\nset output 'sweep.svg'\n"
	                "set multiplot layout %zu,4\nset key bottom left\nset grid\nset xlabel 'load'\nset offsets graph 0.05, 0.05\n",
	           380 * s->workloads.n, s->workloads.n);
	for (size_t w = 0; w < s->workloads.n; w++)
		for (size_t k = 0; k < ARRAY_LEN(shown); k++) {
			buf_printf(out, "set title '%s: %s'\nplot", s->workloads.v[w].name, metrics[shown[k]].title);
			for (size_t i = 0; i < s->solvers.n; i++)
				buf_printf(out, "%s $d%zu_%zu using 1:%d:%d with yerrorlines pt 7 ps 0.5 title '%s'", i ? "," : "", w, i,
				           2 + 2 * shown[k], 3 + 2 * shown[k], s->solvers.v[i].name);
			buf_char(out, '\n');
		}
	buf_str(out, "unset multiplot\n");
}

static int plot(const struct sweep *s, const struct run *runs, size_t n, const char *directory, struct err *err)
{
	buf_auto struct buf text = BUF_INIT;
	mem_auto char *chdir_line = NULL, *said = NULL;
	const char *argv[] = { "gnuplot", "-e", NULL, "sweep.gp", NULL };
	struct err why = { 0 };
	int status = 0;

	put_plot(&text, s, runs, n);
	int ret = write_whole(directory, "sweep.gp", &text, err);
	if (ret != 0)
		return ret;
	/* gnuplot quotes '' inside of '…' */
	buf_auto struct buf quoted = BUF_INIT;
	for (const char *c = directory; *c; c++)
		buf_printf(&quoted, "%s%c", *c == '\'' ? "'" : "", *c);
	chdir_line = mem_printf("cd '%s'", buf_cstr(&quoted));
	argv[2] = chdir_line;
	ret = child_run(argv, "", PLOT_TIMEOUT_MS, 1 << 20, &said, &status, &why);
	if (ret == -ENOENT)
		fprintf(stderr, "vnsim: gnuplot is not installed: no %s/sweep.svg, but sweep.gp\n", directory);
	else if (ret != 0 || status != 0)
		fprintf(stderr, "vnsim: gnuplot failed on %s/sweep.gp%s%s\n", directory, ret ? ": " : "", ret ? why.text : "");
	return 0;
}

/* ---- the record ---------------------------------------------------------------------------- */

/* What stands behind "key:" in a file of /proc. Caller frees; NULL. */
static char *proc_line(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char *line = NULL, *found = NULL;
	size_t cap = 0;

	while (file && !found && getline(&line, &cap, file) > 0) {
		char *colon = strchr(line, ':');
		if (strncmp(line, key, strlen(key)) != 0 || !colon)
			continue;
		colon += 1 + strspn(colon + 1, " \t");
		colon[strcspn(colon, "\n")] = '\0';
		found = mem_str(colon);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static void write_machine(struct writer *w)
{
	mem_auto char *model = proc_line("/proc/cpuinfo", "model name"), *memory = proc_line("/proc/meminfo", "MemTotal");
	struct utsname u;

	write_object(w, "machine", NULL);
	if (uname(&u) == 0) {
		write_string(w, "system", NULL, u.sysname);
		write_string(w, "release", NULL, u.release);
		write_string(w, "architecture", NULL, u.machine);
	}
	write_string(w, "processor", NULL, model);
	write_int(w, "cores", NULL, sysconf(_SC_NPROCESSORS_ONLN));
	write_string(w, "memory", NULL, memory);
	write_end(w);
}

static int write_record(const struct sweep *s, size_t n, const char *directory, const struct record *record, struct err *err)
{
	struct writer *w = writer_json();
	buf_auto struct buf text = BUF_INIT;
	char when[32] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	write_object(w, NULL, NULL);
	write_string(w, "version", NULL, VNE_VERSION);
	write_string(w, "commit", NULL, VNE_COMMIT);
	mem_auto char *program = mem_printf("%016llx", (unsigned long long)s->program);
	write_string(w, "program", NULL, program);
	write_string(w, "compiler", NULL, __VERSION__);
	write_string(w, "ended", NULL, when);
	write_number(w, "seconds", NULL, record->seconds, 1);
	write_int(w, "runs", NULL, (int64_t)n);
	write_int(w, "reused", NULL, (int64_t)record->reused);
	write_int(w, "jobs", NULL, record->jobs);
	write_list(w, "seeds", NULL);
	for (size_t i = 0; i < s->seeds.n; i++)
		write_int(w, NULL, NULL, (int64_t)s->seeds.v[i]);
	write_end(w);
	write_list(w, "solvers", NULL);
	for (size_t i = 0; i < s->solvers.n; i++) {
		write_object(w, NULL, NULL);
		write_string(w, "name", NULL, s->solvers.v[i].name);
		write_string(w, "settings", NULL, s->solvers.v[i].settings);
		write_end(w);
	}
	write_end(w);
	write_machine(w);
	write_string(w, "sweep", NULL, s->text);
	write_end(w);
	writer_finish(w, &text);
	return write_whole(directory, "record.json", &text, err);
}

/* ---- what is printed ----------------------------------------------------------------------- */

static void write_interval(struct writer *w, const char *key, const char *title, struct interval i, bool json, int decimals)
{
	if (json) {
		write_object(w, key, title);
		write_int(w, "n", NULL, (int64_t)i.n);
		write_number(w, "mean", NULL, i.mean, 6);
		write_number(w, "low", NULL, i.low, 6);
		write_number(w, "high", NULL, i.high, 6);
		write_end(w);
		return;
	}
	mem_auto char *text = !isfinite(i.mean) ? NULL
	                      : !isfinite(i.low) ? mem_printf("%.*f", decimals, i.mean)
	                      : mem_printf("%.*f ±%.*f", decimals, i.mean, decimals, i.high - i.mean);
	write_string(w, key, title, text);
}

static void write_group(struct writer *w, const struct sweep *s, const struct group *g, bool json)
{
	static const int shown[] = { 0, 1, 3, 4 }, decimals[] = { 4, 4, 1, 6 };
	char load[UNITS_TEXT];

	for (size_t i = 0; i < g->solvers; i++) {
		write_object(w, NULL, NULL);
		write_string(w, "workload", "workload", g->runs->workload->name);
		if (json)
			write_number(w, "load", NULL, (double)g->runs->load_micro / 1e6, 3);
		else
			write_string(w, "load", "load", load_text(g->runs->load_micro, load));
		write_string(w, "solver", "solver", s->solvers.v[i].name);
		write_int(w, "runs", "runs", (int64_t)g->seeds);
		for (int m = 0; m < METRICS; m++) {
			int at = 0;
			while (at < 4 && shown[at] != m)
				at++;
			if (json || at < 4)
				write_interval(w, metrics[m].name, metrics[m].title, mean_of(g, i, m), json, at < 4 ? decimals[at] : 6);
		}
		if (i > 0 && json) {
			write_object(w, "difference", NULL);
			for (int m = 0; m < METRICS; m++)
				write_interval(w, metrics[m].name, NULL, difference_of(g, i, m), json, 6);
			write_end(w);
		} else if (i > 0)
			write_interval(w, "difference", "revenue over the first's", difference_of(g, i, 3), json, 1);
		write_end(w);
	}
}

static int print_summary(const struct sweep *s, const struct run *runs, size_t n, const char *directory, bool json,
                         struct err *err)
{
	struct writer *w = json ? writer_json() : writer_text(isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
	buf_auto struct buf text = BUF_INIT;
	struct group g;

	write_object(w, NULL, "");
	write_string(w, "sweep", "sweep", s->name);
	write_string(w, "directory", "directory", directory);
	write_list(w, "results", "means, with 95 % confidence");
	for (size_t at = 0; at < n;) {
		at = next_group(s, runs, n, at, &g);
		write_group(w, s, &g, json);
	}
	write_end(w);
	write_end(w);
	writer_finish(w, &text);
	if (fwrite(buf_cstr(&text), 1, text.len, stdout) != text.len || fflush(stdout) != 0)
		return err_sys(err, -EIO, "standard output");
	return 0;
}

int sweep_report(const struct sweep *s, const struct run *runs, size_t n, const char *directory, const struct record *record,
                 bool json, struct err *err)
{
	int ret = write_tables(s, runs, n, directory, err);

	if (ret == 0)
		ret = plot(s, runs, n, directory, err);
	if (ret == 0)
		ret = write_record(s, n, directory, record, err);
	return ret ? ret : print_summary(s, runs, n, directory, json, err);
}
