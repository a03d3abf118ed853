/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The envelope, and plans as bytes. What is inside a body is in message_tables.c. */
#include "proto/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proto/message_tables.h"

/* A message type is its body's field number in vne.proto, less this. */
enum { BODY_FIRST = VNE__ENVELOPE__BODY_REPLY - MSG_REPLY };
_Static_assert(VNE__ENVELOPE__BODY_EXEC_EXIT - MSG_EXEC_EXIT == BODY_FIRST, "message types follow vne.proto");
_Static_assert(VNE__ENVELOPE__BODY_HISTORY_LIST - MSG_HISTORY_LIST == BODY_FIRST, "message types follow vne.proto");
_Static_assert(VNE__ENVELOPE__BODY_ENSURE - MSG_ENSURE == BODY_FIRST, "message types follow vne.proto");
_Static_assert(VNE__ENVELOPE__BODY_EVENTS - MSG_EVENTS == BODY_FIRST, "message types follow vne.proto");
_Static_assert(VNE__ENVELOPE__BODY_EVENT_LIST - MSG_EVENT_LIST == BODY_FIRST, "message types follow vne.proto");

static bool type_known(int type)
{
	return type > 0 && type < MSG_TYPES && message_bodies[type].shape;
}

const char *message_type_name(enum message_type type)
{
	return type_known((int)type) ? message_bodies[type].name : "nothing";
}

void message_done(struct message *m)
{
	if (!type_known((int)m->type))
		return;
	convert_free(message_bodies[m->type].shape, m);
}

void message_pack(const struct message *m, uint8_t **ret, size_t *ret_len)
{
	struct arena arena = { NULL };
	Vne__Envelope e = VNE__ENVELOPE__INIT;
	e.version = PROTOCOL_VERSION;
	e.term = m->term;
	e.net = m->net;
	e.generation = m->generation;
	e.sequence = m->sequence;
	e.reply_to = m->reply_to;
	e.more = m->more;
	e.body_case = (Vne__Envelope__BodyCase)(m->type + BODY_FIRST);
	/* every member of the union is a pointer to a generated message */
	e.reply = (Vne__Reply *)convert_out(message_bodies[m->type].shape, m, &arena);
	convert_pack(&e.base, 0, ret, ret_len);
	arena_done(&arena);
}

static int envelope_check(const Vne__Envelope *e, struct err *err)
{
	if (e->version != PROTOCOL_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "protocol version %u; this side speaks %d: install the same release on both",
		               e->version, PROTOCOL_VERSION);
	if (e->net > NET_ID_MAX)
		return err_set(err, -EINVAL, "net: %u is above %d", e->net, NET_ID_MAX);
	if (e->term > TERM_MAX)
		return err_set(err, -EINVAL, "term: %llu is above %llu", (unsigned long long)e->term, (unsigned long long)TERM_MAX);
	if (!type_known((int)e->body_case - BODY_FIRST))
		return err_set(err, -EPROTO, "a message without a body that this side knows");
	return 0;
}

int message_unpack(const uint8_t *data, size_t len, struct message *ret, struct err *err)
{
	ProtobufCMessage *pb;
	int r = convert_unpack(&vne__envelope__descriptor, data, len, &pb, err);
	if (r < 0)
		return r;
	const Vne__Envelope *e = (const Vne__Envelope *)pb;
	struct message m = { 0 };
	r = envelope_check(e, err);
	if (r == 0) {
		int type = (int)e->body_case - BODY_FIRST;
		r = convert_in(message_bodies[type].shape, &e->reply->base, &m, err);
		if (r < 0)
			r = err_add(err, r, "%s", message_bodies[type].name);
		m.type = (enum message_type)type;
		m.term = e->term;
		m.net = e->net;
		m.generation = e->generation;
		m.sequence = e->sequence;
		m.reply_to = e->reply_to;
		m.more = e->more;
	}
	if (r == 0 && m.type == MSG_HELLO && m.u.hello.term > TERM_MAX) {
		r = err_set(err, -EINVAL, "hello: term: %llu is above %llu", (unsigned long long)m.u.hello.term,
		            (unsigned long long)TERM_MAX);
		message_done(&m);
	}
	protobuf_c_message_free_unpacked(pb, NULL);
	if (r == 0)
		*ret = m;
	return r;
}

void node_plan_pack(const struct node_plan *p, uint8_t **ret, size_t *ret_len)
{
	struct arena arena = { NULL };
	convert_pack(convert_out(node_plan_shape, p, &arena), 0, ret, ret_len);
	arena_done(&arena);
}

int node_plan_unpack(const uint8_t *data, size_t len, struct node_plan *ret, struct err *err)
{
	ProtobufCMessage *pb;
	int r = convert_unpack(node_plan_shape->descriptor, data, len, &pb, err);
	if (r < 0)
		return r;
	struct node_plan p = { 0 };
	r = convert_in(node_plan_shape, pb, &p, err);
	protobuf_c_message_free_unpacked(pb, NULL);
	if (r == 0)
		*ret = p;
	return r;
}

/* FNV-1a of the packed form: packing is deterministic. It finds differences, it is no protection. */
uint64_t node_plan_digest(const struct node_plan *p)
{
	struct node_plan same = *p;
	same.generation = 0;
	uint8_t *data;
	size_t len;
	node_plan_pack(&same, &data, &len);
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < len; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	free(data);
	return h;
}
