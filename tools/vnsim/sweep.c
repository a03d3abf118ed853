/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runs of a sweep, each in a process of its own: what one does to its memory or how it dies is no other's
 * trouble, and all cores are used without a lock anywhere. A row is in runs.csv before the next run begins. */
#include "tools/vnsim/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "origin/generate.h"
#include "tools/vnsim/bar.h"

const struct metric metrics[METRICS] = {
	{ "acceptance_ratio", "acceptance" }, { "revenue_to_cost", "revenue / cost" },
	{ "revenue_to_cost_time", "revenue / cost, by lifetime" }, { "long_term_revenue", "long-term revenue" },
	{ "seconds_mean", "seconds, mean" }, { "seconds_p50", "p50" }, { "seconds_p90", "p90" }, { "seconds_p99", "p99" },
	{ "seconds_max", "max" }, { "seconds_total", "total" }, { "peak_cpu", "peak cpu" }, { "peak_bandwidth", "peak bandwidth" },
};

static double ratio(double part, double all)
{
	return all > 0 ? part / all : NAN;
}

void metrics_of(const struct sim_result *r, double v[METRICS])
{
	double n = (double)r->requests;
	const double all[METRICS] = {
		ratio((double)r->accepted, n), ratio(r->revenue, r->cost), ratio(r->revenue_time, r->cost_time),
		ratio(r->revenue_time, r->last_arrival_s), ratio(r->seconds_total, n),
		sim_quantile(r->seconds, r->requests, 0.5), sim_quantile(r->seconds, r->requests, 0.9),
		sim_quantile(r->seconds, r->requests, 0.99), sim_quantile(r->seconds, r->requests, 1), r->seconds_total,
		r->peak_cpu, r->peak_bandwidth,
	};

	memcpy(v, all, sizeof(all));
}

const char *load_text(int64_t load_micro, char text[static UNITS_TEXT])
{
	return units_cost_text(load_micro, text);
}

/* ---- one run, in its process --------------------------------------------------------------- */

struct answer {
	int code; /* exit code */
	double v[METRICS];
	char text[ERR_TEXT_MAX];
};

struct trace {
	struct substrate substrate;
	struct request *requests;
	size_t n;
};

static int generate_trace(const struct sweep *s, const struct run *run, struct trace *t, struct err *err)
{
	struct preset p = *preset_find(run->workload->name);
	uint64_t seed = preset_seed(&p, run->seed);
	int ret = preset_adapt(&p, run->load_micro, (uint32_t)s->requests, err);

	if (ret == 0)
		ret = generate_substrate(&p.substrate, p.name, seed, &t->substrate, err);
	return ret ? ret : generate_requests(&p.request, &t->substrate, p.name, seed, &t->requests, &t->n, err);
}

static int load_trace(const struct sweep_workload *w, struct trace *t, struct err *err)
{
	struct yaml_errors errors = { .file = w->substrate };
	int ret = substrate_load(w->substrate, &errors, &t->substrate, err);

	if (ret == 0) {
		yaml_errors_done(&errors);
		errors = (struct yaml_errors){ .file = w->trace };
		ret = request_load(w->trace, true, &errors, &t->requests, &t->n, err);
	}
	if (errors.n > 0) {
		const char *all = buf_cstr(&errors.text);
		err_set(err, ret, "%.*s", (int)strcspn(all, "\n"), all);
	}
	yaml_errors_done(&errors);
	return ret;
}

static void answer_run(const struct sweep *s, const struct run *run, struct answer *a)
{
	struct sim_options how = { .embed = run->solver->options.embed };
	struct sim_result result = { 0 };
	struct trace t = { 0 };
	struct err err = { 0 };
	int ret = run->workload->substrate ? load_trace(run->workload, &t, &err) : generate_trace(s, run, &t, &err);

	a->code = ret ? exit_of_error(ret) : EXIT_DONE;
	if (ret == 0 && sim_run(&t.substrate, t.requests, t.n, &how, &result, &err) != 0)
		a->code = EXIT_MACHINE;
	else if (ret == 0)
		metrics_of(&result, a->v);
	snprintf(a->text, sizeof(a->text), "%s", err.text);
	sim_result_done(&result);
	for (size_t i = 0; i < t.n; i++)
		request_done(&t.requests[i]);
	free(t.requests);
	substrate_done(&t.substrate);
}

/* ---- runs.csv ------------------------------------------------------------------------------ */

/* This program as a number (FNV-1a of its file), so that no row of another build is taken for its own. */
static uint64_t program_id(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	FILE *file = fopen("/proc/self/exe", "re");
	int c;

	while (file && (c = getc_unlocked(file)) != EOF)
		hash = (hash ^ (unsigned char)c) * UINT64_C(0x100000001b3);
	if (file)
		fclose(file);
	return hash;
}

