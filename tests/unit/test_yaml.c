/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader: trees, tables, bounds, and errors with their places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "model/units.h"
#include "model/yaml.h"

struct parsed {
	struct yaml_errors errors;
	struct yaml_doc **docs;
	size_t n;
};

static struct parsed parse_n(const char *text, size_t len)
{
	struct parsed p = {.errors = {.file = "f"}};

	yaml_parse(text, len, &p.errors, &p.docs, &p.n);
	return p;
}

static struct parsed parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void done(struct parsed *p)
{
	yaml_free_docs(p->docs, p->n);
	yaml_errors_done(&p->errors);
}

/* The file has exactly these errors. */
static void errors_are(const char *text, size_t len, const char *errors)
{
	struct parsed p = parse_n(text, len);

	assert_string_equal(buf_cstr(&p.errors.text), errors);
	done(&p);
}

static void test_tree(void **state)
{
	struct parsed p = parse("# c\na: [1, \"~\", ~, null]\nb:\n  c: 'x y'\n  d:\n---\nsecond\n");
	const struct yaml_node *root, *a, *b;

	assert_string_equal(buf_cstr(&p.errors.text), "");
	assert_int_equal(p.n, 2);
	root = yaml_root(p.docs[0]);
	assert_int_equal(root->type, YAML_MAPPING);
	assert_int_equal(root->n, 2);
	a = yaml_get(root, "a");
	assert_int_equal(a->type, YAML_SEQUENCE);
	assert_int_equal(a->n, 4);
	assert_string_equal(a->first->text, "1");
	assert_false(a->first->is_null);
	assert_string_equal(a->first->next->text, "~");
	assert_false(a->first->next->is_null);
	assert_true(a->first->next->next->is_null);
	assert_true(a->first->next->next->next->is_null);
	b = yaml_get(root, "b");
	assert_int_equal(b->key_mark.line, 3);
	assert_int_equal(b->key_mark.column, 1);
	assert_int_equal(b->mark.line, 4);
	assert_int_equal(b->mark.column, 3);
	assert_string_equal(yaml_get(b, "c")->text, "x y");
	assert_true(yaml_get(b, "d")->is_null);
	assert_null(yaml_get(b, "e"));
	assert_null(yaml_get(a, "e"));
	assert_null(yaml_get(NULL, "e"));
	assert_string_equal(yaml_root(p.docs[1])->text, "second");
	done(&p);
	static const char *const empty[] = {"", "# nothing\n", "\n\n", "\xef\xbb\xbf"};

	for (size_t i = 0; i < ARRAY_LEN(empty); i++) {
		p = parse(empty[i]);
		assert_int_equal(p.n, 0);
		assert_int_equal(p.errors.n, 0);
		done(&p);
	}
	p = parse("\xef\xbb\xbf" "a: 1\n");
	assert_string_equal(yaml_get(yaml_root(p.docs[0]), "a")->text, "1");
	done(&p);
}

static void test_refused(void **state)
{
	static const char many[] = "f:17:1: key \"k3\" stands here again; it was given in line 4\n";
	struct buf b = BUF_INIT;

#define ERRORS_ARE(text, errors) errors_are(text, sizeof(text) - 1, errors)
	ERRORS_ARE("a: 1\nb: 2\na: 3\n", "f:3:1: key \"a\" stands here again; it was given in line 1\n");
	for (int i = 0; i < 16; i++)
		buf_printf(&b, "k%d: 1\n", i);
	buf_str(&b, "k3: 1\n");
	errors_are(b.data, b.len, many);
	buf_done(&b);
	ERRORS_ARE("a: &x 1\nb: *x\n", "f:1:4: anchor \"&x\": anchors are not taken; write the value out\n"
	                               "f:2:4: alias \"*x\": aliases are not taken; write the value out\n");
	ERRORS_ARE("a: !!int 1\n", "f:1:4: tag \"tag:yaml.org,2002:int\": tags are not taken; write the value alone\n");
	ERRORS_ARE("? [a]\n: 1\n", "f:1:3: a key is a list; expected a word\n");
	ERRORS_ARE("a: \"x\\0y\"\n", "f:1:4: text with the character NUL in it\n");
	ERRORS_ARE("a: x\0y\n", "f:1:5: the character NUL; expected text\n");
	ERRORS_ARE("a: b\nb: \xc3\xa4\xff\n", "f:2:5: byte 0xff is not UTF-8; expected text in UTF-8\n");
	ERRORS_ARE("\xff\xfe" "a\0", "f:1:1: byte 0xff is not UTF-8; expected text in UTF-8\n");
	ERRORS_ARE("a: \xed\xa0\x80\n", "f:1:4: byte 0xed is not UTF-8; expected text in UTF-8\n");
	ERRORS_ARE("a: \xc0\x80\n", "f:1:4: byte 0xc0 is not UTF-8; expected text in UTF-8\n");
	ERRORS_ARE("a: \x01\n", "f:1:4: character 0x1: control characters are not allowed\n");
	ERRORS_ARE("a: [1\nb: 2\n", "f:2:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence that "
	                            "began in line 1\n");
	ERRORS_ARE("a: \tb: c\n\t- x\n", "f:1:6: not YAML: mapping values are not allowed in this context\n");
}

