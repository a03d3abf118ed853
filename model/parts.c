/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What substrate and request have in common. */
#include "model/parts.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- faults ---- */

void faults_add(struct faults *faults, enum part part, size_t index, const char *format, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, format);
	buf_vprintf(&text, format, ap);
	va_end(ap);
	faults->report(faults, part, index, buf_cstr(&text));
	buf_done(&text);
}

static void report_to_err(struct faults *faults, enum part part, size_t index, const char *text)
{
	struct faults_err *f = (struct faults_err *)faults;
	static const char *const words[] = {[PART_NODE] = "node", [PART_LINK] = "link"};

	if (f->code)
		return;
	f->code = -EINVAL;
	if (!words[part])
		err_set(f->err, -EINVAL, "%s", text);
	else
		err_set(f->err, -EINVAL, "%s %zu: %s", words[part], index + 1, text);
}

struct faults_err faults_to_err(struct err *err)
{
	return (struct faults_err){.faults = {report_to_err}, .err = err};
}

static void report_to_yaml(struct faults *faults, enum part part, size_t index, const char *text)
{
	struct faults_yaml *f = (struct faults_yaml *)faults;

	yaml_error(f->errors, part == PART_WHOLE   ? f->whole
	                      : part == PART_POOLS ? f->pools
	                      : part == PART_NODE  ? f->nodes[index]
	                                           : f->links[index],
	           "%s", text);
}

struct faults_yaml faults_to_yaml(struct yaml_errors *errors, struct yaml_mark whole, const struct yaml_mark *nodes,
                                  const struct yaml_mark *links)
{
	return (struct faults_yaml){{report_to_yaml}, errors, whole, whole, nodes, links};
}

/* ---- links ---- */

char *link_default_name(const char *a, const char *b)
{
	return mem_printf("%s-%s", a, b);
}

/* Whether the name is what the link between these two has without one. */
static bool is_default_name(const char *name, const char *a, const char *b)
{
	size_t len = a ? strlen(a) : 0;

	return a && b && strncmp(name, a, len) == 0 && name[len] == '-' && strcmp(name + len + 1, b) == 0;
}

void links_check(size_t n_links, struct link_ends (*get)(const void *owner, size_t i), const void *owner,
                 const char *(*node_name)(const void *owner, size_t i), size_t n_nodes, struct hash *index,
                 struct faults *faults)
{
	for (size_t i = 0; i < n_links; i++) {
		struct link_ends l = get(owner, i);
		struct err err = {0};

		if (l.a == NO_NODE || l.b == NO_NODE || !l.name)
			continue;
		if (l.a >= n_nodes || l.b >= n_nodes) {
			faults_add(faults, PART_LINK, i, "link \"%s\" has an end that is no node", l.name);
			continue;
		}
		if (l.a == l.b)
			faults_add(faults, PART_LINK, i, "link \"%s\" joins \"%s\" to itself; expected two different ends", l.name,
			           node_name(owner, l.a));
		/* two long node names make a default name that nobody could write */
		if (!is_default_name(l.name, node_name(owner, l.a), node_name(owner, l.b)) && name_check(l.name, strlen(l.name), &err) < 0)
			faults_add(faults, PART_LINK, i, "%s", err.text);
		if (!hash_index_put(index, l.name, i))
			faults_add(faults, PART_LINK, i, "link \"%s\" stands here again; it was link %zu; expected each name once",
			           l.name, hash_index(index, l.name) + 1);
	}
}

static uint64_t pair_key(uint32_t a, uint32_t b)
{
	return a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
}

static void name_wanted(const char *what, const struct link_naming *l, size_t i, const char *const *names,
                        struct faults *faults)
{
	if (!*l->name)
		faults_add(faults, PART_LINK, i, "this link has no name, and is not the only one between \"%s\" and \"%s\"; "
		           "links that join the same two %s need a name each", names[l->a], names[l->b], what);
}

