/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The engine behind the tables of convert.h: one switch for each direction. */
#include "proto/convert.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/units.h"

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	max_align_t data[];
};

static void *arena_alloc(struct arena *a, size_t size)
{
	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	struct arena_block *b = a->blocks;
	if (!b || b->size - b->used < size) {
		size_t want = size > 65536 ? size : 65536;
		b = mem_alloc(sizeof(*b) + want);
		b->size = want;
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = (char *)b->data + b->used;
	b->used += size;
	return p;
}

void arena_done(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
}

static int64_t integer_get(const void *p, size_t size, bool is_signed)
{
	switch (size) {
	case 1:
		return is_signed ? *(const int8_t *)p : *(const uint8_t *)p;
	case 2:
		return is_signed ? *(const int16_t *)p : *(const uint16_t *)p;
	case 4:
		return is_signed ? *(const int32_t *)p : (int64_t)*(const uint32_t *)p;
	default:
		/* an unsigned one above INT64_MAX shows as negative: out of every bound */
		return *(const int64_t *)p;
	}
}

static void integer_set(void *p, size_t size, int64_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)p = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)p = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)p = (uint32_t)value;
		break;
	default:
		*(int64_t *)p = value;
	}
}

/* Plain pointers inside structs, without regard to their type. */
static void *pointer_get(const void *at)
{
	void *p;
	memcpy(&p, at, sizeof(p));
	return p;
}

static void pointer_set(void *at, const void *p)
{
	memcpy(at, &p, sizeof(p));
}

/* ---- addresses: prefix length, then 4 or 16 bytes; nothing for none ---------------------- */

static ProtobufCBinaryData addr_out(const struct addr *a, struct arena *arena)
{
	size_t n = a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
	if (n == 0)
		return (ProtobufCBinaryData){ 0, NULL };
	uint8_t *data = arena_alloc(arena, n + 1);
	data[0] = a->prefix;
	memcpy(data + 1, a->bytes, n);
	return (ProtobufCBinaryData){ n + 1, data };
}

static int addr_in(const ProtobufCBinaryData *data, struct addr *ret, const char *name, struct err *err)
{
	*ret = (struct addr){ 0 };
	if (data->len == 0)
		return 0;
	if (data->len != 5 && data->len != 17)
		return err_set(err, -EINVAL, "%s: an address of %zu bytes", name, data->len);
	size_t n = data->len - 1;
	if (data->data[0] > n * 8)
		return err_set(err, -EINVAL, "%s: a prefix of %u bits", name, data->data[0]);
	ret->family = n == 4 ? AF_INET : AF_INET6;
	ret->prefix = data->data[0];
	memcpy(ret->bytes, data->data + 1, n);
	return 0;
}

/* ---- out -------------------------------------------------------------------------------- */

static void list_out(const struct field *f, const char *plain, char *pb, struct arena *arena)
{
	const char *items = pointer_get(plain + f->at);
	size_t n = items ? *(const size_t *)(plain + f->count_at) : 0;
	ProtobufCMessage **list = n ? arena_alloc(arena, n * sizeof(*list)) : NULL;
	for (size_t i = 0; i < n; i++)
		list[i] = convert_out(f->sub, items + i * f->sub->size, arena);
	pointer_set(pb + f->pb_at, list);
	*(size_t *)(pb + f->pb_count_at) = n;
}

static void addrs_out(const struct field *f, const struct addr *addrs, size_t n, char *pb, struct arena *arena)
{
	ProtobufCBinaryData *list = n ? arena_alloc(arena, n * sizeof(*list)) : NULL;
	for (size_t i = 0; i < n; i++)
		list[i] = addr_out(&addrs[i], arena);
	pointer_set(pb + f->pb_at, list);
	*(size_t *)(pb + f->pb_count_at) = n;
}

