/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate as YAML, in and out. The nodes are read before the links, in whichever order
 * the file has them, since links are told by the names of nodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/parts.h"
#include "model/plan.h"
#include "model/substrate.h"
#include "model/substrate_rules.h"

#define COST_DEFAULT_MICRO INT64_C(1000000)

/* ---- nodes ---- */

struct node_file {
	struct snode node;
	struct coords location, position;
	struct labels labels;
	const struct yaml_node *routers;
};

static void read_routers(const struct yaml_node *node, void *into, const struct yaml_key *key,
                         struct yaml_errors *errors)
{
	struct yaml_names *kinds = into;

	yaml_read_names(node, into, key, errors);
	for (size_t i = 0; i < kinds->n; i++)
		if (strlen(kinds->v[i]) > KIND_MAX)
			yaml_error(errors, node->mark, "router kind \"%s\" is too long; at most %d characters", kinds->v[i], KIND_MAX);
}

enum { NODE_ROUTERS = 3, NODE_LOCATION, NODE_POSITION, NODE_IMAGES, NODE_REALTIME };
static const struct yaml_key node_keys[] = {
	{"name", yaml_read_name, offsetof(struct node_file, node.name), true, NULL, NULL},
	{"cpu", yaml_read_cpu, offsetof(struct node_file, node.cap[RES_CPU_MILLI]), true, NULL, NULL},
	{"memory", yaml_read_memory, offsetof(struct node_file, node.cap[RES_MEM_KIB]), false, NULL, NULL},
	{"routers", read_routers, offsetof(struct node_file, node.kinds), false, NULL, "a list of router kinds"},
	{"location", read_location, offsetof(struct node_file, location), false, NULL, "[latitude, longitude] in degrees"},
	{"position", read_position, offsetof(struct node_file, position), false, NULL, "[x, y]"},
	{"images", yaml_read_names, offsetof(struct node_file, node.images), false, NULL, "a list of names of guest images"},
	{"realtime", yaml_read_cpu, offsetof(struct node_file, node.cap[RES_REALTIME_MILLI]), false, NULL, NULL},
	{"guest_memory", yaml_read_memory, offsetof(struct node_file, node.cap[RES_GUEST_KIB]), false, NULL, NULL},
	{"max_guests", yaml_read_count, offsetof(struct node_file, node.cap[RES_GUESTS]), false, NULL, NULL},
	{"max_guest_ports", yaml_read_count, offsetof(struct node_file, node.max_guest_ports), false, NULL, NULL},
	{"cost", yaml_read_cost, offsetof(struct node_file, node.cost_micro), false, NULL, NULL},
	{"max_routers", yaml_read_count, offsetof(struct node_file, node.cap[RES_ROUTERS]), false, NULL, NULL},
	{"max_ports", yaml_read_count, offsetof(struct node_file, node.cap[RES_PORTS]), false, NULL, NULL},
	{"labels", read_labels, offsetof(struct node_file, labels), false, NULL, "a mapping such as {site: south}"},
	{"address", yaml_read_addr, offsetof(struct node_file, node.address), false, NULL, NULL},
	{"uplinks", yaml_read_names, offsetof(struct node_file, node.uplinks), false, NULL, NULL},
	{"agent", yaml_read_bool, offsetof(struct node_file, node.agent), false, NULL, NULL},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_snode(const struct yaml_node *item, struct snode *into, struct yaml_errors *errors)
{
	struct node_file f = {.node = {
		.cap = {0, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, 0}, .max_guest_ports = UNLIMITED,
		.cost_micro = COST_DEFAULT_MICRO, .agent = true}};
	uint64_t given;

	yaml_read_mapping(item, node_keys, &f, &given, errors);
	bool located = given >> NODE_LOCATION & 1, placed = given >> NODE_POSITION & 1;

	if (located && placed)
		yaml_error(errors, yaml_get(item, "position")->key_mark, "\"location\" and \"position\" both; expected one of them");
	f.node.any_kind = !(given >> NODE_ROUTERS & 1);
	f.node.any_image = !(given >> NODE_IMAGES & 1);
	f.node.realtime_given = given >> NODE_REALTIME & 1;
	f.node.coords = located ? f.location : f.position;
	f.node.labels = f.labels.v;
	f.node.n_labels = f.labels.n;
	*into = f.node;
}

/* ---- links ---- */

struct link_file {
	struct slink link;
	const struct yaml_node *endpoints, *underlay;
};

static const struct yaml_key link_keys[] = {
	{"endpoints", read_list, offsetof(struct link_file, endpoints), true, NULL, "[NODE, NODE]"},
	{"name", yaml_read_name, offsetof(struct link_file, link.name), false, NULL, NULL},
	{"bandwidth", yaml_read_bandwidth, offsetof(struct link_file, link.bw_kbps), true, NULL, NULL},
	{"delay", yaml_read_delay, offsetof(struct link_file, link.delay_us), false, NULL, NULL},
	{"cost", yaml_read_cost, offsetof(struct link_file, link.cost_micro), false, NULL, NULL},
	{"risks", yaml_read_names, offsetof(struct link_file, link.risks), false, NULL, NULL},
	{"underlay", read_node, offsetof(struct link_file, underlay), false, NULL, "{NODE: ADDRESS, NODE: ADDRESS}"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_underlay(const struct yaml_node *node, const struct substrate *s, struct slink *l,
                          struct yaml_errors *errors)
{
	if (node->type != YAML_MAPPING) {
		yaml_error(errors, node->mark, "\"underlay\" is %s; expected {%s: ADDRESS, %s: ADDRESS}", yaml_type_text(node),
		           s->nodes[l->a].name, s->nodes[l->b].name);
		return;
	}
	for (const struct yaml_node *child = node->first; child; child = child->next) {
		size_t at = hash_index(s->node_index, child->key);
		struct err err = {0};

		if (at == SIZE_MAX || (at != l->a && at != l->b))
			yaml_error(errors, child->key_mark, "\"%.70s\" is no endpoint of this link; expected \"%s\" and \"%s\"",
			           child->key, s->nodes[l->a].name, s->nodes[l->b].name);
		else if (child->type != YAML_SCALAR || child->is_null)
			yaml_error(errors, child->mark, "the address at \"%s\" is %s; expected an IP address", child->key,
			           yaml_type_text(child));
		else if (addr_parse(child->text, &l->underlay[at != l->a], &err) < 0)
			yaml_error(errors, child->mark, "underlay: %s", err.text);
	}
}

/* ---- the whole ---- */

struct substrate_file {
	char *name;
	const struct yaml_node *nodes, *links;
};

static const struct yaml_key substrate_keys[] = {
	{"kind", yaml_read_ignore, 0, true, NULL, NULL},
	{"name", yaml_read_name, offsetof(struct substrate_file, name), true, NULL, NULL},
	{"nodes", read_list, offsetof(struct substrate_file, nodes), true, NULL, "a list of nodes"},
	{"links", read_list, offsetof(struct substrate_file, links), false, NULL, "a list of links"},
	{NULL, NULL, 0, false, NULL, NULL},
};

/* Names of nodes, and where the parts stand. */
struct places {
	const char **names;
	struct yaml_mark *nodes, *links;
	struct link_naming *naming;
};

static void read_nodes(const struct yaml_node *list, struct substrate *s, struct places *p, struct yaml_errors *errors)
{
	size_t n = list ? list->n : 0;

	s->nodes = mem_array(n, sizeof(*s->nodes));
	p->nodes = mem_array(n, sizeof(*p->nodes));
	p->names = mem_array(n, sizeof(*p->names));
	s->node_index = hash_new();
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next) {
		size_t i = s->n_nodes++;

		read_snode(item, &s->nodes[i], errors);
		p->nodes[i] = item->mark;
		p->names[i] = s->nodes[i].name;
		if (p->names[i])
			hash_index_put(s->node_index, p->names[i], i);
	}
}

static void read_links(const struct yaml_node *list, struct substrate *s, struct places *p, struct yaml_errors *errors)
{
	size_t n = list ? list->n : 0;

	s->links = mem_array(n, sizeof(*s->links));
	p->links = mem_array(n, sizeof(*p->links));
	p->naming = mem_array(n, sizeof(*p->naming));
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next) {
		size_t i = s->n_links++;
		struct link_file f = {.link = {.cost_micro = COST_DEFAULT_MICRO}};
		struct slink *l = &f.link;

		yaml_read_mapping(item, link_keys, &f, NULL, errors);
		endpoints_resolve(f.endpoints, s->node_index, p->names, s->n_nodes, "node", &l->a, &l->b, errors);
		if (f.underlay && l->a != NO_NODE && l->b != NO_NODE)
			read_underlay(f.underlay, s, l, errors);
		s->links[i] = *l;
		p->links[i] = f.endpoints ? f.endpoints->mark : item->mark;
		p->naming[i] = (struct link_naming){l->a, l->b, &s->links[i].name};
	}
}

int substrate_read(const struct yaml_doc *doc, struct yaml_errors *errors, struct substrate *ret)
{
	const struct yaml_node *root = yaml_root(doc);
	const char *kind = yaml_kind(doc, "substrate", errors);
	size_t before = errors->n;
	struct substrate_file f = {0};
	struct substrate s = {0};
	struct places p = {0};

	if (!kind)
		return -EINVAL;
	if (strcmp(kind, "substrate") != 0) {
		yaml_error(errors, yaml_get(root, "kind")->mark, "kind \"%.70s\"; expected a substrate", kind);
		return -EINVAL;
	}
	yaml_read_mapping(root, substrate_keys, &f, NULL, errors);
	s.name = f.name;
	read_nodes(f.nodes, &s, &p, errors);
	/* a file that broke off among its nodes would have every link complain of the others */
	if (f.nodes && !f.nodes->cut) {
		struct faults_yaml faults = faults_to_yaml(errors, f.nodes->mark, p.nodes, NULL);

		read_links(f.links, &s, &p, errors);
		faults.links = p.links;
		links_name(p.naming, s.n_links, p.names, "nodes", &faults.faults);
		substrate_faults(&s, &faults.faults);
	}
	free(p.names);
	free(p.nodes);
	free(p.links);
	free(p.naming);
	if (errors->n > before || root->cut) {
		substrate_done(&s);
		return -EINVAL;
	}
	*ret = s;
	return 0;
}

int substrate_load(const char *path, struct yaml_errors *errors, struct substrate *ret, struct err *err)
{
	struct yaml_doc **docs;
	struct substrate s = {0};
	size_t len, n;
	char *text;
	int r = yaml_load_file(path, &text, &len, err);

	errors->file = path;
	if (r < 0)
		return r;
	yaml_parse(text, len, errors, &docs, &n);
	if (!n && !errors->n)
		yaml_error(errors, (struct yaml_mark){1, 1}, "the file is empty; expected a substrate");
	if (n > 1)
		yaml_error(errors, yaml_root(docs[1])->mark, "a second document; expected one substrate in a file");
	r = n ? substrate_read(docs[0], errors, &s) : -EINVAL;
	yaml_free_docs(docs, n);
	free(text);
	if (errors->n) {
		if (r == 0)
			substrate_done(&s);
		return err_set(err, -EINVAL, "%s: %zu error%s", path, errors->n, errors->n == 1 ? "" : "s");
	}
	*ret = s;
	return 0;
}

/* ---- out ---- */

static void write_guests(const struct snode *n, struct buf *out)
{
	char text[UNITS_TEXT];

	if (n->cap[RES_GUEST_KIB] != UNLIMITED)
		buf_printf(out, ", guest_memory: %s", units_memory_text(n->cap[RES_GUEST_KIB], text));
	if (n->cap[RES_GUESTS] != UNLIMITED)
		buf_printf(out, ", max_guests: %lld", (long long)n->cap[RES_GUESTS]);
	if (n->max_guest_ports != UNLIMITED)
		buf_printf(out, ", max_guest_ports: %lld", (long long)n->max_guest_ports);
	if (n->realtime_given || n->cap[RES_REALTIME_MILLI])
		buf_printf(out, ", realtime: %s", units_cpu_text(n->cap[RES_REALTIME_MILLI], text));
	if (!n->any_image)
		put_names(out, "images", &n->images);
}

static void write_snode(const struct snode *n, struct buf *out)
{
	char text[ADDR_TEXT];

	buf_str(out, "  - {name: ");
	yaml_write_string(out, n->name);
	buf_printf(out, ", cpu: %s", units_cpu_text(n->cap[RES_CPU_MILLI], text));
	if (n->cap[RES_MEM_KIB] != UNLIMITED)
		buf_printf(out, ", memory: %s", units_memory_text(n->cap[RES_MEM_KIB], text));
	if (!n->any_kind)
		put_names(out, "routers", &n->kinds);
	if (n->coords.kind != COORDS_NONE) {
		buf_str(out, ", ");
		put_coords(out, &n->coords);
	}
	if (n->cost_micro != COST_DEFAULT_MICRO)
		buf_printf(out, ", cost: %s", units_cost_text(n->cost_micro, text));
	for (int r = RES_ROUTERS; r <= RES_PORTS; r++)
		if (n->cap[r] != UNLIMITED)
			buf_printf(out, ", %s: %lld", resource_names[r], (long long)n->cap[r]);
	write_guests(n, out);
	put_labels(out, n->labels, n->n_labels);
	if (n->address.family)
		buf_printf(out, ", address: \"%s\"", addr_host_text(&n->address, text));
	if (n->uplinks.n)
		put_names(out, "uplinks", &n->uplinks);
	if (!n->agent)
		buf_str(out, ", agent: false");
	buf_str(out, "}\n");
}

static void write_slink(const struct substrate *s, const struct slink *l, bool named, struct buf *out)
{
	const char *a = s->nodes[l->a].name, *b = s->nodes[l->b].name;
	char text[ADDR_TEXT];

	buf_str(out, "  - {endpoints: [");
	yaml_write_string(out, a);
	buf_str(out, ", ");
	yaml_write_string(out, b);
	buf_char(out, ']');
	if (named) {
		buf_str(out, ", name: ");
		yaml_write_string(out, l->name);
	}
	buf_printf(out, ", bandwidth: %s", units_bandwidth_text(l->bw_kbps, text));
	if (l->delay_us)
		buf_printf(out, ", delay: %s", units_delay_text(l->delay_us, text));
	if (l->cost_micro != COST_DEFAULT_MICRO)
		buf_printf(out, ", cost: %s", units_cost_text(l->cost_micro, text));
	if (l->risks.n)
		put_names(out, "risks", &l->risks);
	if (l->underlay[0].family) {
		buf_str(out, ", underlay: {");
		yaml_write_string(out, a);
		buf_printf(out, ": \"%s\", ", addr_host_text(&l->underlay[0], text));
		yaml_write_string(out, b);
		buf_printf(out, ": \"%s\"}", addr_host_text(&l->underlay[1], text));
	}
	buf_str(out, "}\n");
}

void substrate_write(const struct substrate *s, struct buf *out)
{
	struct link_ends *ends = mem_array(s->n_links, sizeof(*ends));
	const char **names = mem_array(s->n_nodes, sizeof(*names));
	bool *named;

	for (size_t i = 0; i < s->n_nodes; i++)
		names[i] = s->nodes[i].name;
	for (size_t i = 0; i < s->n_links; i++)
		ends[i] = (struct link_ends){s->links[i].name, s->links[i].a, s->links[i].b};
	named = links_named(ends, s->n_links, names);
	buf_str(out, "kind: substrate\nname: ");
	yaml_write_string(out, s->name);
	buf_str(out, "\nnodes:\n");
	for (size_t i = 0; i < s->n_nodes; i++)
		write_snode(&s->nodes[i], out);
	if (s->n_links)
		buf_str(out, "links:\n");
	for (size_t i = 0; i < s->n_links; i++)
		write_slink(s, &s->links[i], named[i], out);
	free(named);
	free(names);
	free(ends);
}
