/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers of kind openflow: when their Open vSwitch is to be told of ports and controller (ovs.h), and that an operation waits for it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"
#include "vnagent/port.h"

struct ports {
	VEC(const struct plan_port *) v;
};

static void ports_of(const struct node_plan *p, uint32_t router, struct ports *ret)
{
	*ret = (struct ports){ 0 };
	for (size_t i = 0; p && i < p->n_ports; i++)
		if (p->ports[i].router == router)
			*vec_add(&ret->v) = &p->ports[i];
}

int build_openflow_check(struct builder *b, struct job *job, struct err *err)
{
	int code = 0;
	for (size_t i = 0; !job->internal && !code && i < job->want.n_routers; i++) {
		const struct plan_router *r = &job->want.routers[i];
		struct ports ports;
		if (strcmp(r->kind, KIND_OPENFLOW))
			continue;
		ports_of(&job->want, r->id, &ports);
		code = ovs_controller_check(b->ovs, r, ports.v.v, ports.v.n, err);
		vec_done(&ports.v);
		if (code)
			err_add(err, code, "router %s", r->name);
	}
	return code;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool differs(const struct job *job, const struct plan_router *old, const struct plan_router *r)
{
	struct ports now, were;
	ports_of(&job->want, r->id, &now);
	ports_of(job->old.plan, r->id, &were);
	bool is = now.v.n != were.v.n || !same(old->controller, r->controller);
	for (size_t i = 0; !is && i < now.v.n; i++)
		is = strcmp(now.v.v[i]->ifname, were.v.v[i]->ifname) || !addr_same(&now.v.v[i]->address, &were.v.v[i]->address);
	vec_done(&now.v);
	vec_done(&were.v);
	return is;
}

void build_openflow_set(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r)
{
	const struct plan_router *old = plan_index_router(&job->old, r->id);
	bool fresh = hash_get_u64(job->remade, (uint64_t)r->id + 1) || build_looks_at_all(job);
	bool due = fresh || (job->op == BUILD_PREPARE ? !old : old && differs(job, old, r));
	struct ports ports;
	if (!due)
		return;
	ports_of(&job->want, r->id, &ports);
	for (size_t i = 0; i < ports.v.n; i++) { /* Open vSwitch in user space takes frames as they are */
		const struct device *port = inventory_port(b->inv, job->net->id, ports.v.v[i]->id);
		struct err err = { 0 };
		if (port && device_make_whole(port->name, &err))
			build_notice(b, job->net->id, port->name, err.text);
	}
	hash_put_u64(job->pending, (uint64_t)r->id + 1, job); /* once more: it was counted when it was made */
	ovs_set(b->ovs, d->ops, d->self, (struct router_key){ job->net->id, r->id }, r, ports.v.v, ports.v.n);
	vec_done(&ports.v);
}

/* What is told of a switch that the operation waits for. */
void build_openflow_told(void *arg, struct router_key key, int code, const char *text)
{
	build_router_event(arg, &(struct router_event){ ROUTER_EVENT_CONFIGURED, key, code, text });
}
