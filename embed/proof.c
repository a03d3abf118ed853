/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See proof.h. */
#include "embed/proof.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- the ledger ---------------------------------------------------------------------------- */

static size_t ledger_messages(const struct dual_shape *shape, size_t n_hosts)
{
	return shape->n_edges * 2 * n_hosts;
}

struct ledger *ledger_new(struct proof *proof, const struct dual_shape *shape)
{
	struct ledger *ledger = mem_array(1, sizeof(*ledger));

	ledger->proof = proof;
	ledger->n_hosts = shape->p->s->n_nodes;
	ledger->message = mem_array(ledger_messages(shape, ledger->n_hosts) + 1, sizeof(*ledger->message));
	ledger->column = mem_array(shape->n_nodes * ledger->n_hosts * ledger->n_hosts + 1, sizeof(*ledger->column));
	ledger->host = mem_array(ledger->n_hosts + 1, sizeof(*ledger->host));
	return ledger;
}

void ledger_copy(const struct ledger *from, struct ledger **to, const struct dual_shape *shape)
{
	size_t n = shape->p->s->n_nodes;

	if (!from)
		return;
	if (!*to)
		*to = ledger_new(from->proof, shape);
	(*to)->node = from->node;
	memcpy((*to)->message, from->message, ledger_messages(shape, n) * sizeof(*from->message));
	memcpy((*to)->column, from->column, shape->n_nodes * n * n * sizeof(*from->column));
	memcpy((*to)->host, from->host, n * sizeof(*from->host));
}

void ledger_free(struct ledger *ledger)
{
	if (!ledger)
		return;
	free(ledger->message);
	free(ledger->column);
	free(ledger->host);
	free(ledger);
}

/* ---- lines --------------------------------------------------------------------------------- */

void proof_init(struct proof *proof, const struct problem *p, FILE *out)
{
	*proof = (struct proof){ .out = out, .p = p, .next = 1, .route = BUF_INIT };
}

void proof_done(struct proof *proof)
{
	buf_done(&proof->route);
}

/* A quotient of whole numbers, as Python's Fraction reads it. */
static void put_quotient(FILE *out, double over, double under)
{
	fprintf(out, "\"%.0f/%.0f\"", over, under);
}

static void put_tariff(struct buf *out, const struct problem *p, const struct routing_pool *pool, const struct tariff *tariff)
{
	buf_str(out, "\"prices\":[");
	for (size_t i = 0; i < tariff->n_links; i++)
		buf_printf(out, "%s[%" PRIu32 ",\"%" PRId64 "/%.0f\"]", i ? "," : "", tariff->links[i].at, tariff->links[i].price,
		           pool->scale * p->scale);
	buf_str(out, "],\"covers\":[");
	for (size_t i = 0; i < tariff->n_covers; i++) {
		const struct cover *c = &pool->covers[tariff->covers[i].cover];
		bool any = false;
		buf_printf(out, "%s[%" PRIu32 ",[", i ? "," : "", c->at);
		for (uint32_t k = 0; k < p->r->n_links; k++) {
			if (c->member[k])
				buf_printf(out, "%s%" PRIu32, any ? "," : "", k);
			any = any || c->member[k];
		}
		buf_printf(out, "],%" PRIu32 ",\"%" PRId64 "/%.0f\"]", c->most, tariff->covers[i].price, p->scale);
	}
	buf_str(out, "]");
}

void proof_begin(struct proof *proof, double parts, double unit, const struct routing_prices *prices)
{
	buf_auto struct buf text = BUF_INIT;

	proof->begun = true;
	fputs("{\"event\":\"begin\",\"parts\":", proof->out);
	put_quotient(proof->out, proof->p->scale * parts, unit);
	if (prices)
		put_tariff(&text, proof->p, prices->pool, prices->tariff);
	fprintf(proof->out, "%s%s}\n", text.len > 0 ? "," : "", buf_cstr(&text));
}

void proof_claim(struct proof *proof, double claim)
{
	if (proof->next == 1 && !proof->begun) { /* there was nothing to search */
		proof_begin(proof, 1, 1, NULL);
		fputs("{\"event\":\"empty\",\"node\":0}\n", proof->out);
	}
	if (proof->failed)
		fprintf(proof->out, "{\"event\":\"failed\",\"why\":\"%s\"}\n", proof->failed);
	fputs("{\"event\":\"claim\",\"cost\":", proof->out);
	if (isfinite(claim))
		put_quotient(proof->out, claim, proof->p->scale);
	else
		fputs("null", proof->out);
	fputs("}\n", proof->out);
}

uint32_t proof_child(const struct dual *d, uint32_t u, uint32_t host)
{
	struct proof *proof = d->ledger->proof;

	fprintf(proof->out, "{\"event\":\"node\",\"id\":%" PRIu32 ",\"parent\":%" PRIu32 ",\"fix\":[%" PRIu32 ",%" PRIu32 "]}\n",
	        proof->next, d->ledger->node, u, host);
	return proof->next++;
}

void proof_barren(const struct dual *d, uint32_t child)
{
	fprintf(d->ledger->proof->out, "{\"event\":\"empty\",\"node\":%" PRIu32 "}\n", child);
}

bool proof_empty(const struct dual *d)
{
	if (d->ledger)
		proof_barren(d, d->ledger->node);
	return false;
}

static void put_domain(FILE *out, const struct dual *d, uint32_t u)
{
	bool any = false;

	fputc('[', out);
	if (d->fixed[u] != NO_NODE)
		fprintf(out, "%" PRIu32, d->fixed[u]);
	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (d->unary[d->at[u] + i] >= DUAL_NONE)
			continue;
		fprintf(out, "%s%" PRIu32, any ? "," : "", d->host[d->at[u] + i]);
		any = true;
	}
	fputc(']', out);
}

