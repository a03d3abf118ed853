/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libxl and xenstore; see host.h. */
#include "vnagent/xen/host.h"

#include <errno.h>
#include <inttypes.h>
#include <libxl_utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "base/log.h"
#include "base/mem.h"
#include "vnagent/device.h"

/* Each vif has 1 MiB of a guest's memory in its rings, and a guest's table of grants is used up by some 60. */
enum { PORTS_MAX = 31, GUESTS_MAX = 32751 };

struct host {
	struct xentoollog_logger logger; /* first: libxl hands us its address */
	char said[ERR_TEXT_MAX];         /* the first error that libxl logged */
	libxl_ctx *ctx;
	struct xs_handle *xs;
	uint64_t cookie;
	uint32_t cores;
	bool rtds, pvh;
};

__attribute__((format(printf, 5, 0))) static void heard(struct xentoollog_logger *logger, xentoollog_level level, int number,
                                                       const char *context, const char *format, va_list ap)
{
	struct host *h = (struct host *)logger;
	char text[ERR_TEXT_MAX];
	if (level < XTL_ERROR)
		return;
	vsnprintf(text, sizeof(text), format, ap);
	log_debug("%s: %s", context ? context : "libxl", text);
	/* "file:line:function: what"; that a program of ours failed says less than what it wrote to hotplug-error, which comes next */
	const char *what = text;
	for (int i = 0; i < 3 && *what; i++)
		what += strcspn(what, ":") + (what[strcspn(what, ":")] != 0);
	if (!h->said[0] && *what && !strstr(text, "libxl_report_child_exitstatus"))
		snprintf(h->said, sizeof(h->said), "%s", what + strspn(what, " "));
}

static void forget(struct xentoollog_logger *logger)
{
}

/* libxl's own numbers say little. */
static int failed(struct host *h, int rc, struct err *err, const char *what)
{
	int code = rc == ERROR_NOMEM ? -ENOMEM : rc == ERROR_TIMEDOUT ? -ETIMEDOUT : rc == ERROR_DOMAIN_NOTFOUND ? -ENOENT : -EIO;
	err_set(err, code, "%s: libxl error %d%s%.300s", what, rc, h->said[0] ? ": " : "", h->said);
	h->said[0] = 0;
	return code;
}

int host_open(uint64_t cookie, struct host **ret, struct err *err)
{
	libxl_physinfo info;
	struct host *h = mem_alloc(sizeof(*h));
	h->logger.vmessage = heard;
	h->logger.destroy = forget;
	h->cookie = cookie;
	if (libxl_ctx_alloc(&h->ctx, LIBXL_VERSION, 0, &h->logger)) {
		err_set(err, -ENODEV, "no Xen, or not its control domain%s%.200s", h->said[0] ? ": " : "", h->said);
		h->ctx = NULL;
		goto out;
	}
	h->xs = xs_open(0);
	if (!h->xs) {
		err_sys(err, -ENODEV, "xenstore cannot be reached");
		goto out;
	}
	libxl_physinfo_init(&info);
	int rc = libxl_get_physinfo(h->ctx, &info);
	h->pvh = info.cap_hvm && info.cap_hap;
	libxl_physinfo_dispose(&info);
	if (rc) {
		err_set(err, -ENODEV, "the hypervisor does not tell about itself (libxl error %d)", rc);
		goto out;
	}
	int cores = libxl_get_online_cpus(h->ctx);
	h->cores = cores > 0 ? (uint32_t)cores : 1;
	h->rtds = libxl_get_scheduler(h->ctx) == LIBXL_SCHEDULER_RTDS;
	*ret = h;
	return 0;
out:
	host_close(h);
	return -ENODEV;
}

void host_close(struct host *h)
{
	if (!h)
		return;
	if (h->xs)
		xs_close(h->xs);
	if (h->ctx)
		libxl_ctx_free(h->ctx);
	free(h);
}

void host_forked(struct host *h)
{
	if (h)
		libxl_postfork_child_noexec(h->ctx);
}

uint64_t host_cookie(const struct host *h)
{
	return h->cookie;
}

bool host_rtds(const struct host *h)
{
	return h->rtds;
}

