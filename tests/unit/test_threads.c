/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Many threads at once give the answers of one: the library keeps nothing between calls or beside them, and
 * GLPK's environment is the thread's own. Under ThreadSanitizer this is the program to run. */
#include "tests/help_brute.h"

#include <pthread.h>

enum { THREADS = 8, CASES = 24, SOLVERS = 4 };

static const char *const solvers[SOLVERS] = { "heuristic", "mip", "exact", "auto" };

/* An answer in words; what took time or is compared elsewhere is left out. */
static char *answer_of(const struct one_case *c, const char *solver)
{
	struct embed_options options = { .solver = solver, .effort = 60, .seed = 11 };
	struct solution answer = { 0 };
	struct err err = { 0 };
	struct buf text = BUF_INIT;

	if (embed_solve(&c->s, &c->left, &c->r, &options, &answer, &err) != 0)
		return mem_str(err.text);
	buf_printf(&text, "%s %a %a %s %s", solve_status_names[answer.status], answer.objective, answer.has_bound ? answer.bound : -1,
	           answer.solver, answer.reason);
	for (size_t u = 0; answer.has_embedding && u < answer.embedding.n_nodes; u++)
		buf_printf(&text, " %u", answer.embedding.host[u]);
	for (size_t k = 0; answer.has_embedding && k < answer.embedding.n_links; k++)
		for (size_t i = 0; i < answer.embedding.links[k].n_paths; i++)
			for (size_t j = 0; j < answer.embedding.links[k].paths[i].n; j++)
				buf_printf(&text, "%s%u", j ? "-" : " ", answer.embedding.links[k].paths[i].links[j]);
	solution_done(&answer);
	char *ret = mem_str(buf_cstr(&text));
	buf_done(&text);
	return ret;
}

struct world {
	struct one_case cases[CASES];
	char *expected[CASES][SOLVERS];
	pthread_barrier_t start;
};
struct thread {
	pthread_t id;
	struct world *world;
	int number;
	char *fault; /* the first; NULL: none */
};

/* Each goes through all of it, beginning elsewhere: the same case at once in some, others in others. */
static void *work(void *arg)
{
	struct thread *t = arg;

	pthread_barrier_wait(&t->world->start);
	for (int i = 0; i < CASES * SOLVERS && !t->fault; i++) {
		int at = (i + t->number / 2 * CASES) % (CASES * SOLVERS);
		char *got = answer_of(&t->world->cases[at / SOLVERS], solvers[at % SOLVERS]);
		const char *expected = t->world->expected[at / SOLVERS][at % SOLVERS];
		if (strcmp(got, expected) != 0)
			t->fault = mem_printf("%s, case %d: %s\ninstead of %s", solvers[at % SOLVERS], at / SOLVERS, got, expected);
		free(got);
	}
	return NULL;
}

static void threads_answer_like_one(void **state)
{
	static const unsigned features[] = { 0, F_TIGHT, F_DELAY | F_PACK, F_SPLIT, F_PROTECT | F_RISKS, F_BEST_EFFORT | F_PLACE };
	struct world *w = mem_alloc(sizeof(*w));
	struct thread threads[THREADS] = { 0 };

	for (int i = 0; i < CASES; i++) {
		case_make(&w->cases[i], 500u + (unsigned)i, features[i % ARRAY_LEN(features)]);
		for (int k = 0; k < SOLVERS; k++)
			w->expected[i][k] = answer_of(&w->cases[i], solvers[k]);
	}
	pthread_barrier_init(&w->start, NULL, THREADS);
	for (int i = 0; i < THREADS; i++) {
		threads[i].world = w;
		threads[i].number = i;
		assert_int_equal(pthread_create(&threads[i].id, NULL, work, &threads[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i].id, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		if (threads[i].fault)
			fail_msg("thread %d: %s", i, threads[i].fault);
	pthread_barrier_destroy(&w->start);
	for (int i = 0; i < CASES; i++) {
		for (int k = 0; k < SOLVERS; k++)
			free(w->expected[i][k]);
		case_done(&w->cases[i]);
	}
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(threads_answer_like_one) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
