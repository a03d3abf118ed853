/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One parser for the three forms; what differs is which hosts and ports each takes. */
#include "model/endpoint.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "model/units.h"

enum { HOST_MAX = 255, FD_FIRST = 3 };

struct form {
	const char *scheme;
	bool names; /* a host's name will do */
	bool any;   /* so will * for address and port */
	bool fd;
	int64_t port_min; /* 0 lets the kernel choose */
};
static const struct form server = { .scheme = "tcp://", .names = true, .port_min = 1 };
static const struct form listening = { .scheme = "tcp://", .any = true, .fd = true };
static const struct form http = { .scheme = "", .fd = true };

static int check_number(const char *what, const char *text, int64_t min, int64_t max, struct err *err)
{
	int64_t number;
	if (units_integer(text, min, max, &number, NULL) < 0)
		return err_set(err, -EINVAL, "%s \"%.40s\" is not one of %lld to %lld", what, text, (long long)min, (long long)max);
	return 0;
}

static int check_v6(char *host, struct err *err)
{
	struct addr a;
	char *zone = strchr(host, '%');
	if (zone)
		*zone = 0;
	if (addr_parse(host, &a, NULL) < 0 || a.family != AF_INET6)
		return err_set(err, -EINVAL, "[%.60s] is not an IPv6 address", host);
	return 0;
}

static int check_host(const char *host, const struct form *form, struct err *err)
{
	static const char digits[] = "0123456789.", rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	struct addr a;
	if (strchr(host, ':'))
		return err_set(err, -EINVAL, "an IPv6 address stands in brackets before its port, as in [::1]:7410");
	if ((form->any && strcmp(host, "*") == 0) || addr_parse(host, &a, NULL) == 0)
		return 0;
	if (!host[0])
		return err_set(err, -EINVAL, "nothing stands before the port");
	bool name = host[strspn(host, digits)] != 0;
	for (const char *at = host; *at; at++)
		name = name && (strchr(digits, *at) || strchr(rest, *at));
	if (!form->names || !name)
		return err_set(err, -EINVAL, "\"%.60s\" is not an IP address%s", host, form->names ? " and not a host's name" : "");
	return 0;
}

static int check(const char *text, const struct form *form, struct err *err)
{
	size_t scheme = strlen(form->scheme);
	if (strncmp(text, form->scheme, scheme) != 0)
		return err_set(err, -EINVAL, "it does not begin with %s", form->scheme);
	const char *at = text + scheme;
	if (form->fd && strncmp(at, "fd:", 3) == 0)
		return check_number("descriptor", at + 3, FD_FIRST, 65535, err);
	const char *colon = strrchr(at, ':');
	if (!colon || (at[0] == '[' && colon[-1] != ']'))
		return err_set(err, -EINVAL, "it has no port");
	char host[HOST_MAX + 1];
	size_t len = (size_t)(colon - at);
	if (len > HOST_MAX)
		return err_set(err, -EINVAL, "%zu bytes before the port are too many", len);
	bool brackets = at[0] == '[';
	snprintf(host, sizeof(host), "%.*s", (int)(len - 2 * brackets), at + brackets);
	int r = brackets ? check_v6(host, err) : check_host(host, form, err);
	if (r < 0 || (form->any && strcmp(colon + 1, "*") == 0))
		return r;
	return check_number("port", colon + 1, form->port_min, UINT16_MAX, err);
}

int endpoint_check_server(const char *text, struct err *err)
{
	return check(text, &server, err);
}

int endpoint_check_listen(const char *text, struct err *err)
{
	return check(text, &listening, err);
}

int endpoint_check_http(const char *text, struct err *err)
{
	return check(text, &http, err);
}

/* ---- readers -------------------------------------------------------------------------------- */

static void judge(const struct yaml_node *node, const struct yaml_key *key, const struct form *form, struct yaml_errors *errors)
{
	struct err err = { 0 };
	if (node->type == YAML_SCALAR && !node->is_null && !node->refused && check(node->text, form, &err) < 0)
		yaml_error(errors, node->mark, "%s: %.100s: %s; expected %s", key->name, node->text, err.text, key->expected);
}

void endpoint_read_server(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	yaml_read_string(node, into, key, errors);
	judge(node, key, &server, errors);
}

void endpoint_read_http(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	yaml_read_string(node, into, key, errors);
	judge(node, key, &http, errors);
}

void endpoint_read_listen(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	yaml_read_strings(node, into, key, errors);
	if (node->type != YAML_SEQUENCE || node->refused)
		return;
	if (!node->first)
		yaml_error(errors, node->mark, "%s: an empty list; expected %s", key->name, key->expected);
	for (const struct yaml_node *item = node->first; item; item = item->next)
		judge(item, key, &listening, errors);
}
