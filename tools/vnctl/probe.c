/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One phase of a probe: an iperf3 server at the second end of every link, then a client at the
 * first end of every link, both ways at once (--bidir: one set-up for both directions, so that none has
 * to get through the other's flood). All links at the same time: what was promised was promised to
 * all of them together.
 *
 * The rate that counts is the agents': bytes on the wire behind the limit, over the last seconds, asked
 * for again and again while the senders run; the last second of sending is taken, when start and
 * slow start have left the window. What arrives is told by the receiving iperf3. */
#include "tools/vnctl/probe.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/units.h"

/* Several streams: a TCP alone leaves the link idle whenever it recovers from a loss (measured on
 * 10 and 20 mbit, worst of 16 directions: one stream 86 %, two 93 %, four 93 %, eight 99.7 %), and a
 * UDP sender alone is slowed down by its own socket buffer rather than by the limit. */
enum { STREAMS = 8 };
enum { SAMPLE_MS = 200, PORT_FIRST = 5201, OUTPUT_MAX = 65536, EXTRA_S = 20, WORDS_MAX = 24 };

/* Exec ids: 2 × link + 1 the server, 2 × link + 2 the client; each phase has its own range. */
struct end {
	struct buf out;
	bool running, done;
};

struct probe {
	struct client *client;
	enum probe_traffic kind;
	int seconds;
	struct probe_link *links;
	size_t n, listening, finished;
	struct end *end; /* 2 per link */
	uint64_t first_id;
	int64_t began_ms; /* 0: the senders have not begun */
	double (*sum)[2];
	int (*samples)[2];
	uint64_t (*drops_before)[2];
	bool *has_before;
};

static void send_exec(struct probe *p, size_t end, const char *router, char **argv, size_t argc)
{
	const struct probe_link *l = &p->links[end / 2];
	mem_auto char *network = mem_printf("%s/%s", l->owner, l->network);
	struct message m = { .type = MSG_EXEC, .u.exec = { .id = p->first_id + end, .network = network,
		             .router = (char *)router, .argv = argv, .argc = argc } };
	p->end[end].running = true;
	if (client_send(p->client, &m, NULL))
		client_end(p->client, 3);
}

static void stop_exec(struct probe *p, size_t end)
{
	struct message m = { .type = MSG_EXEC_EXIT, .u.exec_exit = { .id = p->first_id + end, .code = -1 } };
	if (p->end[end].running && client_send(p->client, &m, NULL))
		client_end(p->client, 3);
	p->end[end].running = false;
}

static void start_server(struct probe *p, size_t i)
{
	char port[24];
	snprintf(port, sizeof(port), "%zu", PORT_FIRST + i);
	char *argv[] = { "iperf3", "--server", "--one-off", "--forceflush", "--port", port };
	send_exec(p, 2 * i, p->links[i].link->b, argv, ARRAY_LEN(argv));
}

static void start_client(struct probe *p, size_t i)
{
	const struct vlink_view *link = p->links[i].link;
	char port[24], seconds[16], rate[32], streams[8], address[ADDR_TEXT];
	snprintf(port, sizeof(port), "%zu", PORT_FIRST + i);
	snprintf(seconds, sizeof(seconds), "%d", p->seconds);
	snprintf(rate, sizeof(rate), "%.0fK", link->mbit * 2000 / STREAMS);
	snprintf(streams, sizeof(streams), "%d", STREAMS);
	snprintf(address, sizeof(address), "%.*s", (int)strcspn(link->address_b, "/"), link->address_b);
	char *argv[WORDS_MAX] = { "iperf3", "--client", address, "--port", port, "--time", seconds, "--bidir", "--format", "k",
		                  "--parallel", streams };
	size_t n = 12;
	if (p->kind == PROBE_UDP) {
		argv[n++] = "--udp";
		argv[n++] = "--bitrate";
		argv[n++] = rate;
	}
	send_exec(p, 2 * i + 1, link->a, argv, n);
}

/* ---- the figures --------------------------------------------------------------------------- */

/* The rate in iperf3's summary line of the receivers of a direction: "[SUM][TX-C] 0.00-5.00 sec
 * … MBytes 18000 Kbits/sec … receiver"; < 0: there is none. */
static double receiver_mbit(const char *out, const char *direction)
{
	double found = -1;
	for (const char *line = out; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		size_t n = strcspn(line, "\n");
		mem_auto char *copy = mem_strn(line, n);
		char *unit = strstr(copy, " Kbits/sec");
		if (!unit || !strstr(copy, direction) || !strstr(copy, "SUM") || !strstr(copy, "receiver"))
			continue;
		*unit = 0;
		char *number = strrchr(copy, ' ');
		if (number)
			found = strtod(number + 1, NULL) / 1000;
	}
	return found;
}

static void take_sample(struct probe *p, const struct network_view *v)
{
	int64_t sending_ms = p->began_ms ? clock_ms() - p->began_ms : -1;
	bool counts = sending_ms >= (p->seconds - 1) * 1000 && sending_ms < p->seconds * 1000;
	for (size_t k = 0; v->detailed && k < v->n_links; k++) {
		for (size_t i = 0; i < p->n; i++) {
			struct probe_link *l = &p->links[i];
			const struct vlink_view *now = &v->links[k];
			if (strcmp(l->owner, v->owner) || strcmp(l->network, v->name) || strcmp(l->link->name, now->name))
				continue;
			for (int d = 0; d < 2; d++) {
				if (!p->has_before[i])
					p->drops_before[i][d] = now->drops[d];
				l->figure[p->kind][d].drops = now->drops[d] - p->drops_before[i][d];
				if (!counts || now->mbit_now[d] < 0)
					continue;
				p->sum[i][d] += now->mbit_now[d];
				p->samples[i][d]++;
			}
			p->has_before[i] = true;
		}
	}
}

static void ask_samples(void *arg)
{
	struct probe *p = arg;
	for (size_t i = 0; i < p->n; i++) {
		const struct probe_link *l = &p->links[i];
		/* Links of a network stand together: one question for each network. */
		if (i && !strcmp(l->network, p->links[i - 1].network) && !strcmp(l->owner, p->links[i - 1].owner))
			continue;
		mem_auto char *name = mem_printf("%s/%s", l->owner, l->network);
		struct message m = { .type = MSG_SHOW, .u.name = { .name = name } };
		if (client_send(p->client, &m, NULL))
			client_end(p->client, 3);
	}
}

/* ---- what comes back ----------------------------------------------------------------------- */

static void fail_link(struct probe *p, size_t i, const char *why)
{
	struct probe_link *l = &p->links[i];
	if (!*l->failed)
		snprintf(l->failed, sizeof(l->failed), "%s", why);
	stop_exec(p, 2 * i);
	stop_exec(p, 2 * i + 1);
	if (!p->end[2 * i].done) {
		p->end[2 * i].done = true;
		if (!p->began_ms)
			p->listening++; /* nobody waits for it any more */
	}
	if (!p->end[2 * i + 1].done) {
		p->end[2 * i + 1].done = true;
		p->finished++;
	}
}

static void go_on(struct probe *p)
{
	if (!p->began_ms && p->listening == p->n) {
		p->began_ms = clock_ms();
		for (size_t i = 0; i < p->n; i++)
			if (!p->end[2 * i + 1].done)
				start_client(p, i);
	}
	if (p->finished == p->n)
		client_end(p->client, 0);
}

/* iperf3 says what went wrong in a line that begins so, on either stream. */
static const char *complaint(const struct buf *out)
{
	const char *at = strstr(buf_cstr(out), "iperf3: ");
	return at ? at : "";
}

static void output(struct probe *p, size_t end, const struct message *m)
{
	struct end *e = &p->end[end];
	bool was = strstr(buf_cstr(&e->out), "listening") != NULL;
	if (e->out.len + m->u.exec_data.len < OUTPUT_MAX)
		buf_add(&e->out, m->u.exec_data.data, m->u.exec_data.len);
	if (end % 2 == 0 && !was && !e->done && strstr(buf_cstr(&e->out), "listening")) {
		e->done = true;
		p->listening++;
	}
}

static void ended(struct probe *p, size_t end, const struct message *m)
{
	struct end *e = &p->end[end];
	size_t i = end / 2;
	char why[256];
	e->running = false;
	const char *reason = m->u.exec_exit.reason && *m->u.exec_exit.reason ? m->u.exec_exit.reason : complaint(&e->out);
	if (m->u.exec_exit.code) {
		snprintf(why, sizeof(why), "iperf3 in router %s: %.*s (exit code %d%s)",
		         end % 2 ? p->links[i].link->a : p->links[i].link->b, (int)strcspn(reason, "\n"), reason,
		         m->u.exec_exit.code, m->u.exec_exit.code == 127 ? ": is it installed?" : "");
		fail_link(p, i, why);
	} else if (end % 2 && !e->done) {
		static const char *const direction[2] = { "[TX-C]", "[RX-C]" };
		for (int d = 0; d < 2; d++)
			p->links[i].figure[p->kind][d].payload_mbit = receiver_mbit(buf_cstr(&e->out), direction[d]);
		e->done = true;
		p->finished++;
	}
}

static void handle(void *arg, struct message *m)
{
	struct probe *p = arg;
	if (m->type == MSG_NETWORKS) {
		for (size_t i = 0; i < m->u.networks.n; i++)
			take_sample(p, &m->u.networks.v[i]);
	} else if (m->type == MSG_EXEC_OUTPUT || m->type == MSG_EXEC_EXIT) {
		uint64_t id = m->type == MSG_EXEC_EXIT ? m->u.exec_exit.id : m->u.exec_data.id;
		if (id < p->first_id || id - p->first_id >= 2 * p->n)
			return;
		if (m->type == MSG_EXEC_OUTPUT)
			output(p, (size_t)(id - p->first_id), m);
		else
			ended(p, (size_t)(id - p->first_id), m);
		go_on(p);
	}
}

static void conclude(struct probe *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct probe_link *l = &p->links[i];
		for (int d = 0; d < 2; d++) {
			struct probe_figure *f = &l->figure[p->kind][d];
			f->wire_mbit = p->samples[i][d] ? p->sum[i][d] / p->samples[i][d] : NAN;
			f->measured = !*l->failed && p->samples[i][d] && f->payload_mbit >= 0;
		}
		if (!*l->failed && (!p->samples[i][0] || !p->samples[i][1]))
			snprintf(l->failed, sizeof(l->failed), "no load reports arrived while it was sending");
	}
}

