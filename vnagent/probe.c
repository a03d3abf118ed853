/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Probing by doing; see probe.h. Each feature is a small batch of the very messages that the agent
 * will send later, so that what is probed is what is used. */
#include "vnagent/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/nl.h"
#include "vnagent/cgroup.h"
#include "vnagent/confine.h"
#include "vnagent/dhcp.h"
#include "vnagent/gso_guard.h"
#include "vnagent/nat.h"
#include "vnagent/port.h"
#include "vnagent/proc.h"
#include "vnagent/router.h"
#include "vnagent/segment.h"
#include "vnagent/split.h"
#include "vnagent/uplink.h"
#include "vnagent/uplink_tag.h"
#include "vnagent/wall.h"
#include "vnagent/wire_tc.h"

enum { SCRATCH_A = 1000, SCRATCH_B, SCRATCH_TUNNEL, SCRATCH_OUTSIDE };

/* ---- one question each, asked in the scratch namespace ------------------------------------------- */
static void ask_veth(struct nl_batch *b)
{
	struct ifinfomsg head = { .ifi_family = AF_UNSPEC, .ifi_index = SCRATCH_A }, peer = { .ifi_index = SCRATCH_B };
	nl_begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof(head));
	nl_put_str(b, IFLA_IFNAME, "probe0");
	nl_put_u32(b, IFLA_GROUP, DEVICE_GROUP | 1);
	nl_nest(b, IFLA_LINKINFO);
	nl_put_str(b, IFLA_INFO_KIND, "veth");
	nl_nest(b, IFLA_INFO_DATA);
	nl_nest(b, VETH_INFO_PEER);
	nl_put_raw(b, &peer, sizeof(peer));
	nl_put_str(b, IFLA_IFNAME, "probe1");
	nl_nest_end(b);
	nl_nest_end(b);
	nl_nest_end(b);
}

static void ask_vxlan(struct nl_batch *b)
{
	struct device d = { .name = "probe2", .ifindex = SCRATCH_TUNNEL };
	struct plan_segment s = { .vni = 1, .mtu = 1400, .local = { AF_INET, 32, { 192, 0, 2, 1 } },
		                  .remote = { AF_INET, 32, { 192, 0, 2, 2 } } };
	segment_vxlan.put_create(b, &d, &s, 0);
}

static void ask_ipv6(struct nl_batch *b)
{
	struct ifaddrmsg head = { .ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_index = 1 };
	uint8_t address[16] = { 0xfd, [15] = 1 };
	nl_begin(b, RTM_NEWADDR, NLM_F_CREATE, &head, sizeof(head));
	nl_put(b, IFA_LOCAL, address, sizeof(address));
}

static void ask_mirred(struct nl_batch *b)
{
	struct redirect_target to = { SCRATCH_B, 1 };
	tc_put_redirect(b, SCRATCH_A, &to, 1, "");
}

static void ask_gate(struct nl_batch *b)
{
	tc_put_gate(b, SCRATCH_A, "");
}

static void ask_tbf(struct nl_batch *b)
{
	tc_put_limit(b, SCRATCH_A, 10000, VXLAN_OVERHEAD_V4, 1500, "");
}

static void ask_htb(struct nl_batch *b)
{
	tc_put_underlay(b, SCRATCH_B, 10000, "");
}

static void ask_uplink(struct nl_batch *b)
{
	struct device d = { .name = "probe3", .ifindex = SCRATCH_OUTSIDE, .link = SCRATCH_B, .mtu = 1500 };
	static const uint8_t mac[6] = { 2, [5] = 1 };
	uplink_put_outside(b, &d, mac);
}

static void ask_netem(struct nl_batch *b)
{
	struct tcmsg head = { .tcm_family = AF_UNSPEC, .tcm_ifindex = SCRATCH_TUNNEL, .tcm_parent = TC_H_ROOT };
	struct tc_netem_qopt q = { .limit = 1000, .latency = 1000 };
	nl_begin(b, RTM_NEWQDISC, NLM_F_CREATE, &head, sizeof(head));
	nl_put_str(b, TCA_KIND, "netem");
	nl_put(b, TCA_OPTIONS, &q, sizeof(q));
}

