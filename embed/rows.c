/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See rows.h. */
#include "embed/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { ROWS_BYTES = 16 << 20, ROWS_LEAST = 32, ROWS_MOST = 1 << 16, FINE = 20, /* bits that a weight keeps */
       SETS_MOST = 2048 /* nodes, for searches on sets of them */ };

/* The least bandwidth that a link must have left for k to use it at all. */
static int64_t need_of(const struct vlink *link)
{
	return link->split && link->bw_kbps > 0 ? (link->bw_kbps + PATHS_MAX - 1) / PATHS_MAX : link->bw_kbps;
}

static int by_need(const void *x, const void *y)
{
	const int64_t *a = x, *b = y;
	return (*a > *b) - (*a < *b);
}

/* How many of the needs, ascending, a link with `cap` left can carry. */
static size_t carried(const int64_t *needs, size_t n, int64_t cap)
{
	size_t low = 0;

	while (low < n) {
		size_t mid = low + (n - low) / 2;
		if (needs[mid] <= cap)
			low = mid + 1;
		else
			n = mid;
	}
	return low;
}

/* So many different needs that their rows cannot all be kept: only some steps between them stay, and a link counts as
 * usable that is so for the least need between two. */
static void merge_needs(const struct rows *rows, uint8_t *apart, size_t n)
{
	size_t most = ROWS_BYTES / sizeof(**rows->row) / rows->n_spots / rows->n_spots, steps = 1, seen = 0;

	for (size_t i = 1; i < n; i++)
		steps += apart[i];
	if (most == 0)
		most = 1;
	for (size_t i = 1; i < n && steps > most; i++) {
		if (!apart[i])
			continue;
		seen++;
		apart[i] = seen * most / steps != (seen - 1) * most / steps;
	}
}

/* Two needs are the same to a search when no link has less left than one and as much as the other. */
static void make_classes(struct rows *rows)
{
	const struct problem *p = rows->p;
	size_t n = p->r->n_links;
	mem_auto int64_t *needs = mem_array(n + 1, sizeof(*needs));
	mem_auto uint8_t *apart = mem_array(n + 2, 1); /* [i]: needs[i - 1] is not the same as needs[i] */

	for (size_t k = 0; k < n; k++)
		needs[k] = need_of(&p->r->links[k]);
	qsort(needs, n, sizeof(*needs), by_need);
	for (size_t l = 0; l < p->s->n_links; l++)
		apart[carried(needs, n, p->left->link_kbps[l])] = 1;
	merge_needs(rows, apart, n);
	rows->classes = mem_array(n + 1, sizeof(*rows->classes));
	rows->class_of = mem_array(n + 1, sizeof(*rows->class_of));
	for (uint32_t k = 0; k < n; k++) {
		const struct vlink *link = &p->r->links[k];
		size_t i = carried(needs, n, need_of(link)) - 1;
		while (i > 0 && !apart[i])
			i--;
		struct row_class c = { .need = needs[i], .max_delay = link->max_delay_us,
		                       .best_effort = vlink_best_effort(link) };
		uint32_t at = 0;
		while (at < rows->n_classes && (rows->classes[at].need != c.need || rows->classes[at].max_delay != c.max_delay ||
		                                rows->classes[at].best_effort != c.best_effort))
			at++;
		rows->classes[at] = c;
		rows->class_of[k] = at;
		if (at == rows->n_classes)
			rows->n_classes++;
	}
}

static int64_t gcd(int64_t a, int64_t b)
{
	while (a != 0) {
		int64_t rest = b % a;
		b = a;
		a = rest;
	}
	return b;
}

static void find_unit(struct rows *rows)
{
	const struct problem *p = rows->p;
	int64_t unit = p->link_unit, most = 0;

	rows->unit = (double)unit;
	if (unit > 0)
		return;

	for (size_t l = 0; l < p->s->n_links && unit != 1; l++)
		unit = gcd(p->link_weight[l], unit);
	for (size_t l = 0; l < p->s->n_links; l++)
		most = p->link_weight[l] > most ? p->link_weight[l] : most;
	if (unit == 0)
		unit = 1;
	while (most / unit >> FINE != 0)
		unit *= 2;
	rows->unit = (double)unit;
}