static void put_messages(FILE *out, const struct dual *d, uint32_t e, uint32_t end)
{
	uint32_t u = d->shape->edges[e].end[end];
	const int64_t *message = d->ledger->message + ((size_t)e * 2 + end) * d->ledger->n_hosts;
	bool any = false;

	fputc('[', out);
	if (d->fixed[u] != NO_NODE)
		fprintf(out, "%" PRId64, message[d->fixed[u]]);
	for (uint32_t i = 0; i < d->n[u]; i++) {
		if (d->unary[d->at[u] + i] >= DUAL_NONE)
			continue;
		fprintf(out, "%s%" PRId64, any ? "," : "", message[d->host[d->at[u] + i]]);
		any = true;
	}
	fputc(']', out);
}

static void put_columns(FILE *out, const struct dual *d)
{
	const struct ledger *ledger = d->ledger;
	bool any = false;

	for (uint32_t u = 0; u < d->shape->n_nodes; u++)
		for (uint32_t a = 0; a < ledger->n_hosts; a++)
			for (uint32_t b = 0; b < ledger->n_hosts; b++) {
				int64_t value = ledger->column[((size_t)u * ledger->n_hosts + a) * ledger->n_hosts + b];
				if (value == 0)
					continue;
				fprintf(out, "%s[%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRId64 "]", any ? "," : "", u, a, b, value);
				any = true;
			}
}

/* Drops from d, and lists, who costs more than the limit. False: somebody has nowhere to go. */
static bool drop_hosts(struct proof *proof, struct dual *d, int64_t bound)
{
	bool any = false, left = true;

	for (uint32_t u = 0; u < d->shape->n_nodes; u++)
		for (uint32_t i = 0; i < d->n[u]; i++) {
			int32_t unary = d->unary[d->at[u] + i];
			if (unary >= DUAL_NONE || bound + unary <= proof->limit)
				continue;
			fprintf(proof->out, "%s[%" PRIu32 ",%" PRIu32 "]", any ? "," : "", u, d->host[d->at[u] + i]);
			any = true;
			left = dual_kill(d, u, i) && left;
		}
	return left;
}

bool proof_bound(struct dual *d, int64_t more, bool routed)
{
	struct proof *proof = d->ledger->proof;
	FILE *out = proof->out;
	bool any = false, closed = d->bound + more > proof->limit;

	fprintf(out, "{\"event\":\"bound\",\"node\":%" PRIu32 ",\"domain\":[", d->ledger->node);
	for (uint32_t u = 0; u < d->shape->n_nodes; u++) {
		fputs(u ? "," : "", out);
		put_domain(out, d, u);
	}
	fputs("],\"messages\":[", out);
	for (uint32_t e = 0; e < d->shape->n_edges; e++) {
		fputs(e ? ",[" : "[", out);
		put_messages(out, d, e, 0);
		fputc(',', out);
		put_messages(out, d, e, 1);
		fputc(']', out);
	}
	fputs("],\"columns\":[", out);
	put_columns(out, d);
	fputs("],\"hosts\":[", out);
	for (uint32_t a = 0; a < d->ledger->n_hosts; a++) {
		if (d->ledger->host[a] == 0)
			continue;
		fprintf(out, "%s[%" PRIu32 ",%" PRId64 "]", any ? "," : "", a, d->ledger->host[a]);
		any = true;
	}
	fputs("],\"drop\":[", out);
	bool left = closed || drop_hosts(proof, d, d->bound + more);
	fprintf(out, "],\"close\":%s", closed ? "true" : "false");
	if (routed)
		fprintf(out, ",\"route\":%s%s}", buf_cstr(&proof->route),
		        proof->route.len == proof->route_begun ? "{\"ray\":false,\"prices\":[],\"covers\":[]}" : "");
	fputs("}\n", out);
	return left && !closed;
}

/* ---- routing ------------------------------------------------------------------------------- */

void proof_route_begin(struct proof *proof, const uint32_t *links, size_t n, bool whole)
{
	buf_clear(&proof->route);
	buf_printf(&proof->route, "{\"whole\":%s,\"links\":[", whole ? "true" : "false");
	for (size_t i = 0; i < n; i++)
		buf_printf(&proof->route, "%s%" PRIu32, i ? "," : "", links[i]);
	buf_str(&proof->route, "],\"tree\":");
	proof->route_begun = proof->route.len;
}

void proof_route_tariff(struct proof *proof, const struct routing_pool *pool, const struct tariff *tariff, bool ray)
{
	buf_printf(&proof->route, "{\"ray\":%s,", ray ? "true" : "false");
	put_tariff(&proof->route, proof->p, pool, tariff);
	buf_str(&proof->route, "}");
}

void proof_route_branch(struct proof *proof, uint32_t link, uint32_t node, const uint32_t *arcs, size_t n)
{
	buf_printf(&proof->route, "{\"link\":%" PRIu32 ",\"node\":%" PRIu32 ",\"arcs\":[[", link, node);
	for (size_t i = 1; i < n; i++)
		buf_printf(&proof->route, "%s%" PRIu32, i > 1 ? "," : "", arcs[i]);
	buf_printf(&proof->route, "],[%" PRIu32 "]],\"children\":[", arcs[0]);
}

void proof_route_next(struct proof *proof)
{
	buf_str(&proof->route, ",");
}

void proof_route_end(struct proof *proof)
{
	buf_str(&proof->route, "]}");
}