/* What the run is, as the first cells of its row: a row of another program or setting is another run. */
static void run_key(const struct sweep *s, const struct run *run, struct buf *out)
{
	char text[UNITS_TEXT];

	buf_printf(out, "%s,%s,%" PRIu64 ",%" PRId64 ",%s,%s,%016" PRIx64 ",", run->workload->name, load_text(run->load_micro, text), run->seed,
	           s->requests, run->solver->name, run->solver->settings, s->program);
}

static void write_row(const struct sweep *s, const struct run *run, FILE *file)
{
	buf_auto struct buf row = BUF_INIT;

	run_key(s, run, &row);
	for (int m = 0; m < METRICS; m++) {
		buf_str(&row, m ? "," : "");
		if (isfinite(run->v[m]))
			buf_printf(&row, "%.17g", run->v[m]);
	}
	buf_char(&row, '\n');
	fwrite(row.data, 1, row.len, file);
}

/* The metrics of a row, behind its key; false: cut off. */
static bool read_row(const char *at, double v[METRICS])
{
	for (int m = 0; m < METRICS; m++) {
		char *end = NULL;
		v[m] = *at == ',' || *at == '\0' || *at == '\n' ? NAN : strtod(at, &end);
		at = end ? end : at;
		if (m + 1 < METRICS && *at++ != ',')
			return false;
	}
	return *at == '\0' || *at == '\n';
}

/* Marks as done what an earlier sweep into this directory has. Returns how many. */
static size_t reuse_rows(const struct sweep *s, struct run *runs, size_t n, const char *path)
{
	FILE *file = fopen(path, "re");
	struct hash *keys = hash_new();
	char *line = NULL;
	size_t cap = 0, found = 0;

	for (size_t i = 0; i < n && file; i++) {
		buf_auto struct buf key = BUF_INIT;
		run_key(s, &runs[i], &key);
		hash_index_put(keys, buf_cstr(&key), i);
	}
	while (file && getline(&line, &cap, file) > 0) {
		char *at = line;
		for (int comma = 0; at && comma < 7; comma++)
			at = (at = strchr(at, ',')) ? at + 1 : NULL;
		if (!at || !strchr(at, '\n')) /* an interrupted write */
			continue;
		mem_auto char *key = mem_strn(line, (size_t)(at - line));
		size_t i = hash_index(keys, key);
		double v[METRICS];
		if (i == SIZE_MAX || runs[i].done || !read_row(at, v))
			continue;
		memcpy(runs[i].v, v, sizeof(v));
		runs[i].done = true;
		found++;
	}
	free(line);
	hash_free(keys, NULL);
	if (file)
		fclose(file);
	return found;
}

/* All that is done, and the file open for what comes: rewritten, so that no torn row stays. */
static FILE *begin_rows(const struct sweep *s, const struct run *runs, size_t n, const char *path, struct err *err)
{
	FILE *file = fopen(path, "we");

	if (!file) {
		err_sys(err, -errno, "%s", path);
		return NULL;
	}
	fputs("workload,load,seed,requests,solver,settings,program", file);
	for (int m = 0; m < METRICS; m++)
		fprintf(file, ",%s", metrics[m].name);
	fputc('\n', file);
	for (size_t i = 0; i < n; i++)
		if (runs[i].done)
			write_row(s, &runs[i], file);
	fflush(file);
	return file;
}

/* ---- the processes ------------------------------------------------------------------------- */

struct job {
	pid_t pid; /* 0: free */
	int fd;
	size_t run, got;
	struct answer answer;
};

static void kill_jobs(struct job *jobs, size_t n)
{
	for (size_t j = 0; j < n; j++)
		if (jobs[j].pid > 0) {
			kill(jobs[j].pid, SIGKILL);
			waitpid(jobs[j].pid, NULL, 0);
			close(jobs[j].fd);
			jobs[j].pid = 0;
		}
}

static int start_job(const struct sweep *s, const struct run *runs, size_t i, struct job *job, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_sys(err, -errno, "a pipe");
	pid_t parent = getpid(), pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return err_sys(err, -errno, "a process");
	}
	if (pid == 0) {
		struct answer a = { 0 };
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(EXIT_MACHINE);
		answer_run(s, &runs[i], &a);
		_exit(write(ends[1], &a, sizeof(a)) == sizeof(a) ? 0 : EXIT_MACHINE);
	}
	close(ends[1]);
	*job = (struct job){ .pid = pid, .fd = ends[0], .run = i };
	return 0;
}

/* Reads from a job; *ended once it has said everything. */
static int hear_job(struct job *job, const struct run *runs, bool *ended, struct err *err)
{
	ssize_t got = read(job->fd, (char *)&job->answer + job->got, sizeof(job->answer) - job->got);
	const struct run *run = &runs[job->run];
	int status = 0;

	if (got < 0 && errno == EINTR)
		return 0;
	job->got += got > 0 ? (size_t)got : 0;
	if (got > 0 && job->got < sizeof(job->answer))
		return 0;
	*ended = true;
	close(job->fd);
	waitpid(job->pid, &status, 0);
	job->pid = 0;
	if (job->got == sizeof(job->answer) && job->answer.code == EXIT_DONE)
		return 0;
	const char *why = job->got == sizeof(job->answer) ? job->answer.text
	                  : WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it ended early";
	return err_set(err, job->answer.code == EXIT_INPUT ? -EINVAL : -EIO, "%s, seed %" PRIu64 ", %s: %s", run->workload->name,
	               run->seed, run->solver->name, why);
}