static void find_spots(struct rows *rows)
{
	const struct problem *p = rows->p;
	size_t n = p->s->n_nodes;

	rows->wanted = mem_array(n + 1, 1);
	rows->spot_of = mem_array(n + 1, sizeof(*rows->spot_of));
	for (uint32_t u = 0; u < p->r->n_nodes; u++)
		for (size_t i = 0; i < p->cand[u].n; i++)
			if (!rows->wanted[p->cand[u].v[i]]) {
				rows->wanted[p->cand[u].v[i]] = 1;
				rows->n_spots++;
			}
	rows->node_of = mem_array(rows->n_spots + 1, sizeof(*rows->node_of));
	rows->n_spots = 0;
	for (uint32_t a = 0; a < n; a++) {
		rows->spot_of[a] = rows->wanted[a] ? rows->n_spots : NO_NODE;
		if (rows->wanted[a])
			rows->node_of[rows->n_spots++] = a;
	}
}

void rows_init(struct rows *rows, const struct problem *p, struct path_space *space)
{
	*rows = (struct rows){ .p = p, .space = space };
	find_spots(rows);
	find_unit(rows);
	make_classes(rows);
	size_t fit = ROWS_BYTES / (sizeof(**rows->row) * (rows->n_spots + 1)), most = rows->n_classes * rows->n_spots;
	if (fit < ROWS_LEAST)
		fit = ROWS_LEAST;
	if (fit > ROWS_MOST)
		fit = ROWS_MOST;
	rows->max_rows = (uint32_t)(most < fit ? most : fit);
	rows->row = mem_array(rows->max_rows + 1, sizeof(*rows->row));
	rows->words = p->link_unit > 0 && p->s->n_nodes <= SETS_MOST ? (uint32_t)(p->s->n_nodes + 63) / 64 : 0;
	rows->seen = mem_array(3 * rows->words + 1, sizeof(*rows->seen));
	rows->at = rows->seen + rows->words;
	rows->next = rows->at + rows->words;
	for (rows->n_slots = 16; rows->n_slots < 2 * rows->max_rows;)
		rows->n_slots *= 2;
	rows->slots = mem_array(rows->n_slots, sizeof(*rows->slots));
}

void rows_done(struct rows *rows)
{
	for (uint32_t i = 0; i < rows->n_made; i++)
		free(rows->row[i]);
	for (size_t c = 0; c < rows->n_classes; c++)
		free(rows->classes[c].beside);
	free(rows->seen);
	free(rows->row);
	free(rows->slots);
	free(rows->classes);
	free(rows->class_of);
	free(rows->wanted);
	free(rows->spot_of);
	free(rows->node_of);
	memset(rows, 0, sizeof(*rows));
}

static void search_row(struct rows *rows, const struct row_class *c, uint32_t node, uint32_t *row)
{
	const struct problem *p = rows->p;
	struct path_query q = { .weight = p->link_weight, .unit = p->link_unit, .cap = p->left->link_kbps, .need = c->need,
	                        .delay = p->link_delay, .max_delay = c->max_delay, .wanted = rows->wanted,
	                        .n_wanted = rows->n_spots };

	/* Best effort: fewest hops, and of those the quickest. */
	if (c->best_effort)
		q = (struct path_query){ .tie = p->link_delay, .max_delay = -1 };
	/* Where all weigh the same, that is the unit. */
	if (q.unit > 0)
		q.unit = 1;
	path_search(rows->space, &q, node, NO_NODE);
	uint64_t unit = q.weight && q.unit == 0 ? (uint64_t)rows->unit : 1;
	for (uint32_t i = 0; i < rows->n_spots; i++) {
		int64_t dist = path_dist(rows->space, rows->node_of[i]);
		if (dist == DIST_NONE || (c->best_effort && c->max_delay >= 0 &&
		                          path_tie(rows->space, rows->node_of[i]) > c->max_delay)) {
			row[i] = ROW_NONE;
			continue;
		}
		uint64_t units = unit == 1 ? (uint64_t)dist : (uint64_t)dist / unit;
		row[i] = units < ROW_FAR ? (uint32_t)units : ROW_FAR;
	}
}

