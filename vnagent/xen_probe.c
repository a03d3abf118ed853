/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a host offers to Xen guests: asked of a helper of its own, once, before there is a loop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "vnagent/xen_impl.h"

/* Of the process: set before anything else, probed once. */
static struct router_xen_options options;
static struct xen_host host;

void router_xen_set(const struct router_xen_options *o)
{
	char **images = mem_array(o->n_images + 1, sizeof(*images));
	for (size_t i = 0; i < options.n_images; i++)
		free((char *)options.images[i]);
	free((void *)options.images);
	free((char *)options.helper);
	for (size_t i = 0; i < o->n_images; i++)
		images[i] = mem_str(o->images[i]);
	options = (struct router_xen_options){ mem_str(o->helper), (const char *const *)images, o->n_images, o->balance };
}

const struct router_xen_options *xen_options(void)
{
	return &options;
}

static int ask_host(int fd, struct err *err)
{
	mem_auto char *packet = mem_alloc(XEN_PACKET_MAX);
	struct xen_message m = { .type = XEN_PROBE, .number = 1 };
	int64_t until_ms = clock_ms() + XEN_SYNC_MS;
	int code = xen_helper_send(fd, &m, "", NULL, 0);
	if (code)
		return err_set(err, code, "the helper vnagent-xen takes no request");
	while (!(code = xen_helper_receive_now(fd, packet, &m, until_ms, err))) {
		if (m.type == XEN_PROBED && m.len == sizeof(host)) {
			memcpy(&host, packet + sizeof(m), sizeof(host));
			host.version[sizeof(host.version) - 1] = host.scheduler[sizeof(host.scheduler) - 1] = host.images[sizeof(host.images) - 1] = 0;
			return 0;
		}
		if (m.type == XEN_DONE && m.number == 1)
			return err_set(err, m.code < 0 ? m.code : -EPROTO, "%s", packet + sizeof(m));
	}
	return code;
}

int xen_probe(struct err *err)
{
	pid_t pid;
	int fd;
	host = (struct xen_host){ 0 };
	if (!options.helper && access("/sys/hypervisor/type", F_OK) < 0)
		return err_set(err, -ENODEV, "no Xen here: this kernel runs on no hypervisor of the kind");
	int code = xen_helper_start(&options, &pid, &fd, err);
	if (!code) {
		code = ask_host(fd, err);
		close(fd);
		kill(pid, SIGKILL); /* it was asked, it has nothing to leave in order */
		(void)waitpid(pid, NULL, 0);
	}
	return code ? err_add(err, code, "no Xen here") : 0;
}

void xen_describe(struct node_probe *p, struct probe_kind *k)
{
	k->mem_kib = host.mem_total_kib;
	k->cores = host.cores;
	k->routers = host.guests_max;
	k->ports = host.ports_max < XEN_PORTS_MAX ? host.ports_max : XEN_PORTS_MAX;
	snprintf(k->why, sizeof(k->why), "Xen %s, %s, %s, %lld of %lld MiB free", host.version, host.scheduler, host.pvh ? "PVH" : "PV",
	         (long long)host.mem_free_kib / 1024, (long long)host.mem_total_kib / 1024);
	for (char *at = host.images, *end; (end = strchr(at, '\n')); at = end + 1) {
		p->images = mem_grow(p->images, p->n_images + 1, sizeof(*p->images));
		p->images[p->n_images++] = mem_strn(at, (size_t)(end - at));
	}
}

bool xen_realtime(void)
{
	return !strcmp(host.scheduler, "rtds");
}
