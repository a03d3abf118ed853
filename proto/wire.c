/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What both ends of the wire share: sockets in the loop, sending, closing. */
#include "proto/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/fault.h"
#include "base/mem.h"
#include "proto/wire_impl.h"

int wire_zmq_error(struct err *err, const char *what)
{
	int code = errno;
	/* libzmq has errors of its own above those of the system */
	return err_set(err, code < ZMQ_HAUSNUMERO ? -code : -EIO, "%s: %s", what, zmq_strerror(code));
}

int wire_set_int(void *zmq, int option, int value, const char *name, struct err *err)
{
	return zmq_setsockopt(zmq, option, &value, sizeof(value)) < 0 ? wire_zmq_error(err, name) : 0;
}

int wire_set_bytes(void *zmq, int option, const void *value, size_t len, const char *name, struct err *err)
{
	return zmq_setsockopt(zmq, option, value, len) < 0 ? wire_zmq_error(err, name) : 0;
}

/* IPv6 sockets only where the address may be one: an IPv4 address works without IPv6 in the kernel. */
int wire_set_family(void *zmq, const char *address, struct err *err)
{
	const char *host = strncmp(address, "tcp://", 6) == 0 ? address + 6 : address;
	return wire_set_int(zmq, ZMQ_IPV6, host[strspn(host, "0123456789.")] != ':', "ipv6", err);
}

int wire_socket_options(struct wire_socket *s, struct err *err)
{
	static const struct {
		int option, value;
		const char *name;
	} options[] = {
		{ ZMQ_LINGER, 0, "linger" },
		{ ZMQ_SNDHWM, 1000, "send queue" },
		{ ZMQ_RCVHWM, 1000, "receive queue" },
		{ ZMQ_HANDSHAKE_IVL, 10000, "handshake limit" },
		/* none of libzmq's own: 4.3 aborts when one is due on a connection that was reset while the
		 * receive queue was full. The kernel notices a host that is gone: within 30 s, idle or not. */
		{ ZMQ_HEARTBEAT_IVL, 0, "heartbeat" },
		{ ZMQ_TCP_KEEPALIVE, 1, "keepalive" },
		{ ZMQ_TCP_KEEPALIVE_IDLE, 10, "keepalive idle" },
		{ ZMQ_TCP_KEEPALIVE_INTVL, 5, "keepalive interval" },
		{ ZMQ_TCP_KEEPALIVE_CNT, 4, "keepalive count" },
		{ ZMQ_TCP_MAXRT, 30000, "limit of what is not acknowledged" },
	};
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(options) && r == 0; i++)
		r = wire_set_int(s->zmq, options[i].option, options[i].value, options[i].name, err);
	int64_t max = WIRE_MESSAGE_MAX;
	return r == 0 ? wire_set_bytes(s->zmq, ZMQ_MAXMSGSIZE, &max, sizeof(max), "message size", err) : r;
}

int wire_socket_open(struct wire *wire, struct wire_socket *s, int type, struct err *err)
{
	s->zmq = zmq_socket(wire->context, type);
	return s->zmq ? 0 : wire_zmq_error(err, "cannot make a socket");
}

static void woken(void *arg, uint32_t events)
{
	/* the prepare hook does the work */
	(void)arg;
	(void)events;
}

int wire_socket_join(struct wire *wire, struct wire_socket *s, struct err *err)
{
	int fd;
	size_t len = sizeof(fd);
	if (zmq_getsockopt(s->zmq, ZMQ_FD, &fd, &len) < 0)
		return wire_zmq_error(err, "cannot watch a socket");
	return loop_add_fd(wire->loop, fd, EPOLLIN, woken, wire, &s->source, err);
}

void wire_socket_close(struct wire_socket *s, int linger_ms)
{
	loop_remove(s->source);
	s->source = NULL;
	if (!s->zmq)
		return;
	(void)zmq_setsockopt(s->zmq, ZMQ_LINGER, &linger_ms, sizeof(linger_ms));
	zmq_close(s->zmq);
	s->zmq = NULL;
}

bool wire_socket_readable(struct wire_socket *s)
{
	int events = 0;
	size_t len = sizeof(events);
	return s->zmq && zmq_getsockopt(s->zmq, ZMQ_EVENTS, &events, &len) == 0 && (events & ZMQ_POLLIN);
}

int wire_new(struct loop *loop, struct wire **ret, struct err *err)
{
	void *context = zmq_ctx_new();
	if (!context)
		return wire_zmq_error(err, "cannot start ZeroMQ");
	struct wire *wire = mem_alloc(sizeof(*wire));
	wire->loop = loop;
	wire->context = context;
	*ret = wire;
	return 0;
}

