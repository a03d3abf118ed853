/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libyaml's events into a tree. This is the only file that knows libyaml.
 *
 * libyaml checks the syntax; what it leaves open is decided here, before anything is built
 * on it: size, depth (its scanner takes quadratic time on nesting, so the walk stops at the
 * bracket too many), number of values, UTF-8, NUL, duplicate keys; anchors, aliases and tags are
 * refused. All nodes of a file stand in one arena, so that a large file costs few allocations. */
#include "model/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"

/* ---- arena ---- */

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	_Alignas(8) char data[];
};

struct arena {
	struct arena_chunk *chunks; /* the one in use first */
};

static void *arena_alloc(struct arena *arena, size_t size)
{
	struct arena_chunk *c = arena->chunks;

	size = (size + 7) & ~(size_t)7;
	if (!c || c->size - c->used < size) {
		size_t room = c ? c->size * 2 : 4096;

		if (room > 1 << 20)
			room = 1 << 20;
		if (room < size)
			room = size;
		c = mem_grow(NULL, sizeof(*c) + room, 1);
		*c = (struct arena_chunk){.next = arena->chunks, .size = room};
		arena->chunks = c;
	}
	void *p = c->data + c->used;

	c->used += size;
	return p;
}

static void arena_free(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *c = arena->chunks;

		arena->chunks = c->next;
		free(c);
	}
	free(arena);
}

/* ---- the walk ---- */

struct yaml_doc {
	struct yaml_node *root;
	struct arena *arena; /* shared by the documents of a file; the first one frees it */
};

/* A collection that is open. */
struct level {
	struct yaml_node *node, *last;
	const char *key; /* mapping: read, and waits for its value */
	struct yaml_mark key_mark;
	bool has_key, drop; /* drop: the key is no good, its value goes nowhere */
	struct hash *keys;  /* key to node, once there are many */
};

struct walk {
	struct arena *arena;
	struct yaml_errors *errors;
	struct level levels[YAML_MAX_DEPTH];
	size_t depth, n_nodes;
	struct yaml_node *root; /* of the document that is open */
	bool stop;
	VEC(struct yaml_doc *) docs;
};

static struct yaml_mark mark_of(yaml_mark_t m)
{
	return (struct yaml_mark){(uint32_t)m.line + 1, (uint32_t)m.column + 1};
}

/* Line and column of a byte, for what libyaml never gets to see. */
static struct yaml_mark mark_at(const char *text, size_t offset)
{
	struct yaml_mark mark = {1, 1};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			mark.line++;
			mark.column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			mark.column++;
		}
	}
	return mark;
}

static struct yaml_node *walk_node(struct walk *w, enum yaml_type type, struct yaml_mark mark)
{
	struct yaml_node *node = arena_alloc(w->arena, sizeof(*node));

	*node = (struct yaml_node){.type = type, .mark = mark};
	if (++w->n_nodes > YAML_MAX_NODES) {
		yaml_error(w->errors, mark, "the file has more than %d values", YAML_MAX_NODES);
		w->stop = true;
	}
	return node;
}

enum { KEYS_BY_HAND = 16 };

static const struct yaml_node *level_find(struct level *level, const char *key)
{
	const struct yaml_node *node = level->node;

	if (node->n < KEYS_BY_HAND)
		return yaml_get(node, key);
	if (!level->keys) {
		level->keys = hash_new();
		for (struct yaml_node *child = node->first; child; child = child->next)
			hash_put(level->keys, child->key, child);
	}
	return hash_get(level->keys, key);
}

/* A node in the place of a key. */
static void walk_key(struct walk *w, struct level *level, const struct yaml_node *node)
{
	const struct yaml_node *first;

	level->has_key = true;
	level->drop = true;
	level->key = node->text;
	level->key_mark = node->mark;
	if (node->type != YAML_SCALAR) {
		yaml_error(w->errors, node->mark, "a key is %s; expected a word", yaml_type_text(node));
	} else if ((first = level_find(level, node->text))) {
		yaml_error(w->errors, node->mark, "key \"%.70s\" stands here again; it was given in line %u", node->text,
		           first->key_mark.line);
	} else {
		level->drop = false;
	}
}

