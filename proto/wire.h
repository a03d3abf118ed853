/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ZeroMQ wire: the only place that knows zmq.h. CURVE always, ZAP with an allow-list;
 * sockets join the loop by ZMQ_FD, whose edge-triggering stays hidden in here.
 *
 * A message arrives as peer {identity, role, node} + content: who speaks comes from the
 * key that the connection was authenticated with, never from what the message says. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "proto/keys.h"
#include "proto/message.h"

/* A message has room for the largest file (64 MiB) and its envelope: what is too large is answered, not cut off. */
enum { WIRE_ID_MAX = 32, WIRE_MESSAGE_MAX = 65 << 20 };

struct peer {
	uint8_t id[WIRE_ID_MAX]; /* routing id of the connection */
	size_t id_len;
	char identity[64];
	enum role role;
	char node[64];
	char address[64];        /* where it connects from */
	uint8_t key[32];         /* zero: by the local socket */
	int fd;                  /* of the connection, while it lasts: not ours to read or close */
	bool local;              /* by the local socket */
};

struct wire;

struct wire_server_options {
	const char *const *listen; /* "tcp://127.0.0.1:7410" …, NULL-ended; "tcp://fd:3" takes a listening descriptor (socket activation) */
	const struct identity *self;
	const struct allow_list *allow; /* borrowed; exchanged by wire_set_allow */
	/* A socket file for this machine, without keys: who may open it (mode 0600: its owner, and root) is admin, identity "root".
	 * NULL: none. */
	const char *local;
	/* *m is the callee's to read; freed afterwards unless its type was set to 0 (taken). */
	void (*message)(void *arg, const struct peer *peer, struct message *m);
	void (*refused)(void *arg, const char *address, const char *why); /* may be NULL */
	void *arg;
};
/* Who speaks is looked up again at every message and before every answer: what the allow-list has no more, or has with another role,
 * counts from then on, on connections that stand as well. */
int wire_listen(struct loop *loop, const struct wire_server_options *options, struct wire **ret, struct err *err) VNE_MUST;
void wire_set_allow(struct wire *wire, const struct allow_list *allow);
/* The last endpoint that was bound, with the port that the kernel chose for "tcp://127.0.0.1:*". */
const char *wire_endpoint(const struct wire *wire);
bool peer_same(const struct peer *a, const struct peer *b); /* the same connection */
/* Whether its key is still allowed, with the name, role and node that it had. */
bool wire_peer_allowed(const struct wire *wire, const struct peer *peer);
/* Ends the connection, as the kernel would if the peer were gone; what it said before may still arrive, and is refused. */
void wire_cut(struct wire *wire, const struct peer *peer);

enum wire_state { WIRE_CONNECTING, WIRE_UP, WIRE_DOWN, WIRE_REFUSED };
struct wire_client_options {
	const char *server;            /* tcp://host:port, or ipc://PATH: the local socket, where the keys are not used */
	const struct identity *self;
	const uint8_t *server_public;  /* 32 bytes */
	void (*message)(void *arg, struct message *m);
	void (*state)(void *arg, enum wire_state state, const char *why); /* reconnects by itself, also after a refusal, with growing pauses */
	void *arg;
};
int wire_connect(struct loop *loop, const struct wire_client_options *options, struct wire **ret, struct err *err) VNE_MUST;

/* Numbers the message (m->sequence) and queues it; never blocks. to: NULL on a client. -EAGAIN: the
 * peer does not read and its queue is full; -EHOSTUNREACH: it is gone (a client: the state is not
 * WIRE_UP), or its key is not allowed any more. Whatever was queued when a connection breaks is dropped: nothing old follows on the next. */
int wire_send(struct wire *wire, const struct peer *to, struct message *m, struct err *err) VNE_MUST;
void wire_close(struct wire *wire); /* NULL accepted; lets what is queued out for at most 200 ms; allowed in callbacks */
