/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Underlay devices; see underlay.h. */
#include "vnagent/underlay.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/nl.h"
#include "model/units.h"
#include "vnagent/wire_tc.h"

enum { MTUS_MAX = 4096 };

size_t underlay_shape(const struct agent_config *c, void (*failed)(const char *device, const char *why))
{
	struct err err = { 0 };
	struct nl *nl;
	size_t n = 0;
	if (!c->n_underlay)
		return 0;
	if (nl_open(NETLINK_ROUTE, -1, &nl, &err)) {
		failed(c->underlay[0].device, err.text);
		return c->n_underlay;
	}
	struct nl_batch *b = nl_batch_new();
	for (size_t i = 0; i < c->n_underlay; i++) {
		const struct agent_underlay *u = &c->underlay[i];
		unsigned ifindex = if_nametoindex(u->device);
		int code = ifindex ? 0 : err_sys(&err, -errno, "underlay device");
		if (!code) {
			tc_put_underlay(b, ifindex, u->bw_kbps, u->device);
			code = nl_send(nl, b, NULL, &err);
		}
		if (code) {
			failed(u->device, err.text);
			n++;
		}
	}
	nl_batch_free(b);
	nl_close(nl);
	return n;
}

void underlay_put_share(struct nl_batch *b, const struct agent_underlay *devices, size_t n, uint16_t share)
{
	for (size_t i = 0; i < n; i++) {
		unsigned ifindex = if_nametoindex(devices[i].device);
		if (ifindex)
			tc_put_share(b, ifindex, share, devices[i].bw_kbps, devices[i].device);
	}
}

void underlay_unshape(const struct agent_config *c)
{
	struct nl *nl;
	if (!c->n_underlay || nl_open(NETLINK_ROUTE, -1, &nl, NULL))
		return;
	struct nl_batch *b = nl_batch_new();
	for (size_t i = 0; i < c->n_underlay; i++) {
		unsigned ifindex = if_nametoindex(c->underlay[i].device);
		if (ifindex)
			tc_put_unlimited(b, ifindex, c->underlay[i].device);
	}
	(void)!nl_send(nl, b, NULL, NULL);
	nl_batch_free(b);
	nl_close(nl);
}

static bool read_address(const struct sockaddr *sa, struct addr *ret)
{
	*ret = (struct addr){ .family = (uint8_t)sa->sa_family };
	if (sa->sa_family == AF_INET) {
		ret->prefix = 32;
		memcpy(ret->bytes, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return true;
	}
	ret->prefix = 128;
	if (sa->sa_family == AF_INET6)
		memcpy(ret->bytes, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	return sa->sa_family == AF_INET6;
}

void underlay_mtus(struct node_probe *probe)
{
	struct ifaddrs *all = NULL;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || getifaddrs(&all) < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	size_t n = 0;
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		n++;
	probe->mtus = mem_array(n + 1, sizeof(*probe->mtus));
	for (struct ifaddrs *a = all; a && probe->n_mtus < MTUS_MAX; a = a->ifa_next) {
		struct addr address;
		struct ifreq q = { 0 };
		if (!a->ifa_addr || !read_address(a->ifa_addr, &address))
			continue;
		snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", a->ifa_name);
		if (ioctl(fd, SIOCGIFMTU, &q) < 0)
			continue;
		struct probe_mtu *m = &probe->mtus[probe->n_mtus++];
		addr_host_text(&address, m->address);
		m->mtu = (uint32_t)q.ifr_mtu;
	}
	freeifaddrs(all);
	close(fd);
}

/* The carrier itself: IFF_RUNNING follows it by up to a second where a device has just come up. */
static bool has_carrier(int fd, const struct ifaddrs *i)
{
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK };
	struct ifreq q = { .ifr_data = (void *)&link };
	snprintf(q.ifr_name, sizeof(q.ifr_name), "%s", i->ifa_name);
	return ioctl(fd, SIOCETHTOOL, &q) < 0 ? i->ifa_flags & IFF_RUNNING : link.data;
}

static bool runs(int fd, const struct ifaddrs *all, const char *address)
{
	char text[ADDR_TEXT];
	struct addr a;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (i->ifa_addr && read_address(i->ifa_addr, &a) && !strcmp(addr_host_text(&a, text), address))
			return i->ifa_flags & IFF_UP && has_carrier(fd, i);
	return false;
}

void underlay_down(const struct node_probe *known, char ***ret, size_t *ret_n)
{
	struct ifaddrs *all = NULL;
	*ret = NULL;
	*ret_n = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || getifaddrs(&all) < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (size_t i = 0; i < known->n_mtus; i++) {
		if (runs(fd, all, known->mtus[i].address))
			continue;
		*ret = mem_grow(*ret, *ret_n + 1, sizeof(**ret));
		(*ret)[(*ret_n)++] = mem_str(known->mtus[i].address);
	}
	close(fd);
	freeifaddrs(all);
}