bool host_pvh(const struct host *h)
{
	return h->pvh;
}

uint32_t host_cores(const struct host *h)
{
	return h->cores;
}

int host_describe(struct host *h, struct xen_host *ret, struct err *err)
{
	const libxl_version_info *version = libxl_get_version_info(h->ctx);
	libxl_physinfo info;
	libxl_dominfo dom0;
	*ret = (struct xen_host){ .cores = h->cores, .guests_max = GUESTS_MAX, .ports_max = PORTS_MAX, .pvh = h->pvh };
	libxl_physinfo_init(&info);
	libxl_dominfo_init(&dom0);
	int rc = libxl_get_physinfo(h->ctx, &info);
	if (!rc)
		rc = libxl_domain_info(h->ctx, &dom0, 0);
	if (!rc && version) {
		int64_t page_kib = version->pagesize ? version->pagesize / 1024 : 4;
		snprintf(ret->version, sizeof(ret->version), "%d.%d%s", version->xen_version_major, version->xen_version_minor,
		         version->xen_version_extra ? version->xen_version_extra : "");
		snprintf(ret->scheduler, sizeof(ret->scheduler), "%s", libxl_scheduler_to_string(libxl_get_scheduler(h->ctx)));
		ret->mem_total_kib = (int64_t)info.total_pages * page_kib - (int64_t)dom0.current_memkb;
		/* being cleaned is as good as free; claimed by a domain that is being built is not */
		ret->mem_free_kib = ((int64_t)info.free_pages + (int64_t)info.scrub_pages - (int64_t)info.outstanding_pages) * page_kib;
	}
	libxl_dominfo_dispose(&dom0);
	libxl_physinfo_dispose(&info);
	return rc || !version ? failed(h, rc, err, "asking the hypervisor") : 0;
}

/* ---- whose a domain is ---------------------------------------------------------------------------- */
static char *entry_read(struct host *h, uint32_t domid, const char *key)
{
	char path[96];
	unsigned len;
	snprintf(path, sizeof(path), "/local/domain/%u/" DOMAIN_ENTRY "/%s", domid, key);
	return xs_read(h->xs, XBT_NULL, path, &len);
}

static bool entry_number(struct host *h, uint32_t domid, const char *key, uint64_t *ret)
{
	char *end;
	mem_auto char *text = entry_read(h, domid, key);
	if (!text || !*text)
		return false;
	*ret = strtoull(text, &end, 16);
	return !*end;
}

static bool ours(struct host *h, const libxl_dominfo *info, struct domain *ret)
{
	uint64_t cookie, net, router;
	if (!info->domid || !entry_number(h, info->domid, "cookie", &cookie) || cookie != h->cookie ||
	    !entry_number(h, info->domid, "net", &net) || !entry_number(h, info->domid, "router", &router) || net > UINT32_MAX ||
	    router > UINT32_MAX)
		return false;
	mem_auto char *up = entry_read(h, info->domid, "up");
	*ret = (struct domain){ .domid = info->domid, .net = (uint32_t)net, .router = (uint32_t)router, .up = up && *up == '1',
		                .shutdown = info->shutdown || info->dying, .destroyed = info->dying && !info->shutdown, .reason = info->shutdown_reason,
		                .cpu_us = info->cpu_time / 1000, .mem_kib = (int64_t)info->current_memkb };
	return true;
}

int host_domains(struct host *h, void (*each)(void *arg, const struct domain *d), void *arg, struct err *err)
{
	int n = 0;
	struct domain d;
	libxl_dominfo *list = libxl_list_domain(h->ctx, &n);
	if (!list)
		return failed(h, ERROR_FAIL, err, "listing domains");
	for (int i = 0; i < n; i++)
		if (ours(h, &list[i], &d))
			each(arg, &d);
	libxl_dominfo_list_free(list, n);
	return 0;
}

struct wanted {
	uint32_t net, router;
	struct domain found;
};

static void compare(void *arg, const struct domain *d)
{
	struct wanted *w = arg;
	if (d->net == w->net && d->router == w->router)
		w->found = *d;
}

