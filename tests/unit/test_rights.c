/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may ask what, message by message and role by role, against a table of its own: whoever adds a message has to say here, too,
 * whose it is. And quotas: the file, and what counts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/help_model.h"
#include "vned/vned.h"

/* a: admin, t: tenant, v: viewer; what is not here is nobody's */
static const struct {
	enum message_type type;
	const char *who;
} expected[] = {
	{ MSG_HEARTBEAT, "atv" }, { MSG_LIST, "atv" },  { MSG_SHOW, "atv" },    { MSG_NODES, "atv" },      { MSG_LINKS, "atv" },    { MSG_EVENTS, "atv" },
	{ MSG_HISTORY, "atv" },   { MSG_ROUTES, "atv" }, { MSG_PLAN, "atv" },   { MSG_SERIES, "atv" },     { MSG_LOG, "atv" },      { MSG_USAGE, "atv" },
	{ MSG_QUOTAS, "atv" },    { MSG_SUBMIT, "at" },  { MSG_UPDATE, "at" },  { MSG_RELEASE, "at" },     { MSG_EXEC, "at" },      { MSG_EXEC_INPUT, "at" },
	{ MSG_EXEC_EXIT, "at" },  { MSG_DRAIN, "a" },    { MSG_RELOAD, "a" },   { MSG_BACKUP, "a" },       { MSG_KEYS, "a" },
};

static const char *who_may(enum message_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		if (expected[i].type == type)
			return expected[i].who;
	return "";
}

static void test_every_message_and_role(void **state)
{
	static const struct {
		enum role role;
		char letter;
	} roles[] = { { ROLE_NONE, '-' }, { ROLE_ADMIN, 'a' }, { ROLE_TENANT, 't' }, { ROLE_VIEWER, 'v' }, { ROLE_AGENT, '-' }, { ROLE_COORDINATOR, '-' }, { ROLE_JOIN, '-' } };
	for (int type = 0; type < MSG_TYPES + 2; type++) {
		for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
			struct message m = { .type = (enum message_type)type };
			if (type == MSG_PLANE)
				continue;
			bool may = strchr(who_may(m.type), roles[i].letter) != NULL;
			if (rights_may(roles[i].role, &m) != may)
				fail_msg("role %s, message %s: expected %d", role_names[roles[i].role], message_type_name(m.type), may);
		}
	}
	for (int op = PLANE_GET; op <= PLANE_DELETE; op++) {
		struct message m = { .type = MSG_PLANE, .u.plane.op = (enum plane_op)op };
		assert_true(rights_may(ROLE_ADMIN, &m) && rights_may(ROLE_TENANT, &m));
		assert_int_equal(rights_may(ROLE_VIEWER, &m), op == PLANE_GET);
		assert_false(rights_may(ROLE_AGENT, &m));
	}
}

/* ---- quotas ----------------------------------------------------------------------------------------- */

static char path[64];

static int load(const char *text, struct quotas **ret, char reason[1024])
{
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	strcpy(path, "/tmp/quota-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	int r = quotas_load(path, &errors, ret, &err);
	snprintf(reason, 1024, "%s", errors.n ? buf_cstr(&errors.text) : err.text);
	yaml_errors_done(&errors);
	unlink(path);
	return r;
}

static void test_files(void **state)
{
	static const struct {
		const char *text, *place;
	} bad[] = {
		{ "kind: tenants\ntenants: alice\n", ":2:10:" }, { "kind: tenants\ntenants:\n  - {networks: 1}\n", ":3:" },
		{ "kind: tenants\ndefault: {core: 4}\n", ":2:11:" }, { "kind: tenants\ndefault: {memory: 4}\n", ":2:" },
		{ "kind: tenants\ntenants:\n  - {name: a}\n  - {name: a}\n", ":4:" }, { "kind: vned\n", ":1:1:" }, { "kind: tenants\ndefault: {networks: -1}\n", ":2:" },
	};
	char reason[1024];
	struct quotas *q;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(load(bad[i].text, &q, reason), -EINVAL);
		if (!strstr(reason, bad[i].place))
			fail_msg("%s: expected a place with %s", reason, bad[i].place);
	}
	assert_int_equal(load("kind: tenants\n", &q, reason), 0);
	quotas_free(q);
	assert_int_equal(load("kind: tenants\ndefault: {networks: 0}\ntenants: [{name: a, cores: 0.5, memory: 1GiB, bandwidth: 1gbit, routers: 3}]\n", &q, reason), 0);
	quotas_free(q);
}