/* Two routers with addresses, between which traffic can be sent. */
static bool has_ends(const struct vlink_view *v)
{
	return v->address_a && v->address_a[0] && v->address_b && v->address_b[0];
}

int probe_run(struct client *c, enum probe_traffic kind, int seconds, struct probe_link *links, size_t n)
{
	struct probe p = { .client = c, .kind = kind, .seconds = seconds, .links = links, .n = n,
		           .first_id = 1 + (uint64_t)kind * 2 * n };
	struct loop_source *timer = NULL;
	struct err err = { 0 };
	if (n == 0)
		return 0;
	p.end = mem_array(2 * n, sizeof(*p.end));
	p.sum = mem_array(n, sizeof(*p.sum));
	p.samples = mem_array(n, sizeof(*p.samples));
	p.drops_before = mem_array(n, sizeof(*p.drops_before));
	p.has_before = mem_array(n, sizeof(*p.has_before));
	c->handle = handle;
	c->arg = &p;
	int code = loop_add_timer(c->loop, 0, SAMPLE_MS, ask_samples, &p, &timer, &err) ? 70 : 0;
	for (size_t i = 0; i < n && !code; i++) {
		if (has_ends(links[i].link))
			start_server(&p, i);
		else
			fail_link(&p, i, "an end of it is a switch, where no traffic begins or ends");
	}
	if (!code && p.finished < n)
		code = client_run(c, (int64_t)(seconds + EXTRA_S) * 1000000);
	loop_remove(timer);
	conclude(&p);
	c->handle = NULL;
	for (size_t i = 0; i < 2 * n; i++) {
		stop_exec(&p, i);
		buf_done(&p.end[i].out);
	}
	free(p.end);
	free(p.sum);
	free(p.samples);
	free(p.drops_before);
	free(p.has_before);
	return code;
}
