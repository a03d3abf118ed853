/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A vif appears; see hotplug.h. */
#include "vnagent/xen/hotplug.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/nl.h"
#include "base/ns.h"
#include "vnagent/device.h"
#include "vnagent/xen/ctlnet.h"
#include "vnagent/xen/domain_config.h"

bool hotplug_called(int argc, char **argv)
{
	return argc >= 2 && argv[1][0] != '-' && getenv("XENBUS_PATH");
}

bool hotplug_name(const char *vifname, bool *control, uint32_t *net, uint32_t *port)
{
	*control = !strcmp(vifname, DOMAIN_CONTROL_IFNAME);
	if (*control)
		return true;
	return device_port_read(vifname, net, port);
}

/* The device as the agent's other ports are: named, grouped, silent, down. */
static int join_port(unsigned ifindex, const char *name, uint32_t net, uint32_t mtu, struct err *err)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_change = IFF_UP };
	struct nl *nl;
	int code = nl_open(NETLINK_ROUTE, -1, &nl, err);
	if (code)
		return code;
	struct nl_batch *b = nl_batch_new();
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s", name);
	nl_put_str(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_GROUP, DEVICE_GROUP | net);
	device_put_silent(b, ifindex, name);
	if (mtu)
		device_put_mtu(b, ifindex, mtu, name);
	code = nl_send(nl, b, NULL, err);
	nl_batch_free(b);
	nl_close(nl);
	return code;
}

struct control {
	const char *name;
};

static int address_control(void *arg, struct err *err)
{
	const struct control *c = arg;
	struct nl *nl;
	unsigned ifindex = if_nametoindex(c->name);
	if (!ifindex)
		return err_sys(err, -errno, "%s in the control network namespace", c->name);
	int code = nl_open(NETLINK_ROUTE, -1, &nl, err);
	if (code)
		return code;
	struct nl_batch *b = nl_batch_new();
	struct ifaddrmsg head = { .ifa_family = AF_INET6, .ifa_prefixlen = 64, .ifa_flags = IFA_F_NODAD | IFA_F_PERMANENT,
		                  .ifa_scope = RT_SCOPE_LINK, .ifa_index = ifindex };
	struct in6_addr address;
	inet_pton(AF_INET6, CTLNET_HOST, &address);
	device_put_silent(b, ifindex, c->name);
	device_put_flags(b, ifindex, IFF_UP, IFF_UP, c->name);
	nl_begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	nl_label(b, "%s address", c->name);
	nl_put(b, IFA_LOCAL, &address, sizeof(address));
	nl_put(b, IFA_ADDRESS, &address, sizeof(address));
	code = nl_send(nl, b, NULL, err);
	nl_batch_free(b);
	nl_close(nl);
	return code;
}

static int join_control(unsigned ifindex, uint32_t domid, struct err *err)
{
	char name[16];
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl *nl = NULL;
	int ns, code = ctlnet_open(&ns, err);
	if (code)
		return code;
	ctlnet_ifname(domid, name);
	struct nl_batch *b = nl_batch_new();
	nl_begin(b, RTM_NEWLINK, 0, &head, sizeof(head));
	nl_label(b, "%s into the control network namespace", name);
	nl_put_str(b, IFLA_IFNAME, name);
	nl_put_u32(b, IFLA_NET_NS_FD, (uint32_t)ns);
	code = nl_open(NETLINK_ROUTE, -1, &nl, err);
	if (!code)
		code = nl_send(nl, b, NULL, err);
	nl_batch_free(b);
	nl_close(nl);
	if (!code)
		code = ns_visit_net(ns, address_control, &(struct control){ name }, err);
	close(ns);
	return code;
}

static char *read_key(struct xs_handle *xs, const char *dir, const char *key)
{
	mem_auto char *path = mem_printf("%s/%s", dir, key);
	unsigned len;
	return xs_read(xs, XBT_NULL, path, &len); /* NUL-terminated by libxenstore; caller frees */
}

static void write_key(struct xs_handle *xs, const char *dir, const char *key, const char *value)
{
	mem_auto char *path = mem_printf("%s/%s", dir, key);
	if (!xs_write(xs, XBT_NULL, path, value, (unsigned)strlen(value)))
		fprintf(stderr, "vnagent-xen: %s: %s\n", path, strerror(errno));
}

static int online(struct xs_handle *xs, const char *dir, struct err *err)
{
	const char *device = getenv("vif");
	mem_auto char *vifname = read_key(xs, dir, "vifname"), *mtu = read_key(xs, dir, "mtu");
	uint32_t net, port;
	unsigned domid, devid;
	bool control;
	if (!device || !vifname || !hotplug_name(vifname, &control, &net, &port))
		return err_set(err, -EINVAL, "%s: no vif of vnagent's", dir);
	if (sscanf(dir, "backend/vif/%u/%u", &domid, &devid) != 2 && sscanf(dir, "/local/domain/%*u/backend/vif/%u/%u", &domid, &devid) != 2)
		return err_set(err, -EINVAL, "%s: no path of a vif", dir);
	unsigned ifindex = if_nametoindex(device);
	if (!ifindex) /* asked again after we have renamed it */
		return control || if_nametoindex(vifname) ? 0 : err_set(err, -ENODEV, "%s: the kernel's backend has made no device", device);
	return control ? join_control(ifindex, domid, err) : join_port(ifindex, vifname, net, mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0, err);
}

int hotplug_run(char **argv)
{
	struct err err = { 0 };
	const char *dir = getenv("XENBUS_PATH");
	if (strcmp(argv[1], "online") && strcmp(argv[1], "add"))
		return 0; /* a device that goes takes all with it */
	struct xs_handle *xs = xs_open(0);
	if (!xs) {
		fprintf(stderr, "vnagent-xen: xenstore: %s\n", strerror(errno));
		return 1;
	}
	int code = online(xs, dir, &err);
	if (code) {
		fprintf(stderr, "vnagent-xen: %s\n", err.text);
		write_key(xs, dir, "hotplug-error", err.text);
		write_key(xs, dir, "hotplug-status", "error");
	} else {
		write_key(xs, dir, "hotplug-status", "connected");
	}
	xs_close(xs);
	return code ? 1 : 0;
}
