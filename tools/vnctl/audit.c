/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnctl audit`: what was promised beside what was measured, per virtual link and direction. All
 * rates are compared in bytes on the wire, encapsulation included, as formats.md defines
 * bandwidth; the payload that arrived stands beside.
 *
 * Without --probe it is the traffic of the last seconds: that can show a promise broken upwards only.
 * With --probe it sends. A promise is kept when TCP, or UDP at twice the limit, gets at least 98 % of
 * it and neither more than 102 %; and when of what was sent in time most arrives (70 % of the wire
 * bytes as payload of TCP: headers and the other direction's ACKs take 11 % of full frames). Less
 * than 98 % with nothing dropped at the limit is the senders' doing: not known, rather than broken.
 * Delay is not measured: without clocks in common a round trip says little about
 * one way, and where the kernel cannot delay there is none to see. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "model/units.h"
#include "model/view_write.h"
#include "tools/vnctl/probe.h"

#define LEAST 0.98
#define MOST 1.02
#define PAYLOAD_LEAST 0.7
enum { PROBE_SECONDS = 6 };
#define HISTORY_US (INT64_C(600) * 1000000)

struct audit {
	const struct settings *settings;
	struct client client;
	VEC(struct kept) networks;
	VEC(struct probe_link) links;
	int broken, unknown;
};

/* ---- which links --------------------------------------------------------------------------- */

static int add_network(struct audit *a, const char *name)
{
	struct kept answer = { 0 };
	struct message m = { .type = MSG_SHOW, .u.name = { .name = (char *)name } };
	int code = client_ask(&a->client, &m, a->settings->timeout_us, keep_message, &answer);
	if (code || answer.m.type != MSG_NETWORKS) {
		message_done(&answer.m);
		return code;
	}
	*vec_add(&a->networks) = answer;
	for (size_t i = 0; i < answer.m.u.networks.n; i++) {
		const struct network_view *v = &answer.m.u.networks.v[i];
		bool runs = v->state == NET_ACTIVE || v->state == NET_DEGRADED || v->state == NET_UPDATING;
		for (size_t k = 0; runs && k < v->n_links; k++)
			*vec_add(&a->links) = (struct probe_link){ .owner = v->owner, .network = v->name, .link = &v->links[k] };
	}
	return 0;
}

static int gather(struct audit *a, const char *name)
{
	if (name)
		return add_network(a, name);
	struct kept all = { 0 };
	struct message m = { .type = MSG_LIST };
	int code = client_ask(&a->client, &m, a->settings->timeout_us, keep_message, &all);
	for (size_t i = 0; !code && all.m.type == MSG_NETWORKS && i < all.m.u.networks.n; i++) {
		const struct network_view *v = &all.m.u.networks.v[i];
		mem_auto char *full = mem_printf("%s/%s", v->owner, v->name);
		if (v->state != NET_RELEASED && v->state != NET_REJECTED && v->state != NET_FAILED)
			code = add_network(a, full);
	}
	message_done(&all.m);
	return code;
}

/* ---- judging ------------------------------------------------------------------------------- */

enum verdict { VERDICT_OK, VERDICT_BROKEN, VERDICT_UNKNOWN };

static enum verdict judge(const struct probe_link *l, int d, const char **why)
{
	const struct probe_figure *tcp = &l->figure[PROBE_TCP][d], *udp = &l->figure[PROBE_UDP][d];
	double promised = l->link->mbit;
	*why = "";
	if (!tcp->measured || !udp->measured) {
		*why = "not measured";
		return VERDICT_UNKNOWN;
	}
	if (promised <= 0)
		return VERDICT_OK;
	if (tcp->wire_mbit > MOST * promised || udp->wire_mbit > MOST * promised)
		*why = "more gets through than was promised";
	else if (tcp->payload_mbit < PAYLOAD_LEAST * tcp->wire_mbit)
		*why = "it is lost on the way";
	else if (tcp->wire_mbit >= LEAST * promised || udp->wire_mbit >= LEAST * promised)
		return VERDICT_OK;
	else if (udp->drops > 0)
		*why = "less gets through than was promised";
	else {
		*why = "the senders did not fill it: too little cpu, perhaps";
		return VERDICT_UNKNOWN;
	}
	return VERDICT_BROKEN;
}

static enum verdict judge_now(const struct vlink_view *v, int d, const char **why)
{
	*why = "";
	if (v->mbit_now[d] < 0) {
		*why = "not measured";
		return VERDICT_UNKNOWN;
	}
	if (v->mbit <= 0 || v->mbit_now[d] <= MOST * v->mbit)
		return VERDICT_OK;
	*why = "more gets through than was promised";
	return VERDICT_BROKEN;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void write_mbit(struct writer *w, const char *key, const char *title, double mbit)
{
	char text[32];
	snprintf(text, sizeof(text), "%.2fmbit", mbit);
	if (mbit >= 0) /* unknown ones are left out; NaN is not >= 0 either */
		write_quantity(w, key, title, mbit, text);
}

static void write_probe(struct writer *w, const struct probe_link *l, int d)
{
	const struct probe_figure *tcp = &l->figure[PROBE_TCP][d], *udp = &l->figure[PROBE_UDP][d];
	write_mbit(w, "tcp_mbit", "tcp", tcp->measured ? tcp->wire_mbit : -1);
	write_mbit(w, "tcp_payload_mbit", "tcp payload", tcp->measured ? tcp->payload_mbit : -1);
	write_mbit(w, "udp_mbit", "udp at 2x", udp->measured ? udp->wire_mbit : -1);
	write_mbit(w, "udp_payload_mbit", "udp payload", udp->measured ? udp->payload_mbit : -1);
	if (udp->measured)
		write_int(w, "udp_drops", "udp drops", (int64_t)udp->drops);
}

static void write_direction(struct audit *a, struct writer *w, const struct probe_link *l, int d)
{
	const struct vlink_view *v = l->link;
	static const char *const verdicts[] = { "ok", "broken", "unknown" };
	const char *why;
	char text[UNITS_TEXT];
	mem_auto char *full = mem_printf("%s/%s", l->owner, l->network);
	enum verdict verdict = a->settings->probe ? judge(l, d, &why) : judge_now(v, d, &why);
	a->broken += verdict == VERDICT_BROKEN;
	a->unknown += verdict == VERDICT_UNKNOWN;

	write_object(w, NULL, "");
	write_string(w, "network", "network", full);
	write_string(w, "link", "link", v->name);
	write_string(w, "from", "from", d ? v->b : v->a);
	write_string(w, "to", "to", d ? v->a : v->b);
	if (v->mbit > 0)
		write_mbit(w, "promised_mbit", "promised", v->mbit);
	else
		write_string(w, NULL, "promised", "best effort");
	if (a->settings->probe) {
		write_probe(w, l, d);
	} else {
		write_mbit(w, "mbit_now", "now", v->mbit_now[d]);
		write_int(w, "bytes", "bytes", (int64_t)v->bytes[d]);
		write_int(w, "drops", "drops", (int64_t)v->drops[d]);
	}
	if (v->max_delay_us >= 0) {
		write_int(w, "max_delay_us", NULL, v->max_delay_us);
		write_string(w, NULL, "delay asked", units_delay_text(v->max_delay_us, text));
	}
	write_string(w, "delay", "delay", "not measured");
	write_string(w, "verdict", "verdict", verdicts[verdict]);
	if (*why)
		write_string(w, "reason", "reason", *l->failed ? l->failed : why);
	write_end(w);
}

static int report(struct audit *a)
{
	struct writer *w = settings_writer(a->settings);
	write_object(w, NULL, NULL);
	write_list(w, "links", "");
	for (size_t i = 0; i < a->links.n; i++)
		for (int d = 0; d < 2; d++)
			write_direction(a, w, &a->links.v[i], d);
	write_end(w);
	write_int(w, "broken", NULL, a->broken);
	write_int(w, "unknown", NULL, a->unknown);
	write_end(w);
	int code = print_result(a->settings, w);
	if (!a->settings->json)
		printf("\n%zu links, both directions: %d broken, %d not measured. Rates count bytes on the wire, encapsulation "
		       "included.\n", a->links.n, a->broken, a->unknown);
	return code ? code : a->broken ? 1 : a->settings->probe && a->unknown ? 4 : 0;
}

static int probe(struct audit *a)
{
	static const char *const what[] = { "TCP", "UDP at twice the limit" };
	int code = 0;
	for (int kind = 0; kind < PROBE_KINDS && !code; kind++) {
		if (!a->settings->json)
			printf("sending %s over %zu links, both ways at once, for %d s\n", what[kind], a->links.n, PROBE_SECONDS);
		fflush(stdout);
		code = probe_run(&a->client, kind, PROBE_SECONDS, a->links.v, a->links.n);
	}
	return code;
}

/* ---- what was measured before -------------------------------------------------------------- */

static int show_history(const struct settings *s, const char *of)
{
	struct err err = { 0 };
	struct client c;
	struct kept answer = { 0 };
	struct message m = { .type = MSG_SERIES, .u.series = { .of = (char *)(uintptr_t)of, .span_us = HISTORY_US } };
	if (s->since && units_duration(s->since, &m.u.series.span_us, &err)) {
		fprintf(stderr, "vnctl: --since: %s\n", err.text);
		return 2;
	}
	int code = client_open(&c, s);
	if (code)
		return code;
	code = client_ask(&c, &m, s->timeout_us, keep_message, &answer);
	if (!code && answer.m.type == MSG_SERIES_DATA) {
		struct writer *w = settings_writer(s);
		write_series_view(w, &answer.m.u.series_data);
		code = print_result(s, w);
	}
	message_done(&answer.m);
	client_close(&c);
	return code;
}

int command_audit(const struct settings *s, int argc, char **argv)
{
	struct audit a = { .settings = s };
	if (argc > 2 || (s->history && (argc != 2 || s->probe)) || (!s->history && (s->since || s->until)) || s->until) {
		fprintf(stderr, "usage: vnctl audit [NAME] [--probe]\n"
		                "       vnctl audit node:NAME|link:NAME|network:OWNER/NAME|router:OWNER/NAME/ROUTER|vlink:OWNER/NAME/LINK --history [--since 2h]\n");
		return 2;
	}
	if (s->history)
		return show_history(s, argv[1]);
	int code = client_open(&a.client, s);
	if (code)
		return code;
	code = gather(&a, argc == 2 ? argv[1] : NULL);
	if (!code && s->probe)
		code = probe(&a);
	if (!code)
		code = report(&a);
	client_close(&a.client);
	for (size_t i = 0; i < a.networks.n; i++)
		message_done(&a.networks.v[i].m);
	vec_done(&a.networks);
	vec_done(&a.links);
	return code;
}
