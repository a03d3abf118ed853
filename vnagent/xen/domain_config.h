/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a router to a Xen domain: what the agent asks for, checked, and the libxl configuration that it becomes. Pure: needs
 * libxl's types, no Xen.
 *
 * Who a domain is stands in xenstore under /local/domain/<domid>/vne, written by libxl in the transaction that makes the
 * domain, readable for the guest and not writable: a domain of ours is never without it, and it goes with the domain. */
#pragma once

#include <libxl.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vnagent/xen/image.h"
#include "vnagent/xen_wire.h"

enum { DOMAIN_NAME = 32, DOMAIN_MEM_KIB = 64 << 10, DOMAIN_VCPUS_MAX = 64, DOMAIN_IFNAME = 16 };
#define DOMAIN_ENTRY "vne" /* under a domain's directory: net, router, name, cookie; up: vnguest has answered */
#define DOMAIN_CONTROL_IFNAME "vnectl" /* what libxl is told of the control vif; its name on the host is vc<domid> */

/* The text of XEN_CREATE and XEN_RESIZE, taken apart; the pointers are into it. */
struct domain_request {
	struct xen_spec spec;
	struct xen_port ports[XEN_PORTS_MAX];
	const char *setup;
	size_t setup_len;
};
/* -EINVAL: lengths, numbers or names that cannot be. */
int domain_request_read(const char *text, size_t len, struct domain_request *ret, struct err *err) VNE_MUST;

struct domain_place {
	uint32_t net, router;
	uint64_t cookie;          /* of the agent's network namespace */
	const char *script;       /* absolute path of vnagent-xen itself: the vifs' hotplug program */
	const char *ramdisk;      /* path */
	uint32_t cores;
	bool pvh, rtds;
};

void domain_name(uint32_t net, uint32_t router, char name[static DOMAIN_NAME]);
/* Refused: too little memory for the image, more cpus than cores, real-time where there is no RTDS, or more budget than period. */
int domain_check(const struct xen_spec *spec, const struct image *image, uint32_t cores, bool rtds, struct err *err) VNE_MUST;
/* ret is initialised; the caller disposes of it, also after an error. */
int domain_configure(const struct domain_request *r, const struct image *image, const struct domain_place *place,
                     libxl_domain_config *ret, struct err *err) VNE_MUST;
/* ret is initialised. */
void domain_nic(uint32_t net, const struct xen_port *port, int devid, const char *script, libxl_device_nic *ret);
void domain_control_nic(const char *script, libxl_device_nic *ret);

uint32_t domain_vcpus(int64_t cpu_milli);
/* credit2: the weight makes the demand a guarantee, the cap (per cent of a core) a limit. No demand: what is left over. */
int domain_weight(int64_t cpu_milli);
int domain_cap(int64_t cpu_milli);
