/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See uplink_announce.h. */
#include "vnagent/uplink_announce.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ETHERNET = 14, ARP = 28, IPV6 = 40, ADVERTISEMENT = 32, NEIGHBOUR_ADVERTISEMENT = 136, ROUTER_AND_OVERRIDE = 0xa0 };

/* "192.0.2.1 is at …", asked by nobody. */
static size_t gratuitous_arp(const struct plan_port *port, uint8_t *frame)
{
	static const uint8_t head[] = { 0x08, 0x06, 0, 1, 0x08, 0x00, 6, 4, 0, 1 /* request: what all take up */ };
	memset(frame, 0xff, 6);
	memcpy(frame + 6, port->mac, 6);
	memcpy(frame + 12, head, sizeof(head));
	memcpy(frame + 22, port->mac, 6);
	memcpy(frame + 28, port->address.bytes, 4);
	memset(frame + 32, 0, 6);
	memcpy(frame + 38, port->address.bytes, 4);
	return ETHERNET + ARP;
}

static uint32_t sum16(const uint8_t *data, size_t len, uint32_t sum)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)data[i] << 8 | data[i + 1];
	return sum;
}

static size_t advertisement(const struct plan_port *port, uint8_t *frame)
{
	static const uint8_t to[] = { 0x33, 0x33, 0, 0, 0, 1 };
	uint8_t *ip = frame + ETHERNET, *icmp = ip + IPV6;
	memset(frame, 0, ANNOUNCEMENT_MAX);
	memcpy(frame, to, sizeof(to));
	memcpy(frame + 6, port->mac, 6);
	frame[12] = 0x86;
	frame[13] = 0xdd;
	ip[0] = 0x60;
	ip[5] = ADVERTISEMENT;
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 255;
	memcpy(ip + 8, port->address.bytes, 16);
	ip[24] = 0xff; /* ff02::1 */
	ip[25] = 0x02;
	ip[39] = 1;
	icmp[0] = NEIGHBOUR_ADVERTISEMENT;
	icmp[4] = ROUTER_AND_OVERRIDE;
	memcpy(icmp + 8, port->address.bytes, 16);
	icmp[24] = 2; /* the target's MAC, one unit of 8 bytes */
	icmp[25] = 1;
	memcpy(icmp + 26, port->mac, 6);
	uint32_t sum = sum16(ip + 8, 32, sum16(icmp, ADVERTISEMENT, ADVERTISEMENT + IPPROTO_ICMPV6));
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	icmp[2] = (uint8_t)(~sum >> 8);
	icmp[3] = (uint8_t)~sum;
	return ETHERNET + IPV6 + ADVERTISEMENT;
}

size_t uplink_announcement(const struct plan_port *port, uint8_t frame[static ANNOUNCEMENT_MAX])
{
	if (port->address.family == AF_INET)
		return gratuitous_arp(port, frame);
	return port->address.family == AF_INET6 ? advertisement(port, frame) : 0;
}

void uplink_announce(uint32_t ifindex, const struct plan_port *port)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = 6 };
	uint8_t frame[ANNOUNCEMENT_MAX];
	size_t len = uplink_announcement(port, frame);
	int fd = len ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	if (fd < 0)
		return;
	(void)!sendto(fd, frame, len, 0, (const struct sockaddr *)&to, sizeof(to));
	close(fd);
}
