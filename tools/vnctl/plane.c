/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnctl plane: the map of a router's forwarding program. What stands in it only the program knows, so keys and values are bytes,
 * written as items parted by commas: addresses, MAC addresses, numbers with their width (`6/u8`, `443/be16`, `1`: 32 bits), `0x` and
 * digits. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tools/vnctl/client.h"

static bool put_hex(const char *digits, struct buf *out)
{
	size_t n = strlen(digits);
	for (size_t i = 0; i + 1 < n; i += 2) {
		char two[3] = { digits[i], digits[i + 1], 0 };
		if (!isxdigit((unsigned char)two[0]) || !isxdigit((unsigned char)two[1]))
			return false;
		buf_char(out, (char)strtoul(two, NULL, 16));
	}
	return n && n % 2 == 0;
}

static bool put_mac(const char *text, struct buf *out)
{
	unsigned b[6];
	int end = 0;
	if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || end != 17)
		return false;
	for (int i = 0; i < 6; i++)
		buf_char(out, (char)b[i]);
	return true;
}

static bool put_number(const char *text, struct buf *out)
{
	static const struct {
		const char *name;
		size_t bytes;
		bool big;
	} widths[] = { { "", 4, false }, { "/u8", 1, false }, { "/u16", 2, false }, { "/u32", 4, false }, { "/u64", 8, false },
		       { "/be16", 2, true }, { "/be32", 4, true }, { "/be64", 8, true } };
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(widths); i++) {
		size_t n = widths[i].bytes;
		if (strcmp(end, widths[i].name))
			continue;
		if (n < 8 && value >> (8 * n))
			return false;
		bool swap = widths[i].big != (htons(1) == 1);
		for (size_t k = 0; k < n; k++) {
			size_t at = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? k : n - 1 - k;
			buf_char(out, (char)(value >> (8 * (swap ? n - 1 - at : at))));
		}
		return true;
	}
	return false;
}

/* Appends what the text says; false and a message where it says nothing. */
static bool read_bytes(const char *text, struct buf *out)
{
	mem_auto char *copy = mem_str(text);
	char *rest = copy, *item;
	while ((item = strsep(&rest, ","))) {
		uint8_t address[16];
		if (inet_pton(AF_INET, item, address) == 1)
			buf_add(out, address, 4);
		else if (inet_pton(AF_INET6, item, address) == 1)
			buf_add(out, address, 16);
		else if (!put_mac(item, out) && !(strncmp(item, "0x", 2) == 0 && put_hex(item + 2, out)) && !put_number(item, out)) {
			fprintf(stderr, "vnctl: \"%s\": expected an address, a MAC address, a number with its width (6/u8, 443/be16, 1: 32 bits) or "
			                "0x and digits in pairs, several of them parted by commas\n", item);
			return false;
		}
	}
	return true;
}

static void write_bytes(struct writer *w, const char *name, const uint8_t *bytes, size_t n)
{
	buf_auto struct buf text = BUF_INIT;
	buf_str(&text, "0x");
	for (size_t i = 0; i < n; i++)
		buf_printf(&text, "%02x", bytes[i]);
	write_string(w, name, name, buf_cstr(&text));
}

static int print_data(const struct settings *s, const struct message *m)
{
	struct writer *w = settings_writer(s);
	write_object(w, NULL, "");
	write_string(w, "program", "program", m->u.plane_data.program);
	write_int(w, "key_bytes", "bytes of a key", m->u.plane_data.key_len);
	write_int(w, "value_bytes", "bytes of a value", m->u.plane_data.value_len);
	write_list(w, "entries", m->u.plane_data.n ? "entries" : NULL);
	for (size_t i = 0; i < m->u.plane_data.n; i++) {
		const struct plane_entry *e = &m->u.plane_data.v[i];
		write_object(w, NULL, "");
		write_bytes(w, "key", e->key, e->key_len);
		write_bytes(w, "value", e->value, e->value_len);
		write_end(w);
	}
	write_end(w);
	if (m->u.plane_data.left_out)
		write_int(w, "left_out", "more that are not shown", (int64_t)m->u.plane_data.left_out);
	write_end(w);
	return print_result(s, w);
}

int command_plane(const struct settings *s, int argc, char **argv)
{
	static const struct {
		const char *name;
		enum plane_op op;
		int least, most; /* words */
	} ops[] = { { "get", PLANE_GET, 4, 5 }, { "set", PLANE_SET, 6, 6 }, { "delete", PLANE_DELETE, 5, 5 } };
	buf_auto struct buf key = BUF_INIT, value = BUF_INIT;
	struct kept answer = { 0 };
	struct client c;
	size_t i = 0;
	while (argc > 3 && i < ARRAY_LEN(ops) && strcmp(argv[3], ops[i].name))
		i++;
	if (argc < 4 || i == ARRAY_LEN(ops) || argc < ops[i].least || argc > ops[i].most) {
		fprintf(stderr, "usage: vnctl plane NAME ROUTER get [KEY] | set KEY VALUE | delete KEY\n");
		return 2;
	}
	if ((argc > 4 && !read_bytes(argv[4], &key)) || (argc > 5 && !read_bytes(argv[5], &value)))
		return 2;
	struct message m = { .type = MSG_PLANE, .u.plane = { .network = argv[1], .router = argv[2], .op = ops[i].op, .key = (uint8_t *)key.data,
		                                             .key_len = key.len, .value = (uint8_t *)value.data, .value_len = value.len } };
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, keep_message, &answer);
	client_close(&c);
	if (!code && answer.m.type == MSG_PLANE_DATA && (ops[i].op == PLANE_GET || s->json))
		code = print_data(s, &answer.m);
	message_done(&answer.m);
	return code;
}
