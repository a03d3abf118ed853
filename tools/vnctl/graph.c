/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnctl graph`: the substrate, or a network laid over it, as Graphviz draws it: loads as widths and colours. The text is DOT; -o svg and png have `dot`
 * draw it. Nodes with a location stand where they are. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "tools/vnctl/client.h"

#define SCALE 0.25 /* inches to a degree */
static const char *const palette[] = { "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17becf" };

struct picture {
	struct kept nodes, links, network;
	struct buf out;
};

/* Whatever a name holds, it stays inside its quotes. */
static void quoted(struct buf *out, const char *text)
{
	buf_char(out, '"');
	for (const char *at = text; *at; at++) {
		if (*at == '"' || *at == '\\')
			buf_char(out, '\\');
		if ((unsigned char)*at >= 0x20 && *at != 0x7f)
			buf_char(out, *at);
	}
	buf_char(out, '"');
}

static void label(struct buf *out, const char *text)
{
	buf_str(out, "label=");
	quoted(out, text);
}

/* Of what a link can carry, the busier direction; < 0: not known. */
static double use_of(const struct slink_view *l)
{
	double most = fmax(l->mbit_now[0], l->mbit_now[1]);
	return l->mbit > 0 && most >= 0 ? most / l->mbit : -1;
}

static const char *colour_of(double use)
{
	return use < 0 ? "#999999" : use < 0.5 ? "#2ca02c" : use < 0.85 ? "#ff7f0e" : "#d62728";
}

static void draw_node(struct picture *p, const struct node_view *n)
{
	bool up = !strcmp(n->state, "up"), down = !strcmp(n->state, "down");
	mem_auto char *text = mem_printf("%s (%.10g of %.10g cores%s)", n->name, (double)n->cpu_reserved_milli / 1000, (double)n->cpu_milli / 1000,
	                                 n->drained ? ", drained" : "");
	quoted(&p->out, n->name);
	buf_str(&p->out, " [");
	label(&p->out, text);
	buf_printf(&p->out, ", style=filled, fillcolor=\"%s\"", up ? "#d9f2d9" : down ? "#f7c6c6" : "#eeeeee");
	if (n->has_location)
		buf_printf(&p->out, ", pos=\"%.3f,%.3f!\"", n->longitude * SCALE, n->latitude * SCALE);
	buf_str(&p->out, "];\n");
}

static void draw_slink(struct picture *p, const struct slink_view *l, bool faint)
{
	double use = use_of(l);
	mem_auto char *text = use < 0 ? mem_printf("%.10g mbit", l->mbit) : mem_printf("%.3g of %.10g mbit", fmax(l->mbit_now[0], l->mbit_now[1]), l->mbit);
	quoted(&p->out, l->a);
	buf_str(&p->out, " -- ");
	quoted(&p->out, l->b);
	buf_str(&p->out, " [");
	label(&p->out, faint ? "" : text);
	buf_str(&p->out, ", tooltip=");
	quoted(&p->out, l->lost ? l->lost : l->name);
	buf_printf(&p->out, ", penwidth=%.2f, color=\"%s\"%s];\n", faint ? 1.0 : 1 + 6 * fmin(fmax(use, 0), 1), l->lost ? "#d62728" : faint ? "#cccccc" : colour_of(use),
	           l->lost ? ", style=dashed" : "");
}

static void draw_router(struct picture *p, const struct router_view *r)
{
	mem_auto char *id = mem_printf("router %s", r->name);
	mem_auto char *text = r->cpu_used >= 0 ? mem_printf("%s %.2g of %.10g", r->name, r->cpu_used, (double)r->cpu_milli / 1000) : mem_str(r->name);
	bool bad = r->reason && r->reason[0];
	quoted(&p->out, id);
	buf_str(&p->out, " [shape=box, ");
	label(&p->out, text);
	buf_printf(&p->out, ", style=filled, fillcolor=\"%s\"];\n", bad ? "#f7c6c6" : "#cfe2f3");
	if (!r->node[0])
		return;
	quoted(&p->out, id);
	buf_str(&p->out, " -- ");
	quoted(&p->out, r->node);
	buf_str(&p->out, " [style=dotted, len=0.6];\n");
}

/* Each hop of a path, in the link's colour; backup paths dashed. `via` has the names of nodes between blanks. */
static void draw_path(struct picture *p, const struct vlink_view *v, const struct path_view *path, const char *colour)
{
	mem_auto char *nodes = mem_str(path->via), *before = NULL;
	char *rest = NULL;
	double most = fmax(v->mbit_now[0], v->mbit_now[1]), use = v->mbit > 0 && most >= 0 ? most / v->mbit : 0;
	mem_auto char *text = mem_printf("%s %.10g mbit", v->name, path->mbit);
	for (char *node = strtok_r(nodes, " ", &rest); node; node = strtok_r(NULL, " ", &rest)) {
		if (before) {
			quoted(&p->out, before);
			buf_str(&p->out, " -- ");
			quoted(&p->out, node);
			buf_str(&p->out, " [");
			label(&p->out, text);
			buf_printf(&p->out, ", color=\"%s\", fontcolor=\"%s\", penwidth=%.2f%s];\n", colour, colour, 1.5 + 5 * fmin(use, 1), path->backup ? ", style=dashed" : "");
		}
		free(before);
		before = mem_str(node);
	}
}

static void draw(struct picture *p)
{
	const struct network_view *net = p->network.m.type == MSG_NETWORKS && p->network.m.u.networks.n ? &p->network.m.u.networks.v[0] : NULL;
	buf_str(&p->out, "graph vne {\nlayout=neato;\noverlap=false;\nsplines=true;\nnode [fontname=\"sans-serif\", fontsize=10];\nedge [fontname=\"sans-serif\", fontsize=8];\n");
	for (size_t i = 0; i < p->nodes.m.u.nodes.n; i++)
		draw_node(p, &p->nodes.m.u.nodes.v[i]);
	for (size_t i = 0; i < p->links.m.u.links.n; i++)
		draw_slink(p, &p->links.m.u.links.v[i], net != NULL);
	for (size_t i = 0; net && net->detailed && i < net->n_routers; i++)
		draw_router(p, &net->routers[i]);
	for (size_t i = 0; net && net->detailed && i < net->n_links; i++)
		for (size_t k = 0; k < net->links[i].n_paths; k++)
			draw_path(p, &net->links[i], &net->links[i].paths[k], palette[i % ARRAY_LEN(palette)]);
	buf_str(&p->out, "}\n");
}

static int ask(struct client *c, enum message_type type, const char *name, struct kept *ret)
{
	struct message m = { .type = type };
	if (name)
		m.u.name.name = (char *)(uintptr_t)name;
	return client_ask(c, &m, c->settings->timeout_us, keep_message, ret);
}

/* format: svg or png. */
static int run_dot(const struct buf *text, const char *format)
{
	mem_auto char *command = mem_printf("dot -T%s", format);
	fflush(stdout);
	FILE *dot = popen(command, "we");
	bool written = dot && fwrite(text->data, 1, text->len, dot) == text->len;
	int status = dot ? pclose(dot) : -1;
	if (written && status == 0)
		return 0;
	if (status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 127)
		fprintf(stderr, "vnctl: drawing %s needs Graphviz: apt-get install graphviz; or take the text with -o dot elsewhere\n", format);
	else
		fprintf(stderr, "vnctl: dot failed\n");
	return 70;
}

int command_graph(const struct settings *s, int argc, char **argv)
{
	struct client c;
	struct picture p = { .out = BUF_INIT };
	if (argc > 2) {
		fprintf(stderr, "usage: vnctl graph [NAME] [-o dot|svg|png]\n");
		return 2;
	}
	int code = client_open(&c, s);
	if (code)
		return code;
	code = ask(&c, MSG_NODES, NULL, &p.nodes);
	if (!code)
		code = ask(&c, MSG_LINKS, NULL, &p.links);
	if (!code && argc == 2)
		code = ask(&c, MSG_SHOW, argv[1], &p.network);
	client_close(&c);
	if (!code && p.nodes.m.type == MSG_NODE_LIST && p.links.m.type == MSG_LINK_LIST) {
		draw(&p);
		if (s->drawn)
			code = run_dot(&p.out, s->drawn);
		else if (fwrite(p.out.data, 1, p.out.len, stdout) != p.out.len || fflush(stdout))
			code = 70;
	}
	message_done(&p.nodes.m);
	message_done(&p.links.m);
	message_done(&p.network.m);
	buf_done(&p.out);
	return code;
}