static void texts_out(const struct field *f, const char *plain, char *pb, struct arena *arena)
{
	char **texts = pointer_get(plain + f->at);
	size_t n = texts ? *(const size_t *)(plain + f->count_at) : 0;
	char **list = n ? arena_alloc(arena, n * sizeof(*list)) : NULL;
	for (size_t i = 0; i < n; i++)
		list[i] = texts[i] ? texts[i] : (char *)"";
	pointer_set(pb + f->pb_at, list);
	*(size_t *)(pb + f->pb_count_at) = n;
}

static void field_out(const struct field *f, const char *plain, char *pb, struct arena *arena)
{
	switch (f->kind) {
	case FIELD_INTEGER:
		integer_set(pb + f->pb_at, f->pb_size, integer_get(plain + f->at, f->size, f->is_signed));
		break;
	case FIELD_U64:
	case FIELD_REAL:
		memcpy(pb + f->pb_at, plain + f->at, 8);
		break;
	case FIELD_TEXT:
	case FIELD_TEXT_OR_NULL:
	case FIELD_NAME: {
		const char *text = pointer_get(plain + f->at);
		pointer_set(pb + f->pb_at, text ? text : "");
		break;
	}
	case FIELD_CHARS:
	case FIELD_NAME_CHARS:
		pointer_set(pb + f->pb_at, plain + f->at);
		break;
	case FIELD_ADDR: {
		ProtobufCBinaryData data = addr_out((const struct addr *)(plain + f->at), arena);
		memcpy(pb + f->pb_at, &data, sizeof(data));
		break;
	}
	case FIELD_RAW:
	case FIELD_BLOB: {
		ProtobufCBinaryData data = { (size_t)f->max, (uint8_t *)(uintptr_t)(plain + f->at) };
		if (f->kind == FIELD_BLOB) {
			data.data = pointer_get(plain + f->at);
			data.len = data.data ? *(const size_t *)(plain + f->count_at) : 0;
		}
		memcpy(pb + f->pb_at, &data, sizeof(data));
		break;
	}
	case FIELD_MSG:
		pointer_set(pb + f->pb_at, convert_out(f->sub, plain + f->at, arena));
		break;
	case FIELD_LIST:
		list_out(f, plain, pb, arena);
		break;
	case FIELD_COUNT:
		integer_set(pb + f->pb_at, f->pb_size, *(const int64_t *)(plain + f->count_at));
		break;
	case FIELD_TEXTS:
		texts_out(f, plain, pb, arena);
		break;
	case FIELD_ADDRS: {
		const struct addr *addrs = pointer_get(plain + f->at);
		addrs_out(f, addrs, addrs ? *(const size_t *)(plain + f->count_at) : 0, pb, arena);
		break;
	}
	case FIELD_NUMBERS: {
		void *v = pointer_get(plain + f->at);
		pointer_set(pb + f->pb_at, v);
		*(size_t *)(pb + f->pb_count_at) = v ? *(const size_t *)(plain + f->count_at) : 0;
		break;
	}
	case FIELD_FIXED:
	case FIELD_FIXED_REAL:
		pointer_set(pb + f->pb_at, plain + f->at);
		*(size_t *)(pb + f->pb_count_at) = (size_t)f->max;
		break;
	case FIELD_FIXED_ADDR:
		addrs_out(f, (const struct addr *)(plain + f->at), (size_t)f->max, pb, arena);
		break;
	}
}

ProtobufCMessage *convert_out(const struct shape *shape, const void *plain, struct arena *arena)
{
	ProtobufCMessage *pb = arena_alloc(arena, shape->descriptor->sizeof_message);
	protobuf_c_message_init(shape->descriptor, pb);
	for (size_t i = 0; i < shape->n; i++)
		field_out(&shape->fields[i], plain, (char *)pb, arena);
	return pb;
}

void convert_pack(const ProtobufCMessage *pb, size_t head, uint8_t **ret, size_t *ret_len)
{
	size_t len = protobuf_c_message_get_packed_size(pb);
	uint8_t *data = mem_alloc(head + len + 1);
	protobuf_c_message_pack(pb, data + head);
	*ret = data;
	*ret_len = head + len;
}

/* ---- in --------------------------------------------------------------------------------- */