static void test_bounds(void **state)
{
	struct buf b = BUF_INIT;
	struct parsed p;

	for (int i = 0; i < YAML_MAX_DEPTH; i++)
		buf_char(&b, '[');
	for (int i = 0; i < YAML_MAX_DEPTH; i++)
		buf_char(&b, ']');
	p = parse(b.data);
	assert_int_equal(p.errors.n, 0);
	done(&p);
	buf_clear(&b);
	/* a megabyte of brackets takes libyaml half a minute: the answer must come before */
	for (int i = 0; i < 1 << 20; i++)
		buf_char(&b, '[');
	int64_t start = clock_ms();

	p = parse(b.data);
	assert_true(clock_ms() - start < 5000);
	assert_string_equal(buf_cstr(&p.errors.text), "f:1:33: nested too deep; at most 32 levels\n");
	done(&p);
	buf_done(&b);

	char *big = mem_alloc((size_t)YAML_MAX_BYTES + 1);

	memset(big, '#', (size_t)YAML_MAX_BYTES + 1);
	p = parse_n(big, (size_t)YAML_MAX_BYTES + 1);
	assert_string_equal(buf_cstr(&p.errors.text), "f:1:1: the file is too large; at most 64 MiB\n");
	done(&p);
	free(big);
}

static void test_large_mapping(void **state)
{
	struct buf b = BUF_INIT;
	struct parsed p;

	/* quadratic looks for duplicate keys would take minutes */
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "k%d: %d\n", i, i);
	p = parse(b.data);
	assert_int_equal(p.errors.n, 0);
	assert_int_equal(yaml_root(p.docs[0])->n, 100000);
	done(&p);
	buf_done(&b);
}

/* ---- tables ---- */

struct thing {
	char *name, *text;
	int64_t bandwidth, count;
	bool flag;
	int choice;
	struct yaml_names names;
	struct addr address;
};

