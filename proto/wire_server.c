/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server end: a ROUTER that gives each connection an id of its own choosing (so that nobody can
 * take another's), behind the allow-list; and one behind a socket file, which only this machine's root (and the daemon's own user)
 * can open. There is no plain text over TCP: a socket is CURVE's as a whole, and the second one is bound to a file. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* Who sent this, from the key of its connection; by the local socket from whoever may open that. */
static bool identify(struct wire *wire, zmq_msg_t *msg, struct peer *peer)
{
	if (peer->local) {
		strcpy(peer->identity, "root");
		strcpy(peer->address, "this machine");
		peer->role = ROLE_ADMIN;
		return true;
	}
	const char *key = zmq_msg_gets(msg, "User-Id"), *address = zmq_msg_gets(msg, "Peer-Address");
	if (address) /* an IPv4 address on an IPv6 socket is shown as what it is */
		strncpy(peer->address, strncmp(address, "::ffff:", 7) == 0 ? address + 7 : address, sizeof(peer->address) - 1);
	const struct identity *id = key && wire_unhex(key, peer->key, sizeof(peer->key)) ?
	                                    allow_list_find(wire->server.allow, peer->key) : NULL;
	if (!id)
		return false;
	memcpy(peer->identity, id->name, sizeof(peer->identity));
	memcpy(peer->node, id->node, sizeof(peer->node));
	peer->role = id->role;
	return true;
}

bool wire_peer_allowed(const struct wire *wire, const struct peer *peer)
{
	if (peer->local || !wire->server.allow)
		return true;
	const struct identity *id = allow_list_find(wire->server.allow, peer->key);
	return id && id->role == peer->role && !strcmp(id->name, peer->identity) && !strcmp(id->node, peer->node);
}

/* libzmq has no call for this. The descriptor may be another connection's by now, or nobody's: so only one that goes where
 * the peer was is shut down, which libzmq then finds ended. */
void wire_cut(struct wire *wire, const struct peer *peer)
{
	(void)wire;
	union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; struct sockaddr_storage all; } at;
	socklen_t len = sizeof(at);
	char text[INET6_ADDRSTRLEN] = "";
	if (peer->local || peer->fd < 0 || getpeername(peer->fd, &at.any, &len) < 0)
		return;
	if (at.any.sa_family == AF_INET)
		inet_ntop(AF_INET, &at.v4.sin_addr, text, sizeof(text));
	else if (at.any.sa_family == AF_INET6)
		inet_ntop(AF_INET6, &at.v6.sin6_addr, text, sizeof(text));
	const char *shown = strncmp(text, "::ffff:", 7) == 0 ? text + 7 : text;
	if (*shown && strcmp(shown, peer->address) == 0)
		(void)shutdown(peer->fd, SHUT_RDWR);
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
		wire_cut(wire, peer);
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
static bool receive(struct wire *wire, bool local)
{
	struct peer peer = { .local = local, .fd = -1 };
	void *zmq = local ? wire->local.zmq : wire->main.zmq;
	zmq_msg_t id, msg;
	zmq_msg_init(&id);
	zmq_msg_init(&msg);
	bool got = zmq_msg_recv(&id, zmq, ZMQ_DONTWAIT) >= 0;
	bool good = got && zmq_msg_more(&id) && zmq_msg_size(&id) <= sizeof(peer.id) &&
	            zmq_msg_recv(&msg, zmq, ZMQ_DONTWAIT) >= 0;
	if (good && zmq_msg_more(&msg)) {
		good = false;
		zmq_msg_t rest;
		zmq_msg_init(&rest);
		while (zmq_msg_recv(&rest, zmq, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&rest))
			;
		zmq_msg_close(&rest);
	}
	if (good) {
		peer.id_len = zmq_msg_size(&id);
		memcpy(peer.id, zmq_msg_data(&id), peer.id_len);
		peer.fd = zmq_msg_get(&msg, ZMQ_SRCFD);
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
		if (!receive(wire, false) || clock_ms() >= until)
			break;
	}
	for (int i = 0; i < WIRE_BATCH && !wire->closed && wire_socket_readable(&wire->local); i++) {
		if (!receive(wire, true) || clock_ms() >= until)
			break;
	}
	return !wire->closed && (wire_socket_readable(&wire->auth) || wire_socket_readable(&wire->main) || wire_socket_readable(&wire->local));
}

static void server_part(struct wire *wire)
{
	wire_socket_close(&wire->auth, 0);
	wire_socket_close(&wire->local, WIRE_LINGER_MS);
	if (wire->local_path)
		(void)unlink(wire->local_path);
	free(wire->local_path);
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

/* The socket file. What is left of one that is gone is taken away; one that answers is another vned's. */
static int open_local(struct wire *wire, const char *path, struct err *err)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(at.sun_path))
		return err_set(err, -EINVAL, "%s: too long for a socket file", path);
	strcpy(at.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "%s", path);
	bool answers = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	close(fd);
	struct stat st;
	mem_auto char *folder = mem_strn(path, (size_t)(strrchr(path, '/') ? strrchr(path, '/') - path : 0));
	if (*folder)
		(void)mkdir(folder, 0755); /* of what is missing on /run; if it cannot be made, binding says so */
	if (answers)
		return err_set(err, -EADDRINUSE, "%s: another vned answers there", path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path);
	int r = wire_socket_open(wire, &wire->local, ZMQ_ROUTER, err);
	if (r == 0)
		r = wire_socket_options(&wire->local, err);
	if (r == 0)
		r = wire_set_int(wire->local.zmq, ZMQ_ROUTER_MANDATORY, 1, "mandatory routing", err);
	mem_auto char *address = mem_printf("ipc://%s", path);
	mode_t before = umask(0177);
	if (r == 0 && zmq_bind(wire->local.zmq, address) < 0)
		r = wire_zmq_error(err, path);
	umask(before);
	if (r < 0)
		return r;
	wire->local_path = mem_str(path);
	return wire_socket_join(wire, &wire->local, err);
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
	if (r == 0 && options->local)
		r = open_local(wire, options->local, err);
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