static void wire_free(struct wire *wire)
{
	loop_remove(wire->prepare);
	loop_remove(wire->timer);
	if (wire->part)
		wire->part(wire);
	wire_socket_close(&wire->main, WIRE_LINGER_MS);
	zmq_ctx_term(wire->context);
	free(wire->held.data);
	free(wire->address);
	free(wire->endpoint);
	explicit_bzero(&wire->self, sizeof(wire->self));
	free(wire);
}

static bool prepare(void *arg)
{
	struct wire *wire = arg;
	wire->busy = true;
	bool more = wire->work(wire);
	wire->busy = false;
	if (!wire->closed)
		return more;
	wire_free(wire);
	return false;
}

int wire_start(struct wire *wire, bool (*work)(struct wire *), void (*part)(struct wire *), struct err *err)
{
	wire->work = work;
	wire->part = part;
	return loop_add_prepare(wire->loop, prepare, wire, &wire->prepare, err);
}

void wire_close(struct wire *wire)
{
	if (!wire)
		return;
	if (wire->busy)
		wire->closed = true;
	else
		wire_free(wire);
}

static void release(void *data, void *hint)
{
	(void)hint;
	free(data);
}

static int send_failed(struct err *err)
{
	if (errno == EAGAIN)
		return err_set(err, -EAGAIN, "the peer does not read: its queue is full");
	if (errno == EHOSTUNREACH)
		return err_set(err, -EHOSTUNREACH, "the peer is gone");
	return wire_zmq_error(err, "cannot send");
}

/* data: the socket's from now on. */
static int send_data(struct wire *wire, const struct peer *to, uint8_t *data, size_t len, struct err *err)
{
	void *zmq = to && to->local ? wire->local.zmq : wire->main.zmq;
	if (to && zmq_send(zmq, to->id, to->id_len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
		free(data);
		return send_failed(err);
	}
	zmq_msg_t msg;
	if (zmq_msg_init_data(&msg, data, len, release, NULL) < 0) {
		free(data);
		return wire_zmq_error(err, "cannot send");
	}
	if (zmq_msg_send(&msg, zmq, ZMQ_DONTWAIT) < 0) {
		int r = send_failed(err);
		zmq_msg_close(&msg);
		return r;
	}
	return 0;
}

/* In builds for tests: what the test's dice make of a message between daemons. Whether it has been dealt with. A held one goes
 * behind the next, whoever that is for. */
#ifdef VNE_FAULTS
static bool wire_fault(struct wire *wire, const struct peer *to, uint8_t *data, size_t len)
{
	enum fault_fate fate = to && to->role != ROLE_AGENT ? FAULT_FATE_SENT : fault_message();
	struct wire_held held = wire->held;
	if (fate == FAULT_FATE_SENT && !held.data)
		return false;
	wire->held = (struct wire_held){ 0 };
	if (fate == FAULT_FATE_HELD)
		wire->held = (struct wire_held){ to ? *to : (struct peer){ .id_len = 0 }, mem_dup(data, len), len };
	int r = fate == FAULT_FATE_SENT || fate == FAULT_FATE_TWICE ? send_data(wire, to, mem_dup(data, len), len, NULL) : 0;
	if (fate == FAULT_FATE_TWICE && r == 0)
		r = send_data(wire, to, mem_dup(data, len), len, NULL);
	if (held.data && (to || wire->state == WIRE_UP))
		r = send_data(wire, to ? &held.to : NULL, held.data, held.len, NULL);
	(void)r;
	free(data);
	return true;
}
#else
static bool wire_fault(struct wire *wire, const struct peer *to, uint8_t *data, size_t len)
{
	(void)wire, (void)to, (void)data, (void)len;
	return false;
}
#endif

int wire_send(struct wire *wire, const struct peer *to, struct message *m, struct err *err)
{
	if (!to && (wire->state != WIRE_UP || !wire->main.zmq))
		return err_set(err, -EHOSTUNREACH, "not connected to %s", wire->address ? wire->address : "anybody");
	if (to && !wire_peer_allowed(wire, to))
		return err_set(err, -EHOSTUNREACH, "the key of %s is not allowed any more", to->identity);
	m->sequence = ++wire->sequence;
	uint8_t *data;
	size_t len;
	message_pack(m, &data, &len);
	fault_point("wire, before");
	int r = wire_fault(wire, to, data, len) ? 0 : send_data(wire, to, data, len, err);
	fault_point_sent("wire, after");
	return r;
}

bool peer_same(const struct peer *a, const struct peer *b)
{
	return a->local == b->local && a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}