static const struct {
	const char *name, *used_for;
	void (*ask)(struct nl_batch *b); /* NULL: found out otherwise */
} features[] = {
	{ "namespaces", "routers of kind netns", NULL },
	{ "veth", "ports of routers", ask_veth },
	{ "vxlan", "tunnels between nodes", ask_vxlan },
	{ "ipv6", "virtual networks with IPv6 addresses", ask_ipv6 },
	{ "cls_bpf", "closed ports; with mirred: joining ports and tunnels", ask_gate },
	{ "mirred", "joining ports and tunnels", ask_mirred },
	{ "tbf", "limits of virtual links", ask_tbf },
	{ "plane-split", "plane: split and programs: BPF at the ports of routers", NULL },
	{ "gso-guard", "limits that hold for trains of tiny frames, too", NULL },
	{ "htb", "promised traffic before best effort on underlay devices", ask_htb },
	{ "nftables", "tunnels that take frames from their neighbour's address only", NULL },
	{ "bridge", "routers of kind switch", port_put_bridge },
	{ "uplinks", "routers that are joined to outside ports (macvlan)", ask_uplink },
	{ "nat", "uplinks with nat: true", NULL },
	{ "dhcp", "uplinks without an address: busybox' udhcpc", NULL },
	{ "vlan-tags", "uplinks with a vlan (eBPF)", NULL },
	{ "realtime", "routers that ask for realtime: a hypervisor with the scheduler rtds", NULL },
	{ "ospf", "routing: ospf in routers of kind netns: BIRD (guests bring their own)", NULL },
	{ "netem", "emulating the delay of substrate links (vnlab)", ask_netem },
	{ "cgroup-cpu", "cpu shares and caps of routers, accounting of their cpu time", NULL },
	{ "cgroup-memory", "memory limits of routers, accounting of their memory", NULL },
	{ "cgroup-pids", "a limit of processes for routers besides that of their users", NULL },
};

/* Answers: one byte per feature, in the child's last breath. */
static void ask_all(int answers)
{
	uint8_t present[ARRAY_LEN(features)] = { 0 };
	struct nl *nl;
	if (!nl_open(NETLINK_ROUTE, -1, &nl, NULL)) {
		struct nl_batch *b = nl_batch_new();
		for (size_t i = 0; i < ARRAY_LEN(features); i++) {
			if (!features[i].ask)
				continue;
			features[i].ask(b);
			present[i] = !nl_send(nl, b, NULL, NULL);
		}
		for (size_t i = 0; i < ARRAY_LEN(features); i++)
			if (!strcmp(features[i].name, "nftables"))
				present[i] = !wall_open(&nl, NULL);
			else if (!strcmp(features[i].name, "nat"))
				present[i] = !nat_probe(NULL);
	}
	_exit(write(answers, present, sizeof(present)) == sizeof(present) ? 0 : 1);
}