void links_name(const struct link_naming *links, size_t n, const char *const *names, const char *what,
                struct faults *faults)
{
	struct hash *first = hash_new();
	bool *parallel = mem_array(n, sizeof(*parallel));

	for (size_t i = 0; i < n; i++) {
		const struct link_naming *l = &links[i];

		if (l->a == NO_NODE || l->b == NO_NODE || l->a == l->b)
			continue;
		size_t before = (size_t)(uintptr_t)hash_get_u64(first, pair_key(l->a, l->b));

		if (!before) {
			hash_put_u64(first, pair_key(l->a, l->b), (void *)(uintptr_t)(i + 1));
			continue;
		}
		if (!parallel[before - 1])
			name_wanted(what, &links[before - 1], before - 1, names, faults);
		name_wanted(what, l, i, names, faults);
		parallel[before - 1] = parallel[i] = true;
	}
	for (size_t i = 0; i < n; i++) {
		const struct link_naming *l = &links[i];

		if (!*l->name && !parallel[i] && l->a != NO_NODE && l->b != NO_NODE)
			*l->name = link_default_name(names[l->a], names[l->b]);
	}
	hash_free(first, NULL);
	free(parallel);
}

bool *links_named(const struct link_ends *links, size_t n, const char *const *names)
{
	struct hash *count = hash_new();
	bool *named = mem_array(n, sizeof(*named));

	for (size_t i = 0; i < n; i++) {
		uint64_t key = pair_key(links[i].a, links[i].b);

		hash_put_u64(count, key, (void *)((uintptr_t)hash_get_u64(count, key) + 1));
	}
	for (size_t i = 0; i < n; i++)
		named[i] = !is_default_name(links[i].name, names[links[i].a], names[links[i].b]) ||
		           (uintptr_t)hash_get_u64(count, pair_key(links[i].a, links[i].b)) > 1;
	hash_free(count, NULL);
	return named;
}

/* One end of a link. */
static uint32_t endpoint_resolve(const struct yaml_node *end, const struct hash *nodes, const char *const *names,
                                 size_t n_names, const char *what, struct yaml_errors *errors)
{
	if (end->type != YAML_SCALAR || end->is_null) {
		yaml_error(errors, end->mark, "an endpoint is %s; expected the name of a %s", yaml_type_text(end), what);
		return NO_NODE;
	}
	size_t index = hash_index(nodes, end->text);

	if (index != SIZE_MAX)
		return (uint32_t)index;
	const char *nearest = name_nearest(end->text, names, n_names);

	if (nearest)
		yaml_error(errors, end->mark, "no %s is called \"%.70s\"; did you mean \"%s\"?", what, end->text, nearest);
	else
		yaml_error(errors, end->mark, "no %s is called \"%.70s\"; expected the name of one listed under \"nodes\"", what,
		           end->text);
	return NO_NODE;
}

void endpoints_resolve(const struct yaml_node *list, const struct hash *nodes, const char *const *names, size_t n_names,
                       const char *what, uint32_t *ret_a, uint32_t *ret_b, struct yaml_errors *errors)
{
	*ret_a = *ret_b = NO_NODE;
	if (!list)
		return;
	if (list->n != 2) {
		if (!list->cut)
			yaml_error(errors, list->mark, "a link has %zu endpoints here; expected exactly two", list->n);
		return;
	}
	/* looking for the nearest name takes time, and a broken file may ask for it at every link */
	if (errors->n >= YAML_MAX_ERRORS)
		n_names = 0;
	else if (n_names > (errors->n < 10 ? 100000 : 1000))
		n_names = errors->n < 10 ? 100000 : 1000;
	*ret_a = endpoint_resolve(list->first, nodes, names, n_names, what, errors);
	*ret_b = endpoint_resolve(list->first->next, nodes, names, n_names, what, errors);
}

/* ---- readers ---- */

void read_node(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	(void)key, (void)errors;
	*(const struct yaml_node **)into = node;
}

