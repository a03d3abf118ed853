/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent at the wire, with routers of kind fake: a coordinator that is this test, in the same loop.
 * Needs no privilege. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "vnagent/agent.h"
#include "vnagent/probe.h"

enum { LIMIT_MS = 15000 };

struct world {
	struct loop *loop;
	char dir[64];
	struct identity coordinator, self;
	struct allow_list *allow;
	struct wire *server;
	struct agent_config config;
	struct node_probe probe;
	struct state *state;
	struct agent *agent;
	/* what the coordinator has heard last, of each type */
	struct peer peer;
	bool heard[MSG_TYPES];
	struct message last[MSG_TYPES];
	struct buf output;
	uint64_t term;
};

static void forget(struct world *w, enum message_type type)
{
	if (w->heard[type])
		message_done(&w->last[type]);
	w->heard[type] = false;
}

static void hear(void *arg, const struct peer *peer, struct message *m)
{
	struct world *w = arg;
	enum message_type type = m->type;
	assert_int_equal(peer->role, ROLE_AGENT);
	assert_string_equal(peer->node, "n1");
	w->peer = *peer;
	if (type == MSG_EXEC_OUTPUT && m->u.exec_data.stream == 1)
		buf_add(&w->output, m->u.exec_data.data, m->u.exec_data.len);
	forget(w, type);
	w->last[type] = *m;
	w->heard[type] = true;
	m->type = 0; /* taken */
	loop_stop(w->loop);
}

static void overdue(void *arg)
{
	fail_msg("nothing was heard within %d ms", LIMIT_MS);
}

static const struct message *await(struct world *w, enum message_type type)
{
	struct err err = { 0 };
	struct loop_source *limit;
	assert_int_equal(loop_add_timer(w->loop, LIMIT_MS, 0, overdue, NULL, &limit, &err), 0);
	while (!w->heard[type])
		assert_int_equal(loop_run(w->loop, &err), 0);
	loop_remove(limit);
	return &w->last[type];
}

static uint64_t say(struct world *w, struct message m)
{
	struct err err = { 0 };
	m.term = w->term;
	assert_int_equal(wire_send(w->server, &w->peer, &m, &err), 0);
	return m.sequence;
}

/* Says it, and gives the answer's code. */
static int order(struct world *w, enum message_type type, uint32_t generation, const struct node_plan *plan)
{
	struct message m = { .type = type, .net = 5, .generation = generation };
	if (plan)
		m.u.plan = *plan;
	forget(w, MSG_DONE);
	uint64_t sequence = say(w, m);
	const struct message *done = await(w, MSG_DONE);
	assert_int_equal(done->reply_to, sequence);
	assert_int_equal(done->net, 5);
	assert_int_equal(done->generation, generation);
	return done->u.reply.code;
}

static void make_plan(struct node_plan *p, uint32_t generation, const char *router)
{
	*p = (struct node_plan){ .net = 5, .generation = generation, .owner = mem_str("alice"), .name = mem_str("demo") };
	p->routers = mem_array(1, sizeof(*p->routers));
	p->n_routers = 1;
	p->routers[0] = (struct plan_router){ .id = 0, .name = mem_str(router), .kind = "fake", .cpu_milli = 100 };
	p->routers[0].loopbacks = mem_array(1, sizeof(struct addr));
	p->routers[0].loopbacks[0] = (struct addr){ AF_INET, 32, { 10, 255, 0, 0 } };
	p->routers[0].n_loopbacks = 1;
}

/* ---- the world ------------------------------------------------------------------------------- */
static void start_agent(struct world *w)
{
	static const char *const kinds[] = { "fake", NULL };
	struct err err = { 0 };
	assert_int_equal(state_open(w->config.state, &w->state, &err), 0);
	struct agent_options o = { .loop = w->loop, .config = &w->config, .state = w->state, .probe = &w->probe, .kinds = kinds,
		                   .cgroup = "", .self = &w->self, .server_public = w->coordinator.public };
	assert_int_equal(agent_new(&o, &w->agent, &err), 0);
	forget(w, MSG_HELLO);
	assert_int_equal(agent_connect(w->agent, &err), 0);
	await(w, MSG_HELLO);
}

