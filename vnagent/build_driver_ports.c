/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers whose driver makes their ports, such as guests: the builder asks for routers with all their ports, takes the devices
 * into its inventory once they are there, and tells the inside as one text. From the host's side on they are ports like any. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/bird_config.h"
#include "vnagent/build_impl.h"
#include "vnagent/setup.h"

struct port_list {
	VEC(const struct plan_port *) v;
};

static void ports_of(const struct node_plan *p, uint32_t router, struct port_list *ret)
{
	*ret = (struct port_list){ 0 };
	for (size_t i = 0; p && i < p->n_ports; i++) /* in order of ids, as the plan is */
		if (p->ports[i].router == router)
			*vec_add(&ret->v) = &p->ports[i];
}

static void setup_of(const struct plan_router *r, const struct port_list *ports, struct buf *out)
{
	buf_auto struct buf bird = BUF_INIT;
	if (r->routing == ROUTING_OSPF)
		bird_config_write(r, ports->v.v, ports->v.n, &bird);
	setup_write(r, ports->v.v, ports->v.n, bird.len ? buf_cstr(&bird) : NULL, out);
}

void build_await(struct job *job, uint32_t router)
{
	if (!hash_put_u64(job->pending, (uint64_t)router + 1, job))
		job->n_pending_at_first++;
}

void build_create_with_ports(struct builder *b, struct job *job, const struct open_driver *d, struct router_spec *spec,
                             const struct plan_router *r, bool runs)
{
	struct port_list ports;
	buf_auto struct buf setup = BUF_INIT;
	bool lacks = false;
	ports_of(&job->want, r->id, &ports);
	for (size_t i = 0; i < ports.v.n; i++) {
		const struct plan_port *p = ports.v.v[i];
		if (runs && inventory_port(b->inv, job->net->id, p->id))
			continue;
		hash_put_u64(job->arrived, (uint64_t)p->id + 1, job);
		lacks = true;
	}
	if (!runs || lacks) {
		setup_of(r, &ports, &setup);
		spec->ports = ports.v.v;
		spec->n_ports = ports.v.n;
		spec->setup = buf_cstr(&setup);
		build_await(job, r->id);
		d->ops->create(d->self, spec);
	}
	vec_done(&ports.v);
}

void build_configure(struct builder *b, struct job *job, const struct open_driver *d, const struct plan_router *r)
{
	struct port_list ports, were;
	buf_auto struct buf now = BUF_INIT, then = BUF_INIT;
	const struct plan_router *old = plan_index_router(&job->old, r->id);
	if (job->op == BUILD_PREPARE || hash_get_u64(job->remade, (uint64_t)r->id + 1))
		return; /* what was made has been told with that */
	ports_of(&job->want, r->id, &ports);
	setup_of(r, &ports, &now);
	if (old && !build_looks_at_all(job)) {
		ports_of(job->old.plan, r->id, &were);
		setup_of(old, &were, &then);
		vec_done(&were.v);
	}
	if (build_looks_at_all(job) || (old && strcmp(buf_cstr(&now), buf_cstr(&then)))) {
		build_await(job, r->id);
		d->ops->configure(d->self, (struct router_key){ job->net->id, r->id }, buf_cstr(&now));
	}
	vec_done(&ports.v);
}

static void detach(struct builder *b, struct job *job, const struct plan_index *plan, const struct plan_port *port)
{
	const struct plan_router *r = plan_index_router(plan, port->router);
	const struct open_driver *d = r ? build_driver(b, r->kind) : NULL;
	struct router_key key = { job->net->id, port->router };
	if (d && d->ops->detach && d->ops->running(d->self, key))
		d->ops->detach(d->self, key, port->id);
}

/* What goes through rtnetlink goes by must_go; a change of name alone is the inside's. */
void build_detach_changed(struct builder *b, struct job *job)
{
	for (size_t i = 0; i < job->want.n_ports; i++) {
		const struct plan_port *now = &job->want.ports[i], *old = plan_index_port(&job->old, now->id);
		struct device *d = inventory_port(b->inv, job->net->id, now->id);
		if (!old || !d || !d->drivers || (old->router == now->router && !memcmp(old->mac, now->mac, sizeof(old->mac))))
			continue;
		detach(b, job, &job->old, old);
		inventory_drop(b->inv, d);
	}
}

struct surplus {
	struct builder *b;
	struct job *job;
	struct plan_index prepared;
	bool (*is)(const struct device *d, void *arg);
	void *arg;
	VEC(struct device *) drop;
};

static void detach_one(struct device *d, void *arg)
{
	struct surplus *s = arg;
	const struct plan_index *plans[] = { &s->job->old, &s->job->now, &s->prepared };
	if (!d->drivers || d->kind != DEVICE_PORT || d->net != s->job->net->id || !s->is(d, s->arg))
		return;
	for (size_t i = 0; i < ARRAY_LEN(plans); i++) {
		const struct plan_port *port = plan_index_port(plans[i], d->id);
		if (!port)
			continue;
		detach(s->b, s->job, plans[i], port);
		break;
	}
	*vec_add(&s->drop) = d;
}

void build_detach_surplus(struct builder *b, struct job *job, bool (*surplus)(const struct device *d, void *arg), void *arg)
{
	struct surplus s = { .b = b, .job = job, .is = surplus, .arg = arg };
	plan_index_init(&s.prepared, job->net->has_prepared ? &job->net->prepared : NULL);
	inventory_each(b->inv, detach_one, &s);
	for (size_t i = 0; i < s.drop.n; i++)
		inventory_drop(b->inv, s.drop.v[i]); /* so that its end is no news */
	vec_done(&s.drop);
	plan_index_done(&s.prepared);
}
