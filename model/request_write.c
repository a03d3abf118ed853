/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request written as YAML: everything spelled out at its node and link, no `defaults`. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/parts.h"
#include "model/request.h"
#include "model/request_rules.h"

static void write_place(const struct place *p, struct buf *out)
{
	buf_auto struct buf all = BUF_INIT;
	char text[UNITS_TEXT];

	if (p->on.n)
		put_names(&all, "on", &p->on);
	if (p->not_on.n)
		put_names(&all, "not_on", &p->not_on);
	if (p->has_near) {
		buf_str(&all, ", near: {");
		put_coords(&all, &p->near);
		buf_printf(&all, ", within: %s%s}", units_number_text(p->within, text),
		           p->near.kind == COORDS_LOCATION ? "km" : "");
	}
	put_labels(&all, p->labels, p->n_labels);
	if (all.len)
		buf_printf(out, ", place: {%s}", all.data + 2); /* behind the first ", " */
}

static void write_uplinks(const struct vnode *n, struct buf *out)
{
	char text[ADDR_TEXT], host[ADDR_TEXT];

	buf_str(out, ", uplinks: [");
	for (size_t i = 0; i < n->n_uplinks; i++) {
		const struct addr *a = &n->uplinks[i].address;

		buf_printf(out, "%s{port: ", i ? ", " : "");
		yaml_write_string(out, n->uplinks[i].port);
		if (a->family) {
			addr_text(a, text);
			if (strchr(text, '/'))
				buf_printf(out, ", address: \"%s\"", text);
			else
				buf_printf(out, ", address: \"%s/%d\"", addr_host_text(a, host), a->prefix);
		}
		if (n->uplinks[i].gateway.family)
			buf_printf(out, ", gateway: \"%s\"", addr_host_text(&n->uplinks[i].gateway, host));
		if (n->uplinks[i].nat)
			buf_str(out, ", nat: true");
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

static void write_vnode(const struct vnode *n, struct buf *out)
{
	char text[UNITS_TEXT];

	buf_str(out, "  - {name: ");
	yaml_write_string(out, n->name);
	buf_printf(out, ", cpu: %s", units_cpu_text(n->demand[RES_CPU_MILLI], text));
	if (n->demand[RES_MEM_KIB])
		buf_printf(out, ", memory: %s", units_memory_text(n->demand[RES_MEM_KIB], text));
	if (n->kind) {
		buf_str(out, ", router: ");
		yaml_write_string(out, n->kind);
	}
	if (n->image) {
		buf_str(out, ", image: ");
		yaml_write_string(out, n->image);
	}
	if (n->rt_period_us) {
		buf_printf(out, ", realtime: {period: %s", units_delay_text(n->rt_period_us, text));
		buf_printf(out, ", budget: %s}", units_delay_text(n->rt_budget_us, text));
	}
	if (n->plane == PLANE_PROGRAM) {
		buf_str(out, ", plane: {program: ");
		yaml_write_string(out, n->program);
		buf_char(out, '}');
	} else if (n->plane) {
		buf_printf(out, ", plane: %s", plane_names[n->plane]);
	}
	if (n->controller) {
		buf_str(out, ", controller: ");
		yaml_write_string(out, n->controller);
	}
	if (n->n_uplinks)
		write_uplinks(n, out);
	write_place(&n->place, out);
	buf_str(out, "}\n");
}

static void write_vlink(const struct request *r, const struct vlink *l, bool named, struct buf *out)
{
	char text[UNITS_TEXT];

	buf_str(out, "  - {endpoints: [");
	yaml_write_string(out, r->nodes[l->a].name);
	buf_str(out, ", ");
	yaml_write_string(out, r->nodes[l->b].name);
	buf_char(out, ']');
	if (named) {
		buf_str(out, ", name: ");
		yaml_write_string(out, l->name);
	}
	buf_printf(out, ", bandwidth: %s", units_bandwidth_text(l->bw_kbps, text));
	if (l->max_delay_us != -1)
		buf_printf(out, ", max_delay: %s", units_delay_text(l->max_delay_us, text));
	if (l->split)
		buf_str(out, ", paths: split");
	if (l->protect)
		buf_str(out, ", protection: link");
	buf_str(out, "}\n");
}

static void write_whole(const struct request *r, struct buf *out)
{
	char text[ADDR_TEXT], host[ADDR_TEXT];

	buf_str(out, "kind: network\nname: ");
	yaml_write_string(out, r->name);
	if (r->arrival_us != -1)
		buf_printf(out, "\narrival: %s", units_duration_text(r->arrival_us, text));
	if (r->lifetime_us != -1)
		buf_printf(out, "\nlifetime: %s", units_duration_text(r->lifetime_us, text));
	if (r->priority_micro != PRIORITY_DEFAULT_MICRO)
		buf_printf(out, "\npriority: %s", units_cost_text(r->priority_micro, text));
	if (r->placement != PLACEMENT_DISTINCT)
		buf_printf(out, "\nplacement: %s", placement_names[r->placement]);
	if (r->routing != ROUTING_STATIC)
		buf_printf(out, "\nrouting: %s", routing_names[r->routing]);
	/* written out although they may be the defaults: what a network has got should be seen */
	buf_printf(out, "\npools: {loopbacks: \"%s/%d\", links: \"", addr_host_text(&r->pool_loopbacks, host),
	           r->pool_loopbacks.prefix);
	buf_printf(out, "%s/%d\"}\n", addr_host_text(&r->pool_links, host), r->pool_links.prefix);
}

void request_write(const struct request *r, struct buf *out)
{
	struct link_ends *ends = mem_array(r->n_links, sizeof(*ends));
	const char **names = mem_array(r->n_nodes, sizeof(*names));
	bool *named;

	for (size_t i = 0; i < r->n_nodes; i++)
		names[i] = r->nodes[i].name;
	for (size_t i = 0; i < r->n_links; i++)
		ends[i] = (struct link_ends){r->links[i].name, r->links[i].a, r->links[i].b};
	named = links_named(ends, r->n_links, names);
	write_whole(r, out);
	buf_str(out, "nodes:\n");
	for (size_t i = 0; i < r->n_nodes; i++)
		write_vnode(&r->nodes[i], out);
	if (r->n_links)
		buf_str(out, "links:\n");
	for (size_t i = 0; i < r->n_links; i++)
		write_vlink(r, &r->links[i], named[i], out);
	free(named);
	free(names);
	free(ends);
}