static const char *const colours[] = {"red", "green", "blue", NULL};
static const struct yaml_key thing_keys[] = {
	{"name", yaml_read_name, offsetof(struct thing, name), true, NULL, NULL},
	{"text", yaml_read_string, offsetof(struct thing, text), false, NULL, NULL},
	{"bandwidth", yaml_read_bandwidth, offsetof(struct thing, bandwidth), true, NULL, "how much"},
	{"count", yaml_read_count, offsetof(struct thing, count), false, NULL, NULL},
	{"flag", yaml_read_bool, offsetof(struct thing, flag), false, NULL, NULL},
	{"colour", yaml_read_choice, offsetof(struct thing, choice), false, colours, NULL},
	{"names", yaml_read_names, offsetof(struct thing, names), false, NULL, NULL},
	{"address", yaml_read_addr, offsetof(struct thing, address), false, NULL, NULL},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void thing_done(struct thing *t)
{
	free(t->name);
	free(t->text);
	yaml_names_done(&t->names);
}

static void test_table(void **state)
{
	struct parsed p = parse("name: n1\ntext: 'a b'\nbandwidth: 1mbit\ncount: 3\nflag: true\ncolour: blue\n"
	                        "names: [x, y]\naddress: \"::1\"\n");
	struct thing t = {0};
	uint64_t given;

	yaml_read_mapping(yaml_root(p.docs[0]), thing_keys, &t, &given, &p.errors);
	assert_string_equal(buf_cstr(&p.errors.text), "");
	assert_string_equal(t.name, "n1");
	assert_string_equal(t.text, "a b");
	assert_int_equal(t.bandwidth, 1000);
	assert_int_equal(t.count, 3);
	assert_true(t.flag);
	assert_int_equal(t.choice, 2);
	assert_int_equal(t.names.n, 2);
	assert_string_equal(t.names.v[1], "y");
	assert_int_equal(given, 0xff);
	thing_done(&t);
	done(&p);
}

static void test_table_errors(void **state)
{
	struct parsed p = parse("nam: n1\ntext: [a]\nbandwidth: 1\ncount: -3\nflag: yes\ncolour: gren\nwhatever: 1\n"
	                        "names: [x, x, -y, {a: b}]\naddress:\n");
	struct thing t = {0};

	yaml_read_mapping(yaml_root(p.docs[0]), thing_keys, &t, NULL, &p.errors);
	assert_string_equal(buf_cstr(&p.errors.text),
	                    "f:1:1: unknown key \"nam\"; did you mean \"name\"?\n"
	                    "f:1:1: \"name\" is missing; expected a name\n"
	                    "f:2:7: \"text\" is a list; expected text\n"
	                    "f:3:12: bandwidth \"1\" has no unit; write 1mbit\n"
	                    "f:4:8: count: \"-3\" is out of range; expected a whole number from 0 to 1000000000000\n"
	                    "f:5:7: flag \"yes\" is no truth value; expected true or false\n"
	                    "f:6:9: colour \"gren\" is unknown; did you mean \"green\"? Expected red, green or blue\n"
	                    "f:7:1: unknown key \"whatever\"; expected one of name, text, bandwidth, count, flag, colour, "
	                    "names, address\n"
	                    "f:8:12: \"x\" stands twice in \"names\"; expected each once\n"
	                    "f:8:15: names: name \"-y\" begins with \"-\"; expected a letter or digit first\n"
	                    "f:8:19: \"names\" is a mapping; expected a list of names\n"
	                    "f:9:1: \"address\" has no value; expected an IP address\n");
	thing_done(&t);
	done(&p);
}

static void test_nearest_key(void **state)
{
	static const struct {
		const char *key, *offered;
	} words[] = {{"bandwith", "bandwidth"}, {"Name", "name"}, {"cuont", "count"}, {"band", "bandwidth"}, {"x", NULL},
	             {"colors", "colour"}, {"something", NULL}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		mem_auto char *text = mem_printf("{name: a, bandwidth: 1mbit, %s: 1}", words[i].key);
		mem_auto char *offer = words[i].offered ? mem_printf("did you mean \"%s\"?", words[i].offered)
		                                        : mem_str("expected one of name, text,");
		struct parsed p = parse(text);
		struct thing t = {0};

		yaml_read_mapping(yaml_root(p.docs[0]), thing_keys, &t, NULL, &p.errors);
		assert_int_equal(p.errors.n, 1);
		if (!strstr(p.errors.text.data, offer))
			fail_msg("%s: %s", words[i].key, p.errors.text.data);
		thing_done(&t);
		done(&p);
	}
}

static void test_error_order(void **state)
{
	struct yaml_errors errors = {.file = "-"};
	struct yaml_mark late = {9, 2}, early = {3, 7};

	yaml_error(&errors, late, "late\nwith a line break");
	yaml_error(&errors, early, "early");
	yaml_error(&errors, early, "early, too");
	assert_string_equal(buf_cstr(&errors.text),
	                    "<stdin>:3:7: early\n<stdin>:3:7: early, too\n<stdin>:9:2: late?with a line break\n");
	assert_int_equal(errors.n, 3);
	yaml_errors_done(&errors);

	/* the first hundred of the file, whatever the order in which they were found */
	for (uint32_t i = 150; i; i--)
		yaml_error(&errors, (struct yaml_mark){i, 1}, "e");
	assert_int_equal(errors.n, 150);
	assert_int_equal(errors.n_kept, YAML_MAX_ERRORS);
	assert_memory_equal(errors.text.data, "<stdin>:1:1: e\n", 15);
	assert_non_null(strstr(errors.text.data, "<stdin>:100:1: e\n<stdin>: and 50 more errors\n"));
	yaml_errors_done(&errors);
}

static void test_broken_off(void **state)
{
	/* what the file lacks behind its break is no error of its own */
	struct parsed p = parse("text: a\nnames: [\"b\"\ncount: x");
	struct thing t = {0};

	assert_int_equal(p.n, 1);
	yaml_read_mapping(yaml_root(p.docs[0]), thing_keys, &t, NULL, &p.errors);
	assert_string_equal(buf_cstr(&p.errors.text), "f:3:1: not YAML: did not find expected ',' or ']' while parsing a "
	                                              "flow sequence that began in line 2\n");
	assert_string_equal(t.text, "a");
	thing_done(&t);
	done(&p);
}

static void test_kind(void **state)
{
	struct parsed p = parse("kind: x\n---\na: b\n---\n- a\n---\nkind: []\n");

	assert_int_equal(p.n, 4);
	assert_string_equal(yaml_kind(p.docs[0], "network", &p.errors), "x");
	for (int i = 1; i < 4; i++)
		assert_null(yaml_kind(p.docs[i], "network", &p.errors));
	assert_string_equal(buf_cstr(&p.errors.text),
	                    "f:3:1: \"kind\" is missing; expected \"kind: network\"\n"
	                    "f:5:1: the document is a list; expected a mapping with \"kind: network\"\n"
	                    "f:7:7: \"kind\" is a list; expected \"kind: network\"\n");
	done(&p);
}

static void test_strings_out(void **state)
{
	static const char *const strings[] = {
		"", "a", "null", "~", "true", "No", "1", "1.5", "-", "a: b", "a#b", "#", "[x]", "{", "\"quoted\"", "it's", "a\\b",
		" lead", "trail ", "tab\t", "line\nbreak", "\r", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbe",
		"\xc3\xa4", "\xf0\x9f\x98\x80", "&a", "*a", "!a", "%a", "@a", "`a", "? a", "a,b", "2001:db8::1", "---", "...",
		"\x1b[2J",
	};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		struct buf out = BUF_INIT;

		buf_str(&out, "{k: ");
		yaml_write_string(&out, strings[i]);
		buf_str(&out, ", l: [");
		yaml_write_string(&out, strings[i]);
		buf_str(&out, "]}\n");
		struct parsed p = parse(out.data);

		assert_string_equal(buf_cstr(&p.errors.text), "");
		assert_string_equal(yaml_get(yaml_root(p.docs[0]), "k")->text, strings[i]);
		assert_string_equal(yaml_get(yaml_root(p.docs[0]), "l")->first->text, strings[i]);
		assert_false(yaml_get(yaml_root(p.docs[0]), "k")->is_null);
		done(&p);
		buf_done(&out);
	}
}