/* Puts a node where it belongs. */
static void walk_attach(struct walk *w, struct yaml_node *node)
{
	if (!w->depth) {
		w->root = node;
		return;
	}
	struct level *level = &w->levels[w->depth - 1];

	if (level->node->type == YAML_MAPPING) {
		if (!level->has_key) {
			walk_key(w, level, node);
			return;
		}
		level->has_key = false;
		if (level->drop)
			return;
		node->key = level->key;
		node->key_mark = level->key_mark;
	}
	if (level->last)
		level->last->next = node;
	else
		level->node->first = node;
	level->last = node;
	level->node->n++;
	if (level->keys)
		hash_put(level->keys, node->key, node);
}

static void walk_refuse_extras(struct walk *w, struct yaml_mark mark, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor)
		yaml_error(w->errors, mark, "anchor \"&%.70s\": anchors are not taken; write the value out", (const char *)anchor);
	if (tag)
		yaml_error(w->errors, mark, "tag \"%.70s\": tags are not taken; write the value alone", (const char *)tag);
}

static bool is_null_word(const char *text)
{
	return !*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
	       strcmp(text, "NULL") == 0;
}

static void walk_scalar(struct walk *w, const yaml_event_t *event)
{
	struct yaml_mark mark = mark_of(event->start_mark);
	struct yaml_node *node = walk_node(w, YAML_SCALAR, mark);
	const char *value = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;

	walk_refuse_extras(w, mark, event->data.scalar.anchor, event->data.scalar.tag);
	if (memchr(value, '\0', len)) {
		yaml_error(w->errors, mark, "text with the character NUL in it");
		len = strlen(value);
	}
	char *text = arena_alloc(w->arena, len + 1);

	memcpy(text, value, len);
	text[len] = '\0';
	node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->is_null = !node->quoted && is_null_word(text);
	bool as_key = w->depth && w->levels[w->depth - 1].node->type == YAML_MAPPING && !w->levels[w->depth - 1].has_key;

	node->text = node->is_null && !as_key ? "" : text;
	walk_attach(w, node);
}

static void walk_open(struct walk *w, enum yaml_type type, const yaml_event_t *event, const yaml_char_t *anchor,
                      const yaml_char_t *tag)
{
	struct yaml_mark mark = mark_of(event->start_mark);
	struct yaml_node *node = walk_node(w, type, mark);

	walk_refuse_extras(w, mark, anchor, tag);
	walk_attach(w, node);
	if (w->depth == YAML_MAX_DEPTH) {
		yaml_error(w->errors, mark, "nested too deep; at most %d levels", YAML_MAX_DEPTH);
		w->stop = true;
		return;
	}
	w->levels[w->depth++] = (struct level){.node = node};
}

static void walk_close(struct walk *w)
{
	if (!w->depth)
		return;
	hash_free(w->levels[--w->depth].keys, NULL);
}

static void walk_end_document(struct walk *w)
{
	struct yaml_doc *doc;

	if (!w->root)
		return;
	doc = arena_alloc(w->arena, sizeof(*doc));
	*doc = (struct yaml_doc){.root = w->root, .arena = w->arena};
	*vec_add(&w->docs) = doc;
	w->root = NULL;
}

