/* SPDX-License-Identifier: GPL-3.0-or-later */
/* containerlab's topologies: nodes with cpu and memory, from their kind or the defaults where they have none of their
 * own; links in the short form ["n1:eth1", "n2:eth1"] and in the long one. A link to the host, a bridge of it or
 * another outside is left out; a node of kind bridge or ovs-bridge hosts nothing. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/yaml.h"
#include "origin/import.h"

struct clab {
	const char *file;
	struct net *net;
	const struct yaml_node *defaults, *kinds;
};

static int fault(const struct clab *c, struct yaml_mark mark, struct err *err, const char *format, ...) VNE_PRINTF(4, 5);
static int fault(const struct clab *c, struct yaml_mark mark, struct err *err, const char *format, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return err_set(err, -EINVAL, "%s:%u:%u: %s", c->file, mark.line, mark.column, text);
}

static const struct yaml_node *get(const struct yaml_node *mapping, const char *key)
{
	return mapping && mapping->type == YAML_MAPPING ? yaml_get(mapping, key) : NULL;
}

/* A setting of a node, its kind, or the defaults; NULL. */
static const struct yaml_node *setting(const struct clab *c, const struct yaml_node *node, const char *key)
{
	const struct yaml_node *kind = get(node, "kind"), *found = get(node, key);

	if (!kind)
		kind = get(c->defaults, "kind");
	if (!found && kind && kind->type == YAML_SCALAR)
		found = get(get(c->kinds, kind->text), key);
	if (!found)
		found = get(c->defaults, key);
	return found && found->type == YAML_SCALAR ? found : NULL;
}

/* As docker has it: a number and b, k, m or g, of 1024 each; "512mb" too. */
static int64_t memory_kib(const char *text)
{
	static const char units[] = "bkmg";
	char *end;
	double x = strtod(text, &end), factor = 1.0 / 1024;

	while (*end == ' ')
		end++;
	const char *unit = *end ? strchr(units, tolower((unsigned char)*end)) : NULL;
	for (; unit && unit > units; unit--)
		factor *= 1024;
	x *= factor;
	return x >= 1 && x <= (double)MEM_MAX_KIB ? (int64_t)(x + 0.5) : NET_UNKNOWN;
}

static int read_node(struct clab *c, const struct yaml_node *node, struct err *err)
{
	uint32_t at;
	int ret = net_node(c->net, node->key, &at, err);

	if (ret == -EEXIST)
		return fault(c, node->key_mark, err, "there are two nodes '%.60s'", node->key);
	if (ret != 0)
		return fault(c, node->key_mark, err, "more than %d nodes", NET_PARTS_MAX);
	struct net_node *n = &c->net->nodes.v[at];
	const struct yaml_node *cpu = setting(c, node, "cpu"), *memory = setting(c, node, "memory"), *kind = setting(c, node, "kind");
	double cores = cpu ? strtod(cpu->text, NULL) : -1;
	if (cores > 0 && cores * 1000 <= (double)CPU_MAX_MILLI)
		n->cpu_milli = (int64_t)(cores * 1000 + 0.5);
	if (memory)
		n->mem_kib = memory_kib(memory->text);
	n->forwards = kind && (strcmp(kind->text, "bridge") == 0 || strcmp(kind->text, "ovs-bridge") == 0);
	return 0;
}

/* "node:interface", or {node: …, interface: …}. False: outside of the topology. */
static bool endpoint_node(const struct clab *c, const struct yaml_node *end, uint32_t *ret, char **ret_name)
{
	const struct yaml_node *node = get(end, "node");

	if (node && node->type == YAML_SCALAR)
		*ret_name = mem_str(node->text);
	else if (end->type == YAML_SCALAR)
		*ret_name = mem_strn(end->text, strcspn(end->text, ":"));
	else
		*ret_name = mem_str("");
	return net_find(c->net, *ret_name, ret);
}

static int read_link(struct clab *c, const struct yaml_node *link, struct err *err)
{
	static const char *const outside[] = { "host", "mgmt-net", "macvlan", "dummy" };
	const struct yaml_node *ends = get(link, "endpoints"), *type = get(link, "type");
	struct err full = { 0 };
	uint32_t at[2] = { 0 };

	if (link->type != YAML_MAPPING || (!ends && !type))
		return fault(c, link->mark, err, "expected a link: endpoints: [\"n1:eth1\", \"n2:eth1\"]");
	if (!ends) { /* a long form with one `endpoint`: to the outside */
		c->net->dropped++;
		return 0;
	}
	if (ends->type != YAML_SEQUENCE || ends->n != 2)
		return fault(c, ends->mark, err, "expected two endpoints");
	int i = 0;
	for (const struct yaml_node *e = ends->first; e; e = e->next, i++) {
		mem_auto char *name = NULL;
		if (endpoint_node(c, e, &at[i], &name))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(outside); k++)
			if (strcmp(name, outside[k]) == 0) {
				c->net->dropped++;
				return 0;
			}
		return fault(c, e->mark, err, "no node is called '%.60s'", name);
	}
	if (!net_link(c->net, at[0], at[1], &full) && full.code)
		return fault(c, link->mark, err, "%s", full.text);
	return 0;
}

static int read_topology(struct clab *c, const struct yaml_node *root, struct err *err)
{
	const struct yaml_node *name = get(root, "name"), *topology = get(root, "topology");
	const struct yaml_node *nodes = get(topology, "nodes"), *links = get(topology, "links");
	int ret = 0;

	if (!nodes || nodes->type != YAML_MAPPING)
		return fault(c, root->mark, err, "no topology: nodes: in this file");
	if (links && links->type != YAML_SEQUENCE && !links->is_null)
		return fault(c, links->mark, err, "links: expected a list");
	if (name && name->type == YAML_SCALAR)
		c->net->name = mem_str(name->text);
	c->defaults = get(topology, "defaults");
	c->kinds = get(topology, "kinds");
	for (const struct yaml_node *n = nodes->first; ret == 0 && n; n = n->next)
		ret = read_node(c, n, err);
	for (const struct yaml_node *l = links ? links->first : NULL; ret == 0 && l; l = l->next)
		ret = read_link(c, l, err);
	return ret;
}

int import_containerlab(const char *text, size_t len, const char *file, struct net *net, struct err *err)
{
	struct yaml_errors errors = { .file = file };
	struct clab c = { .file = file, .net = net };
	struct yaml_doc **docs = NULL;
	size_t n = 0;
	int ret = 0;

	yaml_parse(text, len, &errors, &docs, &n);
	if (errors.n > 0) {
		const char *all = buf_cstr(&errors.text);
		ret = err_set(err, -EINVAL, "%.*s", (int)strcspn(all, "\n"), all);
	} else if (n != 1)
		ret = err_set(err, -EINVAL, "%s:1:1: %zu documents; expected one topology", file, n);
	else
		ret = read_topology(&c, yaml_root(docs[0]), err);
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
	return ret;
}
