/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pool of solvers against solvers that misbehave: that end, hang, talk nonsense, or talk too
 * much. Each costs one request, and the next is answered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/child.h"
#include "base/mem.h"
#include "model/yaml.h"
#include "vned/solve.h"

struct world {
	struct loop *loop;
	struct loop_source *limit;
	struct solve_pool *pool;
	char dir[64];
	char *program;
	struct worker_job job;
	size_t answers, wanted;
	int failed;
	enum solve_status status;
	bool has_embedding, timed_out;
	char reason[1024], relax[256], solver[32];
};

static const char substrate_text[] =
	"kind: substrate\nname: s\nnodes: [{name: a, cpu: 4}, {name: b, cpu: 4}]\nlinks: [{endpoints: [a, b], bandwidth: 10mbit}]\n";
static const char request_text[] =
	"kind: network\nname: r\nnodes: [{name: r1, cpu: 1}, {name: r2, cpu: 1}]\nlinks: [{endpoints: [r1, r2], bandwidth: 2mbit}]\n";

static void limit(void *arg)
{
	struct world *w = arg;
	w->timed_out = true;
	loop_stop(w->loop);
}

static int setup(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));
	struct yaml_errors errors = { .file = "t" };
	struct yaml_doc **docs;
	struct request *requests;
	size_t n;
	strcpy(w->dir, "/tmp/solve-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	w->program = mem_printf("%s/solver", w->dir);
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, -1, 0, limit, w, &w->limit, NULL), 0);
	yaml_parse(substrate_text, strlen(substrate_text), &errors, &docs, &n);
	assert_int_equal(substrate_read(docs[0], &errors, &w->job.substrate), 0);
	yaml_free_docs(docs, n);
	assert_int_equal(request_parse(request_text, strlen(request_text), false, &errors, &requests, &n, NULL), 0);
	w->job.request = requests[0];
	free(requests);
	residual_init(&w->job.left, &w->job.substrate);
	strcpy(w->job.solver, "auto");
	w->job.time_limit_s = 0.1;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	solve_pool_free(w->pool);
	worker_job_done(&w->job);
	loop_free(w->loop);
	mem_auto char *once = mem_printf("%s/once", w->dir);
	unlink(once);
	unlink(w->program);
	rmdir(w->dir);
	free(w->program);
	free(w);
	return 0;
}

