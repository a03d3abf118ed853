/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the driver of Xen guests share: router_xen.c (the table), xen_guests.c (guests, and what was asked),
 * xen_life.c (the helper's life), xen_probe.c (the host). Nobody else includes this. */
#pragma once

#include "base/hash.h"
#include "base/vec.h"
#include "vnagent/xen_helper.h"
#include "vnagent/xen_relay.h"

enum { XEN_ATTEMPTS = 3 };

/* Asked, not answered. */
struct ask {
	struct ask *next;
	struct xen_message m;
	char *text;
	int fd;        /* DIAL: the end of our pair that gets joined; else -1 */
	bool sent;
	int attempts;  /* how often it was sent */
	int64_t asked_ms;
};

enum guest_state { MAKING, RUNNING, ENDING };
struct guest {
	struct router_key key;
	enum guest_state state;
	uint32_t create, destroy; /* number of the last, while not answered; 0: none */
	bool listed;
	uint64_t cpu_us;
	int64_t mem_kib;
};

struct event {
	struct router_event e;
	char *text;
};

struct xen {
	struct router_options options;
	struct hash *guests;
	struct ask *first, **last;
	size_t n_asks;
	uint32_t number, listing; /* number of the LIST that is not answered; 0: none */
	int fd;                   /* -1: no helper */
	pid_t pid;
	struct loop_source *source, *child, *restart, *tick, *prepare;
	bool writing;             /* waits for room */
	int64_t pause_ms, started_ms, heard_ms;
	VEC(struct event) events;
	struct relays relays;
	char packet[XEN_PACKET_MAX];
};

/* xen_guests.c */
void xen_tell(struct xen *x, enum router_event_type type, struct router_key key, int code, const char *text); /* from the loop, later */
bool xen_tell_all(void *xen); /* before the loop sleeps */
struct guest *xen_find(struct xen *x, struct router_key key); /* NULL: there is none */
struct guest *xen_add(struct xen *x, struct router_key key, enum guest_state state);
struct ask *xen_ask(struct xen *x, enum xen_type type, struct router_key key, uint32_t port, const void *text, size_t len); /* then xen_flush */
void xen_unask(struct xen *x, struct ask *a);
/* Ends what was asked. fd: -1 or a descriptor that came with it, taken. */
void xen_answered(struct xen *x, struct ask *a, int code, const char *text, int fd);
void xen_died(struct xen *x, struct router_key key, const char *why);
void xen_unlist_all(struct xen *x); /* before a listing; then each that is */
void xen_found(struct xen *x, struct router_key key);
void xen_end_unlisted(struct xen *x); /* and after it */
void xen_loads(struct xen *x, const char *text, size_t len);

/* xen_life.c */
int xen_start(struct xen *x, struct err *err) VNE_MUST; /* the helper, and asks it for a listing */
void xen_restart(void *xen);
void xen_handle(struct xen *x, const struct xen_message *m, const char *text, int fd); /* a packet from it; fd is taken */
void xen_flush(struct xen *x); /* sends what was asked, as far as there is room */
void xen_tick(void *xen);      /* every second */

/* xen_probe.c */
const struct router_xen_options *xen_options(void);
int xen_probe(struct err *err) VNE_MUST;
void xen_describe(struct node_probe *p, struct probe_kind *k);
bool xen_realtime(void);