/* One vned's worth of what the check reads; networks by hand. */
struct scene {
	struct vned v;
	struct network nets[3], *list[3];
};

static void scene_open(struct scene *s, const char *file)
{
	char reason[1024], dir[] = "/tmp/quota-allow-XXXXXX";
	struct err err = { 0 };
	*s = (struct scene){ 0 };
	assert_non_null(mkdtemp(dir));
	assert_int_equal(allow_list_load(dir, NULL, &s->v.allow, &err), 0);
	rmdir(dir);
	assert_int_equal(load(file, &s->v.quotas, reason), 0);
	s->v.networks = s->list;
}

static void scene_done(struct scene *s)
{
	for (size_t i = 0; i < s->v.n_networks; i++)
		request_done(&s->nets[i].request);
	quotas_free(s->v.quotas);
	allow_list_free(s->v.allow);
}

static struct network *holds(struct scene *s, const char *owner, const char *text)
{
	struct network *net = &s->nets[s->v.n_networks];
	net->owner = (char *)(uintptr_t)owner;
	net->request = help_request(text);
	s->list[s->v.n_networks++] = net;
	return net;
}

#define TWO(name, cpu, mbit, more)                                                                                                   \
	"kind: network\nname: " name "\nnodes: [{name: a, cpu: " cpu ", memory: 64MiB}, {name: b, cpu: " cpu "}]\nlinks: [{endpoints: [a, b], bandwidth: " mbit \
	"mbit" more "}]\n"

static void check(struct scene *s, const char *owner, const char *text, const struct network *stands, const char *refused)
{
	struct err err = { 0 };
	struct request r = help_request(text);
	int code = quota_check(&s->v, owner, &r, stands, &err);
	request_done(&r);
	assert_int_equal(code, refused ? -EDQUOT : 0);
	if (refused && !strstr(err.text, refused))
		fail_msg("%s; expected it to say %s", err.text, refused);
}

static void test_what_counts(void **state)
{
	struct scene s;
	scene_open(&s, "kind: tenants\ndefault: {networks: 1}\ntenants: [{name: alice, cores: 2, bandwidth: 50mbit, routers: 4}]\n");
	check(&s, "alice", TWO("n", "1", "50", ""), NULL, NULL); /* just all of it */
	check(&s, "alice", TWO("n", "1.001", "50", ""), NULL, "cores: 0 in use, 2.002 asked for, 2 allowed");
	check(&s, "alice", TWO("n", "0.1", "51", ""), NULL, "bandwidth");
	check(&s, "alice", TWO("n", "0.1", "26", ", protection: link"), NULL, "bandwidth"); /* a backup path is held, too */
	check(&s, "alice", TWO("n", "0.1", "0", ""), NULL, NULL);
	struct network *first = holds(&s, "alice", TWO("n", "0.5", "30", ""));
	holds(&s, "bob", TWO("n", "8", "500", "")); /* others' are others' */
	check(&s, "alice", TWO("m", "0.6", "1", ""), NULL, "cores: 1 in use, 1.2 asked for, 2 allowed");
	check(&s, "alice", TWO("m", "0.5", "20", ""), NULL, NULL);
	holds(&s, "alice", TWO("m", "0.5", "20", ""));
	check(&s, "alice", TWO("k", "0.1", "0", ""), NULL, "routers: 4 in use");
	/* an update is in the place of what stands; what is over the quota may shrink, not grow */
	check(&s, "alice", TWO("n", "0.5", "30", ""), first, NULL);
	check(&s, "alice", TWO("n", "0.6", "30", ""), first, "cores: 1 in use by other networks");
	check(&s, "bob", TWO("k", "0.1", "0", ""), NULL, "networks: 1 in use, 1 asked for, 1 allowed");
	check(&s, "bob", TWO("n", "4", "500", ""), &s.nets[1], NULL);
	/* while an update is under way the larger of both counts */
	struct network larger = { .request = help_request(TWO("n", "0.75", "30", "")) };
	first->next = &larger;
	check(&s, "alice", TWO("m", "0.25", "20", ""), &s.nets[2], NULL);
	check(&s, "alice", TWO("m", "0.26", "20", ""), &s.nets[2], NULL); /* it shrinks */
	s.nets[2].owner = (char *)(uintptr_t)"carol";
	check(&s, "alice", TWO("m", "0.26", "20", ""), NULL, "cores: 1.5 in use");
	request_done(&larger.request);
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_every_message_and_role), cmocka_unit_test(test_files), cmocka_unit_test(test_what_counts) };
	return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