/* The solver is this shell script; `real` in it is the true one. */
static void pool_of(struct world *w, const char *script, size_t workers, size_t queue)
{
	mem_auto char *real = child_sibling("../../vnembed");
	FILE *f = fopen(w->program, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\nreal=%s\nonce=%s/once\n%s\n", real, w->dir, script);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(w->program, 0700), 0);
	struct solve_options o = { .program = w->program, .workers = workers, .grace_ms = 100, .queue_max = queue };
	struct err err = { 0 };
	if (solve_pool_new(w->loop, &o, &w->pool, &err) < 0)
		fail_msg("%s", err.text);
}

static void answered(void *arg, int failed, struct solution *s)
{
	struct world *w = arg;
	w->failed = failed;
	w->status = s->status;
	w->has_embedding = s->has_embedding;
	snprintf(w->reason, sizeof(w->reason), "%s", s->reason);
	snprintf(w->relax, sizeof(w->relax), "%s", s->relax);
	snprintf(w->solver, sizeof(w->solver), "%s", s->solver);
	if (++w->answers == w->wanted)
		loop_stop(w->loop);
}

static void submit(struct world *w)
{
	struct err err = { 0 };
	if (solve_submit(w->pool, &w->job, 0, false, answered, w, &err) < 0)
		fail_msg("%s", err.text);
}

static void wait_answers(struct world *w, size_t n)
{
	w->wanted = n;
	w->timed_out = false;
	loop_set_timer(w->limit, 20000, 0);
	if (w->answers < n)
		assert_int_equal(loop_run(w->loop, NULL), 0);
	assert_false(w->timed_out);
	assert_int_equal(w->answers, n);
}

static void test_answers(void **state)
{
	struct world *w = *state;
	w->job.time_limit_s = 5;
	pool_of(w, "exec $real --worker", 2, 10);
	for (int i = 0; i < 6; i++)
		submit(w);
	assert_int_equal(solve_waiting(w->pool), 6);
	wait_answers(w, 6);
	assert_int_equal(w->failed, 0);
	assert_true(w->has_embedding);
	assert_int_equal(w->status, SOLVE_OPTIMAL);
	assert_int_equal(solve_waiting(w->pool), 0);
	assert_int_equal(solve_killed(w->pool), 0);
}

/* Each worker is told a substrate once, again when it is another or the worker is, and jobs without a version bring their own. */
static void test_standing(void **state)
{
	static const uint64_t versions[] = { 1, 1, 1, 0, 1, 2, 2, 0, 2, 1 };
	struct world *w = *state;
	struct err err = { 0 };
	w->job.time_limit_s = 5;
	pool_of(w, "exec $real --worker", 2, 20);
	int64_t cpu = w->job.left.node[0][RES_CPU_MILLI];
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		assert_int_equal(solve_submit(w->pool, &w->job, versions[i], i % 3 == 0, answered, w, &err), 0);
	wait_answers(w, ARRAY_LEN(versions));
	assert_true(w->has_embedding);
	for (size_t i = 0; i < w->job.substrate.n_nodes; i++) /* the same version, less left: what is left goes with each job */
		w->job.left.node[i][RES_CPU_MILLI] = 0;
	assert_int_equal(solve_submit(w->pool, &w->job, 1, true, answered, w, &err), 0);
	wait_answers(w, ARRAY_LEN(versions) + 1);
	assert_false(w->has_embedding);
	for (size_t i = 0; i < w->job.substrate.n_nodes; i++)
		w->job.left.node[i][RES_CPU_MILLI] = cpu;
	assert_int_equal(solve_killed(w->pool), 0);
}

static void test_hangs(void **state)
{
	struct world *w = *state;
	pool_of(w, "exec sleep 1000", 1, 10);
	int64_t begin = clock_ms();
	submit(w);
	wait_answers(w, 1);
	assert_true(clock_ms() - begin < 5000);
	assert_int_equal(w->failed, 0);
	assert_int_equal(w->status, SOLVE_UNKNOWN);
	assert_non_null(strstr(w->reason, "time limit"));
	assert_false(w->has_embedding);
}

static void test_ends(void **state)
{
	struct world *w = *state;
	pool_of(w, "head -c 10 >/dev/null; exit 9", 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_int_equal(w->failed, -EIO);
	assert_non_null(strstr(w->reason, "code 9"));
	submit(w); /* its successor takes the next */
	wait_answers(w, 2);
	assert_int_equal(w->failed, -EIO);
	assert_true(solve_killed(w->pool) >= 2);
}

static void test_killed(void **state)
{
	struct world *w = *state;
	pool_of(w, "head -c 10 >/dev/null; kill -SEGV $$", 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_int_equal(w->failed, -EIO);
	assert_non_null(strstr(w->reason, "signal 11"));
}

static void test_nonsense(void **state)
{
	struct world *w = *state;
	pool_of(w, "head -c 10 >/dev/null; printf '\\000\\000\\000\\003abc'; exec sleep 1000", 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_int_equal(w->failed, -EIO);
}

static void test_too_much(void **state)
{
	struct world *w = *state;
	pool_of(w, "head -c 10 >/dev/null; printf '\\377\\377\\377\\377'; exec cat /dev/zero", 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_int_equal(w->failed, -EIO);
}

/* The first fails, the second does what it should: nobody had to restart anything. */
static void test_recovers(void **state)
{
	struct world *w = *state;
	w->job.time_limit_s = 5;
	pool_of(w, "if [ ! -e $once ]; then touch $once; head -c 10 >/dev/null; kill -ABRT $$; fi\nexec $real --worker", 1, 10);
	submit(w);
	submit(w);
	wait_answers(w, 2);
	assert_int_equal(w->failed, 0);
	assert_true(w->has_embedding);
	assert_int_equal(solve_killed(w->pool), 1);
}

static void test_queue_is_bounded(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	pool_of(w, "exec sleep 1000", 1, 2);
	submit(w);
	submit(w);
	submit(w);
	assert_int_equal(solve_submit(w->pool, &w->job, 0, false, answered, w, &err), -EBUSY);
	assert_non_null(strstr(err.text, "waiting"));
	wait_answers(w, 2);
	submit(w); /* there is room again */
}

/* What would make it fit comes along with the refusal. */
static void test_explains(void **state)
{
	struct world *w = *state;
	w->job.time_limit_s = 5;
	w->job.request.nodes[0].demand[RES_CPU_MILLI] = 64000;
	pool_of(w, "exec $real --worker", 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_int_equal(w->status, SOLVE_INFEASIBLE);
	assert_string_equal(w->reason, "r1 needs cpu 64; the largest of its 2 candidates has 4");
	assert_string_equal(w->relax, "r1: cpu 64 → 4");
}

/* A program of the operator's own, behind the worker. */
static void test_own_program(void **state)
{
	struct world *w = *state;
	mem_auto char *own = mem_printf("%s/once", w->dir);
	FILE *f = fopen(own, "w");
	assert_non_null(f);
	fputs("#!/bin/sh\ncat >/dev/null\necho '{\"status\": \"feasible\", \"nodes\": {\"r1\": \"b\", \"r2\": \"a\"}, \"links\": "
	      "[{\"name\": \"r1-r2\", \"paths\": [{\"links\": [\"a-b\"]}]}]}'\n", f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(own, 0700), 0);
	w->job.time_limit_s = 5;
	snprintf(w->job.solver, sizeof(w->job.solver), "exec:%s", own);
	mem_auto char *script = mem_printf("exec $real --worker --solver exec:%s", own);
	pool_of(w, script, 1, 10);
	submit(w);
	wait_answers(w, 1);
	assert_true(w->has_embedding);
	assert_string_equal(w->solver, "exec");
	strcpy(w->job.solver, "exec:/nonexistent/own");
	submit(w);
	wait_answers(w, 2);
	assert_int_equal(w->status, SOLVE_UNKNOWN);
	assert_non_null(strstr(w->reason, "cannot run /nonexistent/own"));
}

static void test_no_program(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	struct solve_options o = { .program = "/nonexistent/solver", .workers = 1, .grace_ms = 100, .queue_max = 1 };
	assert_int_equal(solve_pool_new(w->loop, &o, &w->pool, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/solver"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_answers), TEST(test_standing), TEST(test_hangs), TEST(test_ends), TEST(test_killed),
		                                TEST(test_nonsense), TEST(test_too_much), TEST(test_recovers),
		                                TEST(test_queue_is_bounded), TEST(test_explains), TEST(test_own_program), TEST(test_no_program) };
	return cmocka_run_group_tests_name("solvers", tests, NULL, NULL);
}
