/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the flow*.c share. Nobody else includes this. */
#pragma once

#include "vned/vned.h"

enum write_kind { /* what waits for it */
	WRITE_OTHER,    /* nothing depends on it: the store leads to the same without */
	WRITE_ACCEPTED,
	WRITE_DECIDED,
	WRITE_AGAIN,    /* a release, decided before the start */
	WRITE_OVER      /* deleted */
};

/* flow.c */
void flow_set_state(struct vned *v, struct network *net, enum net_state state, const char *why); /* why NULL: as was asked */
struct txn *flow_txn_begin(struct vned *v, struct network *net, enum txn_kind kind);
/* The store's answer to a write. The network may be gone afterwards. */
void flow_written(struct vned *v, struct network *net, enum write_kind kind, int code, const char *reason);
void waiters_tell(struct waiter **list, struct network *net, int code, const char *reason);

/* flow_store.c */
int flow_store(struct vned *v, const struct network *net, enum write_kind kind, struct err *err) VNE_MUST; /* then flow_written */
void flow_store_over(struct vned *v, struct network *net); /* likewise, WRITE_OVER */

/* flow_progress.c */
void flow_await_routing(struct vned *v, struct network *net); /* it stands; who waits for `active` is told once its routers have converged */
void flow_tell_built(struct vned *v, struct network *net);    /* tells how many routers are made, where that has changed */

/* flow_update.c */
void flow_update_switch(struct network *net);              /* the network and what it is to become change places */
void flow_update_end(struct vned *v, struct network *net); /* what goes is forgotten, and what only it took given back */
void flow_strip(struct network *net);                      /* parts of nodes where nothing is wanted; renumbers nothing */