/* Texts end on somebody's terminal: what would steer it is made harmless. The text is valid UTF-8. */
static void tame(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			*p = '?';
		if (*p == 0xc2 && p[1] < 0xa0) /* U+0080 … U+009F */
			p[0] = p[1] = '?';
	}
}

static int text_in(const struct field *f, const char *text, char *plain, struct err *err)
{
	size_t len = text ? strlen(text) : 0;
	bool chars = f->kind == FIELD_CHARS || f->kind == FIELD_NAME_CHARS;
	size_t max = f->kind == FIELD_NAME ? NAME_MAX_LEN : chars ? (size_t)f->max - 1 : (size_t)f->max;
	if (len > max)
		return err_set(err, -EINVAL, "%s: %zu bytes of text; at most %zu", f->name, len, max);
	if (f->kind == FIELD_NAME || f->kind == FIELD_NAME_CHARS) {
		int r = name_check(text ? text : "", len, err);
		if (r < 0)
			return err_add(err, r, "%s", f->name);
	}
	if (chars) {
		memcpy(plain + f->at, text ? text : "", len + 1);
		tame(plain + f->at);
	} else if (f->kind != FIELD_TEXT_OR_NULL || len > 0) {
		char *copy = mem_strn(text ? text : "", len);
		tame(copy);
		pointer_set(plain + f->at, copy);
	}
	return 0;
}

static int bytes_in(const struct field *f, const ProtobufCBinaryData *data, char *plain, struct err *err)
{
	if (f->kind == FIELD_RAW) {
		if (data->len != (size_t)f->max)
			return err_set(err, -EINVAL, "%s: %zu bytes; expected %zu", f->name, data->len, (size_t)f->max);
		memcpy(plain + f->at, data->data, data->len);
		return 0;
	}
	if (data->len > (size_t)f->max)
		return err_set(err, -EINVAL, "%s: %zu bytes; at most %zu", f->name, data->len, (size_t)f->max);
	char *copy = mem_alloc(data->len + 1);
	if (data->len)
		memcpy(copy, data->data, data->len);
	pointer_set(plain + f->at, copy);
	*(size_t *)(plain + f->count_at) = data->len;
	return 0;
}

static int array_in(const struct field *f, const char *pb, char *plain, struct err *err)
{
	size_t n = *(const size_t *)(pb + f->pb_count_at);
	const void *from = pointer_get(pb + f->pb_at);
	bool fixed = f->kind == FIELD_FIXED || f->kind == FIELD_FIXED_REAL || f->kind == FIELD_FIXED_ADDR;
	if (fixed ? n != (size_t)f->max : n > (size_t)f->max)
		return err_set(err, -EINVAL, "%s: %zu values; %s %lld", f->name, n, fixed ? "expected" : "at most",
		               (long long)f->max);
	size_t size = f->kind == FIELD_LIST ? f->sub->size : f->size;
	char *to = plain + f->at;
	if (!fixed) {
		to = n ? mem_array(n, size) : NULL;
		pointer_set(plain + f->at, to);
		*(size_t *)(plain + f->count_at) = n;
	}
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		switch (f->kind) {
		case FIELD_LIST:
			r = convert_in(f->sub, ((ProtobufCMessage *const *)from)[i], to + i * size, err);
			break;
		case FIELD_TEXTS: {
			const char *text = ((char *const *)from)[i];
			if (strlen(text) > 65536)
				r = err_set(err, -EINVAL, "%zu bytes of text", strlen(text));
			else
				pointer_set(to + i * size, mem_str(text));
			break;
		}
		case FIELD_ADDRS:
		case FIELD_FIXED_ADDR:
			r = addr_in(&((const ProtobufCBinaryData *)from)[i], (struct addr *)to + i, f->name, err);
			break;
		case FIELD_FIXED_REAL:
			if (!isfinite(((const double *)from)[i]))
				r = err_set(err, -EINVAL, "not a number");
			/* fall through */
		default:
			memcpy(to + i * size, (const char *)from + i * size, size);
		}
		if (r < 0)
			r = err_add(err, r, "%s[%zu]", f->name, i);
	}
	return r;
}

