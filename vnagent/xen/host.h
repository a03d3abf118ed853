/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hypervisor by libxl and xenstore, in our words: what there is, which domains are ours, what they use and may use. All
 * but create and destroy are a few hypercalls. The last error that libxl logged becomes part of our reason. */
#pragma once

#include <libxl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "vnagent/xen/domain_config.h"
#include "vnagent/xen_wire.h"

struct host;
/* -ENODEV: no Xen here, or not its control domain. */
int host_open(uint64_t cookie, struct host **ret, struct err *err) VNE_MUST;
void host_close(struct host *h); /* NULL accepted */
void host_forked(struct host *h); /* in a forked child: lets go of the parent's */
uint64_t host_cookie(const struct host *h);
bool host_rtds(const struct host *h);
bool host_pvh(const struct host *h);
uint32_t host_cores(const struct host *h);
int host_describe(struct host *h, struct xen_host *ret, struct err *err) VNE_MUST;

struct domain {
	uint32_t domid, net, router;
	bool up;       /* vnguest has answered once */
	bool shutdown; /* has ended */
	bool destroyed; /* but not by itself */
	libxl_shutdown_reason reason;
	uint64_t cpu_us;
	int64_t mem_kib;
};
/* Ours of this network namespace; each: as many as there are. */
int host_domains(struct host *h, void (*each)(void *arg, const struct domain *d), void *arg, struct err *err) VNE_MUST;
/* -ENOENT: none; -EEXIST: the name is somebody else's. */
int host_find(struct host *h, uint32_t net, uint32_t router, struct domain *ret, struct err *err) VNE_MUST;
int host_mark_up(struct host *h, uint32_t domid, struct err *err) VNE_MUST;
char *host_console(struct host *h, uint32_t domid); /* path of its terminal; NULL: not there yet; caller frees */

/* Block for seconds. */
int host_create(struct host *h, libxl_domain_config *config, uint32_t *ret_domid, struct err *err) VNE_MUST;
int host_unpause(struct host *h, uint32_t domid, struct err *err) VNE_MUST;
int host_destroy(struct host *h, uint32_t domid, struct err *err) VNE_MUST; /* 0: nothing is left of it */
int host_add_ports(struct host *h, uint32_t domid, uint32_t net, const struct domain_request *r, const char *script,
                   struct err *err) VNE_MUST;
int host_remove_port(struct host *h, uint32_t domid, uint32_t net, uint32_t port, struct err *err) VNE_MUST;

/* Cap, weight or real-time of one that runs. */
int host_schedule(struct host *h, uint32_t domid, const struct xen_spec *spec, struct err *err) VNE_MUST;

struct vcpu {
	uint32_t domid, id, core;
	bool placed; /* core is where it prefers to be; else where it happens to be now */
	uint64_t time_ns;
};
/* Appends those of a domain that are online; the number of them. */
size_t host_vcpus(struct host *h, uint32_t domid, struct vcpu *ret, size_t max);
int host_place(struct host *h, uint32_t domid, uint32_t vcpu, uint32_t core, struct err *err) VNE_MUST;