static void test_load_file(void **state)
{
	char path[] = "/tmp/test_yaml.XXXXXX", *text = NULL;
	int fd = mkstemp(path);
	struct err err = {0};
	size_t len = 7;

	assert_true(fd >= 0);
	assert_int_equal(yaml_load_file(path, &text, &len, &err), 0);
	assert_int_equal(len, 0);
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(write(fd, "a: b\n", 5), 5);
	assert_int_equal(yaml_load_file(path, &text, &len, &err), 0);
	assert_int_equal(len, 5);
	assert_string_equal(text, "a: b\n");
	free(text);
	text = NULL;
	assert_int_equal(ftruncate(fd, (off_t)YAML_MAX_BYTES + 1), 0);
	assert_int_equal(yaml_load_file(path, &text, &len, &err), -EFBIG);
	close(fd);
	unlink(path);
	assert_int_equal(yaml_load_file(path, &text, &len, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(yaml_load_file("/", &text, &len, &err), -EISDIR);
	assert_null(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),         cmocka_unit_test(test_refused),      cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_large_mapping), cmocka_unit_test(test_table),       cmocka_unit_test(test_table_errors), cmocka_unit_test(test_nearest_key),
		cmocka_unit_test(test_error_order),  cmocka_unit_test(test_broken_off),   cmocka_unit_test(test_kind),
		cmocka_unit_test(test_strings_out),  cmocka_unit_test(test_load_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