static void walk_event(struct walk *w, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		walk_scalar(w, event);
		break;
	case YAML_SEQUENCE_START_EVENT:
		walk_open(w, YAML_SEQUENCE, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
		break;
	case YAML_MAPPING_START_EVENT:
		walk_open(w, YAML_MAPPING, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		walk_close(w);
		break;
	case YAML_ALIAS_EVENT: {
		struct yaml_node *node = walk_node(w, YAML_SCALAR, mark_of(event->start_mark));

		yaml_error(w->errors, node->mark, "alias \"*%.70s\": aliases are not taken; write the value out",
		           (const char *)event->data.alias.anchor);
		node->text = "";
		node->refused = true;
		walk_attach(w, node);
		break;
	}
	case YAML_DOCUMENT_END_EVENT:
		walk_end_document(w);
		break;
	case YAML_STREAM_END_EVENT:
		w->stop = true;
		break;
	default:
		break;
	}
}

/* What libyaml found wrong. */
static void walk_syntax_error(struct walk *w, const yaml_parser_t *parser, const char *text, size_t len)
{
	const char *problem = parser->problem ? parser->problem : "cannot be read";

	if (parser->error == YAML_MEMORY_ERROR) {
		yaml_error(w->errors, mark_of(parser->mark), "out of memory");
	} else if (parser->error == YAML_READER_ERROR) {
		size_t offset = parser->problem_offset < len ? parser->problem_offset : len;

		if (parser->problem_value != -1)
			yaml_error(w->errors, mark_at(text, offset), "character %#x: %s", (unsigned int)parser->problem_value,
			           problem);
		else
			yaml_error(w->errors, mark_at(text, offset), "%s", problem);
	} else if (parser->context) {
		yaml_error(w->errors, mark_of(parser->problem_mark), "not YAML: %s %s that began in line %zu", problem,
		           parser->context, parser->context_mark.line + 1);
	} else {
		yaml_error(w->errors, mark_of(parser->problem_mark), "not YAML: %s", problem);
	}
}

static void walk_run(struct walk *w, const char *text, size_t len)
{
	yaml_parser_t parser;
	yaml_event_t event;

	if (!yaml_parser_initialize(&parser)) {
		yaml_error(w->errors, (struct yaml_mark){1, 1}, "out of memory");
		return;
	}
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!w->stop) {
		if (!yaml_parser_parse(&parser, &event)) {
			walk_syntax_error(w, &parser, text, len);
			break;
		}
		walk_event(w, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	/* the file broke off in the middle of these */
	while (w->depth) {
		w->levels[w->depth - 1].node->cut = true;
		walk_close(w);
	}
	walk_end_document(w);
}

/* Size, UTF-8 and NUL. */
static bool text_is_fit(const char *text, size_t len, struct yaml_errors *errors)
{
	if (len > YAML_MAX_BYTES) {
		yaml_error(errors, (struct yaml_mark){1, 1}, "the file is too large; at most %d MiB", YAML_MAX_BYTES >> 20);
		return false;
	}
	size_t valid = yaml_utf8_prefix(text, len);
	const char *nul = memchr(text, '\0', valid);

	if (nul) {
		yaml_error(errors, mark_at(text, (size_t)(nul - text)), "the character NUL; expected text");
		return false;
	}
	if (valid < len) {
		yaml_error(errors, mark_at(text, valid), "byte 0x%02x is not UTF-8; expected text in UTF-8",
		           (unsigned char)text[valid]);
		return false;
	}
	return true;
}

void yaml_parse(const char *text, size_t len, struct yaml_errors *errors, struct yaml_doc ***ret_docs, size_t *ret_n)
{
	struct walk w = {.errors = errors};

	*ret_docs = NULL;
	*ret_n = 0;
	if (!len || !text_is_fit(text, len, errors))
		return;
	w.arena = mem_alloc(sizeof(*w.arena));
	walk_run(&w, text, len);
	if (!w.docs.n)
		arena_free(w.arena);
	*ret_docs = w.docs.v;
	*ret_n = w.docs.n;
}

void yaml_free_docs(struct yaml_doc **docs, size_t n)
{
	if (n)
		arena_free(docs[0]->arena);
	free(docs);
}

const struct yaml_node *yaml_root(const struct yaml_doc *doc)
{
	return doc->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *mapping, const char *key)
{
	if (!mapping || mapping->type != YAML_MAPPING)
		return NULL;
	for (const struct yaml_node *child = mapping->first; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}
