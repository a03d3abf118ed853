/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server end: a ROUTER that gives each connection an id of its own choosing (so that nobody can
 * take another's), behind the allow-list. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "proto/wire_impl.h"

enum { BATCH_MS = 50 }; /* large files are read here: timers are not kept waiting for many of them */

/* ---- receiving ---------------------------------------------------------------------------- */

static void refuse(struct wire *wire, const struct peer *peer, const char *why)
{
	if (wire->server.refused)
		wire->server.refused(wire->server.arg, peer->address, why);
}

/* Who sent this, from the key of its connection. */
static bool identify(struct wire *wire, zmq_msg_t *msg, struct peer *peer)
{
	const char *key = zmq_msg_gets(msg, "User-Id"), *address = zmq_msg_gets(msg, "Peer-Address");
	uint8_t public[32];
	if (address) /* an IPv4 address on an IPv6 socket is shown as what it is */
		strncpy(peer->address, strncmp(address, "::ffff:", 7) == 0 ? address + 7 : address, sizeof(peer->address) - 1);
	const struct identity *id = key && wire_unhex(key, public, sizeof(public)) ?
	                                    allow_list_find(wire->server.allow, public) : NULL;
	if (!id)
		return false;
	memcpy(peer->identity, id->name, sizeof(peer->identity));
	memcpy(peer->node, id->node, sizeof(peer->node));
	peer->role = id->role;
	return true;
}

static void tell_fault(struct wire *wire, const struct peer *peer, const char *why)
{
	struct message answer = { .type = MSG_REPLY, .u.reply = { .code = 2, .text = mem_str(why) } };
	struct err ignored;
	int r = wire_send(wire, peer, &answer, &ignored);
	(void)r; /* a peer that is gone need not be told */
	message_done(&answer);
}

static void take(struct wire *wire, struct peer *peer, zmq_msg_t *msg)
{
	struct err err = { 0 };
	struct message m;
	if (!identify(wire, msg, peer)) {
		refuse(wire, peer, "its key is no longer in the allow-list");
		return;
	}
	int r = message_unpack(zmq_msg_data(msg), zmq_msg_size(msg), &m, &err);
	if (r < 0) {
		char *why = mem_printf("%s sent what is not accepted: %s", peer->identity, err.text);
		refuse(wire, peer, why);
		tell_fault(wire, peer, err.text);
		free(why);
		return;
	}
	wire->server.message(wire->server.arg, peer, &m);
	message_done(&m);
}

/* One message of exactly [id][content]; anything else is dropped whole. */
static bool receive(struct wire *wire)
{
	struct peer peer = { 0 };
	zmq_msg_t id, msg;
	zmq_msg_init(&id);
	zmq_msg_init(&msg);
	bool got = zmq_msg_recv(&id, wire->main.zmq, ZMQ_DONTWAIT) >= 0;
	bool good = got && zmq_msg_more(&id) && zmq_msg_size(&id) <= sizeof(peer.id) &&
	            zmq_msg_recv(&msg, wire->main.zmq, ZMQ_DONTWAIT) >= 0;
	if (good && zmq_msg_more(&msg)) {
		good = false;
		zmq_msg_t rest;
		zmq_msg_init(&rest);
		while (zmq_msg_recv(&rest, wire->main.zmq, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest))
			;
		zmq_msg_close(&rest);
	}
	if (good) {
		peer.id_len = zmq_msg_size(&id);
		memcpy(peer.id, zmq_msg_data(&id), peer.id_len);
		take(wire, &peer, &msg);
	}
	zmq_msg_close(&id);
	zmq_msg_close(&msg);
	return got;
}

static bool server_work(struct wire *wire)
{
	for (int i = 0; i < WIRE_BATCH && !wire->closed && wire_socket_readable(&wire->auth); i++)
		wire_auth_answer(wire);
	int64_t until = clock_ms() + BATCH_MS;
	for (int i = 0; i < WIRE_BATCH && !wire->closed && wire_socket_readable(&wire->main); i++) {
		if (!receive(wire) || clock_ms() >= until)
			break;
	}
	return !wire->closed && (wire_socket_readable(&wire->auth) || wire_socket_readable(&wire->main));
}

static void server_part(struct wire *wire)
{
	wire_socket_close(&wire->auth, 0);
}

/* ---- opening ------------------------------------------------------------------------------ */

static int open_auth(struct wire *wire, struct err *err)
{
	int r = wire_socket_open(wire, &wire->auth, ZMQ_REP, err);
	if (r == 0 && zmq_bind(wire->auth.zmq, "inproc://zeromq.zap.01") < 0)
		r = wire_zmq_error(err, "cannot watch the door");
	return r < 0 ? r : wire_socket_join(wire, &wire->auth, err);
}

static int server_options(struct wire *wire, struct err *err)
{
	void *zmq = wire->main.zmq;
	const struct identity *self = wire->server.self;
	int r = wire_socket_options(&wire->main, err);
	if (r == 0)
		r = wire_set_int(zmq, ZMQ_ROUTER_MANDATORY, 1, "mandatory routing", err);
	if (r == 0)
		r = wire_set_int(zmq, ZMQ_BACKLOG, 1024, "backlog", err);
	if (r == 0)
		r = wire_set_int(zmq, ZMQ_CURVE_SERVER, 1, "CURVE (is libzmq built with it?)", err);
	if (r == 0)
		r = wire_set_bytes(zmq, ZMQ_CURVE_SECRETKEY, self->secret, 32, "secret key", err);
	return r == 0 ? wire_set_bytes(zmq, ZMQ_ZAP_DOMAIN, "vne", 3, "ZAP domain", err) : r;
}

/* "tcp://fd:3": a listening socket that a supervisor has opened for us and keeps. */
static int bind_fd(struct wire *wire, const char *text, struct err *err)
{
	char *end;
	long n = strtol(text, &end, 10);
	if (end == text || *end || n < 3 || n > 65535)
		return err_set(err, -EINVAL, "fd:%s: expected the number of a descriptor, at least 3", text);
	int listening = 0;
	socklen_t len = sizeof(listening);
	if (getsockopt((int)n, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening)
		return err_set(err, -EINVAL, "fd:%s: not a listening socket; it has to be handed over by whoever starts this program",
		               text);
	/* it came to us through exec, and goes no further: not to the solvers */
	int fd = fcntl((int)n, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fcntl((int)n, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return err_sys(err, -errno, "fd:%s", text);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		close(fd);
		return err_sys(err, -errno, "fd:%s", text);
	}
	int r = wire_set_int(wire->main.zmq, ZMQ_USE_FD, fd, "descriptor", err);
	if (r == 0 && zmq_bind(wire->main.zmq, "tcp://127.0.0.1:*") < 0)
		r = wire_zmq_error(err, "cannot listen");
	if (r < 0)
		close(fd);
	struct err ignored;
	int undone = wire_set_int(wire->main.zmq, ZMQ_USE_FD, -1, "descriptor", &ignored);
	return r < 0 ? r : undone;
}

static int bind_all(struct wire *wire, const char *const *listen, struct err *err)
{
	if (!listen[0])
		return err_set(err, -EINVAL, "no address to listen at");
	for (; *listen; listen++) {
		int r = wire_set_family(wire->main.zmq, *listen, err);
		if (r < 0)
			return r;
		if (strncmp(*listen, "tcp://fd:", 9) == 0)
			r = bind_fd(wire, *listen + 9, err);
		else if (strncmp(*listen, "tcp://", 6) != 0)
			r = err_set(err, -EINVAL, "expected tcp://ADDRESS:PORT or tcp://fd:NUMBER");
		else if (zmq_bind(wire->main.zmq, *listen) < 0)
			r = wire_zmq_error(err, "cannot listen");
		if (r < 0)
			return err_add(err, r, "%s", *listen);
	}
	char endpoint[256];
	size_t len = sizeof(endpoint);
	if (zmq_getsockopt(wire->main.zmq, ZMQ_LAST_ENDPOINT, endpoint, &len) < 0)
		return wire_zmq_error(err, "cannot listen");
	wire->endpoint = mem_str(endpoint);
	return 0;
}

int wire_listen(struct loop *loop, const struct wire_server_options *options, struct wire **ret, struct err *err)
{
	struct wire *wire;
	if (!options->self->has_secret)
		return err_set(err, -EINVAL, "the key of %s has no secret part", options->self->name);
	int r = wire_new(loop, &wire, err);
	if (r < 0)
		return r;
	wire->server = *options;
	wire->state = WIRE_UP;
	/* the door before the house: libzmq asks from the first connection on */
	r = open_auth(wire, err);
	if (r == 0)
		r = wire_socket_open(wire, &wire->main, ZMQ_ROUTER, err);
	if (r == 0)
		r = server_options(wire, err);
	if (r == 0)
		r = bind_all(wire, options->listen, err);
	if (r == 0)
		r = wire_socket_join(wire, &wire->main, err);
	if (r == 0)
		r = wire_start(wire, server_work, server_part, err);
	if (r < 0) {
		wire->part = server_part;
		wire_close(wire);
		return r;
	}
	*ret = wire;
	return 0;
}

void wire_set_allow(struct wire *wire, const struct allow_list *allow)
{
	wire->server.allow = allow;
}

const char *wire_endpoint(const struct wire *wire)
{
	return wire->endpoint;
}
