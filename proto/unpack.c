/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw bytes to generated types, for bytes that anybody may have written.
 *
 * protobuf-c lets invalid UTF-8 pass, cuts strings silently at a NUL, and can be made to use
 * forty times the memory of its input. So the bytes are walked once along the descriptors
 * before it sees them, and it allocates under a cap. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/convert.h"

enum { DEPTH_MAX = 12, MEMORY_BASE = 1 << 20, MEMORY_FACTOR = 24 };

static size_t utf8_length(const uint8_t *s, size_t left)
{
	if (s[0] < 0x80)
		return s[0] ? 1 : 0;
	size_t n = s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : 0;
	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	uint32_t c = n == 2 ? s[0] & 0x1f : n == 3 ? s[0] & 0xf : s[0] & 7;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (s[i] & 0x3f);
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

static int check_text(const uint8_t *s, size_t len, const char *name, struct err *err)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_length(s + i, len - i);
		if (n == 0)
			return err_set(err, -EPROTO, "%s: byte %zu of the text is not UTF-8 or is NUL", name, i + 1);
		i += n;
	}
	return 0;
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *ret)
{
	uint64_t v = 0;
	for (unsigned int shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t b = *(*p)++;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static int scan(const ProtobufCMessageDescriptor *d, const uint8_t *p, const uint8_t *end, int depth, struct err *err)
{
	if (depth > DEPTH_MAX)
		return err_set(err, -EPROTO, "nested too deep");
	while (p < end) {
		uint64_t tag, len;
		if (!varint(&p, end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
			return err_set(err, -EPROTO, "%s: not a protobuf message", d->name);
		const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(d, (unsigned int)(tag >> 3));
		switch (tag & 7) {
		case 0:
			if (!varint(&p, end, &len))
				return err_set(err, -EPROTO, "%s: cut short", d->name);
			continue;
		case 1:
		case 5:
			len = (tag & 7) == 1 ? 8 : 4;
			break;
		case 2:
			if (!varint(&p, end, &len))
				return err_set(err, -EPROTO, "%s: cut short", d->name);
			break;
		default:
			return err_set(err, -EPROTO, "%s: wire type %u", d->name, (unsigned int)(tag & 7));
		}
		if (len > (uint64_t)(end - p))
			return err_set(err, -EPROTO, "%s: cut short", d->name);
		if (f && (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_MESSAGE)) {
			if ((tag & 7) != 2)
				return err_set(err, -EPROTO, "%s.%s: wire type %u", d->name, f->name, (unsigned int)(tag & 7));
			int r = f->type == PROTOBUF_C_TYPE_STRING ? check_text(p, len, f->name, err) :
			                                            scan(f->descriptor, p, p + len, depth + 1, err);
			if (r < 0)
				return r;
		}
		p += len;
	}
	return 0;
}

struct cap {
	size_t left;
	bool hit;
};

static void *capped_alloc(void *data, size_t size)
{
	struct cap *cap = data;
	if (size > cap->left) {
		cap->hit = true;
		return NULL;
	}
	cap->left -= size;
	return malloc(size);
}

static void capped_free(void *data, void *p)
{
	(void)data;
	free(p);
}

int convert_unpack(const ProtobufCMessageDescriptor *d, const uint8_t *data, size_t len, ProtobufCMessage **ret,
                   struct err *err)
{
	int r = scan(d, data, data + len, 0, err);
	if (r < 0)
		return r;
	struct cap cap = { .left = (size_t)MEMORY_BASE + MEMORY_FACTOR * len };
	ProtobufCAllocator allocator = { capped_alloc, capped_free, &cap };
	ProtobufCMessage *pb = protobuf_c_message_unpack(d, &allocator, len, data);
	if (!pb && cap.hit)
		return err_set(err, -EMSGSIZE, "%s: %zu bytes would take more than %zu bytes of memory", d->name, len,
		               (size_t)MEMORY_BASE + MEMORY_FACTOR * len);
	if (!pb)
		return err_set(err, -EPROTO, "%s: not a message of ours", d->name);
	*ret = pb;
	return 0;
}
