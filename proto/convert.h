/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversion between the generated types and plain structs, driven by tables.
 *
 * A shape describes one message: which field of the plain struct belongs to which field of the
 * generated one, and its bounds. One engine packs, unpacks, validates and frees by it, so that
 * no field can be packed and forgotten when unpacking, or be believed without a bound. Private
 * to proto/. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum field_kind {
	FIELD_INTEGER, /* any integer, bool or enum on both sides, min … max */
	FIELD_U64,     /* uint64_t, any value */
	FIELD_REAL,    /* double, finite */
	FIELD_TEXT,    /* char *, at most max bytes; never NULL once unpacked; control characters become '?' */
	FIELD_TEXT_OR_NULL, /* the same; empty becomes NULL */
	FIELD_NAME,    /* char *, valid by name_check */
	FIELD_CHARS,   /* char[max], NUL-terminated */
	FIELD_NAME_CHARS, /* the same, valid by name_check */
	FIELD_ADDR,    /* struct addr <-> bytes */
	FIELD_RAW,     /* uint8_t[max] <-> bytes of just that length */
	FIELD_BLOB,    /* pointer, length <-> bytes; a NUL is put behind it */
	FIELD_MSG,     /* struct inside struct */
	FIELD_LIST,    /* array of structs, count */
	FIELD_COUNT,   /* of a list that may be left out: what the list's count is then */
	FIELD_TEXTS,   /* array of char *, count */
	FIELD_ADDRS,   /* array of struct addr, count */
	FIELD_NUMBERS, /* array of integers of the same size on both sides, count */
	FIELD_FIXED,   /* max integers of the same size on both sides */
	FIELD_FIXED_REAL,  /* max doubles */
	FIELD_FIXED_ADDR   /* max struct addr */
};

struct shape;
struct field {
	enum field_kind kind;
	uint8_t size, pb_size; /* of the value, or of an element */
	bool is_signed, pb_signed;
	uint32_t at, count_at; /* in the plain struct */
	uint32_t pb_at, pb_count_at;
	int64_t min, max;
	const struct shape *sub;
	const char *name; /* for reasons */
};

struct shape {
	const ProtobufCMessageDescriptor *descriptor;
	const struct field *fields; /* n of them */
	size_t n;
	size_t size; /* of the plain struct */
	int (*check)(const void *plain, struct err *err); /* may be NULL: what no single field shows */
};

/* For tables: define PLAIN and GENERATED as the two types, then list the fields. Names are
 * those of the plain struct and of the generated one. */
#define AT(m) offsetof(PLAIN, m)
#define PB_AT(p) offsetof(GENERATED, p)
#define SIZE_OF(m) sizeof(((PLAIN *)0)->m)
#define PB_SIZE_OF(p) sizeof(((GENERATED *)0)->p)
#define SIGNED(m) ((__typeof__(((PLAIN *)0)->m))-1 < (__typeof__(((PLAIN *)0)->m))1)
#define PB_SIGNED(p) ((__typeof__(((GENERATED *)0)->p))-1 < (__typeof__(((GENERATED *)0)->p))1)

