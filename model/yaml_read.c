/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of keys applied to a tree, and the readers for single values. Every fault is noted at
 * its place and reading goes on, so that a person sees all of them at once. */
#include "model/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/units.h"

const char *yaml_type_text(const struct yaml_node *node)
{
	switch (node->type) {
	case YAML_SEQUENCE:
		return "a list";
	case YAML_MAPPING:
		return "a mapping";
	default:
		return node->is_null ? "nothing" : "text";
	}
}

/* What a reader takes, unless its key says it better. */
static const char *expected_by(const struct yaml_key *key)
{
	static const struct {
		yaml_read_fn *read;
		const char *text;
	} known[] = {
		{yaml_read_name, "a name"},
		{yaml_read_string, "text"},
		{yaml_read_names, "a list of names"},
		{yaml_read_strings, "a list of texts"},
		{yaml_read_bandwidth, "a bandwidth such as 100mbit"},
		{yaml_read_delay, "a delay such as 10ms"},
		{yaml_read_duration, "a duration such as 2h"},
		{yaml_read_memory, "an amount of memory such as 64MiB"},
		{yaml_read_cpu, "a number of cores such as 0.5"},
		{yaml_read_cost, "a number such as 1 or 0.25"},
		{yaml_read_bool, "true or false"},
		{yaml_read_count, "a whole number"},
		{yaml_read_choice, "one of the known words"},
		{yaml_read_addr, "an IP address"},
		{yaml_read_prefix, "an IP address with a prefix length such as 10.0.0.0/16"},
	};

	if (key->expected)
		return key->expected;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (known[i].read == key->read)
			return known[i].text;
	return "a value";
}

static void unknown_key(const struct yaml_node *child, const struct yaml_key *keys, struct yaml_errors *errors)
{
	const char *names[64] = {0};
	struct buf all = BUF_INIT;
	size_t n = 0;

	for (const struct yaml_key *k = keys; k->name && n < ARRAY_LEN(names); k++) {
		buf_printf(&all, "%s%s", n ? ", " : "", k->name);
		names[n++] = k->name;
	}
	const char *nearest = name_nearest(child->key, names, n);

	for (size_t i = 0; i < n && !nearest && strlen(child->key) > 1; i++)
		if (strncasecmp(names[i], child->key, strlen(child->key)) == 0)
			nearest = names[i]; /* cut short: "mem" */
	if (nearest)
		yaml_error(errors, child->key_mark, "unknown key \"%.70s\"; did you mean \"%s\"?", child->key, nearest);
	else
		yaml_error(errors, child->key_mark, "unknown key \"%.70s\"; expected one of %s", child->key, buf_cstr(&all));
	buf_done(&all);
}

void yaml_read_mapping(const struct yaml_node *node, const struct yaml_key *keys, void *base, uint64_t *ret_given,
                       struct yaml_errors *errors)
{
	uint64_t given = 0;

	if (ret_given)
		*ret_given = 0;
	if (node->refused)
		return;
	if (node->type != YAML_MAPPING) {
		yaml_error(errors, node->mark, "%s stands here; expected a mapping with the key \"%s\"", yaml_type_text(node),
		           keys->name ? keys->name : "");
		return;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		const struct yaml_key *k = keys;

		while (k->name && strcmp(k->name, child->key) != 0)
			k++;
		if (!k->name) {
			unknown_key(child, keys, errors);
			continue;
		}
		given |= UINT64_C(1) << (k - keys);
		if (child->refused)
			continue;
		if (child->is_null && k->read != yaml_read_ignore)
			yaml_error(errors, child->key_mark, "\"%s\" has no value; expected %s", k->name, expected_by(k));
		else
			k->read(child, (char *)base + k->offset, k, errors);
	}
	for (const struct yaml_key *k = keys; k->name && !node->cut; k++)
		if (k->required && !(given & UINT64_C(1) << (k - keys)))
			yaml_error(errors, node->mark, "\"%s\" is missing; expected %s", k->name, expected_by(k));
	if (ret_given)
		*ret_given = given;
}

/* ---- scalars ---- */

/* The text of a scalar, or NULL and an error. */
static const char *scalar(const struct yaml_node *node, const struct yaml_key *key, struct yaml_errors *errors)
{
	if (node->refused)
		return NULL;
	if (node->type == YAML_SCALAR && !node->is_null)
		return node->text;
	yaml_error(errors, node->mark, "\"%s\" is %s; expected %s", key->name, yaml_type_text(node), expected_by(key));
	return NULL;
}

/* The reason of a reader, with the key in front unless it begins with that anyway. */
static void refuse(const struct yaml_node *node, const struct yaml_key *key, const struct err *err,
                   struct yaml_errors *errors)
{
	if (strncmp(err->text, key->name, strlen(key->name)) == 0)
		yaml_error(errors, node->mark, "%s", err->text);
	else
		yaml_error(errors, node->mark, "%s: %s", key->name, err->text);
}

static void read_quantity(const struct yaml_node *node, void *into, const struct yaml_key *key,
                          int (*read)(const char *text, int64_t *ret, struct err *err), struct yaml_errors *errors)
{
	const char *text = scalar(node, key, errors);
	struct err err = {0};

	if (text && read(text, into, &err) < 0)
		refuse(node, key, &err, errors);
}