static void stop_agent(struct world *w)
{
	agent_free(w->agent);
	state_close(w->state);
	w->agent = NULL;
}

static char *listen_anywhere(int *ret_fd)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	*ret_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_return_code(bind(*ret_fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(listen(*ret_fd, 16), errno);
	assert_return_code(getsockname(*ret_fd, (struct sockaddr *)&a, &len), errno);
	return mem_printf("tcp://127.0.0.1:%d", ntohs(a.sin_port));
}

static int enter(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));
	struct err err = { 0 };
	int fd;
	*state = w;
	unsetenv("VNE_FAKE_FAULTS");
	w->term = 1;
	snprintf(w->dir, sizeof(w->dir), "/tmp/vne-agent-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	mem_auto char *allowed = mem_printf("%s/allowed", w->dir), *pub = mem_printf("%s/allowed/n1.pub", w->dir);
	assert_return_code(mkdir(allowed, 0700), errno);
	assert_int_equal(identity_make("coordinator", ROLE_COORDINATOR, "", &w->coordinator, &err), 0);
	assert_int_equal(identity_make("n1", ROLE_AGENT, "n1", &w->self, &err), 0);
	assert_int_equal(identity_save(&w->self, pub, false, &err), 0);
	assert_int_equal(allow_list_load(allowed, NULL, &w->allow, &err), 0);
	assert_int_equal(loop_new(&w->loop, &err), 0);
	w->config.server = listen_anywhere(&fd);
	w->config.state = mem_printf("%s/state", w->dir);
	mem_auto char *handed = mem_printf("tcp://fd:%d", fd);
	const char *const listen[] = { handed, NULL };
	struct wire_server_options o = { .listen = listen, .self = &w->coordinator, .allow = w->allow, .message = hear, .arg = w };
	assert_int_equal(wire_listen(w->loop, &o, &w->server, &err), 0);
	static const char *const kinds[] = { "fake", NULL };
	assert_int_equal(probe_run(kinds, &w->probe, &err), 0);
	start_agent(w);
	return 0;
}

static int leave(void **state)
{
	struct world *w = *state;
	stop_agent(w);
	wire_close(w->server);
	for (int t = 0; t < MSG_TYPES; t++)
		forget(w, t);
	buf_done(&w->output);
	allow_list_free(w->allow);
	node_probe_done(&w->probe);
	loop_free(w->loop);
	mem_auto char *remove = mem_printf("rm -rf %s", w->dir);
	int status = system(remove);
	agent_config_done(&w->config);
	free(w);
	return status;
}

/* ---- tests ----------------------------------------------------------------------------------- */
static void a_network_comes_and_goes(void **state)
{
	struct world *w = *state;
	struct node_plan plan, nothing = { .net = 5, .generation = 2, .owner = (char *)"alice", .name = (char *)"demo" };
	const struct message *hello = await(w, MSG_HELLO);
	assert_int_equal(hello->u.hello.n_held, 0);
	assert_int_equal(hello->u.hello.probe.n_kinds, 1);
	assert_string_equal(hello->u.hello.probe.kinds[0].kind, "fake");
	say(w, (struct message){ .type = MSG_WELCOME, .u.welcome = { (char *)"n1", 50, 50 } });
	await(w, MSG_HEARTBEAT);
	make_plan(&plan, 1, "r1");
	assert_int_equal(order(w, MSG_COMMIT, 1, NULL), -ENOENT);
	assert_int_equal(order(w, MSG_PREPARE, 1, &plan), 0);
	assert_int_equal(order(w, MSG_PREPARE, 1, &plan), 0);
	assert_int_equal(order(w, MSG_COMMIT, 1, NULL), 0);
	assert_int_equal(order(w, MSG_COMMIT, 1, NULL), 0);
	assert_int_equal(order(w, MSG_ABORT, 1, NULL), 0); /* nothing to take back any more */
	agent_report(w->agent);
	forget(w, MSG_REPORT);
	agent_report(w->agent);
	const struct load_report *r = &await(w, MSG_REPORT)->u.report;
	assert_int_equal(r->n_routers, 1);
	assert_int_equal(r->routers[0].net, 5);
	assert_int_equal(r->routers[0].state, ROUTER_RUNNING);
	assert_true(r->cores > 0 && r->mem_total_kib > 0);
	assert_int_equal(order(w, MSG_PREPARE, 2, &nothing), 0);
	assert_int_equal(order(w, MSG_COMMIT, 2, NULL), 0);
	assert_int_equal(order(w, MSG_COMMIT, 2, NULL), 0);
	node_plan_done(&plan);
}

