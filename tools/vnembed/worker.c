/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The solver as vned's worker: frames of proto/worker.h on stdin and stdout, one job at a time. It
 * has nothing to lose: whatever goes wrong beyond one job ends it, and vned starts another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "embed/embed.h"
#include "embed/update.h"
#include "proto/worker.h"
#include "tools/solver_options.h"
#include "tools/vnembed/vnembed.h"

enum { FRAME_MAX = 256 << 20, PROGRESS_MS = 50 };

/* 0; 1 at the end of the stream before the first byte; negative errno. */
static int read_all(void *to, size_t n)
{
	for (size_t got = 0; got < n;) {
		ssize_t r = read(STDIN_FILENO, (char *)to + got, n - got);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return got == 0 ? 1 : -EPIPE;
		got += (size_t)r;
	}
	return 0;
}

static int write_all(const void *from, size_t n)
{
	for (size_t put = 0; put < n;) {
		ssize_t r = write(STDOUT_FILENO, (const char *)from + put, n - put);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		put += (size_t)r;
	}
	return 0;
}

static int write_answer(const struct worker_answer *answer)
{
	uint8_t *data;
	size_t len;

	worker_answer_pack(answer, &data, &len);
	int ret = write_all(data, len);
	free(data);
	return ret;
}

struct stream {
	uint64_t id;
	double cost;
	int64_t told_ms;
};

/* Every better embedding is told at once, mere bounds now and then. */
static bool tell(void *arg, const struct solution *best)
{
	struct stream *stream = arg;
	int64_t now = clock_ms();

	if (best->objective == stream->cost && now - stream->told_ms < PROGRESS_MS)
		return true;
	stream->cost = best->objective;
	stream->told_ms = now;
	struct worker_answer answer = { .id = stream->id, .solution = *best };
	return write_answer(&answer) == 0;
}

/* standing: the substrate that was sent by itself; replaced by another that is. */
static int serve(const uint8_t *data, size_t len, struct substrate *standing)
{
	struct worker_job job = { 0 };
	struct err err = { 0 };
	int ret = worker_job_unpack(data, len, standing->n_nodes ? standing : NULL, &job, &err);

	if (ret != 0) {
		fprintf(stderr, "vnembed: a job that cannot be read: %s\n", err.text);
		return EXIT_INPUT;
	}
	if (!job.id) {
		substrate_done(standing);
		*standing = job.substrate;
		return EXIT_DONE;
	}
	struct stream stream = { .id = job.id, .cost = -1 };
	struct embed_options options = { .solver = job.solver[0] ? job.solver : NULL, .objective = job.objective,
	                                 .time_limit_s = job.time_limit_s, .effort = job.effort, .seed = job.seed,
	                                 .explain = true, .progress = tell, .arg = &stream };
	struct worker_answer answer = { .id = job.id, .final = true };
	answer.failed = job.now.n_nodes ? embed_update(&job.substrate, &job.left, &job.request, &job.now, &options, &answer.solution, &err) :
	                                  embed_solve(&job.substrate, &job.left, &job.request, &options, &answer.solution, &err);
	if (answer.failed != 0) {
		answer.solution.status = SOLVE_UNKNOWN;
		snprintf(answer.solution.reason, sizeof(answer.solution.reason), "%s", err.text);
	}
	ret = write_answer(&answer);
	solution_done(&answer.solution);
	worker_job_done(&job);
	if (ret != 0) {
		fprintf(stderr, "vnembed: nobody takes the answer: %s\n", strerror(-ret));
		return EXIT_MACHINE;
	}
	return EXIT_DONE;
}

static int run(struct substrate *standing)
{
	for (;;) {
		uint8_t head[4];
		int ret = read_all(head, sizeof(head));
		if (ret == 1)
			return EXIT_DONE;
		uint32_t len = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
		if (ret != 0 || len > FRAME_MAX) {
			fprintf(stderr, "vnembed: %s\n", ret ? strerror(-ret) : "a job of more than 256 MiB");
			return EXIT_INPUT;
		}
		mem_auto uint8_t *data = mem_array(len + 1, 1);
		if (read_all(data, len) != 0) {
			fprintf(stderr, "vnembed: the stream of jobs ended within one\n");
			return EXIT_INPUT;
		}
		ret = serve(data, len, standing);
		if (ret != EXIT_DONE)
			return ret;
	}
}

int worker_run(const char *solver)
{
	struct substrate standing = { 0 };
	struct err err = { 0 };
	if (worker_confine(solver, &err)) {
		fprintf(stderr, "vnembed: %s\n", err.text);
		return EXIT_MACHINE;
	}
	int ret = run(&standing);

	substrate_done(&standing);
	return ret;
}