static void set_beside(struct rows *rows, struct row_class *c)
{
	const struct graph *g = &rows->p->graph;
	size_t words = rows->words;

	c->beside = mem_array(g->n_nodes * words + 1, sizeof(*c->beside));
	for (size_t l = 0; l < g->n_links; l++) {
		uint32_t a = g->ends[l][0], b = g->ends[l][1];
		if (rows->p->left->link_kbps[l] < c->need)
			continue;
		c->beside[a * words + b / 64] |= UINT64_C(1) << b % 64;
		c->beside[b * words + a / 64] |= UINT64_C(1) << a % 64;
	}
	rows->space->work += g->n_links;
}

/* The neighbours, as a set, of all in the set `at`. */
static void spread(const struct rows *rows, const struct row_class *c, uint64_t *next)
{
	uint32_t words = rows->words;

	memset(next, 0, words * sizeof(*next));
	for (uint32_t w = 0; w < words; w++)
		for (uint64_t rest = rows->at[w]; rest != 0; rest &= rest - 1) {
			const uint64_t *beside = &c->beside[(size_t)(w * 64 + (uint32_t)__builtin_ctzll(rest)) * words];
			for (uint32_t i = 0; i < words; i++)
				next[i] |= beside[i];
		}
}

/* Breadth first, 64 nodes at a time. */
static void search_sets(struct rows *rows, struct row_class *c, uint32_t node, uint32_t *row)
{
	uint32_t words = rows->words, met = 1;
	bool more = true;

	if (!c->beside)
		set_beside(rows, c);
	memset(row, 0xff, rows->n_spots * sizeof(*row));
	memset(rows->seen, 0, 2 * words * sizeof(*rows->seen));
	rows->seen[node / 64] = rows->at[node / 64] = UINT64_C(1) << node % 64;
	row[rows->spot_of[node]] = 0;
	for (uint32_t level = 1; more && met < rows->p->graph.n_nodes; level++) {
		spread(rows, c, rows->next);
		more = false;
		for (uint32_t w = 0; w < words; w++) {
			uint64_t fresh = rows->next[w] & ~rows->seen[w];
			rows->at[w] = fresh;
			rows->seen[w] |= fresh;
			more = more || fresh != 0;
			for (; fresh != 0; fresh &= fresh - 1, met++) {
				uint32_t spot = rows->spot_of[w * 64 + (uint32_t)__builtin_ctzll(fresh)];
				if (spot != NO_NODE)
					row[spot] = level;
			}
		}
	}
	rows->space->work += met * (words + 4) / 8;
}

const uint32_t *rows_get(struct rows *rows, uint32_t k, uint32_t node)
{
	uint32_t class = rows->class_of[k], spot = rows->spot_of[node];
	uint32_t i = (class * UINT32_C(2654435761) + spot * UINT32_C(2246822519)) >> 7;

	for (;; i++) {
		struct row_slot *slot = &rows->slots[i & (rows->n_slots - 1)];
		if (slot->row == 0)
			break;
		if (slot->class == class && slot->spot == spot)
			return rows->row[slot->row - 1];
	}
	if (rows->n_rows == rows->max_rows) {
		memset(rows->slots, 0, rows->n_slots * sizeof(*rows->slots));
		rows->n_rows = 0;
	}
	if (rows->n_rows == rows->n_made)
		rows->row[rows->n_made++] = mem_array(rows->n_spots + 1, sizeof(**rows->row));
	uint32_t *row = rows->row[rows->n_rows++];
	struct row_class *c = &rows->classes[class];
	if (rows->words > 0 && c->max_delay < 0)
		search_sets(rows, c, node, row);
	else
		search_row(rows, c, node, row);
	while (rows->slots[i & (rows->n_slots - 1)].row != 0)
		i++;
	rows->slots[i & (rows->n_slots - 1)] = (struct row_slot){ class, spot, rows->n_rows };
	return row;
}
