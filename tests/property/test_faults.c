/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GLPK that fails: glp_simplex() and glp_intopt() are taken over by this program (a symbol of its own comes
 * before the library's), and each call of each solve in turn reports a failure, runs out of iterations, or aborts
 * through glp_error(), once or from then on. Whatever happens, what is said of the tiny cases of brute force is
 * true. So the fence is tried from outside, as it is built, by means that it does not know. */
#include "tests/help_brute.h"

#include <dlfcn.h>
#include <errno.h>
#include <glpk.h>

enum trouble { CYCLES, SINGULAR, ILL, FAILS, LATE, ABORTS, TROUBLES };

static struct {
	enum trouble kind;
	int at;       /* the call, from 0; -1: none */
	bool on;      /* and all that follow */
	int calls, met;
} fault = { .at = -1 };

static bool strikes(void)
{
	int call = fault.calls++;
	bool now = fault.at >= 0 && (call == fault.at || (fault.on && call > fault.at));

	fault.met += now;
	return now;
}

int glp_simplex(glp_prob *p, const glp_smcp *how)
{
	static int (*real)(glp_prob *, const glp_smcp *);
	static const int codes[] = { [SINGULAR] = GLP_ESING, [ILL] = GLP_ECOND, [FAILS] = GLP_EFAIL };

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "glp_simplex");
	if (!strikes())
		return real(p, how);
	glp_smcp less;
	if (how)
		less = *how;
	else
		glp_init_smcp(&less);
	switch (fault.kind) {
	case CYCLES: /* as far as it comes within a few iterations, and no further */
		less.it_lim = 2;
		(void)!real(p, &less);
		return GLP_EITLIM;
	case LATE:
		less.it_lim = 1;
		(void)!real(p, &less);
		return GLP_ETMLIM;
	case ABORTS:
		glp_error("a test says so\n");
	default:
		return codes[fault.kind];
	}
}

int glp_intopt(glp_prob *p, const glp_iocp *how)
{
	static int (*real)(glp_prob *, const glp_iocp *);

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "glp_intopt");
	if (!strikes())
		return real(p, how);
	if (fault.kind == ABORTS)
		glp_error("a test says so\n");
	return fault.kind == LATE ? GLP_ETMLIM : GLP_EFAIL;
}

/* All solves of one case with one kind of trouble: at each call in turn, once and for good. In how many it struck. */
static int trouble_everywhere(const struct one_case *c, const char *solver, int64_t optimum, enum trouble kind,
                              struct tally *tally)
{
	int struck = 0;

	for (int on = 0; on < 2; on++)
		for (int at = 0; at < 12; at++) {
			fault = (typeof(fault)){ .kind = kind, .at = at, .on = on };
			compare(c, solver, 400, optimum, false, tally);
			if (fault.met == 0)
				break; /* it came to its end before */
			struck++;
		}
	fault.at = -1;
	return struck;
}

/* Says in how many solves GLPK failed. */
static int run(const char *solver, unsigned features, int cases)
{
	struct tally tally = { 0 };
	int struck = 0;

	for (int i = 0; i < cases; i++) {
		struct one_case c;
		case_make(&c, features * 7919u + (unsigned)i, features);
		int64_t optimum = brute_force(&c, &c.left);
		for (enum trouble kind = 0; kind < TROUBLES; kind++)
			struck += trouble_everywhere(&c, solver, optimum, kind, &tally);
		/* and GLPK as it is has not been harmed */
		compare(&c, solver, 2500, optimum, true, &tally);
		case_done(&c);
	}
	return struck;
}

/* The reference uses GLPK in nearly every case, the others where nothing simpler decides. */
static void mip(void **state)
{
	assert_true(run("mip", F_TIGHT, 12) + run("mip", F_SPLIT | F_DELAY, 8) + run("mip", F_PROTECT | F_PACK, 8) > 500);
}

static void exact(void **state)
{
	run("exact", F_SPLIT | F_TIGHT, 8);
	run("exact", F_PROTECT | F_RISKS | F_PACK, 8);
	run("exact", F_TIGHT | F_FREE, 20);
}

static void automatic(void **state)
{
	run("auto", F_SPLIT | F_TIGHT, 8);
	run("auto", F_TIGHT | F_DELAY, 20);
}

/* ---- an instance that takes many programs -------------------------------------------------- */

static char *text_of(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = mem_array(1, 1 << 20);

	if (!f)
		fail_msg("%s: %s; run from the root of the tree", path, strerror(errno));
	text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void case_load(struct one_case *c, const char *name)
{
	mem_auto char *substrate_path = mem_printf("tests/data/instances/%s.substrate.yaml", name);
	mem_auto char *request_path = mem_printf("tests/data/instances/%s.request.yaml", name);
	mem_auto char *substrate = text_of(substrate_path), *request = text_of(request_path);

	*c = (struct one_case){ 0 };
	buf_str(&c->substrate, substrate);
	buf_str(&c->request, request);
	case_parse(c);
	residual_init(&c->left, &c->s);
}

static void instance(void **state)
{
	static const int calls[] = { 0, 3, 30 };
	struct tally tally = { 0 };
	struct one_case c;
	int struck = 0;

	case_load(&c, "I60L_01");
	for (enum trouble kind = 0; kind < TROUBLES; kind++)
		for (int i = 0; i < 2 * (int)ARRAY_LEN(calls); i++) {
			fault = (typeof(fault)){ .kind = kind, .at = calls[i / 2], .on = i % 2 };
			compare(&c, "exact", 500, INT64_C(949000000000), false, &tally);
			struck += fault.met > 0;
		}
	fault.at = -1;
assert_true(struck > 20);
	assert_int_equal(tally.found, tally.cases);
	case_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mip), cmocka_unit_test(exact), cmocka_unit_test(automatic), cmocka_unit_test(instance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