int host_find(struct host *h, uint32_t net, uint32_t router, struct domain *ret, struct err *err)
{
	char name[DOMAIN_NAME];
	uint32_t domid;
	struct wanted w = { net, router, { 0 } };
	int code = host_domains(h, compare, &w, err);
	if (code)
		return code;
	*ret = w.found;
	if (w.found.domid)
		return 0;
	domain_name(net, router, name);
	if (!libxl_name_to_domid(h->ctx, name, &domid))
		return err_set(err, -EEXIST, "domain %u has the name %s, and is not this agent's", domid, name);
	h->said[0] = 0;
	return -ENOENT;
}

int host_mark_up(struct host *h, uint32_t domid, struct err *err)
{
	char path[96];
	snprintf(path, sizeof(path), "/local/domain/%u/" DOMAIN_ENTRY "/up", domid);
	return xs_write(h->xs, XBT_NULL, path, "1", 1) ? 0 : err_sys(err, -errno, "xenstore: %s", path);
}

char *host_console(struct host *h, uint32_t domid) /* not by libxl, which complains while there is none */
{
	char path[96];
	unsigned len;
	snprintf(path, sizeof(path), "/local/domain/%u/console/tty", domid);
	return xs_read(h->xs, XBT_NULL, path, &len);
}

/* ---- their lives -------------------------------------------------------------------------------------- */
int host_create(struct host *h, libxl_domain_config *config, uint32_t *ret_domid, struct err *err)
{
	int rc = libxl_domain_create_new(h->ctx, config, ret_domid, NULL, NULL);
	return rc ? failed(h, rc, err, "making the domain") : 0;
}

int host_unpause(struct host *h, uint32_t domid, struct err *err)
{
	int rc = libxl_domain_unpause(h->ctx, domid, NULL);
	return rc ? failed(h, rc, err, "starting the domain") : 0;
}

int host_destroy(struct host *h, uint32_t domid, struct err *err)
{
	int rc = libxl_domain_destroy(h->ctx, domid, NULL);
	return rc && rc != ERROR_DOMAIN_NOTFOUND ? failed(h, rc, err, "destroying the domain") : 0;
}

/* libxl does not read back what it was told as a vif's name; the backend's directory has it. */
static libxl_device_nic *nic_named(struct host *h, uint32_t domid, libxl_device_nic *nics, int n, const char *ifname)
{
	for (int i = 0; i < n; i++) {
		char path[96];
		unsigned len;
		snprintf(path, sizeof(path), "/local/domain/%u/backend/vif/%u/%d/vifname", nics[i].backend_domid, domid, nics[i].devid);
		mem_auto char *name = xs_read(h->xs, XBT_NULL, path, &len);
		if (name && !strcmp(name, ifname))
			return &nics[i];
	}
	return NULL;
}

int host_add_ports(struct host *h, uint32_t domid, uint32_t net, const struct domain_request *r, const char *script, struct err *err)
{
	int n = 0, rc = 0, next = 1;
	char name[DEVICE_NAME];
	libxl_device_nic *nics = libxl_device_nic_list(h->ctx, domid, &n);
	for (int i = 0; i < n; i++)
		if (nics[i].devid >= next)
			next = nics[i].devid + 1;
	for (uint32_t i = 0; !rc && i < r->spec.n_ports; i++) {
		libxl_device_nic nic;
		device_port_name(net, r->ports[i].id, name);
		if (nic_named(h, domid, nics, n, name))
			continue;
		libxl_device_nic_init(&nic);
		domain_nic(net, &r->ports[i], next++, script, &nic);
		rc = libxl_device_nic_add(h->ctx, domid, &nic, NULL);
		libxl_device_nic_dispose(&nic);
	}
	libxl_device_nic_list_free(nics, n);
	return rc ? failed(h, rc, err, "adding a port") : 0;
}

int host_remove_port(struct host *h, uint32_t domid, uint32_t net, uint32_t port, struct err *err)
{
	int n = 0, rc = 0;
	char name[DEVICE_NAME];
	device_port_name(net, port, name);
	libxl_device_nic *nics = libxl_device_nic_list(h->ctx, domid, &n), *nic = nic_named(h, domid, nics, n, name);
	if (nic) /* destroy, not remove: that would wait for the guest to agree */
		rc = libxl_device_nic_destroy(h->ctx, domid, nic, NULL);
	libxl_device_nic_list_free(nics, n);
	return rc ? failed(h, rc, err, "removing a port") : 0;
}