static int integer_in(const struct field *f, const char *pb, char *plain, struct err *err)
{
	int64_t v = integer_get(pb + f->pb_at, f->pb_size, f->pb_signed);
	if (f->kind == FIELD_COUNT) {
		size_t *n = (size_t *)(plain + f->count_at);
		if (v < 0 || v > f->max || (*n > 0 && (size_t)v != *n))
			return err_set(err, -EINVAL, "%s: %lld", f->name, (long long)v);
		*n = (size_t)v;
		return 0;
	}
	if (v < f->min || v > f->max)
		return err_set(err, -EINVAL, "%s: %lld is not within %lld … %lld", f->name, (long long)v,
		               (long long)f->min, (long long)f->max);
	integer_set(plain + f->at, f->size, v);
	return 0;
}

static int field_in(const struct field *f, const char *pb, char *plain, struct err *err)
{
	switch (f->kind) {
	case FIELD_INTEGER:
	case FIELD_COUNT:
		return integer_in(f, pb, plain, err);
	case FIELD_U64:
		memcpy(plain + f->at, pb + f->pb_at, 8);
		return 0;
	case FIELD_REAL: {
		double v;
		memcpy(&v, pb + f->pb_at, sizeof(v));
		if (!isfinite(v))
			return err_set(err, -EINVAL, "%s: not a number", f->name);
		memcpy(plain + f->at, &v, sizeof(v));
		return 0;
	}
	case FIELD_TEXT:
	case FIELD_TEXT_OR_NULL:
	case FIELD_NAME:
	case FIELD_CHARS:
	case FIELD_NAME_CHARS:
		return text_in(f, pointer_get(pb + f->pb_at), plain, err);
	case FIELD_ADDR:
		return addr_in((const ProtobufCBinaryData *)(pb + f->pb_at), (struct addr *)(plain + f->at), f->name, err);
	case FIELD_RAW:
	case FIELD_BLOB:
		return bytes_in(f, (const ProtobufCBinaryData *)(pb + f->pb_at), plain, err);
	case FIELD_MSG: {
		const ProtobufCMessage *sub = pointer_get(pb + f->pb_at);
		if (!sub)
			return err_set(err, -EINVAL, "%s: missing", f->name);
		int r = convert_in(f->sub, sub, plain + f->at, err);
		return r < 0 ? err_add(err, r, "%s", f->name) : 0;
	}
	default:
		return array_in(f, pb, plain, err);
	}
}

int convert_in(const struct shape *shape, const ProtobufCMessage *pb, void *plain, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < shape->n && r == 0; i++)
		r = field_in(&shape->fields[i], (const char *)pb, plain, err);
	if (r == 0 && shape->check)
		r = shape->check(plain, err);
	if (r < 0)
		convert_free(shape, plain);
	return r;
}

/* ---- free ------------------------------------------------------------------------------- */

static void field_free(const struct field *f, char *plain)
{
	switch (f->kind) {
	case FIELD_TEXT:
	case FIELD_TEXT_OR_NULL:
	case FIELD_NAME:
	case FIELD_BLOB:
	case FIELD_ADDRS:
	case FIELD_NUMBERS:
		free(pointer_get(plain + f->at));
		break;
	case FIELD_MSG:
		convert_free(f->sub, plain + f->at);
		break;
	case FIELD_LIST:
	case FIELD_TEXTS: {
		char *items = pointer_get(plain + f->at);
		size_t n = items ? *(size_t *)(plain + f->count_at) : 0;
		for (size_t i = 0; i < n; i++) {
			if (f->kind == FIELD_LIST)
				convert_free(f->sub, items + i * f->sub->size);
			else
				free(pointer_get(items + i * f->size));
		}
		free(items);
		break;
	}
	default:
		break;
	}
}

void convert_free(const struct shape *shape, void *plain)
{
	for (size_t i = 0; i < shape->n; i++)
		field_free(&shape->fields[i], plain);
	memset(plain, 0, shape->size);
}
