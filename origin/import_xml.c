/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SNDlib's XML, and GENI's RSpec version 3: advertisements and requests.
 *
 * Of an RSpec: nodes, told by client_id or component_id, named by component_name; their location; links between the
 * interfaces that they refer to, with the property's capacity (kbit/s) and latency (ms). A link of more than two interfaces is
 * a LAN: it becomes a node that hosts nothing, joined to each. Of interfaces that no node has, the link is left out. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/import.h"
#include "origin/import_sndlib.h"
#include "origin/xml.h"

enum { REFS_MAX = 4096 };

static int number(const char *text, const struct xml *e, const char *file, double *ret, struct err *err)
{
	char *end = NULL;

	*ret = text ? strtod(text, &end) : 0;
	if (!text || end == text || *end || !isfinite(*ret))
		return xml_fault(e, file, err, "<%s>: '%.40s' is no number", e->name, text ? text : "");
	return 0;
}

/* ---- SNDlib -------------------------------------------------------------------------------- */

static int sndlib_node(const struct xml *e, const char *file, struct net *net, struct err *err)
{
	const char *id = xml_attribute(e, "id");
	const struct xml *c = xml_child(e, "coordinates"), *x = xml_child(c, "x"), *y = xml_child(c, "y");
	double a = 0, b = 0;
	uint32_t at;

	if (!id)
		return xml_fault(e, file, err, "<node>: no id");
	int ret = net_node(net, id, &at, err);
	if (ret == -EEXIST)
		return xml_fault(e, file, err, "there are two nodes '%.40s'", id);
	if (ret == 0 && x && y)
		ret = number(x->text, x, file, &b, err);
	if (ret == 0 && x && y)
		ret = number(y->text, y, file, &a, err);
	if (ret == 0 && x && y)
		net->nodes.v[at].coords = (struct coords){ COORDS_POSITION, a, b };
	return ret;
}

static int module_capacity(const struct xml *module, const char *file, double *ret, struct err *err)
{
	const struct xml *capacity = xml_child(module, "capacity");
	double x = 0;
	int code = capacity ? number(capacity->text, capacity, file, &x, err) : 0;

	if (code == 0 && x > *ret)
		*ret = x;
	return code;
}

static int sndlib_link(const struct xml *e, const char *file, const char *unit, struct net *net, struct err *err)
{
	const struct xml *from = xml_child(e, "source"), *to = xml_child(e, "target");
	double capacity = 0;
	uint32_t a, b;
	struct err full = { 0 };

	if (!from || !to || !net_find(net, from->text, &a) || !net_find(net, to->text, &b))
		return xml_fault(e, file, err, "<link>: source and target are not both nodes");
	int ret = module_capacity(xml_child(e, "preInstalledModule"), file, &capacity, err);
	const struct xml *all = xml_child(e, "additionalModules"), *m = xml_child(all, "addModule");
	for (; ret == 0 && capacity == 0 && m; m = xml_next(m, "addModule")) {
		double largest = 0; /* they grow: the last one */
		ret = module_capacity(m, file, &largest, err);
		if (ret == 0 && !xml_next(m, "addModule"))
			capacity = largest;
	}
	if (ret != 0)
		return ret;
	struct net_link *l = net_link(net, a, b, &full);
	if (!l && full.code)
		return xml_fault(e, file, err, "%s", full.text);
	if (l) {
		l->label = mem_str(xml_attribute(e, "id"));
		l->bw_kbps = sndlib_bandwidth(capacity, unit);
	}
	return 0;
}

static int sndlib_network(const struct xml *root, const char *file, struct net *net, struct err *err)
{
	const struct xml *structure = xml_child(root, "networkStructure"), *nodes = xml_child(structure, "nodes");
	const struct xml *unit = xml_child(xml_child(root, "meta"), "unit"), *links = xml_child(structure, "links");
	const char *type = nodes ? xml_attribute(nodes, "coordinatesType") : NULL;
	int ret = 0;

	if (!nodes)
		return xml_fault(root, file, err, "no <nodes> in <networkStructure>");
	for (const struct xml *e = xml_child(nodes, "node"); ret == 0 && e; e = xml_next(e, "node"))
		ret = sndlib_node(e, file, net, err);
	for (const struct xml *e = xml_child(links, "link"); ret == 0 && e; e = xml_next(e, "link"))
		ret = sndlib_link(e, file, unit ? unit->text : "", net, err);
	if (ret == 0 && (!type || strcmp(type, "geographical") == 0))
		sndlib_coordinates(net);
	if (ret == 0)
		sndlib_directions(net);
	return ret;
}

int import_sndlib_xml(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	struct xml *root = NULL;
	int ret = xml_parse(text, len, file, &root, err);

	if (ret == 0 && strcmp(root->name, "network") != 0)
		ret = xml_fault(root, file, err, "<%s>; expected SNDlib's <network>", root->name);
	if (ret == 0)
		ret = sndlib_network(root, file, net, err);
	xml_free(root);
	return ret;
}

/* ---- RSpec --------------------------------------------------------------------------------- */

static const char *rspec_id(const struct xml *e)
{
	const char *id = xml_attribute(e, "client_id");

	return id ? id : xml_attribute(e, "component_id");
}

struct rspec {
	const char *file;
	struct net *net;
	struct hash *interfaces; /* id to node */
};