#define INTEGER_(m, p, lo, hi)                                                                     \
	{ .kind = FIELD_INTEGER, .size = SIZE_OF(m), .pb_size = PB_SIZE_OF(p), .is_signed = SIGNED(m), \
	  .pb_signed = PB_SIGNED(p), .at = AT(m), .pb_at = PB_AT(p), .min = lo, .max = hi, .name = #p }
#define INTEGER(f, lo, hi) INTEGER_(f, f, lo, hi)
#define U32(f) INTEGER(f, 0, UINT32_MAX)
#define BOOLEAN(f) INTEGER(f, 0, 1)
#define SIMPLE_(k, m, p, hi) { .kind = k, .at = AT(m), .pb_at = PB_AT(p), .max = hi, .name = #p }
#define SIMPLE(k, f, hi) SIMPLE_(k, f, f, hi)
#define U64(f) SIMPLE(FIELD_U64, f, 0)
#define REAL(f) SIMPLE(FIELD_REAL, f, 0)
#define TEXT(f, hi) SIMPLE(FIELD_TEXT, f, hi)
#define TEXT_OR_NULL(f, hi) SIMPLE(FIELD_TEXT_OR_NULL, f, hi)
#define NAME(f) SIMPLE(FIELD_NAME, f, 0)
#define CHARS(f) SIMPLE(FIELD_CHARS, f, SIZE_OF(f))
#define NAME_CHARS(f) SIMPLE(FIELD_NAME_CHARS, f, SIZE_OF(f))
#define ADDR(f) SIMPLE(FIELD_ADDR, f, 0)
#define RAW(f) SIMPLE(FIELD_RAW, f, SIZE_OF(f))
#define MSG_(m, p, shape) { .kind = FIELD_MSG, .at = AT(m), .pb_at = PB_AT(p), .sub = &(shape), .name = #p }
#define MSG(f, shape) MSG_(f, f, shape)
#define BLOB_(m, n_m, p, hi) \
	{ .kind = FIELD_BLOB, .at = AT(m), .count_at = AT(n_m), .pb_at = PB_AT(p), .max = hi, .name = #p }
#define ARRAY_(k, m, n_m, p, hi, shape)                                                            \
	{ .kind = k, .size = sizeof(*((PLAIN *)0)->m), .at = AT(m), .count_at = AT(n_m), .pb_at = PB_AT(p), \
	  .pb_count_at = PB_AT(n_##p), .max = hi, .sub = shape, .name = #p }
#define LIST_(m, n_m, p, hi, shape)                                                                \
	{ .kind = FIELD_LIST, .at = AT(m), .count_at = AT(n_m), .pb_at = PB_AT(p),                     \
	  .pb_count_at = PB_AT(n_##p), .max = hi, .sub = &(shape), .name = #p }
#define LIST(f, hi, shape) LIST_(f, n_##f, f, hi, shape)
#define TEXTS_(m, n_m, p, hi) ARRAY_(FIELD_TEXTS, m, n_m, p, hi, NULL)
#define NUMBERS_(m, n_m, p, hi) ARRAY_(FIELD_NUMBERS, m, n_m, p, hi, NULL)
#define FIXED_(k, m, p, count)                                                                     \
	{ .kind = k, .size = sizeof(((PLAIN *)0)->m[0]), .at = AT(m), .pb_at = PB_AT(p),               \
	  .pb_count_at = PB_AT(n_##p), .max = count, .name = #p }
#define FIXED(f, count) FIXED_(FIELD_FIXED, f, f, count)
#define FIXED_REAL(f, count) FIXED_(FIELD_FIXED_REAL, f, f, count)

#define SHAPE(shape_name, descriptor_, fields_, check_)                                             \
	static const struct shape shape_name = { .descriptor = &(descriptor_), .fields = fields_,      \
	                                         .n = sizeof(fields_) / sizeof((fields_)[0]),          \
	                                         .size = sizeof(PLAIN), .check = check_ }

/* Memory for the generated structs while packing; freed at once. */
struct arena {
	struct arena_block *blocks;
};
void arena_done(struct arena *a);

/* Fills a generated struct, allocated in the arena, from a plain one; it points into `plain`. */
ProtobufCMessage *convert_out(const struct shape *shape, const void *plain, struct arena *arena);
/* The reverse, into zeroed memory. On failure (-EINVAL, reason "plan.ports[3].mtu: …") nothing is left
 * allocated and `plain` is zeroed again. */
int convert_in(const struct shape *shape, const ProtobufCMessage *pb, void *plain, struct err *err) VNE_MUST;
void convert_free(const struct shape *shape, void *plain); /* zeroes it, too */

/* Packs what convert_out made, behind `head` free bytes. Caller frees *ret. */
void convert_pack(const ProtobufCMessage *pb, size_t head, uint8_t **ret, size_t *ret_len);

/* Checks the raw bytes (well-formed, every string UTF-8 without NUL, depth) and unpacks them under
 * a cap on memory. -EPROTO, -EMSGSIZE. Free with protobuf_c_message_free_unpacked(*ret, NULL). */
int convert_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len,
                   ProtobufCMessage **ret, struct err *err) VNE_MUST;
