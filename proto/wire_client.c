/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client end: a DEALER that lives as long as one connection does.
 *
 * libzmq would reconnect by itself, but not after a refusal, and it would send what was queued
 * for the old connection on the new one, before the HELLO. So its reconnecting is off: a monitor
 * tells how the connection fares, and when it ends the socket is made anew, after a pause that
 * grows from one failure to the next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "proto/wire_impl.h"

enum {
	ATTEMPT_MS = 5000,                        /* until the handshake is done */
	PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 2000,  /* after a loss */
	REFUSED_MIN_MS = 500, REFUSED_MAX_MS = 15000
};

static void set_state(struct wire *wire, enum wire_state state, const char *why)
{
	if (state == wire->state && state == WIRE_CONNECTING)
		return;
	wire->state = state;
	if (wire->client.state)
		wire->client.state(wire->client.arg, state, why);
}

static void drop_sockets(struct wire *wire, int linger_ms)
{
	if (wire->main.zmq)
		(void)zmq_socket_monitor(wire->main.zmq, NULL, 0);
	wire_socket_close(&wire->monitor, 0);
	wire_socket_close(&wire->main, linger_ms);
	free(wire->held.data);
	wire->held = (struct wire_held){ 0 };
}

/* The connection is over, or never came to be: tell, and try again later. */
static void fail(struct wire *wire, enum wire_state state, const char *why)
{
	drop_sockets(wire, 0);
	int64_t min = state == WIRE_REFUSED ? REFUSED_MIN_MS : PAUSE_MIN_MS;
	int64_t max = state == WIRE_REFUSED ? REFUSED_MAX_MS : PAUSE_MAX_MS;
	wire->pause_ms = wire->pause_ms < min ? min : wire->pause_ms * 2 > max ? max : wire->pause_ms * 2;
	/* a thousand agents that lost the same server do not come back in the same instant */
	uint16_t jitter = 0;
	if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) < 0)
		jitter = 0;
	wire->attempting = false;
	loop_set_timer(wire->timer, wire->pause_ms + wire->pause_ms * jitter / (2 * 65536), 0);
	set_state(wire, state, why);
}

static void fail_with(struct wire *wire, enum wire_state state, const char *what, const char *advice)
{
	char *why = mem_printf("%s: %s%s", wire->address, what, advice);
	fail(wire, state, why);
	free(why);
}

static bool is_local(const struct wire *wire)
{
	return strncmp(wire->address, "ipc://", 6) == 0;
}

static int client_options(struct wire *wire, struct err *err)
{
	void *zmq = wire->main.zmq;
	int r = wire_socket_options(&wire->main, err);
	if (r == 0)
		r = wire_set_family(zmq, wire->address, err);
	if (r == 0)
		r = wire_set_int(zmq, ZMQ_RECONNECT_IVL, -1, "reconnecting", err);
	if (is_local(wire))
		return r;
	if (r == 0)
		r = wire_set_bytes(zmq, ZMQ_CURVE_SERVERKEY, wire->server_public, 32, "server key", err);
	if (r == 0)
		r = wire_set_bytes(zmq, ZMQ_CURVE_PUBLICKEY, wire->self.public, 32, "public key", err);
	return r == 0 ? wire_set_bytes(zmq, ZMQ_CURVE_SECRETKEY, wire->self.secret, 32, "secret key", err) : r;
}

static int open_monitor(struct wire *wire, struct err *err)
{
	mem_auto char *name = mem_printf("inproc://monitor-%llu", (unsigned long long)wire->attempts);
	int events = ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
	             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
	             ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
	if (zmq_socket_monitor(wire->main.zmq, name, events) < 0)
		return wire_zmq_error(err, "cannot watch the connection");
	int r = wire_socket_open(wire, &wire->monitor, ZMQ_PAIR, err);
	if (r == 0 && zmq_connect(wire->monitor.zmq, name) < 0)
		r = wire_zmq_error(err, "cannot watch the connection");
	return r < 0 ? r : wire_socket_join(wire, &wire->monitor, err);
}

/* Begins an attempt; -EINVAL where the address can never work. */
static int attempt(struct wire *wire, struct err *err)
{
	wire->attempts++;
	wire->attempting = true;
	loop_set_timer(wire->timer, ATTEMPT_MS, 0);
	int r = wire_socket_open(wire, &wire->main, ZMQ_DEALER, err);
	if (r == 0)
		r = client_options(wire, err);
	if (r == 0)
		r = open_monitor(wire, err);
	if (r == 0 && zmq_connect(wire->main.zmq, wire->address) < 0)
		r = wire_zmq_error(err, "expected tcp://HOST:PORT, or ipc://PATH");
	if (r == 0)
		r = wire_socket_join(wire, &wire->main, err);
	if (r < 0)
		return err_add(err, r, "%s", wire->address);
	wire->sequence = 0;
	return 0;
}