void read_list(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	if (node->type != YAML_SEQUENCE)
		yaml_error(errors, node->mark, "\"%s\" is %s; expected %s", key->name, yaml_type_text(node),
		           key->expected ? key->expected : "a list");
	else if (node->n > PARTS_MAX)
		yaml_error(errors, node->mark, "\"%s\" has %zu entries; at most %d", key->name, node->n, PARTS_MAX);
	else
		*(const struct yaml_node **)into = node;
}

static bool read_pair(const struct yaml_node *node, const struct yaml_key *key, const char *expected, double ret[2],
                      struct yaml_errors *errors)
{
	const struct yaml_node *item = node->first;

	if (node->type != YAML_SEQUENCE || node->n != 2) {
		if (node->type == YAML_SEQUENCE)
			yaml_error(errors, node->mark, "\"%s\" has %zu entries; expected %s", key->name, node->n, expected);
		else
			yaml_error(errors, node->mark, "\"%s\" is %s; expected %s", key->name, yaml_type_text(node), expected);
		return false;
	}
	bool good = true;

	for (int i = 0; i < 2; i++, item = item->next) {
		struct err err = {0};

		if (item->type != YAML_SCALAR || item->is_null) {
			yaml_error(errors, item->mark, "\"%s\" holds %s; expected %s", key->name, yaml_type_text(item), expected);
			good = false;
		} else if (units_number(item->text, &ret[i], &err) < 0) {
			yaml_error(errors, item->mark, "%s: %s", key->name, err.text);
			good = false;
		}
	}
	return good;
}

static void read_coords(const struct yaml_node *node, void *into, const struct yaml_key *key, enum coords_kind kind,
                        const char *expected, struct yaml_errors *errors)
{
	struct coords c = {.kind = kind};
	struct err err = {0};
	double pair[2];

	if (!read_pair(node, key, expected, pair, errors))
		return;
	c.a = pair[0];
	c.b = pair[1];
	if (coords_check(&c, &err) < 0)
		yaml_error(errors, node->mark, "%s", err.text);
	else
		*(struct coords *)into = c;
}

void read_location(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_coords(node, into, key, COORDS_LOCATION, "[latitude, longitude] in degrees", errors);
}

void read_position(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	read_coords(node, into, key, COORDS_POSITION, "[x, y]", errors);
}

void read_labels(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct labels *labels = into;

	if (node->type != YAML_MAPPING) {
		yaml_error(errors, node->mark, "\"%s\" is %s; expected a mapping such as {site: south}", key->name,
		           yaml_type_text(node));
		return;
	}
	labels->v = mem_array(node->n, sizeof(*labels->v));
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		struct err err = {0};

		if (name_check(child->key, strlen(child->key), &err) < 0)
			yaml_error(errors, child->key_mark, "label: %s", err.text);
		else if (child->type != YAML_SCALAR || child->is_null)
			yaml_error(errors, child->mark, "label \"%s\" is %s; expected text", child->key, yaml_type_text(child));
		else
			labels->v[labels->n++] = (struct label){mem_str(child->key), mem_str(child->text)};
	}
}

/* ---- checks ---- */

int coords_check(const struct coords *c, struct err *err)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];

	if (c->kind == COORDS_NONE)
		return 0;
	if (c->kind != COORDS_LOCATION && c->kind != COORDS_POSITION)
		return err_set(err, -EINVAL, "coordinates of an unknown kind");
	if (!isfinite(c->a) || !isfinite(c->b))
		return err_set(err, -EINVAL, "coordinates that are not finite");
	if (c->kind == COORDS_POSITION || (fabs(c->a) <= 90 && fabs(c->b) <= 180))
		return 0;
	units_number_text(c->a, a);
	units_number_text(c->b, b);
	if (fabs(c->a) > 90 && fabs(c->a) <= 180 && fabs(c->b) <= 90)
		return err_set(err, -EINVAL, "location [%s, %s] has a latitude beyond 90 degrees; is it [longitude, latitude]? "
		               "Write [%s, %s]", a, b, b, a);
	return err_set(err, -EINVAL, "location [%s, %s] is nowhere on earth; expected a latitude from -90 to 90 and a "
	               "longitude from -180 to 180", a, b);
}

