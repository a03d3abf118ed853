/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files and allow-lists. */
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

static char dir[64];
static const char *const files[] = { "a.key", "a.pub", "b.pub", "c.pub", "notes.txt" };

static int setup(void **state)
{
	strcpy(dir, "/tmp/keys-test-XXXXXX");
	assert_non_null(mkdtemp(dir));
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		mem_auto char *path = mem_printf("%s/%s", dir, files[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static char *at(const char *name)
{
	return mem_printf("%s/%s", dir, name);
}

static void write_text(const char *name, const char *text)
{
	mem_auto char *path = at(name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_round_trip(void **state)
{
	struct identity id, back;
	mem_auto char *key = at("a.key"), *public = at("a.pub");
	assert_int_equal(identity_make("agent-1", ROLE_AGENT, "atla", &id, NULL), 0);
	assert_int_equal(identity_save(&id, key, true, NULL), 0);
	assert_int_equal(identity_save(&id, public, false, NULL), 0);
	struct stat st;
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(identity_load(key, &back, NULL), 0);
	assert_memory_equal(&back, &id, sizeof(id));
	assert_int_equal(identity_load(public, &back, NULL), 0);
	assert_false(back.has_secret);
	assert_string_equal(back.node, "atla");
	assert_int_equal(back.role, ROLE_AGENT);
	assert_memory_equal(back.public, id.public, 32);
	uint8_t zero[32] = { 0 };
	assert_memory_equal(back.secret, zero, 32);
	assert_int_equal(identity_save(&back, key, true, NULL), -EINVAL); /* it has none to save */
}

static void test_others_can_read(void **state)
{
	struct identity id, back;
	struct err err = { 0 };
	mem_auto char *key = at("a.key");
	assert_int_equal(identity_make("a", ROLE_ADMIN, NULL, &id, NULL), 0);
	assert_int_equal(identity_save(&id, key, true, NULL), 0);
	assert_int_equal(chmod(key, 0640), 0);
	assert_int_equal(identity_load(key, &back, &err), -EACCES);
	assert_non_null(strstr(err.text, "chmod 600"));
}

static void test_bad_files(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "expected one key" },
		{ "kind: vned\n", "expected key" },
		{ "kind: key\nname: a\nrole: king\npublic: \"00\"\n", "role" },
		{ "kind: key\nname: a\nrole: admin\npublic: \"00\"\n", "64 hexadecimal digits" },
		{ "kind: key\nname: a\nrole: agent\npublic: \"00\"\n", "agent without a node" },
		{ "kind: key\nname: a\nrole: admin\nnode: x\npublic: \"00\"\n", "node is for agents only" },
		{ "kind: key\nname: a/b\nrole: admin\npublic: \"00\"\n", "name" },
		{ "kind: key\nname: a\nrole: admin\n", "public" },
		{ "kind: key\nname: a\nrole: admin\npublik: \"00\"\n", "public" },
	};
	mem_auto char *path = at("a.pub");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct identity id;
		struct err err = { 0 };
		write_text("a.pub", cases[i].text);
		assert_int_equal(identity_load(path, &id, &err), -EINVAL);
		if (!strstr(err.text, cases[i].expected) || !strstr(err.text, "a.pub:"))
			fail_msg("case %zu: %s", i, err.text);
	}
	struct err err = { 0 };
	struct identity id;
	mem_auto char *none = at("none.key");
	assert_int_equal(identity_load(none, &id, &err), -ENOENT);
}

static void test_bad_names(void **state)
{
	struct identity id;
	assert_int_equal(identity_make("a b", ROLE_ADMIN, NULL, &id, NULL), -EINVAL);
	assert_int_equal(identity_make("a", ROLE_AGENT, NULL, &id, NULL), -EINVAL);
	assert_int_equal(identity_make("a", ROLE_AGENT, "..", &id, NULL), -EINVAL);
}

static void test_allow_list(void **state)
{
	struct identity a, b, stranger;
	struct allow_list *list;
	struct err err = { 0 };
	mem_auto char *pa = at("a.pub"), *pb = at("b.pub"), *pc = at("c.pub");
	assert_int_equal(identity_make("a", ROLE_ADMIN, NULL, &a, NULL), 0);
	assert_int_equal(identity_make("b", ROLE_AGENT, "n", &b, NULL), 0);
	assert_int_equal(identity_make("s", ROLE_ADMIN, NULL, &stranger, NULL), 0);
	assert_int_equal(allow_list_load(dir, &list, NULL), 0); /* empty: nobody */
	assert_null(allow_list_find(list, a.public));
	allow_list_free(list);
	assert_int_equal(identity_save(&a, pa, false, NULL), 0);
	assert_int_equal(identity_save(&b, pb, false, NULL), 0);
	write_text("notes.txt", "not a key");
	assert_int_equal(allow_list_load(dir, &list, NULL), 0);
	assert_string_equal(allow_list_find(list, a.public)->name, "a");
	assert_string_equal(allow_list_find(list, b.public)->node, "n");
	assert_null(allow_list_find(list, stranger.public));
	allow_list_free(list);

	assert_int_equal(identity_save(&a, pc, false, NULL), 0);
	assert_int_equal(allow_list_load(dir, &list, &err), -EEXIST); /* the same key twice */
	strcpy(stranger.name, "a");
	assert_int_equal(identity_save(&stranger, pc, false, NULL), 0);
	assert_int_equal(allow_list_load(dir, &list, &err), -EEXIST); /* another key of the same name */
	strcpy(stranger.name, "s");
	assert_int_equal(identity_save(&stranger, pc, true, NULL), 0);
	assert_int_equal(allow_list_load(dir, &list, &err), -EINVAL);
	assert_non_null(strstr(err.text, "secret"));
	write_text("c.pub", "kind: key\n");
	assert_int_equal(allow_list_load(dir, &list, &err), -EINVAL);
	mem_auto char *none = at("none");
	assert_int_equal(allow_list_load(none, &list, &err), -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_round_trip), TEST(test_others_can_read), TEST(test_bad_files),
		                                TEST(test_bad_names), TEST(test_allow_list) };
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