#define QUANTITY_READER(name) \
	void yaml_read_##name(const struct yaml_node *node, void *into, const struct yaml_key *key, \
	                      struct yaml_errors *errors) \
	{ \
		read_quantity(node, into, key, units_##name, errors); \
	}
QUANTITY_READER(bandwidth)
QUANTITY_READER(delay)
QUANTITY_READER(duration)
QUANTITY_READER(memory)
QUANTITY_READER(cpu)
QUANTITY_READER(cost)

static int count(const char *text, int64_t *ret, struct err *err)
{
	return units_integer(text, 0, INT64_C(1000000000000), ret, err);
}

void yaml_read_count(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_quantity(node, into, key, count, errors);
}

void yaml_read_name(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	const char *text = scalar(node, key, errors);
	struct err err = {0};

	if (text && name_check(text, strlen(text), &err) < 0)
		refuse(node, key, &err, errors);
	else if (text)
		*(char **)into = mem_str(text);
}

void yaml_read_string(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	const char *text = scalar(node, key, errors);

	if (text)
		*(char **)into = mem_str(text);
}

void yaml_read_bool(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	const char *text = scalar(node, key, errors);

	if (!text)
		return;
	bool yes = strcmp(text, "true") == 0;

	if (node->quoted || (!yes && strcmp(text, "false") != 0))
		yaml_error(errors, node->mark, "%s \"%.40s\" is no truth value; expected true or false", key->name, text);
	else
		*(bool *)into = yes;
}

void yaml_read_choice(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	const char *const *choices = key->detail;
	const char *text = scalar(node, key, errors);
	struct buf all = BUF_INIT;
	size_t n;

	if (!text)
		return;
	for (n = 0; choices[n]; n++) {
		if (strcmp(choices[n], text) == 0) {
			*(int *)into = (int)n;
			buf_done(&all);
			return;
		}
		buf_printf(&all, "%s%s", !n ? "" : choices[n + 1] ? ", " : " or ", choices[n]);
	}
	const char *nearest = name_nearest(text, choices, n);

	if (nearest)
		yaml_error(errors, node->mark, "%s \"%.40s\" is unknown; did you mean \"%s\"? Expected %s", key->name, text,
		           nearest, buf_cstr(&all));
	else
		yaml_error(errors, node->mark, "%s \"%.40s\" is unknown; expected %s", key->name, text, buf_cstr(&all));
	buf_done(&all);
}

static void read_address(const struct yaml_node *node, void *into, const struct yaml_key *key,
                         int (*parse)(const char *text, struct addr *ret, struct err *err), struct yaml_errors *errors)
{
	const char *text = scalar(node, key, errors);
	struct err err = {0};

	if (text && parse(text, into, &err) < 0)
		refuse(node, key, &err, errors);
}

void yaml_read_addr(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_address(node, into, key, addr_parse, errors);
}

void yaml_read_prefix(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_address(node, into, key, addr_parse_prefix, errors);
}

void yaml_read_ignore(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	(void)node, (void)into, (void)key, (void)errors;
}

/* ---- lists ---- */

void yaml_names_done(struct yaml_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (struct yaml_names){0};
}

static void read_list(const struct yaml_node *node, struct yaml_names *into, const struct yaml_key *key, bool names,
                      struct yaml_errors *errors)
{
	struct err err = {0};

	if (node->type != YAML_SEQUENCE) {
		yaml_error(errors, node->mark, "\"%s\" is %s; expected %s", key->name, yaml_type_text(node), expected_by(key));
		return;
	}
	yaml_names_done(into);
	into->v = mem_array(node->n, sizeof(*into->v));
	struct hash *seen = hash_new();

	for (const struct yaml_node *item = node->first; item; item = item->next) {
		const char *text = scalar(item, key, errors);

		if (!text)
			continue;
		if (names && name_check(text, strlen(text), &err) < 0)
			refuse(item, key, &err, errors);
		else if (names && !hash_index_put(seen, text, into->n))
			yaml_error(errors, item->mark, "\"%s\" stands twice in \"%s\"; expected each once", text, key->name);
		else
			into->v[into->n++] = mem_str(text);
	}
	hash_free(seen, NULL);
}

void yaml_read_names(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_list(node, into, key, true, errors);
}

void yaml_read_strings(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_list(node, into, key, false, errors);
}

const char *yaml_kind(const struct yaml_doc *doc, const char *expected, struct yaml_errors *errors)
{
	const struct yaml_node *root = yaml_root(doc), *kind;

	if (root->type != YAML_MAPPING) {
		if (!root->cut)
			yaml_error(errors, root->mark, "the document is %s; expected a mapping with \"kind: %s\"",
			           yaml_type_text(root), expected);
		return NULL;
	}
	kind = yaml_get(root, "kind");
	if (!kind) {
		if (!root->cut)
			yaml_error(errors, root->mark, "\"kind\" is missing; expected \"kind: %s\"", expected);
		return NULL;
	}
	if (kind->type != YAML_SCALAR || kind->is_null) {
		yaml_error(errors, kind->mark, "\"kind\" is %s; expected \"kind: %s\"", yaml_type_text(kind), expected);
		return NULL;
	}
	return kind->text;
}
