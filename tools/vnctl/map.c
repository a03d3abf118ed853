/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A map of text: nodes at their places (east to west over the width, a character twice as high
 * as wide), each with its name and the routers that it hosts, links as dotted lines, those that the
 * network uses bolder. Plain plotting: lines first, names over them, a name that finds no room
 * at its place takes the nearest free one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tools/vnctl/client.h"

enum { WIDTH = 78, HEIGHT_MAX = 40, TEXT_MAX_BYTES = 160 };

enum ink { INK_NONE, INK_LINK, INK_USED, INK_TEXT };

struct map {
	int height;
	enum ink ink[HEIGHT_MAX][WIDTH];
	char text[HEIGHT_MAX][WIDTH];
	double west, east, south, north;
};

struct cell {
	int x, y;
	bool known;
};

static void plot_line(struct map *m, struct cell a, struct cell b, enum ink ink)
{
	int steps = abs(a.x - b.x) > abs(a.y - b.y) ? abs(a.x - b.x) : abs(a.y - b.y);
	for (int i = 0; i <= steps; i++) {
		int x = a.x + (int)lround((double)(b.x - a.x) * i / (steps ? steps : 1));
		int y = a.y + (int)lround((double)(b.y - a.y) * i / (steps ? steps : 1));
		/* Every other cell: a line stays a hint, and steep and flat ones look alike. */
		if ((abs(a.x - b.x) > abs(a.y - b.y) ? x % 2 : 0) == 0 && m->ink[y][x] < ink)
			m->ink[y][x] = ink;
	}
}

static bool is_free(const struct map *m, int x, int y, int n)
{
	if (y < 0 || y >= m->height || x < 0 || x + n > WIDTH)
		return false;
	for (int i = x > 0 ? -1 : 0; i <= n && x + i < WIDTH; i++)
		if (m->ink[y][x + i] == INK_TEXT)
			return false;
	return true;
}

static void put_text(struct map *m, int x, int y, const char *text, int n)
{
	for (int i = 0; i < n; i++) {
		m->ink[y][x + i] = INK_TEXT;
		m->text[y][x + i] = text[i];
	}
}

/* Beginning at its place, ending there, or as near as there is room. */
static void plot_name(struct map *m, struct cell p, const char *text)
{
	int n = (int)strlen(text);
	if (n > WIDTH)
		n = WIDTH;
	for (int distance = 0; distance < HEIGHT_MAX; distance++) {
		for (int side = 0; side < 4; side++) {
			int y = side & 1 ? p.y - distance : p.y + distance;
			int x = side & 2 ? p.x - n + 1 : p.x;
			if (x + n > WIDTH)
				x = WIDTH - n;
			if (x < 0)
				x = 0;
			if (!is_free(m, x, y, n))
				continue;
			put_text(m, x, y, text, n);
			return;
		}
	}
}

static void find_bounds(struct map *m, const struct node_view *nodes, size_t n)
{
	m->west = m->south = INFINITY;
	m->east = m->north = -INFINITY;
	for (size_t i = 0; i < n; i++) {
		if (!nodes[i].has_location)
			continue;
		m->west = fmin(m->west, nodes[i].longitude);
		m->east = fmax(m->east, nodes[i].longitude);
		m->south = fmin(m->south, nodes[i].latitude);
		m->north = fmax(m->north, nodes[i].latitude);
	}
	double across = (m->east - m->west) * cos((m->north + m->south) / 2 * M_PI / 180);
	double rows = across > 0 ? WIDTH * (m->north - m->south) / across / 2 : HEIGHT_MAX;
	m->height = rows > HEIGHT_MAX - 1 ? HEIGHT_MAX : (int)lround(rows) + 1;
	if (m->height < 3)
		m->height = 3;
}

static struct cell place_of(const struct map *m, const struct node_view *v)
{
	double x = m->east > m->west ? (v->longitude - m->west) / (m->east - m->west) : 0.5;
	double y = m->north > m->south ? (m->north - v->latitude) / (m->north - m->south) : 0.5;
	return (struct cell){ (int)lround(x * (WIDTH - 1)), (int)lround(y * (m->height - 1)), true };
}

/* Whether one of the network's paths names the substrate link. */
static bool uses(const struct network_view *net, const char *link)
{
	size_t n = strlen(link);
	for (size_t i = 0; net && net->detailed && i < net->n_links; i++) {
		for (size_t k = 0; k < net->links[i].n_paths; k++) {
			const char *at = net->links[i].paths[k].links;
			for (const char *hit = at; hit && (hit = strstr(hit, link)); hit += n)
				if ((hit == at || hit[-1] == ' ') && (hit[n] == ' ' || !hit[n]))
					return true;
		}
	}
	return false;
}

/* "newy" or "newy[east m1]". */
static void name_with_routers(const struct node_view *v, const struct network_view *net, char text[static TEXT_MAX_BYTES])
{
	buf_auto struct buf b = BUF_INIT;
	bool any = false;
	buf_str(&b, v->name);
	for (size_t i = 0; net && net->detailed && i < net->n_routers; i++) {
		const struct router_view *r = &net->routers[i];
		if (!r->node || strcmp(r->node, v->name))
			continue;
		buf_printf(&b, "%s%s", any ? " " : "[", r->name);
		any = true;
	}
	if (any)
		buf_char(&b, ']');
	size_t n = b.len < TEXT_MAX_BYTES - 1 ? b.len : TEXT_MAX_BYTES - 1;
	memcpy(text, b.data, n);
	text[n] = 0;
}

static void print_map(const struct map *m, bool utf8, struct buf *out)
{
	static const char *const plain[] = { " ", ".", "*" }, *const fine[] = { " ", "·", "•" };
	for (int y = 0; y < m->height; y++) {
		int end = WIDTH;
		while (end > 0 && m->ink[y][end - 1] == INK_NONE)
			end--;
		for (int x = 0; x < end; x++) {
			if (m->ink[y][x] == INK_TEXT)
				buf_char(out, m->text[y][x]);
			else
				buf_str(out, (utf8 ? fine : plain)[m->ink[y][x]]);
		}
		buf_char(out, '\n');
	}
}

void map_draw(const struct node_view *nodes, size_t n_nodes, const struct slink_view *links, size_t n_links,
              const struct network_view *net, bool utf8, struct buf *out)
{
	struct map *m = mem_alloc(sizeof(*m));
	struct cell *places = mem_array(n_nodes + 1, sizeof(*places));
	struct hash *index = hash_new();
	bool any = false;

	find_bounds(m, nodes, n_nodes);
	for (size_t i = 0; i < n_nodes; i++) {
		hash_index_put(index, nodes[i].name, i);
		if (nodes[i].has_location) {
			places[i] = place_of(m, &nodes[i]);
			any = true;
		}
	}
	for (size_t i = 0; any && i < n_links; i++) {
		size_t a = hash_index(index, links[i].a), b = hash_index(index, links[i].b);
		if (a != SIZE_MAX && b != SIZE_MAX && places[a].known && places[b].known)
			plot_line(m, places[a], places[b], uses(net, links[i].name) ? INK_USED : INK_LINK);
	}
	/* Nodes that host something choose their place first. */
	for (int round = 0; any && round < 2; round++) {
		for (size_t i = 0; i < n_nodes; i++) {
			char text[TEXT_MAX_BYTES];
			name_with_routers(&nodes[i], net, text);
			if (places[i].known && (strchr(text, '[') != NULL) == (round == 0))
				plot_name(m, places[i], text);
		}
	}
	if (any)
		print_map(m, utf8, out);
	hash_free(index, NULL);
	free(places);
	free(m);
}