static void an_older_term_is_refused(void **state)
{
	struct world *w = *state;
	struct node_plan plan;
	make_plan(&plan, 1, "r1");
	w->term = 7;
	assert_int_equal(order(w, MSG_ENSURE, 1, &plan), 0);
	w->term = 6;
	assert_int_equal(order(w, MSG_ENSURE, 1, &plan), -ESTALE);
	assert_non_null(strstr(w->last[MSG_DONE].u.reply.text, "term 6"));
	stop_agent(w);
	start_agent(w); /* it remembers */
	assert_int_equal(w->last[MSG_HELLO].u.hello.term, 7);
	assert_int_equal(order(w, MSG_ABORT, 1, NULL), -ESTALE);
	w->term = 7;
	assert_int_equal(order(w, MSG_ABORT, 1, NULL), 0);
	node_plan_done(&plan);
}

static void a_restart_forgets_nothing(void **state)
{
	struct world *w = *state;
	struct node_plan one, two;
	make_plan(&one, 1, "r1");
	make_plan(&two, 2, "r1");
	two.routers[0].cpu_milli = 200;
	assert_int_equal(order(w, MSG_ENSURE, 1, &one), 0);
	assert_int_equal(order(w, MSG_PREPARE, 2, &two), 0);
	stop_agent(w);
	start_agent(w);
	const struct held_net *held = w->last[MSG_HELLO].u.hello.held;
	assert_int_equal(w->last[MSG_HELLO].u.hello.n_held, 1);
	assert_int_equal(held[0].net, 5);
	assert_int_equal(held[0].generation, 1);
	assert_true(held[0].committed);
	assert_int_equal(held[0].prepared, 2);
	assert_true(held[0].digest == node_plan_digest(&one));
	assert_int_equal(order(w, MSG_COMMIT, 2, NULL), 0);
	assert_int_equal(order(w, MSG_PREPARE, 1, &one), -ESTALE);
	stop_agent(w);
	start_agent(w);
	held = w->last[MSG_HELLO].u.hello.held;
	assert_int_equal(held[0].generation, 2);
	assert_int_equal(held[0].prepared, 0);
	assert_true(held[0].digest == node_plan_digest(&two));
	node_plan_done(&one);
	node_plan_done(&two);
}

static void a_failure_says_which_router(void **state)
{
	struct world *w = *state;
	struct node_plan plan;
	make_plan(&plan, 1, "r1");
	setenv("VNE_FAKE_FAULTS", "r1=fail", 1);
	assert_int_equal(order(w, MSG_PREPARE, 1, &plan), -EIO);
	assert_non_null(strstr(w->last[MSG_DONE].u.reply.text, "router r1"));
	assert_int_equal(order(w, MSG_COMMIT, 1, NULL), -ENOENT);
	setenv("VNE_FAKE_FAULTS", "r1=die", 1);
	forget(w, MSG_NOTICE);
	assert_int_equal(order(w, MSG_ENSURE, 1, &plan), 0);
	assert_non_null(strstr(await(w, MSG_NOTICE)->u.notice.object, "router r1"));
	do { /* it is made again */
		forget(w, MSG_REPORT);
		agent_report(w->agent);
		await(w, MSG_REPORT);
	} while (w->last[MSG_REPORT].u.report.routers[0].state != ROUTER_RUNNING);
	strcpy(plan.routers[0].kind, "xen");
	plan.generation = 2;
	assert_int_equal(order(w, MSG_PREPARE, 2, &plan), -EOPNOTSUPP);
	plan.net = 6; /* another than the envelope says */
	assert_int_equal(order(w, MSG_PREPARE, 2, &plan), -EINVAL);
	node_plan_done(&plan);
}