static int ask_in_scratch(uint8_t *present, struct err *err)
{
	int answers[2];
	if (pipe2(answers, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "probing");
	pid_t pid = fork();
	if (pid == 0) {
		/* Without privileges a user namespace gives what a rootless lab would have. */
		if (unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
			ask_all(answers[1]);
		_exit(1);
	}
	close(answers[1]);
	ssize_t n = pid < 0 ? -1 : read(answers[0], present, ARRAY_LEN(features));
	close(answers[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	if (n != ARRAY_LEN(features))
		memset(present, 0, ARRAY_LEN(features)); /* no network namespace: then none of it */
	return 0;
}

/* ---- the whole -------------------------------------------------------------------------------------- */
static bool is_wanted(const char *const *wanted, const struct router_driver *d)
{
	if (!wanted)
		return d->ports != ROUTER_PORTS_NONE; /* what carries nothing is for those who ask for it */
	for (; *wanted; wanted++)
		if (!strcmp(*wanted, d->kind))
			return true;
	return false;
}

static bool probe_kinds(const char *const *wanted, struct node_probe *p)
{
	bool real = false;
	size_t n = 0;
	while (router_drivers[n])
		n++;
	p->kinds = mem_array(n + 1, sizeof(*p->kinds));
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };
		if (!is_wanted(wanted, router_drivers[i]))
			continue;
		struct probe_kind *k = &p->kinds[p->n_kinds++];
		snprintf(k->kind, sizeof(k->kind), "%s", router_drivers[i]->kind);
		const struct router_driver *d = router_drivers[i];
		k->usable = !d->probe(&err);
		snprintf(k->why, sizeof(k->why), "%.*s", (int)sizeof(k->why) - 1, err.text);
		if (k->usable && d->describe)
			d->describe(p, k);
		real |= d->ports != ROUTER_PORTS_NONE;
	}
	return real;
}

static bool any_realtime(const struct node_probe *p)
{
	bool any = false;
	for (size_t i = 0; i < p->n_kinds; i++) {
		const struct router_driver *d = router_driver_find(p->kinds[i].kind);
		any |= p->kinds[i].usable && d && d->realtime && d->realtime();
	}
	return any;
}

/* Ports need all of these; without one of them no virtual link can be built. */
static const char *const needed[] = { "veth", "vxlan", "cls_bpf", "mirred", "tbf" };

static bool is_needed(const struct router_driver *d, const char *feature)
{
	if (d->needs && !strcmp(d->needs, feature))
		return true;
	for (size_t j = 0; j < ARRAY_LEN(needed); j++)
		if (!strcmp(needed[j], feature))
			return d->ports == ROUTER_PORTS_VETH || strcmp(feature, "veth");
	return false;
}

static void judge_kinds(struct node_probe *p)
{
	for (size_t i = 0; i < p->n_kinds; i++) {
		struct probe_kind *k = &p->kinds[i];
		const struct router_driver *d = router_driver_find(k->kind);
		for (size_t f = 0; k->usable && d && d->ports != ROUTER_PORTS_NONE && f < p->n_features; f++)
			if (!p->features[f].present && is_needed(d, p->features[f].name)) {
				k->usable = false;
				snprintf(k->why, sizeof(k->why), "this kernel has no %.20s (%.70s)", p->features[f].name, p->features[f].used_for);
			}
	}
}

int probe_run(const char *const *wanted, struct node_probe *ret, struct err *err)
{
	struct node_probe p = { 0 };
	struct node_usage usage;
	struct utsname os;
	uint8_t present[ARRAY_LEN(features)] = { 0 };
	proc_node_usage(&usage);
	snprintf(p.version, sizeof(p.version), "%s", VNE_VERSION);
	if (uname(&os) == 0)
		snprintf(p.kernel, sizeof(p.kernel), "%.40s %.20s", os.release, os.machine);
	p.cores = usage.cores;
	p.mem_kib = usage.mem_total_kib;
	if (probe_kinds(wanted, &p)) {
		int code = ask_in_scratch(present, err);
		if (code) {
			node_probe_done(&p);
			return code;
		}
		p.features = mem_array(ARRAY_LEN(features), sizeof(*p.features));
		for (size_t i = 0; i < ARRAY_LEN(features); i++) {
			struct probe_feature *f = &p.features[p.n_features++];
			snprintf(f->name, sizeof(f->name), "%s", features[i].name);
			snprintf(f->used_for, sizeof(f->used_for), "%s", features[i].used_for);
			f->present = present[i];
			if (!strcmp(f->name, "namespaces"))
				f->present = !proc_try_namespaces(NULL);
			else if (!strcmp(f->name, "ospf"))
				f->present = !access("/usr/sbin/bird", X_OK);
			else if (!strcmp(f->name, "cgroup-cpu"))
				f->present = cgroup_has_cpu() && cgroup_usable();
			else if (!strcmp(f->name, "cgroup-memory"))
				f->present = cgroup_has_memory() && cgroup_usable();
			else if (!strcmp(f->name, "cgroup-pids"))
				f->present = cgroup_has_pids() && cgroup_usable();
			else if (!strcmp(f->name, "realtime"))
				f->present = any_realtime(&p);
			else if (!strcmp(f->name, "dhcp"))
				f->present = dhcp_available();
			else if (!strcmp(f->name, "vlan-tags"))
				f->present = !uplink_tag_unusable();
			else if (!strcmp(f->name, "plane-split"))
				f->present = !split_probe(NULL);
			else if (!strcmp(f->name, "gso-guard"))
				f->present = gso_guard_fd() >= 0;
		}
		judge_kinds(&p);
	}
	*ret = p;
	return 0;
}

static void print_json(const struct node_probe *p)
{
	/* Nothing in here comes from outside but the kernel's release: quoted without control characters. */
	printf("{\"version\": \"%s\", \"kernel\": \"%s\", \"cores\": %u, \"memory_kib\": %lld,\n \"kinds\": [", p->version,
	       p->kernel, p->cores, (long long)p->mem_kib);
	for (size_t i = 0; i < p->n_kinds; i++)
		printf("%s\n  {\"kind\": \"%s\", \"usable\": %s, \"why\": \"%s\"}", i ? "," : "", p->kinds[i].kind,
		       p->kinds[i].usable ? "true" : "false", p->kinds[i].why);
	printf("],\n \"features\": [");
	for (size_t i = 0; i < p->n_features; i++)
		printf("%s\n  {\"name\": \"%s\", \"present\": %s, \"used_for\": \"%s\"}", i ? "," : "", p->features[i].name,
		       p->features[i].present ? "true" : "false", p->features[i].used_for);
	printf("],\n \"capabilities\": [");
	for (size_t i = 0; i < agent_caps_n; i++)
		printf("%s\n  {\"name\": \"%s\", \"present\": %s, \"used_for\": \"%s\"}", i ? "," : "", confine_cap_name(agent_caps[i].cap),
		       confine_has_cap(agent_caps[i].cap) ? "true" : "false", agent_caps[i].why);
	printf("],\n \"uplinks\": [");
	for (size_t i = 0; i < p->n_uplinks; i++) {
		const struct probe_uplink *u = &p->uplinks[i];
		printf("%s\n  {\"name\": \"%s\", \"usable\": %s, \"why\": \"%s\", \"users\": [", i ? "," : "", u->name,
		       u->usable ? "true" : "false", u->why);
		for (size_t k = 0; k < u->n_users; k++)
			printf("%s\"%s\"", k ? ", " : "", u->users[k]);
		printf("]}");
	}
	printf("]}\n");
}

int probe_print(const struct node_probe *p, bool json)
{
	bool any = false;
	for (size_t i = 0; i < p->n_kinds; i++)
		any |= p->kinds[i].usable;
	if (json) {
		print_json(p);
		return any ? 0 : 1;
	}
	printf("vnagent %s, kernel %s, %u cores, %lld MiB\n%s\nrouters\n", p->version, p->kernel, p->cores,
	       (long long)p->mem_kib / 1024,
	       geteuid() ? "asked without root: this is what a user namespace (a rootless lab) can do here\n" : "");
	for (size_t i = 0; i < p->n_kinds; i++)
		printf("  %-14s %-8s %s\n", p->kinds[i].kind, p->kinds[i].usable ? "yes" : "NO", p->kinds[i].why);
	for (size_t i = 0; i < p->n_images; i++)
		printf("  %-14s %-8s\n", i ? "" : "images", p->images[i]);
	if (p->n_uplinks)
		printf("\nuplinks\n");
	for (size_t i = 0; i < p->n_uplinks; i++)
		printf("  %-14s %-8s %s\n", p->uplinks[i].name, p->uplinks[i].usable ? "yes" : "NO", p->uplinks[i].why);
	printf("\nkernel\n");
	for (size_t i = 0; i < p->n_features; i++)
		printf("  %-14s %-8s %s\n", p->features[i].name, p->features[i].present ? "yes" : "missing", p->features[i].used_for);
	printf("\ncapabilities (all others are given up)\n");
	for (size_t i = 0; i < agent_caps_n; i++)
		printf("  %-14s %-8s %s\n", confine_cap_name(agent_caps[i].cap), confine_has_cap(agent_caps[i].cap) ? "yes" : "missing", agent_caps[i].why);
	return any ? 0 : 1;
}