static void due(void *arg)
{
	struct wire *wire = arg;
	struct err err = { 0 };
	wire->busy = true;
	if (wire->attempting) {
		fail_with(wire, WIRE_DOWN, "no answer within 5 s", "");
	} else {
		set_state(wire, WIRE_CONNECTING, "");
		if (!wire->closed && attempt(wire, &err) < 0)
			fail(wire, WIRE_DOWN, err.text);
	}
	wire->busy = false;
	if (wire->closed)
		wire_close(wire);
}

/* ---- the monitor -------------------------------------------------------------------------- */

static void tell_refused(struct wire *wire)
{
	char print[FINGERPRINT_TEXT];
	const struct identity *self = &wire->self;
	mem_auto char *advice = self->role == ROLE_JOIN ?
		mem_printf("the token is used up, has expired, or is of another vned: have a new one made there with `vnctl join NODE`") :
		mem_printf("the key of %s, fingerprint %s, was never allowed there, or was revoked: whoever runs the coordinator allows it with "
		           "`vnctl keys allow %s.pub`", self->name, key_fingerprint(self->public, print), self->name);
	fail_with(wire, WIRE_REFUSED, "it refuses this key: ", advice);
}

static void watch_event(struct wire *wire, uint16_t event)
{
	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		wire->pause_ms = 0;
		loop_set_timer(wire->timer, -1, 0);
		set_state(wire, WIRE_UP, "");
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		tell_refused(wire);
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		fail_with(wire, WIRE_REFUSED, "the handshake failed: ", "is that a vned, and server_key its key?");
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		/* a server with another key just hangs up, as one does that is stopped */
		fail_with(wire, WIRE_DOWN, "it hung up during the handshake: ", "it was stopped just now, or is server_key not its key?");
		break;
	default:
		if (wire->state == WIRE_UP)
			fail_with(wire, WIRE_DOWN, "the connection was lost", "");
		else
			fail_with(wire, WIRE_DOWN, "cannot connect", event == ZMQ_EVENT_DISCONNECTED ?
			          ": it hung up during the handshake: is server_key its key?" : "");
	}
}

/* An event is [2 bytes event, 4 bytes value][address]. */
static bool watch(struct wire *wire)
{
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, wire->monitor.zmq, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&msg);
		return false;
	}
	uint16_t event = 0;
	if (zmq_msg_size(&msg) >= sizeof(event))
		memcpy(&event, zmq_msg_data(&msg), sizeof(event));
	while (zmq_msg_more(&msg) && zmq_msg_recv(&msg, wire->monitor.zmq, ZMQ_DONTWAIT) >= 0)
		;
	zmq_msg_close(&msg);
	if (event)
		watch_event(wire, event);
	return true;
}

/* ---- messages ----------------------------------------------------------------------------- */

static bool receive(struct wire *wire)
{
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	if (zmq_msg_recv(&msg, wire->main.zmq, ZMQ_DONTWAIT) < 0) {
		zmq_msg_close(&msg);
		return false;
	}
	struct err err = { 0 };
	struct message m;
	int r = zmq_msg_more(&msg) ? err_set(&err, -EPROTO, "more than one frame") :
	                             message_unpack(zmq_msg_data(&msg), zmq_msg_size(&msg), &m, &err);
	zmq_msg_close(&msg);
	if (r < 0) {
		/* the server is trusted, so this is another release or a fault: not to be worked with */
		fail_with(wire, WIRE_REFUSED, "it sent what is not understood: ", err.text);
		return false;
	}
	wire->client.message(wire->client.arg, &m);
	message_done(&m);
	return true;
}

static bool client_work(struct wire *wire)
{
	for (int i = 0; i < WIRE_BATCH && !wire->closed && wire_socket_readable(&wire->monitor); i++) {
		if (!watch(wire))
			break;
	}
	for (int i = 0; i < WIRE_BATCH && !wire->closed && wire_socket_readable(&wire->main); i++) {
		if (!receive(wire))
			break;
	}
	return !wire->closed && (wire_socket_readable(&wire->monitor) || wire_socket_readable(&wire->main));
}

static void client_part(struct wire *wire)
{
	drop_sockets(wire, WIRE_LINGER_MS);
}

int wire_connect(struct loop *loop, const struct wire_client_options *options, struct wire **ret, struct err *err)
{
	struct wire *wire;
	if (!options->self->has_secret && strncmp(options->server, "ipc://", 6) != 0)
		return err_set(err, -EINVAL, "the key of %s has no secret part", options->self->name);
	int r = wire_new(loop, &wire, err);
	if (r < 0)
		return r;
	wire->client = *options;
	wire->self = *options->self;
	wire->address = mem_str(options->server);
	memcpy(wire->server_public, options->server_public, 32);
	wire->state = WIRE_CONNECTING;
	r = loop_add_timer(loop, -1, 0, due, wire, &wire->timer, err);
	if (r == 0)
		r = attempt(wire, err);
	if (r == 0)
		r = wire_start(wire, client_work, client_part, err);
	if (r < 0) {
		wire->part = client_part;
		wire_close(wire);
		return r;
	}
	*ret = wire;
	return 0;
}
