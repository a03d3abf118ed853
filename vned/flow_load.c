/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store holds at start, in the order of submission, and what each network goes on with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/flow_impl.h"

struct load {
	struct vned *v;
	struct network **v_net;
	size_t n;
	int code;
	struct err *err;
};

static void load_one(void *arg, const char *key, const void *value, size_t len)
{
	struct load *l = arg;
	struct network *net;
	if (l->code < 0)
		return;
	l->code = network_unpack(value, len, &l->v->substrate, &net, l->err);
	if (l->code < 0) {
		l->code = err_add(l->err, l->code, "%s", key);
		return;
	}
	l->v_net = mem_grow(l->v_net, l->n + 1, sizeof(*l->v_net));
	l->v_net[l->n++] = net;
}

static int by_id(const void *a, const void *b)
{
	const struct network *x = *(struct network *const *)a, *y = *(struct network *const *)b;
	return x->submitted_ms != y->submitted_ms ? (x->submitted_ms < y->submitted_ms ? -1 : 1) :
	                                            (x->id < y->id ? -1 : x->id > y->id);
}

/* What a stored network goes on with. */
static void load_resume(struct vned *v, struct network *net)
{
	struct txn_event start = { .type = TXN_EV_START };
	switch (net->state) {
	case NET_PLANNED:
	case NET_PREPARING:
		/* nobody knows what was prepared: a new generation replaces it */
		net->state = NET_PLANNED;
		net->plan.generation = ++net->generation;
		for (size_t i = 0; i < net->plan.n_nodes; i++)
			net->plan.nodes[i].generation = net->generation;
		net->acknowledged = true; /* for all that is known */
		net->give_up_ms = clock_ms() + v->config.prepare_timeout_us / 1000;
		break;
	case NET_RELEASING:
		flow_txn_begin(v, net, TXN_RELEASE);
		flow_event(v, net, &start);
		break;
	default:
		/* decided: desired state, confirmed agent by agent as they come */
		flow_strip(net); /* nodes that an update left remove it when they find it is not wanted */
		if (net->state == NET_COMMITTING || net->state == NET_UPDATING)
			flow_set_state(v, net, NET_ACTIVE, NULL);
		break;
	}
}

int flow_load(struct vned *v, struct err *err)
{
	struct load l = { v, NULL, 0, 0, err };
	size_t len;
	const char *ids = v->store->driver->get(v->store, "ids", &len);
	if (ids) {
		mem_auto char *text = mem_strn(ids, len);
		if (sscanf(text, "%u %u", &v->next_net, &v->next_vni) != 2 || v->next_net == 0 || v->next_net > NET_ID_MAX ||
		    v->next_vni == 0 || v->next_vni > VNI_MAX)
			return err_set(err, -EBADMSG, "the store: ids: not understood");
	}
	repair_load(v);
	v->store->driver->each(v->store, "net/", load_one, &l);
	if (l.n)
		qsort(l.v_net, l.n, sizeof(struct network *), by_id);
	for (size_t i = 0; i < l.n; i++) {
		struct network *net = l.v_net[i];
		if (l.code == 0) {
			l.code = embedding_check_standing(&v->substrate, &v->left, &net->request, &net->embedding, err);
			if (l.code < 0)
				l.code = err_add(err, l.code, "network %s no longer fits the substrate file", net->full);
		}
		if (l.code == 0)
			l.code = networks_add(v, net, err);
		if (l.code < 0)
			network_free(net);
	}
	free(l.v_net);
	if (l.code == 0)
		l.code = substrate_loaded(v, err);
	if (l.code == 0)
		history_load(v);
	for (size_t i = 0; l.code == 0 && i < v->n_networks; i++)
		load_resume(v, v->networks[i]);
	if (l.code == 0 && v->n_networks)
		log_info("%zu networks from the store", v->n_networks);
	return l.code;
}