static int rspec_node(struct rspec *r, const struct xml *e, struct err *err)
{
	const char *id = rspec_id(e), *name = xml_attribute(e, "component_name");
	const struct xml *place = xml_child(e, "location");
	uint32_t at;

	if (!id)
		return xml_fault(e, r->file, err, "<node>: neither client_id nor component_id");
	int ret = net_node(r->net, id, &at, err);
	if (ret == -EEXIST)
		return xml_fault(e, r->file, err, "there are two nodes '%.60s'", id);
	if (ret != 0)
		return ret;
	if (xml_attribute(e, "client_id") == NULL && name)
		r->net->nodes.v[at].label = mem_str(name);
	for (const struct xml *i = xml_child(e, "interface"); i; i = xml_next(i, "interface")) {
		/* a bound request may refer to an interface either way */
		const char *client = xml_attribute(i, "client_id"), *component = xml_attribute(i, "component_id");
		if (client)
			hash_index_put(r->interfaces, client, at);
		if (component)
			hash_index_put(r->interfaces, component, at);
	}
	if (place && xml_attribute(place, "latitude") && xml_attribute(place, "longitude")) {
		struct coords c = { .kind = COORDS_LOCATION };
		ret = number(xml_attribute(place, "latitude"), place, r->file, &c.a, err);
		if (ret == 0)
			ret = number(xml_attribute(place, "longitude"), place, r->file, &c.b, err);
		if (ret == 0 && fabs(c.a) <= 90 && fabs(c.b) <= 180)
			r->net->nodes.v[at].coords = c;
	}
	return ret;
}

/* The properties of a link hold for one direction each: the larger of each kind. */
static int rspec_properties(struct rspec *r, const struct xml *e, struct net_link *l, struct err *err)
{
	int ret = 0;

	for (const struct xml *p = xml_child(e, "property"); ret == 0 && p; p = xml_next(p, "property")) {
		double kbps = 0, ms = -1;
		if (xml_attribute(p, "capacity"))
			ret = number(xml_attribute(p, "capacity"), p, r->file, &kbps, err);
		if (ret == 0 && xml_attribute(p, "latency"))
			ret = number(xml_attribute(p, "latency"), p, r->file, &ms, err);
		int64_t bw = net_bps_to_kbps(kbps * 1000), delay = ms >= 0 && ms * 1000 <= (double)DELAY_MAX_US
		                                                       ? (int64_t)(ms * 1000 + 0.5) : NET_UNKNOWN;
		l->bw_kbps = bw > l->bw_kbps ? bw : l->bw_kbps;
		l->delay_us = delay > l->delay_us ? delay : l->delay_us;
	}
	return ret;
}

static int rspec_join(struct rspec *r, const struct xml *e, uint32_t a, uint32_t b, const char *label, struct err *err)
{
	struct err full = { 0 };
	struct net_link *l = net_link(r->net, a, b, &full);

	if (!l)
		return full.code ? xml_fault(e, r->file, err, "%s", full.text) : 0;
	l->label = mem_str(label);
	return rspec_properties(r, e, l, err);
}

static int rspec_lan(struct rspec *r, const struct xml *e, const uint32_t *ends, size_t n, const char *id, struct err *err)
{
	uint32_t hub;
	int ret = net_node(r->net, id, &hub, err);

	if (ret == -EEXIST)
		return xml_fault(e, r->file, err, "a node and a LAN are both called '%.60s'", id);
	if (ret == 0)
		r->net->nodes.v[hub].forwards = true;
	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = rspec_join(r, e, ends[i], hub, NULL, err);
	return ret;
}

static int rspec_link(struct rspec *r, const struct xml *e, struct err *err)
{
	uint32_t *ends = mem_array(REFS_MAX, sizeof(*ends));
	const char *id = rspec_id(e), *name = xml_attribute(e, "client_id");
	size_t n = 0;
	bool strange = false;
	int ret = 0;

	name = name ? name : xml_attribute(e, "component_name");
	for (const struct xml *i = xml_child(e, "interface_ref"); i && n < REFS_MAX; i = xml_next(i, "interface_ref")) {
		const char *ref = rspec_id(i);
		size_t node = ref ? hash_index(r->interfaces, ref) : SIZE_MAX;
		strange |= node == SIZE_MAX;
		if (node != SIZE_MAX)
			ends[n++] = (uint32_t)node;
	}
	if (n < 2 || (n == 2 && strange))
		r->net->dropped++;
	else if (n == 2)
		ret = rspec_join(r, e, ends[0], ends[1], name, err);
	else
		ret = rspec_lan(r, e, ends, n, id ? id : "lan", err);
	free(ends);
	return ret;
}

int import_rspec(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	struct rspec r = { .file = file, .net = net, .interfaces = hash_new() };
	struct xml *root = NULL;
	int ret = xml_parse(text, len, file, &root, err);

	if (ret == 0 && strcmp(root->name, "rspec") != 0)
		ret = xml_fault(root, file, err, "<%s>; expected an <rspec>", root->name);
	if (ret == 0) {
		for (const struct xml *e = xml_child(root, "node"); ret == 0 && e; e = xml_next(e, "node"))
			ret = rspec_node(&r, e, err);
		for (const struct xml *e = xml_child(root, "link"); ret == 0 && e; e = xml_next(e, "link"))
			ret = rspec_link(&r, e, err);
	}
	xml_free(root);
	hash_free(r.interfaces, NULL);
	return ret;
}
