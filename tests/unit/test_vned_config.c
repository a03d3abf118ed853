/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator's configuration: defaults, places of files, and each fault at its place. */
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

#include "base/mem.h"
#include "proto/keys.h"
#include "vned/check.h"
#include "vned/config.h"

static const char minimal[] = "kind: vned\nsubstrate: sub/s.yaml\nlisten: [\"tcp://127.0.0.1:7410\"]\nkey: /etc/k\nallow: allowed\n"
                              "state: state\n";

static int load(const char *text, struct vned_config *c, struct yaml_errors *errors, char dir[64])
{
	struct err err = { 0 };
	strcpy(dir, "/tmp/config-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	mem_auto char *path = mem_printf("%s/vned.yaml", dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	int r = vned_config_load(path, errors, c, &err);
	unlink(path);
	rmdir(dir);
	return r;
}

static void test_defaults(void **state)
{
	struct vned_config c;
	struct yaml_errors errors = { 0 };
	char dir[64];
	assert_int_equal(load(minimal, &c, &errors, dir), 0);
	mem_auto char *substrate = mem_printf("%s/sub/s.yaml", dir);
	assert_string_equal(c.substrate, substrate); /* beside the file */
	assert_string_equal(c.key, "/etc/k");
	assert_int_equal(c.listen.n, 1);
	assert_null(c.metrics);
	assert_string_equal(c.solver, "auto");
	assert_int_equal(c.time_limit_us, 5000000);
	assert_int_equal(c.heartbeat_us, 1000000);
	assert_int_equal(c.timeout_us, 3000000);
	assert_int_equal(c.prepare_timeout_us, 30000000);
	assert_int_equal(c.guest_timeout_us, 60000000);
	assert_int_equal(c.workers, 1);
	vned_config_done(&c);
	yaml_errors_done(&errors);
}

static void test_all_given(void **state)
{
	struct vned_config c;
	struct yaml_errors errors = { 0 };
	char dir[64];
	mem_auto char *text = mem_printf("%smetrics: fd:4\nsolver: mip\ntime_limit: 2s\nworkers: 3\nheartbeat: 0.5s\n"
	                                 "timeout: 2s\nprepare_timeout: 1m\nguest_timeout: 2m\n", minimal);
	assert_int_equal(load(text, &c, &errors, dir), 0);
	assert_string_equal(c.metrics, "fd:4");
	assert_string_equal(c.solver, "mip");
	assert_int_equal(c.time_limit_us, 2000000);
	assert_int_equal(c.workers, 3);
	assert_int_equal(c.heartbeat_us, 500000);
	assert_int_equal(c.timeout_us, 2000000);
	assert_int_equal(c.prepare_timeout_us, 60000000);
	assert_int_equal(c.guest_timeout_us, 120000000);
	vned_config_done(&c);
	yaml_errors_done(&errors);
}

static void test_faults(void **state)
{
	static const struct {
		const char *more, *expected;
	} cases[] = {
		{ "workers: 0\n", ":7:10: workers is out of range" },
		{ "workers: 65\n", "expected 1 to 64" },
		{ "heartbeat: 2s\n", "at least twice heartbeat" },
		{ "timeout: 3\n", "no unit" },
		{ "time_limit: 1ms\n", "expected 10ms to 1d" },
		{ "prepare_timout: 3s\n", "did you mean \"prepare_timeout\"" },
		{ "state: twice\n", "state" },
		{ "solver: \"exec:\"\n", "absolute path of a program" },
		{ "solver: exec:own\n", ":7:9: solver \"exec:own\"" },
		{ "---\nkind: vned\n", "expected one" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vned_config c;
		struct yaml_errors errors = { 0 };
		char dir[64];
		mem_auto char *text = mem_printf("%s%s", minimal, cases[i].more);
		assert_int_equal(load(text, &c, &errors, dir), -EINVAL);
		if (!strstr(buf_cstr(&errors.text), cases[i].expected))
			fail_msg("case %zu: %s", i, buf_cstr(&errors.text));
		yaml_errors_done(&errors);
	}
}

/* minimal with its line `key` saying something else. */
static char *changed(const char *key, const char *value)
{
	buf_auto struct buf out = BUF_INIT;
	mem_auto char *copy = mem_str(minimal);
	bool found = false;
	for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n")) {
		bool here = strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':';
		found |= here;
		buf_printf(&out, "%s%s%s\n", here ? key : line, here ? ": " : "", here ? value : "");
	}
	if (!found)
		buf_printf(&out, "%s: %s\n", key, value);
	return buf_take(&out);
}

/* Addresses are right or told at their place, before anything is bound. expected NULL: right. */
static void test_addresses(void **state)
{
	static const struct {
		const char *key, *value, *expected;
	} cases[] = {
		{ "metrics", "127.0.0.1", ":7:10: metrics: 127.0.0.1: it has no port; expected ADDRESS:PORT such as" },
		{ "metrics", "127.0.0.1:70000", "port \"70000\" is not one of 0 to 65535" },
		{ "metrics", "\"127.0.0.1:\"", "port \"\" is not one of" },
		{ "metrics", "localhost:7411", "\"localhost\" is not an IP address; expected" },
		{ "metrics", "\":7411\"", "nothing stands before the port" },
		{ "metrics", "fd:2", "descriptor \"2\" is not one of 3 to 65535" },
		{ "metrics", "fd:4", NULL },
		{ "metrics", "\"[::1]:7411\"", NULL },
		{ "metrics", "\"::1:7411\"", "an IPv6 address stands in brackets" },
		{ "metrics", "\"*:7411\"", "is not an IP address" },
		{ "listen", "[192.0.2.1:7410]", ":3:10: listen: 192.0.2.1:7410: it does not begin with tcp://" },
		{ "listen", "[tcp://127.0.0.1:7410, tcp://192.0.2.1:65536]", ":3:32: listen: tcp://192.0.2.1:65536: port \"65536\"" },
		{ "listen", "[tcp://127.0.0.1]", "it has no port" },
		{ "listen", "[tcp://localhost:7410]", "is not an IP address" },
		{ "listen", "[tcp://fd:stdin]", "descriptor \"stdin\"" },
		{ "listen", "[\"tcp://[::1]\"]", "it has no port" },
		{ "listen", "[\"tcp://[192.0.2.1]:7410\"]", "is not an IPv6 address" },
		{ "listen", "[\"tcp://[]:7410\"]", "is not an IPv6 address" },
		{ "listen", "[tcp://]", "it has no port" },
		{ "listen", "[]", ":3:9: listen: an empty list; expected a list of addresses" },
		{ "listen", "tcp://127.0.0.1:7410", ":3:9: " },
		{ "listen", "[tcp://fd:3, \"tcp://*:*\", \"tcp://[fe80::1%eth0]:7410\", tcp://0.0.0.0:1]", NULL },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vned_config c;
		struct yaml_errors errors = { 0 };
		char dir[64];
		mem_auto char *text = changed(cases[i].key, cases[i].value);
		int r = load(text, &c, &errors, dir);
		if (r != (cases[i].expected ? -EINVAL : 0) || (r < 0 && !strstr(buf_cstr(&errors.text), cases[i].expected)) ||
		    errors.n != (cases[i].expected != NULL))
			fail_msg("case %zu: %s", i, buf_cstr(&errors.text));
		if (r == 0)
			vned_config_done(&c);
		yaml_errors_done(&errors);
	}
}

static void test_all_at_once(void **state)
{
	struct vned_config c;
	struct yaml_errors errors = { 0 };
	char dir[64];
	assert_int_equal(load("kind: vned\nlisten: []\nworkers: 0\n", &c, &errors, dir), -EINVAL);
	assert_true(errors.n >= 6); /* four missing keys, an empty list, a range */
	yaml_errors_done(&errors);
	errors = (struct yaml_errors){ 0 };
	assert_int_equal(load("kind: vnagent\n", &c, &errors, dir), -EINVAL);
	assert_non_null(strstr(buf_cstr(&errors.text), "expected vned"));
	yaml_errors_done(&errors);
	errors = (struct yaml_errors){ 0 };
	assert_int_equal(vned_config_load("/nonexistent/vned.yaml", &errors, &c, NULL), -ENOENT);
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void put_key(const char *path, enum role role, bool secret)
{
	struct identity id;
	assert_int_equal(identity_make("someone", role, NULL, &id, NULL), 0);
	assert_int_equal(identity_save(&id, path, secret, NULL), 0);
}

/* --check looks into what is named: each thing that the start would stumble over is told, all at once. */
static void test_check(void **state)
{
	char dir[] = "/tmp/config-test-XXXXXX";
	assert_non_null(mkdtemp(dir));
	mem_auto char *substrate = mem_printf("%s/s.yaml", dir), *key = mem_printf("%s/vned.key", dir);
	mem_auto char *other = mem_printf("%s/other.key", dir), *public = mem_printf("%s/vned.pub", dir);
	mem_auto char *allow = mem_printf("%s/allowed", dir), *stores = mem_printf("%s/state", dir);
	mem_auto char *below_file = mem_printf("%s/s.yaml/state", dir), *no_parent = mem_printf("%s/a/b", dir);
	put(substrate, "kind: substrate\nname: one\nnodes:\n  - {name: n0, cpu: 4}\n");
	put_key(key, ROLE_COORDINATOR, true);
	put_key(public, ROLE_COORDINATOR, false);
	put_key(other, ROLE_ADMIN, true);
	assert_int_equal(mkdir(allow, 0700), 0);
	struct {
		char *substrate, *key, *allow, *state;
		size_t n;
		const char *expected;
	} cases[] = {
		{ substrate, key, allow, stores, 0, "" },
		{ substrate, other, allow, stores, 1, "other.key: its role is admin; expected a .key file of role coordinator" },
		{ substrate, public, allow, stores, 1, "it has no secret part; expected" },
		{ substrate, key, allow, below_file, 1, "s.yaml/state: cannot be made: Not a directory; make its parent" },
		{ substrate, key, allow, no_parent, 1, "/a/b: cannot be made: No such file or directory" },
		{ substrate, key, allow, substrate, 1, "s.yaml: cannot be written: Not a directory; expected a directory" },
		{ substrate, key, allow, (char *)"/proc/self", 1, "state: /proc/self: cannot be written" },
		{ no_parent, no_parent, no_parent, no_parent, 4, "a/b" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct vned_config c = { .substrate = cases[i].substrate, .key = cases[i].key, .allow = cases[i].allow,
			                     .state = cases[i].state };
		buf_auto struct buf faults = BUF_INIT, summary = BUF_INIT;
		size_t n = vned_check(&c, &faults, &summary), lines = 0;
		for (const char *at = buf_cstr(&faults); *at; at++)
			lines += *at == '\n';
		if (n != cases[i].n || lines != n || !strstr(buf_cstr(&faults), cases[i].expected))
			fail_msg("case %zu: %zu: %s", i, n, buf_cstr(&faults));
		if (n == 0)
			assert_string_equal(buf_cstr(&summary), "one: 1 nodes, 0 links\n");
	}
	assert_int_equal(access(stores, F_OK), -1); /* nothing stays */
	assert_int_equal(unlink(substrate) | unlink(key) | unlink(other) | unlink(public) | rmdir(allow) | rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_defaults), cmocka_unit_test(test_all_given),
		                                cmocka_unit_test(test_faults), cmocka_unit_test(test_addresses), cmocka_unit_test(test_check), cmocka_unit_test(test_all_at_once) };
	return cmocka_run_group_tests_name("vned configuration", tests, NULL, NULL);
}