static int run_jobs(const struct sweep *s, struct run *runs, size_t n, size_t n_jobs, FILE *file, struct err *err)
{
	struct job *jobs = mem_array(n_jobs, sizeof(*jobs));
	struct pollfd *fds = mem_array(n_jobs, sizeof(*fds));
	struct bar bar = { .on = isatty(STDERR_FILENO) };
	size_t next = 0, done = 0, left = 0, busy = 0;
	int ret = 0;

	for (size_t i = 0; i < n; i++)
		left += !runs[i].done;
	while (ret == 0 && done < left) {
		for (size_t j = 0; j < n_jobs && ret == 0; j++) {
			while (next < n && runs[next].done)
				next++;
			if (jobs[j].pid == 0 && next < n) {
				ret = start_job(s, runs, next++, &jobs[j], err);
				busy += ret == 0;
			}
			fds[j] = (struct pollfd){ .fd = jobs[j].pid ? jobs[j].fd : -1, .events = POLLIN };
		}
		bar_show(&bar, done, left, "runs");
		if (ret == 0 && busy > 0)
			poll(fds, n_jobs, BAR_MS);
		for (size_t j = 0; j < n_jobs && ret == 0; j++) {
			bool ended = false;
			if (jobs[j].pid && fds[j].fd >= 0 && fds[j].revents)
				ret = hear_job(&jobs[j], runs, &ended, err);
			if (!ended || ret != 0)
				continue;
			struct run *run = &runs[jobs[j].run];
			memcpy(run->v, jobs[j].answer.v, sizeof(run->v));
			write_row(s, run, file);
			if (fflush(file) != 0)
				ret = err_sys(err, -EIO, "runs.csv");
			done++;
			busy--;
		}
	}
	bar_end(&bar);
	kill_jobs(jobs, n_jobs);
	for (size_t i = 0; i < n; i++)
		runs[i].done |= ret == 0;
	free(jobs);
	free(fds);
	return ret;
}

/* Trace by trace, and within one solver by solver. */
static struct run *all_runs(const struct sweep *s, size_t *ret_n)
{
	size_t n = 0, most = s->workloads.n * s->loads_micro.n * s->seeds.n * s->solvers.n;
	struct run *runs = mem_array(most, sizeof(*runs));

	for (size_t w = 0; w < s->workloads.n; w++)
		for (size_t l = 0; l < s->loads_micro.n; l++)
			for (size_t k = 0; k < s->seeds.n; k++)
				for (size_t i = 0; i < s->solvers.n; i++) {
					bool file = s->workloads.v[w].substrate != NULL;
					if (file && (l > 0 || k > 0)) /* a file is as it is */
						continue;
					runs[n++] = (struct run){
						.workload = &s->workloads.v[w], .load_micro = file ? 1000000 : s->loads_micro.v[l],
						.seed = file ? 0 : s->seeds.v[k], .solver = &s->solvers.v[i],
					};
				}
	*ret_n = n;
	return runs;
}

int sweep_run(struct sweep *s, const char *directory, int64_t jobs, bool json)
{
	mem_auto char *dir = directory ? mem_str(directory) : mem_printf("sweep-%s", s->name);
	mem_auto char *path = mem_printf("%s/runs.csv", dir);
	struct record record = { .jobs = jobs };
	int64_t begun_ms = clock_ms();
	struct err err = { 0 };
	size_t n = 0;

	if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
		fprintf(stderr, "vnsim: %s: %s\n", dir, strerror(errno));
		return EXIT_INPUT;
	}
	s->program = program_id();
	if (record.jobs == 0)
		record.jobs = sysconf(_SC_NPROCESSORS_ONLN) > 0 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
	if (record.jobs > SWEEP_JOBS_MAX)
		record.jobs = SWEEP_JOBS_MAX;
	struct run *runs = all_runs(s, &n);
	record.reused = reuse_rows(s, runs, n, path);
	FILE *file = begin_rows(s, runs, n, path, &err);
	int ret = file ? run_jobs(s, runs, n, (size_t)record.jobs, file, &err) : -EIO;
	if (file && fclose(file) != 0 && ret == 0)
		ret = err_sys(&err, -EIO, "%s", path);
	record.seconds = (double)(clock_ms() - begun_ms) / 1000;
	if (ret == 0)
		ret = sweep_report(s, runs, n, dir, &record, json, &err);
	free(runs);
	if (ret != 0)
		fprintf(stderr, "vnsim: %s\n", err.text);
	return ret ? exit_of_error(ret) : EXIT_DONE;
}
