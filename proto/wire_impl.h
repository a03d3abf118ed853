/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the wire share; private to proto/.
 *
 * Every ZeroMQ socket signals on a descriptor that is edge-triggered in spirit: it wakes the
 * loop, but whether there is work is known only by asking the socket. So the descriptor's own
 * callback does nothing, and all work is done in the loop's prepare hook, which runs before every
 * wait, takes a bounded number of messages, and says whether it left some. */
#pragma once

#include <zmq.h>

#include "proto/wire.h"

enum { WIRE_BATCH = 64, WIRE_LINGER_MS = 200 };

struct wire_socket { /* a socket and its place in the loop */
	void *zmq;
	struct loop_source *source;
};

struct wire_held { /* a message that a fault keeps back */
	struct peer to;
	uint8_t *data; /* NULL: none */
	size_t len;
};

struct wire {
	struct loop *loop;
	void *context; /* of its own: nothing is shared between two wires */
	struct wire_socket main; /* ROUTER or DEALER */
	struct loop_source *prepare;
	uint64_t sequence;
	struct wire_held held; /* in builds for tests only */
	bool busy, closed; /* inside a callback; wire_close was called there */
	bool (*work)(struct wire *wire);
	void (*part)(struct wire *wire); /* closes what the server or client has besides */

	struct wire_server_options server;
	struct wire_socket auth; /* the ZAP handler */
	struct wire_socket local; /* ROUTER behind the socket file */
	char *local_path;
	char *endpoint;

	struct wire_client_options client;
	char *address;
	struct identity self;
	uint8_t server_public[32];
	struct wire_socket monitor;
	struct loop_source *timer; /* the end of an attempt, or the start of the next */
	bool attempting;           /* which of the two */
	enum wire_state state;
	int64_t pause_ms;
	uint64_t attempts;
};

int wire_new(struct loop *loop, struct wire **ret, struct err *err) VNE_MUST;
int wire_start(struct wire *wire, bool (*work)(struct wire *), void (*part)(struct wire *), struct err *err) VNE_MUST;
int wire_socket_open(struct wire *wire, struct wire_socket *s, int type, struct err *err) VNE_MUST;
/* Joins the loop; after bind or connect. */
int wire_socket_join(struct wire *wire, struct wire_socket *s, struct err *err) VNE_MUST;
void wire_socket_close(struct wire_socket *s, int linger_ms);
bool wire_socket_readable(struct wire_socket *s);
/* Options that both ends have in common, CURVE left out. */
int wire_socket_options(struct wire_socket *s, struct err *err) VNE_MUST;
int wire_set_family(void *zmq, const char *address, struct err *err) VNE_MUST;
int wire_set_int(void *zmq, int option, int value, const char *name, struct err *err) VNE_MUST;
int wire_set_bytes(void *zmq, int option, const void *value, size_t len, const char *name, struct err *err) VNE_MUST;
int wire_zmq_error(struct err *err, const char *what); /* from errno of libzmq */

/* wire_auth.c: answers one request of libzmq whether a key may connect. */
void wire_auth_answer(struct wire *wire);
void wire_hex(const uint8_t *data, size_t len, char *text); /* 2 × len + 1 bytes */
bool wire_unhex(const char *text, uint8_t *data, size_t len);
