/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines of words; see setup_read.h. The text is copied once and cut in place. */
#include "vnagent/guest/setup_read.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/guest_wire.h"

enum { WORDS_MAX = 8 };

struct reader {
	char name[NAME_MAX_LEN + 1];
	VEC(struct guest_port) ports;
	VEC(struct addr) loopbacks;
	VEC(struct guest_route) routes;
};

void guest_setup_done(struct guest_setup *s)
{
	free(s->ports);
	free(s->loopbacks);
	free(s->routes);
	free(s->bird);
	*s = (struct guest_setup){ 0 };
}

static int read_mac(const char *text, uint8_t mac[6], struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	if (strlen(text) != 17)
		return err_set(err, -EINVAL, "'%.32s' is no MAC address", text);
	for (int i = 0; i < 6; i++) {
		const char *high = memchr(digits, text[3 * i] | 0x20, 16), *low = memchr(digits, text[3 * i + 1] | 0x20, 16);
		if (!high || !low || (i < 5 && text[3 * i + 2] != ':'))
			return err_set(err, -EINVAL, "'%.32s' is no MAC address", text);
		mac[i] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	if (mac[0] & 1 || !memcmp(mac, GUEST_CONTROL_MAC, 6))
		return err_set(err, -EINVAL, "'%s' is no MAC address for a port", text);
	return 0;
}

static int read_ifname(const char *text, char ifname[GUEST_IFNAME_MAX + 1], struct err *err)
{
	size_t len = strlen(text);
	if (!len || len > GUEST_IFNAME_MAX || name_check(text, len, NULL) || !strcmp(text, "ctl") || !strcmp(text, "lo") ||
	    !strcmp(text, "all") || !strcmp(text, "default"))
		return err_set(err, -EINVAL, "'%.32s' is no name for an interface of a router", text);
	memcpy(ifname, text, len + 1);
	return 0;
}

static int read_router(struct reader *r, char **word, size_t n, struct err *err)
{
	if (n != 2)
		return err_set(err, -EINVAL, "expected: router NAME");
	if (r->name[0])
		return err_set(err, -EINVAL, "a second router");
	int code = name_check(word[1], strlen(word[1]), err);
	if (!code)
		snprintf(r->name, sizeof(r->name), "%s", word[1]);
	return code;
}

static int read_port(struct reader *r, char **word, size_t n, struct err *err)
{
	struct guest_port port = { 0 };
	int64_t mtu = 0;
	if (n != 4 && n != 5)
		return err_set(err, -EINVAL, "expected: port MAC IFNAME MTU [ADDRESS/PREFIX]");
	if (r->ports.n == GUEST_PORTS_MAX)
		return err_set(err, -E2BIG, "more than %d ports", GUEST_PORTS_MAX);
	int code = read_mac(word[1], port.mac, err);
	if (!code)
		code = read_ifname(word[2], port.ifname, err);
	if (!code)
		code = units_integer(word[3], GUEST_MTU_MIN, GUEST_MTU_MAX, &mtu, err);
	if (!code && n == 5)
		code = addr_parse_prefix(word[4], &port.address, err);
	port.mtu = (uint32_t)mtu;
	for (size_t i = 0; !code && i < r->ports.n; i++)
		if (!memcmp(r->ports.v[i].mac, port.mac, 6) || !strcmp(r->ports.v[i].ifname, port.ifname))
			code = err_set(err, -EINVAL, "a second port with this MAC address or name");
	if (!code)
		*vec_add(&r->ports) = port;
	return code;
}

static int read_loopback(struct reader *r, char **word, size_t n, struct err *err)
{
	struct addr a;
	if (n != 2)
		return err_set(err, -EINVAL, "expected: loopback ADDRESS/PREFIX");
	if (r->loopbacks.n == GUEST_LOOPBACKS_MAX)
		return err_set(err, -E2BIG, "more than %d loopback addresses", GUEST_LOOPBACKS_MAX);
	int code = addr_parse_prefix(word[1], &a, err);
	if (!code)
		*vec_add(&r->loopbacks) = a;
	return code;
}

static int read_route(struct reader *r, char **word, size_t n, struct err *err)
{
	struct guest_route route = { 0 };
	if ((n != 6 && n != 8) || strcmp(word[2], "via") || strcmp(word[4], "dev") || (n == 8 && strcmp(word[6], "src")))
		return err_set(err, -EINVAL, "expected: route PREFIX via ADDRESS dev IFNAME [src ADDRESS]");
	if (r->routes.n == GUEST_ROUTES_MAX)
		return err_set(err, -E2BIG, "more than %d routes", GUEST_ROUTES_MAX);
	int code = addr_parse_prefix(word[1], &route.to, err);
	if (!code)
		code = addr_parse(word[3], &route.via, err);
	if (!code)
		code = read_ifname(word[5], route.ifname, err);
	if (!code && n == 8)
		code = addr_parse(word[7], &route.source, err);
	if (!code && (route.via.family != route.to.family || (route.source.family && route.source.family != route.to.family)))
		code = err_set(err, -EINVAL, "addresses of two families in one route");
	if (!code)
		*vec_add(&r->routes) = route;
	return code;
}

/* Cuts the line into its words; 0: more than WORDS_MAX, or blanks where none should be. */
static size_t cut(char *line, char *word[WORDS_MAX])
{
	size_t n = 0;
	for (char *at = line; at;) {
		if (n == WORDS_MAX)
			return 0;
		char *end = strchr(at, ' ');
		word[n++] = at;
		if (end)
			*end++ = 0;
		if (!*word[n - 1])
			return 0;
		at = end;
	}
	return n;
}

static int read_line(struct reader *r, char *line, struct err *err)
{
	static const struct {
		const char *item;
		int (*read)(struct reader *r, char **word, size_t n, struct err *err);
	} items[] = { { "router", read_router }, { "port", read_port }, { "loopback", read_loopback }, { "route", read_route } };
	char *word[WORDS_MAX];
	size_t n = cut(line, word);
	if (!n)
		return err_set(err, -EINVAL, "expected up to %d words parted by one blank", WORDS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(items); i++)
		if (!strcmp(word[0], items[i].item))
			return items[i].read(r, word, n, err);
	return err_set(err, -EINVAL, "'%.32s' is no item of a setup", word[0]);
}

/* Routes go by ports that there are. */
static int check_routes(const struct reader *r, struct err *err)
{
	for (size_t i = 0; i < r->routes.n; i++) {
		bool found = false;
		for (size_t j = 0; j < r->ports.n && !found; j++)
			found = !strcmp(r->ports.v[j].ifname, r->routes.v[i].ifname);
		if (!found)
			return err_set(err, -EINVAL, "route %zu goes by %s, which is no port", i + 1, r->routes.v[i].ifname);
	}
	return 0;
}

/* The lines of `text`, which it cuts. *ret_bird: what follows the line `bird`, or NULL. */
static int read_lines(struct reader *r, char *text, const char **ret_bird, struct err *err)
{
	size_t number = 1;
	char *line = text, *end;
	int code = 0;
	*ret_bird = NULL;
	for (; !code && (end = strchr(line, '\n')); line = end + 1, number++) {
		*end = 0;
		if (number == 1) {
			if (strcmp(line, "vne 1"))
				return err_set(err, -EINVAL, "line 1: expected 'vne 1', got '%.32s'", line);
			continue;
		}
		if (!strcmp(line, "bird")) {
			*ret_bird = end + 1;
			return check_routes(r, err);
		}
		code = read_line(r, line, err);
	}
	if (code)
		return err_add(err, code, "line %zu", number - 1);
	if (number == 1 || *line)
		return err_set(err, -EINVAL, "line %zu has no end: the setup is not whole", number);
	return check_routes(r, err);
}

int guest_setup_read(const char *text, size_t len, struct guest_setup *ret, struct err *err)
{
	struct reader r = { 0 };
	const char *bird;
	*ret = (struct guest_setup){ 0 };
	if (len > GUEST_SETUP_MAX)
		return err_set(err, -E2BIG, "setup of more than %d MiB", GUEST_SETUP_MAX >> 20);
	if (memchr(text, 0, len))
		return err_set(err, -EINVAL, "setup with a NUL inside");
	mem_auto char *copy = mem_strn(text, len);
	int code = read_lines(&r, copy, &bird, err);
	*ret = (struct guest_setup){ .ports = r.ports.v, .n_ports = r.ports.n, .loopbacks = r.loopbacks.v, .n_loopbacks = r.loopbacks.n,
		                     .routes = r.routes.v, .n_routes = r.routes.n };
	if (code) {
		guest_setup_done(ret);
		return err_add(err, code, "setup");
	}
	memcpy(ret->name, r.name, sizeof(ret->name));
	ret->bird = bird ? mem_str(bird) : NULL;
	return 0;
}