static void commands_go_both_ways(void **state)
{
	struct world *w = *state;
	struct node_plan plan;
	char *argv[] = { (char *)"echo", (char *)"hello", NULL };
	make_plan(&plan, 1, "r1");
	assert_int_equal(order(w, MSG_ENSURE, 1, &plan), 0);
	struct message exec = { .type = MSG_EXEC, .net = 5, .u.exec = { .id = 1, .network = (char *)"demo", .router = (char *)"r1",
		                                                        .argv = argv, .argc = 2 } };
	say(w, exec);
	const struct message *end = await(w, MSG_EXEC_EXIT);
	assert_int_equal(end->u.exec_exit.id, 1);
	assert_int_equal(end->u.exec_exit.code, 0);
	assert_string_equal(buf_cstr(&w->output), "hello\n");
	argv[0] = (char *)"cat";
	exec.u.exec.id = 2;
	forget(w, MSG_EXEC_EXIT);
	say(w, exec);
	assert_int_equal(await(w, MSG_EXEC_EXIT)->u.exec_exit.code, 127);
	exec.u.exec.id = 3;
	exec.u.exec.router_id = 9;
	forget(w, MSG_EXEC_EXIT);
	say(w, exec);
	end = await(w, MSG_EXEC_EXIT);
	assert_int_equal(end->u.exec_exit.code, 126);
	assert_non_null(strstr(end->u.exec_exit.reason, "router 9"));
	node_plan_done(&plan);
}

static void a_state_directory_has_one_owner(void **state)
{
	struct world *w = *state;
	struct state *second;
	struct err err = { 0 };
	assert_int_equal(state_open(w->config.state, &second, &err), -EBUSY);
}

static void note_bad(void *arg, const char *file, const char *why)
{
	++*(int *)arg;
}

static void note_plan(void *arg, const struct node_plan *committed, const struct node_plan *prepared)
{
	if (committed || prepared)
		*(int *)arg += 100;
}

static void torn_files_are_not_believed(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	struct node_plan plan;
	int seen = 0;
	make_plan(&plan, 1, "r1");
	assert_int_equal(state_set_plan(w->state, 5, SLOT_COMMITTED, &plan, &err), 0);
	mem_auto char *whole = mem_printf("%s/000005.plan", w->config.state), *other = mem_printf("%s/000006.plan", w->config.state);
	mem_auto char *copy = mem_printf("cp %s %s; echo nonsense > %s/000007.next", whole, other, w->config.state);
	assert_int_equal(system(copy), 0);
	assert_int_equal(state_each(w->state, note_plan, note_bad, &seen, &err), 0);
	assert_int_equal(seen, 102); /* one believed, another network's and a torn one told */
	node_plan_done(&plan);
}

/* The file, read: 0, or how many faults there are, as text in *ret_faults. */
static size_t read_config(struct world *w, const char *yaml, struct agent_config *c, char **ret_faults)
{
	struct yaml_errors errors = { 0 };
	struct err err = { 0 };
	mem_auto char *file = mem_printf("%s/vnagent.yaml", w->dir);
	FILE *f = fopen(file, "w");
	assert_non_null(f);
	fputs(yaml, f);
	fclose(f);
	int code = agent_config_load(file, &errors, c, &err);
	size_t n = errors.n;
	assert_int_equal(code, n ? -EINVAL : 0);
	*ret_faults = mem_str(buf_cstr(&errors.text));
	yaml_errors_done(&errors);
	return n;
}

static void make_key(struct world *w, const char *name, enum role role)
{
	struct identity id;
	mem_auto char *key = mem_printf("%s/%s.key", w->dir, name), *pub = mem_printf("%s/%s.pub", w->dir, name);
	assert_int_equal(identity_make(name, role, role == ROLE_AGENT ? "n1" : NULL, &id, NULL), 0);
	assert_int_equal(identity_save(&id, key, true, NULL), 0);
	assert_int_equal(identity_save(&id, pub, false, NULL), 0);
}

