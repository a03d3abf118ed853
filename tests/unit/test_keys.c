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
static const char *const files[] = { "a.key", "a.pub", "b.pub", "c.pub", "notes.txt", "join-atla.pub" };

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
	assert_int_equal(allow_list_load(dir, NULL, &list, NULL), 0); /* empty: nobody */
	assert_null(allow_list_find(list, a.public));
	allow_list_free(list);
	assert_int_equal(identity_save(&a, pa, false, NULL), 0);
	assert_int_equal(identity_save(&b, pb, false, NULL), 0);
	write_text("notes.txt", "not a key");
	assert_int_equal(allow_list_load(dir, NULL, &list, NULL), 0);
	assert_string_equal(allow_list_find(list, a.public)->name, "a");
	assert_string_equal(allow_list_find(list, b.public)->node, "n");
	assert_null(allow_list_find(list, stranger.public));
	allow_list_free(list);

	assert_int_equal(identity_save(&a, pc, false, NULL), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EEXIST); /* the same key twice */
	strcpy(stranger.name, "a");
	assert_int_equal(identity_save(&stranger, pc, false, NULL), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EEXIST); /* another key of the same name */
	strcpy(stranger.name, "s");
	assert_int_equal(identity_save(&stranger, pc, true, NULL), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EINVAL);
	assert_non_null(strstr(err.text, "secret"));
	write_text("c.pub", "kind: key\n");
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EINVAL);
	mem_auto char *none = at("none");
	assert_int_equal(allow_list_load(none, NULL, &list, &err), -ENOENT);
}

/* While serving, one bad file must not keep a revocation from counting: the others count, the bad ones do not, and are told. */
static void test_bad_files_left_out(void **state)
{
	struct identity a;
	struct allow_list *list;
	const struct identity *const *all;
	struct err err = { 0 };
	buf_auto struct buf faults = BUF_INIT;
	mem_auto char *pa = at("a.pub"), *pb = at("b.pub");
	assert_int_equal(identity_make("a", ROLE_ADMIN, NULL, &a, NULL), 0);
	assert_int_equal(identity_save(&a, pa, false, NULL), 0);
	assert_int_equal(symlink(pa, pb), 0); /* a link is not followed */
	write_text("c.pub", "kind: key\n");
	assert_int_equal(allow_list_load(dir, &faults, &list, &err), 0);
	assert_int_equal(allow_list_all(list, &all), 1);
	assert_string_equal(all[0]->name, "a");
	assert_non_null(strstr(buf_cstr(&faults), "b.pub"));
	assert_non_null(strstr(buf_cstr(&faults), "c.pub"));
	allow_list_free(list);
	unlink(pb);
	assert_int_equal(mkfifo(pb, 0600), 0); /* nothing waits for whoever might write into it */
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EINVAL);
	unlink(pb);
	assert_int_equal(truncate(pa, 64 << 20), 0); /* nothing large is read */
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), -EINVAL);
}

static void test_put_and_remove(void **state)
{
	struct identity a, b;
	struct allow_list *list;
	struct err err = { 0 };
	mem_auto char *elsewhere = at("c.pub");
	assert_int_equal(identity_make("a", ROLE_TENANT, NULL, &a, NULL), 0);
	assert_int_equal(identity_make("a", ROLE_TENANT, NULL, &b, NULL), 0);
	assert_int_equal(identity_save(&a, elsewhere, false, NULL), 0); /* named otherwise than its key */
	assert_int_equal(allow_put(dir, &b, &err), 0);                  /* takes its place */
	assert_int_equal(access(elsewhere, F_OK), -1);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), 0);
	assert_null(allow_list_find(list, a.public));
	assert_string_equal(allow_list_find(list, b.public)->name, "a");
	assert_string_equal(allow_list_named(list, "a")->name, "a");
	allow_list_free(list);
	assert_int_equal(allow_remove(dir, "nobody", &err), -ENOENT);
	assert_int_equal(allow_remove(dir, "a", &err), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), 0);
	assert_null(allow_list_find(list, b.public));
	allow_list_free(list);
}

static void test_tokens(void **state)
{
	struct identity token, back, late;
	struct allow_list *list;
	struct err err = { 0 };
	uint8_t server[32], server_back[32];
	char text[TOKEN_TEXT], print[FINGERPRINT_TEXT];
	memset(server, 0xab, sizeof(server));
	assert_int_equal(token_make("atla", 3600 * INT64_C(1000000), &token, &err), 0);
	token_write(&token, server, text);
	assert_int_equal(token_read(text, &back, server_back, &err), 0);
	assert_memory_equal(back.public, token.public, 32); /* from the secret alone */
	assert_memory_equal(server_back, server, 32);
	assert_int_equal(back.role, ROLE_JOIN);
	text[3] = 'x';
	assert_int_equal(token_read(text, &back, server_back, &err), -EINVAL);
	assert_int_equal(token_read("", &back, server_back, &err), -EINVAL);
	assert_int_equal(strlen(key_fingerprint(server, print)), 39);
	assert_string_equal(print, "abab-abab-abab-abab-abab-abab-abab-abab");
	/* it counts until it expires, and is stored without its secret */
	assert_int_equal(allow_put(dir, &token, &err), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), 0);
	assert_string_equal(allow_list_find(list, token.public)->node, "atla");
	assert_false(allow_list_find(list, token.public)->has_secret);
	allow_list_free(list);
	assert_int_equal(token_make("atla", -1000000, &late, &err), 0);
	assert_int_equal(allow_put(dir, &late, &err), 0);
	assert_int_equal(allow_list_load(dir, NULL, &list, &err), 0);
	assert_null(allow_list_find(list, late.public));
	assert_null(allow_list_named(list, "join-atla"));
	allow_list_free(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { TEST(test_round_trip), TEST(test_others_can_read), TEST(test_bad_files),
		                                TEST(test_bad_names), TEST(test_allow_list),
		                                TEST(test_bad_files_left_out), TEST(test_put_and_remove), TEST(test_tokens) };
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
