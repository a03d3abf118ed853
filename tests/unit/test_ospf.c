/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the agent goes on with BIRD in a router, whose part is taken here: well behaved, slow to come, dying, or no BIRD at all. The
 * router is one of a table of operations that hands out ends of socket pairs; tests/system/test_ospf.py tries the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "vnagent/bird_config.h"
#include "vnagent/ospf.h"

enum { LIMIT_MS = 20000 };
static const struct router_key KEY = { 3, 7 };

struct fake { /* the router, and what the agent told */
	struct loop *loop;
	struct ospf *ospf;
	int bird; /* our end of the connection; -1: none */
	struct loop_source *source;
	bool there;             /* BIRD runs: dials are taken */
	int dials, begun;       /* connections; commands to start or tell it */
	char *config;           /* that the last command read */
	bool started;           /* by the last command: not only told */
	void (*asked)(struct fake *f, const char *question);
	const char *neighbour, *routes; /* answers */
	int changes, notices;
	char notice[256];
	bool late;
	bool (*until)(struct fake *f);
};

/* ---- the router ---------------------------------------------------------------------------------------- */
static void say(struct fake *f, const char *text)
{
	assert_int_equal(send(f->bird, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hang_up(struct fake *f)
{
	loop_remove(f->source);
	f->source = NULL;
	if (f->bird >= 0)
		close(f->bird);
	f->bird = -1;
}

static void readable(void *arg, uint32_t events)
{
	struct fake *f = arg;
	char question[256];
	ssize_t n = recv(f->bird, question, sizeof(question) - 1, MSG_DONTWAIT);
	if (n <= 0) {
		hang_up(f);
		return;
	}
	question[n] = 0;
	assert_int_equal(question[n - 1], '\n');
	question[n - 1] = 0;
	f->asked(f, question);
}

static int dial(void *self, struct router_key key, const char *path, int *ret_fd, struct err *err)
{
	struct fake *f = self;
	int pair[2];
	assert_true(key.net == KEY.net && key.router == KEY.router);
	assert_string_equal(path, BIRD_SOCKET);
	if (!f->there)
		return err_set(err, -ENOENT, "no socket");
	hang_up(f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*ret_fd = pair[0];
	f->bird = pair[1];
	assert_int_equal(loop_add_fd(f->loop, f->bird, EPOLLIN, readable, f, &f->source, NULL), 0);
	f->dials++;
	if (f->asked)
		f->asked(f, NULL);
	return 0;
}

static int exec_command(void *self, struct router_key key, const struct router_command *command, struct err *err)
{
	struct fake *f = self;
	char text[8192];
	struct spawn_exit end = { 0 };
	size_t len = strtoul(command->argv[4], NULL, 10);
	assert_int_equal(command->argc, 5);
	assert_true(len < sizeof(text) && read(command->in, text, sizeof(text)) >= (ssize_t)len);
	f->begun++;
	f->started = strstr(command->argv[2], "exec bird") != NULL;
	free(f->config);
	f->config = mem_strn(text, len);
	f->there = true;
	assert_int_equal(send(command->control, &end, sizeof(end), 0), sizeof(end));
	return 0;
}

static bool running(void *self, struct router_key key)
{
	return true;
}

static const struct router_driver inside = { .kind = "fake", .ports = ROUTER_PORTS_VETH, .dial = dial, .exec = exec_command, .running = running };
static const struct router_driver guest = { .kind = "fake", .ports = ROUTER_PORTS_DRIVER, .dial = dial, .running = running };

/* ---- a BIRD that behaves ------------------------------------------------------------------------------- */
static const char up[] = "1013-ospf4:\n Router ID   \tPri\t     State     \tDTime\tInterface  Router IP\n"
			 " 10.255.0.2  \t  1\tFull/PtP  \t 4.424\teth0       10.64.0.1\n0000 \n";
static const char coming[] = "1013-ospf4:\n 10.255.0.2  \t  1\tExStart/PtP\t 4.424\teth0       10.64.0.1\n0000 \n";
static const char both[] = "1007-Table master4:\n 10.255.0.2/32  unicast [ospf4 03:01:32.998] * I (150/20) [10.255.0.2]\n \tvia 10.64.0.1 on eth0\n0000 \n";
static const char none[] = "1007-Table master4:\n0000 \n";

static void behaves(struct fake *f, const char *question)
{
	if (!question)
		say(f, "0001 BIRD 2.0.12 ready.\n");
	else if (!strcmp(question, "configure"))
		say(f, "0002-Reading configuration from " BIRD_CONFIG "\n0003 Reconfigured\n");
	else if (!strcmp(question, "show ospf neighbors ospf4"))
		say(f, f->neighbour);
	else if (!strncmp(question, "show route ", 11))
		say(f, f->routes);
	else
		fail_msg("asked %s", question);
}

/* ---- the agent ------------------------------------------------------------------------------------------- */
static void changed(void *arg)
{
	((struct fake *)arg)->changes++;
}

static void notice(void *arg, uint32_t net, const char *object, const char *what)
{
	struct fake *f = arg;
	f->notices++;
	snprintf(f->notice, sizeof(f->notice), "%s: %s", object, what);
}

static struct router_load load(const struct fake *f)
{
	struct router_load l = { .net = KEY.net, .router = KEY.router };
	ospf_load(f->ospf, &l);
	return l;
}

static void look(void *arg)
{
	struct fake *f = arg;
	if (f->until(f))
		loop_stop(f->loop);
}

static void too_late(void *arg)
{
	((struct fake *)arg)->late = true;
	loop_stop(((struct fake *)arg)->loop);
}

static void wait_until(struct fake *f, bool (*until)(struct fake *f))
{
	struct loop_source *often, *limit;
	f->until = until;
	assert_int_equal(loop_add_timer(f->loop, 1, 5, look, f, &often, NULL), 0);
	assert_int_equal(loop_add_timer(f->loop, LIMIT_MS, 0, too_late, f, &limit, NULL), 0);
	assert_int_equal(loop_run(f->loop, NULL), 0);
	loop_remove(often);
	loop_remove(limit);
	if (f->late)
		fail_msg("not within %d ms; routing: %s", LIMIT_MS, load(f).routing_reason);
}

static bool converged(struct fake *f)
{
	return load(f).routing == ROUTER_ROUTING_CONVERGED;
}

static void set(struct fake *f, const struct router_driver *ops, uint32_t n_reachable)
{
	struct addr own = { AF_INET, 32, { 10, 255, 0, 1 } };
	struct plan_router r = { .id = KEY.router, .name = (char *)"r1", .routing = ROUTING_OSPF, .loopbacks = &own, .n_loopbacks = 1, .n_reachable = n_reachable };
	struct plan_port port = { .ifname = "eth0", .address = { AF_INET, 31, { 10, 64, 0, 0 } }, .peer_router = (char *)"r2" };
	struct plan_port out = { .ifname = "up0", .address = { AF_INET, 24, { 192, 0, 2, 1 } }, .uplink = (char *)"campus" }; /* nobody is awaited there */
	const struct plan_port *ports[] = { &port, &out };
	ospf_set(f->ospf, ops, f, KEY, &r, ports, 2);
}

static void begin(struct fake *f)
{
	*f = (struct fake){ .bird = -1, .asked = behaves, .neighbour = up, .routes = both };
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	f->ospf = ospf_new(&(struct ospf_options){ .loop = f->loop, .changed = changed, .notice = notice, .arg = f });
}

static void end(struct fake *f)
{
	ospf_free(f->ospf);
	hang_up(f);
	loop_free(f->loop);
	free(f->config);
}

/* ---- tests ----------------------------------------------------------------------------------------------- */
static void test_started_and_converged(void **state)
{
	struct fake f;
	struct routes_view v = { 0 };
	begin(&f);
	set(&f, &inside, 2);
	assert_int_equal(load(&f).routing, ROUTER_ROUTING_STARTING);
	wait_until(&f, converged);
	assert_true(f.begun == 1 && f.started && f.changes == 1 && f.notices == 0);
	assert_non_null(strstr(f.config, "stubnet 10.255.0.1/32"));
	ospf_neighbours(f.ospf, KEY, &v.neighbours, &v.n_neighbours);
	assert_int_equal(v.n_neighbours, 1);
	assert_string_equal(v.neighbours[0].state, "Full/PtP");
	routes_view_done(&v);
	end(&f);
}

static bool reason_is_exstart(struct fake *f)
{
	return strstr(load(f).routing_reason, "neighbour r2 is ExStart") != NULL;
}

static bool reason_is_count(struct fake *f)
{
	return strstr(load(f).routing_reason, "knows 1 of 2 routers") != NULL;
}

static bool reason_is_nothing(struct fake *f)
{
	return strstr(load(f).routing_reason, "nothing heard of neighbour r2") != NULL;
}

static void test_it_waits_for_all(void **state)
{
	struct fake f;
	begin(&f);
	f.there = true; /* a guest starts its own */
	f.neighbour = coming;
	set(&f, &guest, 2);
	wait_until(&f, reason_is_exstart);
	f.neighbour = up;
	f.routes = none;
	wait_until(&f, reason_is_count);
	f.routes = "1007-Table master4:\n 10.255.0.1/32  unicast [ospf4 03:01:32.998] * I (150/20)\n0000 \n"; /* its own does not count */
	wait_until(&f, reason_is_count);
	f.routes = both;
	wait_until(&f, converged);
	f.neighbour = "1013-ospf4: is not up\n0000 \n";
	wait_until(&f, reason_is_nothing);
	assert_true(f.begun == 0 && f.dials == 1);
	end(&f);
}

static bool again(struct fake *f)
{
	return f->begun == 2 && converged(f);
}

static void test_another_plan_is_told(void **state)
{
	struct fake f;
	begin(&f);
	set(&f, &inside, 2);
	wait_until(&f, converged);
	struct addr own[] = { { AF_INET, 32, { 10, 255, 0, 9 } } };
	struct plan_router r = { .id = KEY.router, .name = (char *)"r1", .routing = ROUTING_OSPF, .loopbacks = own, .n_loopbacks = 1, .n_reachable = 2 };
	ospf_set(f.ospf, &inside, &f, KEY, &r, NULL, 0);
	wait_until(&f, again);
	assert_false(f.started); /* what runs goes on */
	assert_non_null(strstr(f.config, "stubnet 10.255.0.9/32"));
	ospf_set(f.ospf, &inside, &f, KEY, &r, NULL, 0); /* the same again: nothing to do */
	assert_int_equal(f.begun, 2);
	end(&f);
}

static void test_bird_that_dies(void **state)
{
	struct fake f;
	begin(&f);
	set(&f, &inside, 2);
	wait_until(&f, converged);
	f.there = false;
	hang_up(&f);
	wait_until(&f, again);
	assert_true(f.started && f.notices == 1);
	assert_string_equal(f.notice, "router r1: BIRD has ended; it is started again");
	end(&f);
}

/* ---- no BIRD at all ------------------------------------------------------------------------------------ */
static void garbage(struct fake *f, const char *question)
{
	say(f, question ? "1013-ospf4:\nHTTP/1.1 200 OK\n" : "0001 BIRD\n");
}

static void endless(struct fake *f, const char *question)
{
	char line[BUFSIZ];
	memset(line, 'x', sizeof(line));
	if (!question)
		say(f, "0001 BIRD\n");
	else
		while (send(f->bird, line, sizeof(line), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			;
}

static void zeros(struct fake *f, const char *question)
{
	assert_int_equal(send(f->bird, "0001 \0\n", 7, MSG_NOSIGNAL), 7);
}

static void silent(struct fake *f, const char *question)
{
}

static void refuses(struct fake *f, const char *question)
{
	say(f, question ? "9001 syntax error, unexpected CF_SYM_UNDEFINED\n" : "0001 BIRD\n");
}

static bool three_dials(struct fake *f)
{
	return f->dials >= 3;
}

static bool one_talk(struct fake *f) /* longer than an answer may take */
{
	return f->dials >= 2 || reason_is_nothing(f);
}

static void test_what_is_no_bird(void **state)
{
	static void (*const kinds[])(struct fake *, const char *) = { garbage, endless, zeros };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fake f;
		begin(&f);
		f.there = true;
		f.asked = kinds[i];
		set(&f, &guest, 2);
		wait_until(&f, three_dials);
		assert_int_equal(load(&f).routing, ROUTER_ROUTING_STARTING);
		assert_non_null(strstr(load(&f).routing_reason, "is not BIRD"));
		f.asked = behaves; /* and it comes to its senses */
		wait_until(&f, converged);
		end(&f);
	}
}

static void test_what_does_not_answer(void **state)
{
	static void (*const kinds[])(struct fake *, const char *) = { silent, refuses };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fake f;
		begin(&f);
		f.there = true;
		f.asked = kinds[i];
		set(&f, &guest, 2);
		wait_until(&f, one_talk);
		assert_int_equal(load(&f).routing, ROUTER_ROUTING_STARTING);
		assert_true(load(&f).routing_reason[0] != 0);
		f.asked = behaves;
		wait_until(&f, converged);
		end(&f);
	}
}

/* It converges each time, and hangs up at once: each time would be an event for everybody to read. */
static void converges_and_ends(struct fake *f, const char *question)
{
	behaves(f, question);
	if (question && !strncmp(question, "show route ", 11))
		hang_up(f);
}

static bool five_notices(struct fake *f)
{
	return f->notices >= 5;
}

static void test_one_that_ends_again_and_again(void **state)
{
	struct fake f;
	int64_t began = clock_ms();
	begin(&f);
	f.there = true;
	f.asked = converges_and_ends;
	set(&f, &guest, 2);
	wait_until(&f, five_notices);
	assert_true(clock_ms() - began >= 100 + 200 + 400 + 800); /* the pauses between them */
	f.asked = behaves;
	wait_until(&f, converged);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_started_and_converged), cmocka_unit_test(test_it_waits_for_all), cmocka_unit_test(test_another_plan_is_told),
		cmocka_unit_test(test_bird_that_dies), cmocka_unit_test(test_what_is_no_bird), cmocka_unit_test(test_what_does_not_answer),
		cmocka_unit_test(test_one_that_ends_again_and_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