static void configurations_are_read_by_table(void **state)
{
	struct world *w = *state;
	struct agent_config c;
	mem_auto char *faults = NULL, *none = NULL;
	make_key(w, "c-vned", ROLE_COORDINATOR);
	make_key(w, "c-n1", ROLE_AGENT);
	mem_auto char *yaml = mem_printf("kind: vnagent\nserver: tcp://vned.example:7410\nserver_key: c-vned.pub\nkey: %s/c-n1.key\n"
	                                 "underlay:\n  - {device: eth1, bandwidth: 1gbit}\n", w->dir);
	if (read_config(w, yaml, &c, &none))
		fail_msg("%s", none);
	mem_auto char *beside = mem_printf("%s/c-vned.pub", w->dir), *key = mem_printf("%s/c-n1.key", w->dir);
	assert_string_equal(c.server_key, beside);
	assert_string_equal(c.key, key);
	assert_string_equal(c.state, "/run/vnagent");
	assert_string_equal(c.cgroup, "vne");
	assert_int_equal(c.n_underlay, 1);
	assert_int_equal(c.underlay[0].bw_kbps, 1000000);
	agent_config_done(&c);
	assert_true(read_config(w, "kind: vnagent\nserver: tcp://192.0.2.1:7410\nserver_kye: vned.pub\nkey: k\nunderlay:\n"
	                           "  - {device: much-too-long-a-name, bandwidth: 10}\n", &c, &faults) >= 3);
	assert_non_null(strstr(faults, "server_key"));
	assert_non_null(strstr(faults, "10"));
}

/* One fault each, at its place, with what was expected. */
static void faults_of_configurations_have_places(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *server, *server_key, *key, *more, *expected;
	} cases[] = {
		{ "192.0.2.1", NULL, NULL, "", ":2:9: server: 192.0.2.1: it does not begin with tcp://; expected tcp://HOST:PORT" },
		{ "tcp://192.0.2.1", NULL, NULL, "", ":2:9: server: tcp://192.0.2.1: it has no port" },
		{ "tcp://192.0.2.1:99999", NULL, NULL, "", "port \"99999\" is not one of 1 to 65535" },
		{ "tcp://192.0.2.1:0", NULL, NULL, "", "port \"0\"" },
		{ "tcp://192.0.2.999:7410", NULL, NULL, "", "\"192.0.2.999\" is not an IP address and not a host's name" },
		{ "tcp://*:7410", NULL, NULL, "", "is not an IP address" },
		{ NULL, "nowhere.pub", NULL, "", ":3:13: server_key: " },
		{ NULL, NULL, "nowhere.key", "", ":4:6: key: " },
		{ NULL, NULL, "c-vned.key", "", "role coordinator; expected an agent's key" },
		{ NULL, NULL, "c-n1.pub", "", "a public key, role agent; expected an agent's key with its secret part" },
		{ NULL, NULL, NULL, "underlay: [{device: eth1, bandwidth: 1}]\n", ":5:38: " },
		{ NULL, NULL, NULL, "underlay: [{device: eth1, bandwidth: 0mbit}]\n", ":5:38: a device without bandwidth" },
	};
	make_key(w, "c-vned", ROLE_COORDINATOR);
	make_key(w, "c-n1", ROLE_AGENT);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct agent_config c;
		mem_auto char *faults = NULL;
		mem_auto char *yaml = mem_printf("kind: vnagent\nserver: %s\nserver_key: %s\nkey: %s\n%s",
		                                 cases[i].server ? cases[i].server : "\"tcp://[::1]:7410\"",
		                                 cases[i].server_key ? cases[i].server_key : "c-vned.pub",
		                                 cases[i].key ? cases[i].key : "c-n1.key", cases[i].more);
		if (read_config(w, yaml, &c, &faults) != 1 || !strstr(faults, cases[i].expected))
			fail_msg("case %zu: %s", i, faults);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_network_comes_and_goes, enter, leave),
		cmocka_unit_test_setup_teardown(an_older_term_is_refused, enter, leave),
		cmocka_unit_test_setup_teardown(a_restart_forgets_nothing, enter, leave),
		cmocka_unit_test_setup_teardown(a_failure_says_which_router, enter, leave),
		cmocka_unit_test_setup_teardown(commands_go_both_ways, enter, leave),
		cmocka_unit_test_setup_teardown(a_state_directory_has_one_owner, enter, leave),
		cmocka_unit_test_setup_teardown(torn_files_are_not_believed, enter, leave),
		cmocka_unit_test_setup_teardown(configurations_are_read_by_table, enter, leave),
		cmocka_unit_test_setup_teardown(faults_of_configurations_have_places, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
