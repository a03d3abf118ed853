/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The allow-list at the door: libzmq asks by the ZAP protocol (rfc.zeromq.org/spec/27) whether a
 * key may connect, on an inproc socket that is answered in the loop. The answer's user id is the
 * key itself, which libzmq then attaches to every message of the connection. */
#include <string.h>

#include "base/mem.h"
#include "proto/wire_impl.h"

void wire_hex(const uint8_t *data, size_t len, char *text)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	text[2 * len] = '\0';
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool wire_unhex(const char *text, uint8_t *data, size_t len)
{
	if (strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		data[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

enum { FRAME_VERSION, FRAME_REQUEST, FRAME_DOMAIN, FRAME_ADDRESS, FRAME_IDENTITY, FRAME_MECHANISM, FRAME_KEY, FRAMES };

struct zap_frame {
	uint8_t data[128];
	size_t len;
};

/* All frames of one request; false where it is none. */
static bool zap_receive(void *zmq, struct zap_frame frames[FRAMES])
{
	size_t n = 0;
	int more = 1;
	bool good = true;
	while (more) {
		struct zap_frame spare, *f = n < FRAMES ? &frames[n] : &spare;
		int len = zmq_recv(zmq, f->data, sizeof(f->data) - 1, ZMQ_DONTWAIT);
		if (len < 0)
			return false;
		if (len >= (int)sizeof(f->data)) {
			good = false;
			len = (int)sizeof(f->data) - 1;
		}
		f->len = (size_t)len;
		f->data[f->len] = '\0';
		n++;
		size_t size = sizeof(more);
		if (zmq_getsockopt(zmq, ZMQ_RCVMORE, &more, &size) < 0)
			return false;
	}
	return good && n == FRAMES;
}

static void zap_send(void *zmq, const void *data, size_t len, bool more)
{
	/* to libzmq in the same process: it waits for this and always takes it */
	(void)zmq_send(zmq, data, len, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
}

void wire_auth_answer(struct wire *wire)
{
	struct zap_frame frames[FRAMES] = { 0 };
	bool good = zap_receive(wire->auth.zmq, frames) && strcmp((char *)frames[FRAME_VERSION].data, "1.0") == 0 &&
	            strcmp((char *)frames[FRAME_MECHANISM].data, "CURVE") == 0 && frames[FRAME_KEY].len == 32;
	const struct identity *id = good ? allow_list_find(wire->server.allow, frames[FRAME_KEY].data) : NULL;
	char key[65] = "";
	if (good)
		wire_hex(frames[FRAME_KEY].data, 32, key);
	const char *status = id ? "200" : "400", *text = id ? "OK" : "key not allowed";
	zap_send(wire->auth.zmq, "1.0", 3, true);
	zap_send(wire->auth.zmq, frames[FRAME_REQUEST].data, frames[FRAME_REQUEST].len, true);
	zap_send(wire->auth.zmq, status, 3, true);
	zap_send(wire->auth.zmq, text, strlen(text), true);
	zap_send(wire->auth.zmq, key, id ? 64 : 0, true);
	zap_send(wire->auth.zmq, "", 0, false);
	if (!id && wire->server.refused) {
		char print[FINGERPRINT_TEXT];
		mem_auto char *why = good ? mem_printf("its key, fingerprint %s, is not in the allow-list: a token or key that was never allowed, is used up, or "
		                                       "was revoked", key_fingerprint(frames[FRAME_KEY].data, print)) :
		                            mem_str("it has no key");
		wire->server.refused(wire->server.arg, (char *)frames[FRAME_ADDRESS].data, why);
	}
}
