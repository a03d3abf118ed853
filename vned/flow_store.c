/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Networks on their way to disk: what is written of one, and which writes have not been confirmed yet. What follows from a
 * write is flow.c's; only where nobody can know what is on disk the process ends here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/flow_impl.h"

struct write { /* in v->writes */
	struct write *next;
	struct vned *v;
	uint32_t net;
	enum write_kind kind;
};

void flow_fatal(struct vned *v, const char *what, const char *reason)
{
	log_error("%s: %s; stopping: running networks are not touched", what, reason);
	v->exit_code = 70;
	loop_stop(v->loop);
}

static void written(void *arg, int code, const char *reason)
{
	struct write w = *(struct write *)arg, **link = &w.v->writes;
	while (*link != arg)
		link = &(*link)->next;
	*link = w.next;
	free(arg);
	if (code == -EIO) {
		flow_fatal(w.v, "the store cannot be written", reason);
		return;
	}
	struct network *net = networks_find(w.v, w.net);
	if (net)
		flow_written(w.v, net, w.kind, code, reason);
}

static int write_batch(struct vned *v, uint32_t net, enum write_kind kind, const struct store_op *ops, size_t n, struct err *err)
{
	struct write *w = mem_alloc(sizeof(*w));
	*w = (struct write){ v->writes, v, net, kind };
	int r = v->store->driver->batch(v->store, v->store->driver->revision(v->store), ops, n, written, w, err);
	if (r < 0)
		free(w);
	else
		v->writes = w;
	return r;
}

static void store_key(char key[32], uint32_t net)
{
	snprintf(key, 32, "net/%u", net);
}

int flow_store(struct vned *v, const struct network *net, enum write_kind kind, struct err *err)
{
	char key[32], past[STORE_KEY_MAX + 1], ids[64];
	buf_auto struct buf value = BUF_INIT;
	mem_auto uint8_t *history = NULL;
	size_t history_len;
	store_key(key, net->id);
	network_pack(net, &v->substrate, &value);
	history_key(net, past);
	history_pack(net, &history, &history_len);
	int len = snprintf(ids, sizeof(ids), "%u %u", v->next_net, v->next_vni);
	struct store_op ops[] = { { key, value.data, value.len }, { past, history, history_len }, { "ids", ids, (size_t)len } };
	return write_batch(v, net->id, kind, ops, ARRAY_LEN(ops), err);
}

/* The network is deleted, what is known of it kept, and the oldest of what is kept let go. */
void flow_store_over(struct vned *v, struct network *net)
{
	enum { TRIM = 8 };
	char key[32], past[STORE_KEY_MAX + 1], *trimmed[TRIM];
	mem_auto uint8_t *history = NULL;
	size_t len, n = 0, n_trimmed = history_trim(v, trimmed, TRIM);
	struct err err = { 0 };
	struct store_op ops[2 + TRIM];
	store_key(key, net->id);
	history_key(net, past);
	history_pack(net, &history, &len);
	ops[n++] = (struct store_op){ key, NULL, 0 };
	ops[n++] = (struct store_op){ past, history, len };
	for (size_t i = 0; i < n_trimmed; i++)
		ops[n++] = (struct store_op){ trimmed[i], NULL, 0 };
	net->over_retry_ms = 0;
	if (write_batch(v, net->id, WRITE_OVER, ops, n, &err) < 0)
		flow_fatal(v, "the store cannot be written", err.text);
	for (size_t i = 0; i < n_trimmed; i++)
		free(trimmed[i]);
}

void flow_done(struct vned *v)
{
	while (v->writes) {
		struct write *next = v->writes->next;
		free(v->writes);
		v->writes = next;
	}
}