/* ---- processor time -------------------------------------------------------------------------------- */
static int schedule_rt(struct host *h, uint32_t domid, const struct xen_spec *spec, struct err *err)
{
	libxl_vcpu_sched_params params;
	libxl_vcpu_sched_params_init(&params);
	params.sched = LIBXL_SCHEDULER_RTDS;
	params.num_vcpus = 1;
	params.vcpus = mem_alloc(sizeof(*params.vcpus));
	libxl_sched_params_init(params.vcpus);
	params.vcpus->period = (int)spec->rt_period_us;
	params.vcpus->budget = (int)spec->rt_budget_us;
	params.vcpus->extratime = 0;
	int rc = libxl_vcpu_sched_params_set_all(h->ctx, domid, &params);
	libxl_vcpu_sched_params_dispose(&params);
	return rc ? failed(h, rc, err, "real-time parameters") : 0;
}

int host_schedule(struct host *h, uint32_t domid, const struct xen_spec *spec, struct err *err)
{
	libxl_domain_sched_params params;
	libxl_dominfo info;
	libxl_dominfo_init(&info);
	int rc = libxl_domain_info(h->ctx, &info, domid);
	uint32_t vcpus = info.vcpu_max_id + 1;
	libxl_dominfo_dispose(&info);
	if (rc)
		return failed(h, rc, err, "the domain");
	if (domain_vcpus(spec->cpu_milli) > vcpus)
		return err_set(err, -EOPNOTSUPP, "cpu %.3f: the guest was made with %u vcpus, which cannot become more while it runs",
		               (double)spec->cpu_milli / 1000, vcpus);
	if (spec->rt_period_us)
		return schedule_rt(h, domid, spec, err);
	if (h->rtds) /* no demand: what RTDS gives to each */
		return 0;
	libxl_domain_sched_params_init(&params);
	params.sched = LIBXL_SCHEDULER_CREDIT2;
	params.weight = domain_weight(spec->cpu_milli);
	params.cap = domain_cap(spec->cpu_milli);
	rc = libxl_domain_sched_params_set(h->ctx, domid, &params);
	libxl_domain_sched_params_dispose(&params);
	return rc ? failed(h, rc, err, "weight and cap") : 0;
}

size_t host_vcpus(struct host *h, uint32_t domid, struct vcpu *ret, size_t max)
{
	int n = 0, cores;
	size_t used = 0;
	libxl_vcpuinfo *list = libxl_list_vcpu(h->ctx, domid, &n, &cores);
	for (int i = 0; list && i < n && used < max; i++) {
		if (!list[i].online)
			continue;
		ret[used] = (struct vcpu){ .domid = domid, .id = list[i].vcpuid, .core = list[i].cpu, .time_ns = list[i].vcpu_time };
		ret[used].placed = libxl_bitmap_count_set(&list[i].cpumap_soft) == 1;
		for (int core = 0; ret[used].placed && core < cores; core++)
			if (libxl_bitmap_test(&list[i].cpumap_soft, core))
				ret[used].core = (uint32_t)core;
		used++;
	}
	if (list)
		libxl_vcpuinfo_list_free(list, n);
	h->said[0] = 0;
	return used;
}

int host_place(struct host *h, uint32_t domid, uint32_t vcpu, uint32_t core, struct err *err)
{
	libxl_bitmap map;
	libxl_bitmap_init(&map);
	int rc = libxl_cpu_bitmap_alloc(h->ctx, &map, 0);
	if (!rc) {
		libxl_bitmap_set_none(&map);
		libxl_bitmap_set(&map, (int)core);
		rc = libxl_set_vcpuaffinity(h->ctx, domid, vcpu, NULL, &map);
	}
	libxl_bitmap_dispose(&map);
	return rc ? failed(h, rc, err, "placing a vcpu") : 0;
}
