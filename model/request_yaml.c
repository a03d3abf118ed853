/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests read from YAML. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/parts.h"
#include "model/plan.h"
#include "model/request.h"
#include "model/request_rules.h"

static void read_kind(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	char **kind = into;

	yaml_read_name(node, into, key, errors);
	if (*kind && strlen(*kind) > KIND_MAX)
		yaml_error(errors, node->mark, "router kind \"%s\" is too long; at most %d characters", *kind, KIND_MAX);
}

static const struct yaml_key realtime_keys[] = {
	{"period", yaml_read_delay, offsetof(struct vnode, rt_period_us), true, NULL, "how often, such as 10ms"},
	{"budget", yaml_read_delay, offsetof(struct vnode, rt_budget_us), true, NULL, "how much of each period, such as 2ms"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_realtime(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct vnode read = {0}, *n = into;
	size_t before = errors->n;
	struct err err = {0};

	(void)key;
	yaml_read_mapping(node, realtime_keys, &read, NULL, errors);
	if (errors->n > before)
		return;
	if ((!read.rt_period_us && !read.rt_budget_us) || rt_check(read.rt_period_us, read.rt_budget_us, &err) < 0) {
		yaml_error(errors, node->mark, "%s", err.text[0] ? err.text : "realtime: a period of 0; expected 100us to 1s");
		return;
	}
	n->rt_period_us = read.rt_period_us;
	n->rt_budget_us = read.rt_budget_us;
}

/* A word, or {program: NAME}. */
static void read_plane(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	static const char *const words[] = {"kernel", "guest", "split", "program", NULL};
	static const struct yaml_key program_keys[] = {
		{"program", yaml_read_name, offsetof(struct vnode, program), true, NULL, "the name of a forwarding program"},
		{NULL, NULL, 0, false, NULL, NULL},
	};
	const struct yaml_key choice = {key->name, yaml_read_choice, 0, false, words, key->expected};
	struct vnode *n = into;
	int word = -1;

	if (node->type == YAML_MAPPING) {
		yaml_read_mapping(node, program_keys, n, NULL, errors);
		n->plane = n->program ? PLANE_PROGRAM : PLANE_DEFAULT;
		return;
	}
	yaml_read_choice(node, &word, &choice, errors);
	if (word == PLANE_PROGRAM - PLANE_KERNEL)
		yaml_error(errors, node->mark, "plane: which program? Expected {program: NAME}");
	else
		n->plane = (enum plane)(word + PLANE_KERNEL);
}

/* ---- nodes ---- */

static const struct yaml_key uplink_keys[] = {
	{"port", yaml_read_name, offsetof(struct vuplink, port), true, NULL, "the name of an outside port"},
	{"address", yaml_read_prefix, offsetof(struct vuplink, address), false, NULL, NULL},
	{"gateway", yaml_read_addr, offsetof(struct vuplink, gateway), false, NULL, NULL},
	{"nat", yaml_read_bool, offsetof(struct vuplink, nat), false, NULL, NULL},
	{NULL, NULL, 0, false, NULL, NULL},
};

struct node_file {
	struct vnode node;
	const struct yaml_node *uplinks;
};

enum { NODE_CPU = 1, NODE_MEMORY, NODE_ROUTER, NODE_IMAGE, NODE_REALTIME, NODE_PLANE };
static const struct yaml_key node_keys[] = {
	{"name", yaml_read_name, offsetof(struct node_file, node.name), true, NULL, NULL},
	{"cpu", yaml_read_cpu, offsetof(struct node_file, node.demand[RES_CPU_MILLI]), false, NULL, NULL},
	{"memory", yaml_read_memory, offsetof(struct node_file, node.demand[RES_MEM_KIB]), false, NULL, NULL},
	{"router", read_kind, offsetof(struct node_file, node.kind), false, NULL, "a router kind such as netns"},
	{"image", yaml_read_name, offsetof(struct node_file, node.image), false, NULL, "the name of a guest image"},
	{"realtime", read_realtime, offsetof(struct node_file, node), false, NULL, "{period: 10ms, budget: 2ms}"},
	{"plane", read_plane, offsetof(struct node_file, node), false, NULL, "kernel, guest, split or {program: NAME}"},
	{"controller", yaml_read_string, offsetof(struct node_file, node.controller), false, NULL,
	 "tcp:ADDRESS:PORT, or the name of a virtual node"},
	{"uplinks", read_list, offsetof(struct node_file, uplinks), false, NULL, "a list of {port: NAME, address: ADDRESS/LENGTH}"},
	{"place", read_place, offsetof(struct node_file, node.place), false, NULL, "a mapping of conditions"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_uplinks(const struct yaml_node *list, struct vnode *n, struct yaml_errors *errors)
{
	struct hash *seen = hash_new();

	n->uplinks = mem_array(list->n, sizeof(*n->uplinks));
	for (const struct yaml_node *item = list->first; item; item = item->next) {
		struct vuplink *u = &n->uplinks[n->n_uplinks++];
		size_t before = errors->n;
		struct err err = {0};

		yaml_read_mapping(item, uplink_keys, u, NULL, errors);
		if (u->port && !hash_index_put(seen, u->port, n->n_uplinks))
			yaml_error(errors, item->mark, "uplink \"%s\" stands twice; expected each once", u->port);
		else if (u->port && errors->n == before && uplink_check(u, &err) < 0)
			yaml_error(errors, item->mark, "%s", err.text);
	}
	hash_free(seen, NULL);
}

/* What `defaults` holds, for what nodes and links leave out. */
struct defaults {
	struct vnode node;
	uint64_t node_given;
	struct vlink link;
	uint64_t link_given;
	int paths, protection;
};

static void read_vnode(const struct yaml_node *item, const struct defaults *d, struct vnode *into,
                       struct yaml_errors *errors)
{
	struct node_file f = {0};
	uint64_t given;

	yaml_read_mapping(item, node_keys, &f, &given, errors);
	if (f.uplinks)
		read_uplinks(f.uplinks, &f.node, errors);
	struct vnode *n = &f.node;

	if (!(given >> NODE_CPU & 1)) {
		n->demand[RES_CPU_MILLI] = d->node.demand[RES_CPU_MILLI];
		if (!(d->node_given & 1) && item->type == YAML_MAPPING && !item->cut)
			yaml_error(errors, item->mark, "\"cpu\" is missing; expected a number of cores such as 0.5, here or in \"defaults\"");
	}
	if (!(given >> NODE_MEMORY & 1))
		n->demand[RES_MEM_KIB] = d->node.demand[RES_MEM_KIB];
	if (!(given >> NODE_ROUTER & 1))
		n->kind = mem_str(d->node.kind);
	if (!(given >> NODE_IMAGE & 1) && (!n->kind || kind_is_guest(n->kind)))
		n->image = mem_str(d->node.image);
	if (!(given >> NODE_REALTIME & 1) && (!n->kind || kind_is_guest(n->kind))) {
		n->rt_period_us = d->node.rt_period_us;
		n->rt_budget_us = d->node.rt_budget_us;
	}
	const char *kind = n->kind ? n->kind : vnode_kind_implied(n);

	if (!(given >> NODE_PLANE & 1) && (!kind || plane_fits(d->node.plane, kind))) {
		n->plane = d->node.plane;
		n->program = mem_str(d->node.program);
	}
	*into = *n;
}

/* ---- links ---- */

struct link_file {
	struct vlink link;
	const struct yaml_node *endpoints;
	int paths, protection;
};

static const char *const paths_names[] = {"single", "split", NULL};
static const char *const protection_names[] = {"none", "link", NULL};

enum { LINK_BANDWIDTH = 2, LINK_MAX_DELAY, LINK_PATHS, LINK_PROTECTION };
static const struct yaml_key link_keys[] = {
	{"endpoints", read_list, offsetof(struct link_file, endpoints), true, NULL, "[NODE, NODE]"},
	{"name", yaml_read_name, offsetof(struct link_file, link.name), false, NULL, NULL},
	{"bandwidth", yaml_read_bandwidth, offsetof(struct link_file, link.bw_kbps), false, NULL, NULL},
	{"max_delay", yaml_read_delay, offsetof(struct link_file, link.max_delay_us), false, NULL, NULL},
	{"paths", yaml_read_choice, offsetof(struct link_file, paths), false, paths_names, "single or split"},
	{"protection", yaml_read_choice, offsetof(struct link_file, protection), false, protection_names, "none or link"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_vlink(const struct yaml_node *item, const struct defaults *d, struct link_file *f,
                       struct yaml_errors *errors)
{
	uint64_t given;

	*f = (struct link_file){
		.link = {.bw_kbps = d->link.bw_kbps, .max_delay_us = d->link.max_delay_us},
		.paths = d->paths,
		.protection = d->protection,
	};
	yaml_read_mapping(item, link_keys, f, &given, errors);
	if (!(given >> LINK_BANDWIDTH & 1) && !(d->link_given & 1) && item->type == YAML_MAPPING && !item->cut)
		yaml_error(errors, item->mark,
		           "\"bandwidth\" is missing; expected a bandwidth such as 100mbit, here or in \"defaults\"");
	f->link.split = f->paths == 1;
	f->link.protect = f->protection == 1;
}

/* ---- defaults and pools ---- */

static const struct yaml_key default_node_keys[] = {
	{"cpu", yaml_read_cpu, offsetof(struct defaults, node.demand[RES_CPU_MILLI]), false, NULL, NULL},
	{"memory", yaml_read_memory, offsetof(struct defaults, node.demand[RES_MEM_KIB]), false, NULL, NULL},
	{"router", read_kind, offsetof(struct defaults, node.kind), false, NULL, "a router kind such as netns"},
	{"image", yaml_read_name, offsetof(struct defaults, node.image), false, NULL, "the name of a guest image"},
	{"realtime", read_realtime, offsetof(struct defaults, node), false, NULL, "{period: 10ms, budget: 2ms}"},
	{"plane", read_plane, offsetof(struct defaults, node), false, NULL, "kernel, guest, split or {program: NAME}"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static const struct yaml_key default_link_keys[] = {
	{"bandwidth", yaml_read_bandwidth, offsetof(struct defaults, link.bw_kbps), false, NULL, NULL},
	{"max_delay", yaml_read_delay, offsetof(struct defaults, link.max_delay_us), false, NULL, NULL},
	{"paths", yaml_read_choice, offsetof(struct defaults, paths), false, paths_names, "single or split"},
	{"protection", yaml_read_choice, offsetof(struct defaults, protection), false, protection_names, "none or link"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_default_node(const struct yaml_node *node, void *into, const struct yaml_key *key,
                              struct yaml_errors *errors)
{
	struct defaults *d = into;

	(void)key;
	yaml_read_mapping(node, default_node_keys, d, &d->node_given, errors);
}

static void read_default_link(const struct yaml_node *node, void *into, const struct yaml_key *key,
                              struct yaml_errors *errors)
{
	struct defaults *d = into;

	(void)key;
	yaml_read_mapping(node, default_link_keys, d, &d->link_given, errors);
}

static const struct yaml_key defaults_keys[] = {
	{"node", read_default_node, 0, false, NULL, "a mapping such as {cpu: 0.5}"},
	{"link", read_default_link, 0, false, NULL, "a mapping such as {bandwidth: 10mbit}"},
	{NULL, NULL, 0, false, NULL, NULL},
};

static void read_pool(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct addr pool = {0};
	struct err err = {0};

	yaml_read_prefix(node, &pool, key, errors);
	if (!pool.family)
		return;
	if (pool_check(key->name, &pool, &err) < 0)
		yaml_error(errors, node->mark, "%s", err.text);
	else
		*(struct addr *)into = pool;
}

static const struct yaml_key pools_keys[] = {
	{"loopbacks", read_pool, offsetof(struct request, pool_loopbacks), false, NULL, "a range such as 10.255.0.0/16"},
	{"links", read_pool, offsetof(struct request, pool_links), false, NULL, "a range such as 10.64.0.0/12"},
	{NULL, NULL, 0, false, NULL, NULL},
};

/* ---- the whole ---- */

static void read_lifetime(const struct yaml_node *node, void *into, const struct yaml_key *key,
                          struct yaml_errors *errors)
{
	int64_t *us = into;

	yaml_read_duration(node, into, key, errors);
	if (*us == 0)
		yaml_error(errors, node->mark, "a lifetime of 0 is none; expected a longer one, or no \"lifetime\" for one without end");
}

static void read_priority(const struct yaml_node *node, void *into, const struct yaml_key *key,
                          struct yaml_errors *errors)
{
	int64_t *micro = into;

	yaml_read_cost(node, into, key, errors);
	if (*micro == 0)
		yaml_error(errors, node->mark, "a priority of 0; expected more than 0");
}

struct request_file {
	struct request r;
	int placement, routing;
	const struct yaml_node *pools, *defaults, *nodes, *links;
};

static const struct yaml_key request_keys[] = {
	{"kind", yaml_read_ignore, 0, true, NULL, NULL},
	{"name", yaml_read_name, offsetof(struct request_file, r.name), true, NULL, NULL},
	{"arrival", yaml_read_duration, offsetof(struct request_file, r.arrival_us), false, NULL, NULL},
	{"lifetime", read_lifetime, offsetof(struct request_file, r.lifetime_us), false, NULL, "a duration such as 2h"},
	{"priority", read_priority, offsetof(struct request_file, r.priority_micro), false, NULL, "a number above 0"},
	{"placement", yaml_read_choice, offsetof(struct request_file, placement), false, placement_names, "distinct or pack"},
	{"routing", yaml_read_choice, offsetof(struct request_file, routing), false, routing_names, "static, ospf or none"},
	{"pools", read_node, offsetof(struct request_file, pools), false, NULL, "a mapping such as {links: 10.64.0.0/12}"},
	{"defaults", read_node, offsetof(struct request_file, defaults), false, NULL, "a mapping of \"node\" and \"link\""},
	{"nodes", read_list, offsetof(struct request_file, nodes), true, NULL, "a list of nodes"},
	{"links", read_list, offsetof(struct request_file, links), false, NULL, "a list of links"},
	{NULL, NULL, 0, false, NULL, NULL},
};

/* Names of nodes, and where the parts stand. */
struct places {
	const char **names;
	struct yaml_mark *nodes, *links;
	struct link_naming *naming;
};

static void read_nodes(const struct yaml_node *list, const struct defaults *d, struct request *r, struct places *p,
                       struct yaml_errors *errors)
{
	size_t n = list ? list->n : 0;

	r->nodes = mem_array(n, sizeof(*r->nodes));
	p->nodes = mem_array(n, sizeof(*p->nodes));
	p->names = mem_array(n, sizeof(*p->names));
	r->node_index = hash_new();
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next) {
		size_t i = r->n_nodes++;

		read_vnode(item, d, &r->nodes[i], errors);
		p->nodes[i] = item->mark;
		p->names[i] = r->nodes[i].name;
		if (p->names[i])
			hash_index_put(r->node_index, p->names[i], i);
	}
}

static void read_links(const struct yaml_node *list, const struct defaults *d, struct request *r, struct places *p,
                       struct yaml_errors *errors)
{
	size_t n = list ? list->n : 0;

	r->links = mem_array(n, sizeof(*r->links));
	p->links = mem_array(n, sizeof(*p->links));
	p->naming = mem_array(n, sizeof(*p->naming));
	for (const struct yaml_node *item = list ? list->first : NULL; item; item = item->next) {
		size_t i = r->n_links++;
		struct link_file f;

		read_vlink(item, d, &f, errors);
		endpoints_resolve(f.endpoints, r->node_index, p->names, r->n_nodes, "node", &f.link.a, &f.link.b, errors);
		r->links[i] = f.link;
		p->links[i] = f.endpoints ? f.endpoints->mark : item->mark;
		p->naming[i] = (struct link_naming){f.link.a, f.link.b, &r->links[i].name};
	}
}

static void read_parts(const struct request_file *f, struct request *r, struct yaml_errors *errors)
{
	struct defaults d = {.link = {.max_delay_us = -1}};
	struct places p = {0};

	if (f->pools)
		yaml_read_mapping(f->pools, pools_keys, r, NULL, errors);
	request_default_pools(r);
	if (f->defaults)
		yaml_read_mapping(f->defaults, defaults_keys, &d, NULL, errors);
	read_nodes(f->nodes, &d, r, &p, errors);
	/* a file that broke off among its nodes would have every link complain of the others */
	if (f->nodes && !f->nodes->cut) {
		struct faults_yaml faults = faults_to_yaml(errors, f->nodes->mark, p.nodes, NULL);

		read_links(f->links, &d, r, &p, errors);
		faults.links = p.links;
		faults.pools = f->pools ? f->pools->mark : f->nodes->mark;
		links_name(p.naming, r->n_links, p.names, "nodes", &faults.faults);
		request_faults(r, &faults.faults);
	}
	free(d.node.kind);
	free(d.node.image);
	free(d.node.program);
	free(p.names);
	free(p.nodes);
	free(p.links);
	free(p.naming);
}

int request_read(const struct yaml_doc *doc, struct yaml_errors *errors, struct request *ret)
{
	const struct yaml_node *root = yaml_root(doc);
	const char *kind = yaml_kind(doc, "network", errors);
	size_t before = errors->n;
	struct request_file f = {
		.r = {.arrival_us = -1, .lifetime_us = -1, .priority_micro = PRIORITY_DEFAULT_MICRO}};

	if (!kind)
		return -EINVAL;
	if (strcmp(kind, "network") != 0) {
		yaml_error(errors, yaml_get(root, "kind")->mark, "kind \"%.70s\"; expected a network", kind);
		return -EINVAL;
	}
	yaml_read_mapping(root, request_keys, &f, NULL, errors);
	f.r.placement = (enum placement)f.placement;
	f.r.routing = (enum routing)f.routing;
	read_parts(&f, &f.r, errors);
	if (errors->n > before || root->cut) {
		request_done(&f.r);
		return -EINVAL;
	}
	*ret = f.r;
	return 0;
}

/* `arrival` belongs into traces, and ascends there. */
static void check_arrival(const struct yaml_doc *doc, bool trace, int64_t *last_us, struct yaml_errors *errors)
{
	const struct yaml_node *root = yaml_root(doc), *arrival = yaml_get(root, "arrival");
	char text[UNITS_TEXT];
	int64_t us;

	if (!trace) {
		if (arrival)
			yaml_error(errors, arrival->key_mark, "\"arrival\" outside of a trace; expected none");
		return;
	}
	if (!arrival) {
		if (root->type == YAML_MAPPING && !root->cut)
			yaml_error(errors, root->mark, "\"arrival\" is missing; expected when it arrives, such as 12.5s, for this is a trace");
		return;
	}
	if (arrival->type != YAML_SCALAR || units_duration(arrival->text, &us, NULL) < 0)
		return; /* noted by its reader */
	if (us < *last_us)
		yaml_error(errors, arrival->mark, "arrival \"%.40s\" is before the one of the request above, %s; expected them ascending",
		           arrival->text, units_duration_text(*last_us, text));
	else
		*last_us = us;
}

int request_parse(const char *text, size_t len, bool trace, struct yaml_errors *errors, struct request **ret,
                  size_t *ret_n, struct err *err)
{
	struct yaml_doc **docs;
	size_t n, read = 0;
	int64_t last_us = 0;

	yaml_parse(text, len, errors, &docs, &n);
	if (!n && !errors->n)
		yaml_error(errors, (struct yaml_mark){1, 1}, "the file is empty; expected a network");
	struct request *requests = mem_array(n, sizeof(*requests));

	for (size_t i = 0; i < n; i++) {
		if (request_read(docs[i], errors, &requests[read]) == 0)
			read++;
		check_arrival(docs[i], trace, &last_us, errors);
	}
	yaml_free_docs(docs, n);
	if (errors->n) {
		while (read)
			request_done(&requests[--read]);
		free(requests);
		return err_set(err, -EINVAL, "%s: %zu error%s", errors->file ? errors->file : "request", errors->n,
		               errors->n == 1 ? "" : "s");
	}
	*ret = requests;
	*ret_n = read;
	return 0;
}

int request_load(const char *path, bool trace, struct yaml_errors *errors, struct request **ret, size_t *ret_n,
                 struct err *err)
{
	size_t len;
	char *text;
	int r = yaml_load_file(path, &text, &len, err);

	errors->file = path;
	if (r < 0)
		return r;
	r = request_parse(text, len, trace, errors, ret, ret_n, err);
	free(text);
	return r;
}