int string_check(const char *s, struct err *err)
{
	if (!s)
		return err_set(err, -EINVAL, "a text is missing");
	if (yaml_utf8_prefix(s, strlen(s)) != strlen(s))
		return err_set(err, -EINVAL, "a text is not UTF-8");
	return 0;
}

int names_check(const struct yaml_names *names, struct err *err)
{
	int r = 0;
	struct hash *seen = names->n > 1 ? hash_new() : NULL;

	for (size_t i = 0; i < names->n && r == 0; i++) {
		if (!names->v[i])
			r = err_set(err, -EINVAL, "a name is missing");
		else
			r = name_check(names->v[i], strlen(names->v[i]), err);
		if (r == 0 && seen && !hash_index_put(seen, names->v[i], i))
			r = err_set(err, -EINVAL, "\"%s\" stands twice", names->v[i]);
	}
	hash_free(seen, NULL);
	return r;
}

int labels_check(const struct label *labels, size_t n, struct err *err)
{
	int r = 0;
	struct hash *seen = n > 1 ? hash_new() : NULL;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!labels[i].key)
			r = err_set(err, -EINVAL, "a label without a name");
		else
			r = name_check(labels[i].key, strlen(labels[i].key), err);
		if (r == 0)
			r = string_check(labels[i].value, err);
		if (r == 0 && seen && !hash_index_put(seen, labels[i].key, i))
			r = err_set(err, -EINVAL, "label \"%s\" stands twice", labels[i].key);
	}
	hash_free(seen, NULL);
	return r;
}

int amount_check(const char *what, int64_t value, int64_t max, struct err *err)
{
	if (value < 0)
		return err_set(err, -EINVAL, "%s is negative", what);
	if (value > max)
		return err_set(err, -EINVAL, "%s is too large", what);
	return 0;
}

/* ---- copies ---- */

struct yaml_names names_copy(const struct yaml_names *from)
{
	struct yaml_names to = {.n = from->n};

	if (from->n)
		to.v = mem_array(from->n, sizeof(*to.v));
	for (size_t i = 0; i < from->n; i++)
		to.v[i] = mem_str(from->v[i]);
	return to;
}

struct label *labels_copy(const struct label *from, size_t n)
{
	struct label *to = n ? mem_array(n, sizeof(*to)) : NULL;

	for (size_t i = 0; i < n; i++)
		to[i] = (struct label){mem_str(from[i].key), mem_str(from[i].value)};
	return to;
}

void labels_done(struct label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(labels[i].key);
		free(labels[i].value);
	}
	free(labels);
}

/* ---- writers ---- */

void put_names(struct buf *out, const char *key, const struct yaml_names *names)
{
	buf_printf(out, ", %s: [", key);
	for (size_t i = 0; i < names->n; i++) {
		if (i)
			buf_str(out, ", ");
		yaml_write_string(out, names->v[i]);
	}
	buf_char(out, ']');
}

void put_labels(struct buf *out, const struct label *labels, size_t n)
{
	if (!n)
		return;
	buf_str(out, ", labels: {");
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_str(out, ", ");
		yaml_write_string(out, labels[i].key);
		buf_str(out, ": ");
		yaml_write_string(out, labels[i].value);
	}
	buf_char(out, '}');
}

void put_coords(struct buf *out, const struct coords *c)
{
	char a[UNITS_TEXT], b[UNITS_TEXT];

	if (c->kind == COORDS_NONE)
		return;
	buf_printf(out, "%s: [%s, %s]", c->kind == COORDS_LOCATION ? "location" : "position", units_number_text(c->a, a),
	           units_number_text(c->b, b));
}
