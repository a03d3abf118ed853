/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batched netlink; see nl.h. Messages are laid one behind the other in a growing buffer and
 * sent in chunks that fit the socket's buffers. Only the last message of a chunk asks for an
 * acknowledgement: the kernel reports failures of the others anyway, and 128 acknowledgements
 * less per chunk is what makes this fast. */
#include "base/nl.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/ns.h"
#include "base/vec.h"

enum { CHUNK_BYTES = 48 << 10, RECEIVE_BYTES = 64 << 10, SOCKET_BUFFER = 4 << 20, ANSWER_TIMEOUT_S = 20, ERRNO_MAX = 4095 };

struct nl {
	int fd;
	int protocol;
	uint32_t sequence;
	char *receive;
	bool stream;
	size_t have; /* bytes in `receive` that are no whole message yet */
};

struct message {
	size_t offset;
	int tolerate[2];
	bool failed;
	char label[56];
};

struct nl_batch {
	char *data;
	size_t len, cap;
	VEC(struct message) messages;
	size_t nest[NL_NEST_MAX]; /* offsets of open nests */
	int depth;
};

/* ---- sockets ------------------------------------------------------------------------- */
static int open_socket(int protocol, struct nl **ret, struct err *err)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return err_sys(err, -errno, "netlink socket");
	int one = 1, size = SOCKET_BUFFER;
	struct timeval wait = { .tv_sec = ANSWER_TIMEOUT_S };
	/* The first two make answers better where the kernel has them; buffers as large as we may. */
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
		int code = -errno;
		close(fd);
		return err_sys(err, code, "netlink bind");
	}
	struct nl *nl = mem_alloc(sizeof(*nl));
	nl->fd = fd;
	nl->protocol = protocol;
	nl->receive = mem_alloc(RECEIVE_BYTES);
	*ret = nl;
	return 0;
}

struct opening {
	int protocol;
	struct nl **ret;
};

static int open_there(void *arg, struct err *err)
{
	struct opening *o = arg;
	return open_socket(o->protocol, o->ret, err);
}

int nl_open(int protocol, int netns_fd, struct nl **ret, struct err *err)
{
	if (netns_fd < 0)
		return open_socket(protocol, ret, err);
	struct opening o = { .protocol = protocol, .ret = ret };
	return ns_visit_net(netns_fd, open_there, &o, err);
}

struct nl *nl_open_stream(int fd)
{
	struct nl *nl = mem_alloc(sizeof(*nl));
	*nl = (struct nl){ .fd = fd, .protocol = NETLINK_ROUTE, .stream = true, .receive = mem_alloc(RECEIVE_BYTES) };
	return nl;
}

void nl_close(struct nl *nl)
{
	if (!nl)
		return;
	close(nl->fd);
	free(nl->receive);
	free(nl);
}

int nl_fd(const struct nl *nl)
{
	return nl->fd;
}

/* ---- writing --------------------------------------------------------------------------- */
struct nl_batch *nl_batch_new(void)
{
	return mem_alloc(sizeof(struct nl_batch));
}

void nl_batch_free(struct nl_batch *b)
{
	if (!b)
		return;
	free(b->data);
	vec_done(&b->messages);
	free(b);
}

size_t nl_batch_count(const struct nl_batch *b)
{
	return b->messages.n;
}

void nl_batch_clear(struct nl_batch *b)
{
	b->len = 0;
	b->messages.n = 0;
	b->depth = 0;
}

static struct nlmsghdr *current(struct nl_batch *b)
{
	return (struct nlmsghdr *)(b->data + b->messages.v[b->messages.n - 1].offset);
}

/* The message's own length leads; the batch's length follows it. */
static void settle(struct nl_batch *b)
{
	if (b->messages.n)
		b->len = b->messages.v[b->messages.n - 1].offset + NLMSG_ALIGN(current(b)->nlmsg_len);
}

void nl_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t head_len)
{
	settle(b);
	b->depth = 0;
	if (b->len + NL_MESSAGE_MAX > b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 8 * NL_MESSAGE_MAX;
		b->data = mem_grow(b->data, cap, 1);
		b->cap = cap;
	}
	struct message *m = vec_add(&b->messages);
	m->offset = b->len;
	struct nlmsghdr *h = mnl_nlmsg_put_header(b->data + b->len);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	if (head_len)
		memcpy(mnl_nlmsg_put_extra_header(h, head_len), head, head_len);
}

void nl_label(struct nl_batch *b, const char *format, ...)
{
	struct message *m = &b->messages.v[b->messages.n - 1];
	va_list ap;
	va_start(ap, format);
	vsnprintf(m->label, sizeof(m->label), format, ap);
	va_end(ap);
}

void nl_tolerate(struct nl_batch *b, int code)
{
	struct message *m = &b->messages.v[b->messages.n - 1];
	m->tolerate[m->tolerate[0] ? 1 : 0] = code;
}

void nl_put(struct nl_batch *b, uint16_t attr, const void *data, size_t len)
{
	/* What we build is bounded by the callers; running over is a bug of ours, not of the world. */
	if (!mnl_attr_put_check(current(b), NL_MESSAGE_MAX, attr, len, data))
		__builtin_trap();
}

void nl_put_u8(struct nl_batch *b, uint16_t attr, uint8_t v)
{
	nl_put(b, attr, &v, sizeof(v));
}

void nl_put_u16(struct nl_batch *b, uint16_t attr, uint16_t v)
{
	nl_put(b, attr, &v, sizeof(v));
}

void nl_put_u32(struct nl_batch *b, uint16_t attr, uint32_t v)
{
	nl_put(b, attr, &v, sizeof(v));
}

void nl_put_u64(struct nl_batch *b, uint16_t attr, uint64_t v)
{
	nl_put(b, attr, &v, sizeof(v));
}

void nl_put_str(struct nl_batch *b, uint16_t attr, const char *s)
{
	nl_put(b, attr, s, strlen(s) + 1);
}

void nl_put_raw(struct nl_batch *b, const void *data, size_t len)
{
	struct nlmsghdr *h = current(b);
	size_t room = NLMSG_ALIGN(len);
	if (h->nlmsg_len + room > NL_MESSAGE_MAX)
		__builtin_trap();
	char *to = mnl_nlmsg_get_payload_tail(h);
	memset(to, 0, room);
	memcpy(to, data, len);
	h->nlmsg_len += (uint32_t)room;
}

void nl_nest(struct nl_batch *b, uint16_t attr)
{
	if (b->depth == NL_NEST_MAX)
		__builtin_trap();
	struct nlattr *a = mnl_attr_nest_start_check(current(b), NL_MESSAGE_MAX, attr);
	if (!a)
		__builtin_trap();
	b->nest[b->depth++] = (size_t)((char *)a - b->data);
}

void nl_nest_end(struct nl_batch *b)
{
	mnl_attr_nest_end(current(b), (struct nlattr *)(b->data + b->nest[--b->depth]));
}

/* ---- sending ------------------------------------------------------------------------- */
/* Whole or not at all: what does not fit now never will. */
static int transmit_stream(struct nl *nl, const void *data, size_t len, struct err *err)
{
	static const char padding[NLMSG_ALIGNTO];
	struct iovec parts[2] = { { (void *)(uintptr_t)data, len }, { (void *)(uintptr_t)padding, NLMSG_ALIGN(len) - len } };
	struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
	ssize_t n = sendmsg(nl->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n == (ssize_t)NLMSG_ALIGN(len) ? 0 : err_sys(err, n < 0 ? -errno : -EPIPE, "netlink over a connection");
}

static int transmit(struct nl *nl, const void *data, size_t len, struct err *err)
{
	fault_point("netlink, before");
	if (nl->stream)
		return transmit_stream(nl, data, len, err);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	for (;;) {
		ssize_t n = sendto(nl->fd, data, len, 0, (struct sockaddr *)&kernel, sizeof(kernel));
		if (n == (ssize_t)len) {
			fault_point("netlink, after");
			return 0;
		}
		if (n < 0 && errno != EINTR)
			return err_sys(err, -errno, "netlink send");
	}
}

static ssize_t receive(struct nl *nl, int flags, struct err *err)
{
	for (;;) {
		struct sockaddr_nl from = { 0 };
		struct iovec iov = { nl->receive, RECEIVE_BYTES };
		struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n = recvmsg(nl->fd, &msg, flags);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -EAGAIN : err_sys(err, -errno, "netlink receive");
		if (n == 0)
			return err_set(err, -EPIPE, "netlink receive: nobody answers any more");
		if (msg.msg_flags & MSG_TRUNC)
			return err_set(err, -EMSGSIZE, "netlink receive: an answer larger than %d bytes", RECEIVE_BYTES);
		if (from.nl_pid == 0) /* only the kernel is believed */
			return n;
	}
}

/* The kernel's words behind an error, "" where there are none. */
static const char *kernel_words(const struct nlmsghdr *h)
{
	const struct nlmsgerr *e = nl_head(h, sizeof(*e));
	if (!e || !(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return "";
	size_t skip = sizeof(*e);
	if (!(h->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len >= sizeof(e->msg) && e->msg.nlmsg_len < RECEIVE_BYTES)
		skip += NLMSG_ALIGN((size_t)e->msg.nlmsg_len) - sizeof(e->msg);
	const struct nlattr *table[NLMSGERR_ATTR_MAX + 1] = { 0 };
	if (h->nlmsg_len < NLMSG_HDRLEN + skip)
		return "";
	nl_parse(h, skip, table, NLMSGERR_ATTR_MAX);
	return nl_str(table[NLMSGERR_ATTR_MSG]);
}

static int fail(const struct message *m, const struct nlmsghdr *h, int code, struct err *err)
{
	const char *words = kernel_words(h);
	if (*words)
		return err_sys(err, code, "%s%s%s", m ? m->label : "", m && m->label[0] ? ": " : "", words);
	return err_sys(err, code, "%s", m && m->label[0] ? m->label : "netlink");
}

/* libmnl's own test takes a length beyond 2^31 for a negative one, and lets it pass. */
static bool is_whole(const struct nlmsghdr *h, int left)
{
	return left >= (int)sizeof(*h) && h->nlmsg_len >= sizeof(*h) && h->nlmsg_len <= (uint32_t)left;
}

/* What an NLMSG_ERROR says: 0 or a negative errno; -EBADMSG where it says something else. */
static int error_of(const struct nlmsghdr *h)
{
	if (h->nlmsg_len < NLMSG_HDRLEN + sizeof(int))
		return -EBADMSG;
	int code;
	memcpy(&code, mnl_nlmsg_get_payload(h), sizeof(code));
	return code > 0 || code < -ERRNO_MAX ? -EBADMSG : code;
}

static bool tolerated(const struct message *m, int code)
{
	return code == m->tolerate[0] || code == m->tolerate[1];
}

/* Reads answers until that of the last message of messages[0..n) has come. */
static int collect(struct nl *nl, struct message *messages, size_t n, uint32_t first, size_t *failed,
                   struct err *err)
{
	int result = 0;
	for (;;) {
		ssize_t got = receive(nl, 0, err);
		if (got == -EAGAIN)
			return err_set(err, -ETIMEDOUT, "the kernel did not answer within %d s", ANSWER_TIMEOUT_S);
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (struct nlmsghdr *h = (void *)nl->receive; is_whole(h, left); h = mnl_nlmsg_next(h, &left)) {
			uint32_t index = h->nlmsg_seq - first;
			if (h->nlmsg_type != NLMSG_ERROR || index >= n)
				continue;
			int code = error_of(h);
			if (code && !messages[index].failed && !tolerated(&messages[index], code)) {
				messages[index].failed = true; /* once, however often it is told */
				++*failed;
				if (!result)
					result = fail(&messages[index], h, code, err);
			}
			if (index == n - 1)
				return result;
		}
	}
}

int nl_send(struct nl *nl, struct nl_batch *b, size_t *ret_failed, struct err *err)
{
	int result = 0;
	size_t failed = 0;
	settle(b);
	for (size_t i = 0; i < b->messages.n;) {
		size_t start = b->messages.v[i].offset, end = start, n = 0;
		uint32_t first = nl->sequence + 1;
		struct nlmsghdr *h = NULL;
		for (; i + n < b->messages.n; n++) {
			h = (struct nlmsghdr *)(b->data + b->messages.v[i + n].offset);
			size_t len = NLMSG_ALIGN(h->nlmsg_len);
			if (n && end + len - start > CHUNK_BYTES)
				break;
			h->nlmsg_seq = ++nl->sequence;
			end += len;
		}
		h = (struct nlmsghdr *)(b->data + b->messages.v[i + n - 1].offset);
		h->nlmsg_flags |= NLM_F_ACK;
		struct err *where = result ? NULL : err;
		int code = transmit(nl, b->data + start, end - start, where);
		if (!code)
			code = collect(nl, &b->messages.v[i], n, first, &failed, where);
		if (!result)
			result = code;
		if (code == -ETIMEDOUT)
			break;
		i += n;
	}
	nl_batch_clear(b);
	if (ret_failed)
		*ret_failed = failed;
	return result;
}

/* Kernels before 6.10 do not acknowledge the end of a transaction, so the last message inside does; its
 * answer comes when all has been committed, or undone. */
int nl_send_transaction(struct nl *nl, struct nl_batch *b, struct err *err)
{
	size_t n = b->messages.n, failed = 0;
	uint32_t first = nl->sequence + 1;
	settle(b);
	if (n < 3)
		__builtin_trap();
	for (size_t i = 0; i < n; i++) {
		struct nlmsghdr *h = (struct nlmsghdr *)(b->data + b->messages.v[i].offset);
		h->nlmsg_seq = ++nl->sequence;
		if (i == n - 2)
			h->nlmsg_flags |= NLM_F_ACK;
	}
	int code = transmit(nl, b->data, b->len, err);
	if (!code)
		code = collect(nl, b->messages.v, n - 1, first, &failed, err);
	nl_batch_clear(b);
	return code;
}

/* ---- asking --------------------------------------------------------------------------- */
int nl_dump(struct nl *nl, struct nl_batch *b, int (*each)(void *arg, const struct nlmsghdr *m), void *arg,
            struct err *err)
{
	settle(b);
	struct message about = b->messages.v[0];
	struct nlmsghdr *q = (struct nlmsghdr *)(b->data + about.offset);
	bool dump = (q->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP, interrupted = false;
	uint32_t sequence = q->nlmsg_seq = ++nl->sequence;
	int result = transmit(nl, q, q->nlmsg_len, err);
	nl_batch_clear(b);
	if (result)
		return result;
	for (;;) {
		ssize_t got = receive(nl, 0, err);
		if (got == -EAGAIN)
			return err_set(err, -ETIMEDOUT, "the kernel did not answer within %d s", ANSWER_TIMEOUT_S);
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (struct nlmsghdr *h = (void *)nl->receive; is_whole(h, left); h = mnl_nlmsg_next(h, &left)) {
			if (h->nlmsg_seq != sequence)
				continue;
			interrupted |= (h->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
			if (h->nlmsg_type == NLMSG_DONE)
				return result ? result : interrupted ? -EINTR : 0;
			if (h->nlmsg_type == NLMSG_ERROR) {
				int code = error_of(h);
				return code ? fail(&about, h, code, err) : result;
			}
			if (!result)
				result = each(arg, h);
			if (!dump)
				return result;
		}
	}
}

int nl_join(struct nl *nl, unsigned group, struct err *err)
{
	if (setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_sys(err, -errno, "netlink group %u", group);
	return 0;
}

/* What is there of a stream, one read's worth. Who writes it may be hostile: a message that would never end is the end. */
static int stream_events(struct nl *nl, int (*each)(void *arg, const struct nlmsghdr *m), void *arg, struct err *err)
{
	ssize_t got = recv(nl->fd, nl->receive + nl->have, RECEIVE_BYTES - nl->have, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return err_sys(err, got < 0 ? -errno : -EPIPE, "netlink over a connection");
	nl->have += (size_t)got;
	size_t at = 0;
	int code = 0;
	while (!code && nl->have - at >= NLMSG_HDRLEN) {
		const struct nlmsghdr *m = (const void *)(nl->receive + at);
		size_t len = NLMSG_ALIGN((size_t)m->nlmsg_len);
		if (m->nlmsg_len < NLMSG_HDRLEN || m->nlmsg_len > RECEIVE_BYTES || len > RECEIVE_BYTES) /* rounding up wraps */
			return err_set(err, -EPROTO, "netlink over a connection: a message of %u bytes", m->nlmsg_len);
		if (nl->have - at < len)
			break;
		code = each(arg, m);
		at += len;
	}
	memmove(nl->receive, nl->receive + at, nl->have - at);
	nl->have -= at;
	return code;
}

static int events(struct nl *nl, size_t rounds, size_t most, int (*each)(void *arg, const struct nlmsghdr *m), void *arg,
                  struct err *err)
{
	if (nl->stream)
		return stream_events(nl, each, arg, err);
	for (size_t done = 0; rounds-- && done < most;) {
		ssize_t got = receive(nl, MSG_DONTWAIT, err);
		if (got == -EAGAIN)
			return 0;
		if (got < 0)
			return (int)got;
		int left = (int)got;
		for (struct nlmsghdr *h = (void *)nl->receive; is_whole(h, left); h = mnl_nlmsg_next(h, &left), done++) {
			int code = each(arg, h);
			if (code)
				return code;
		}
	}
	return 0;
}

int nl_events(struct nl *nl, int (*each)(void *arg, const struct nlmsghdr *m), void *arg, struct err *err)
{
	return events(nl, 64, SIZE_MAX, each, arg, err);
}

int nl_events_some(struct nl *nl, size_t most, int (*each)(void *arg, const struct nlmsghdr *m), void *arg, struct err *err)
{
	return events(nl, SIZE_MAX, most, each, arg, err);
}

int nl_pass(struct nl *nl, const struct nlmsghdr *m, struct err *err)
{
	return transmit(nl, m, m->nlmsg_len, err);
}

int nl_ask(struct nl *nl, struct nl_batch *b, uint32_t *ret_sequence, struct err *err)
{
	settle(b);
	struct nlmsghdr *q = (struct nlmsghdr *)(b->data + b->messages.v[0].offset);
	q->nlmsg_seq = ++nl->sequence;
	if (ret_sequence)
		*ret_sequence = q->nlmsg_seq;
	int code = transmit(nl, q, q->nlmsg_len, err);
	nl_batch_clear(b);
	return code;
}

/* ---- reading --------------------------------------------------------------------------- */
void nl_parse(const struct nlmsghdr *m, size_t head_len, const struct nlattr **table, unsigned max)
{
	/* libmnl's own walk goes to the message's length rounded up: of what a guest tells, that is beyond it */
	for (size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(head_len); at + sizeof(struct nlattr) <= m->nlmsg_len;) {
		const struct nlattr *a = (const void *)((const char *)m + at);
		if (a->nla_len < sizeof(*a) || a->nla_len > m->nlmsg_len - at)
			return;
		if (mnl_attr_get_type(a) <= max)
			table[mnl_attr_get_type(a)] = a;
		at += NLA_ALIGN(a->nla_len);
	}
}

void nl_parse_nested(const struct nlattr *nest, const struct nlattr **table, unsigned max)
{
	if (!nest)
		return;
	const struct nlattr *a;
	mnl_attr_for_each_nested(a, nest)
		if (mnl_attr_get_type(a) <= max)
			table[mnl_attr_get_type(a)] = a;
}

const void *nl_head(const struct nlmsghdr *m, size_t head_len)
{
	return m->nlmsg_len >= NLMSG_HDRLEN + head_len ? mnl_nlmsg_get_payload(m) : NULL;
}

const void *nl_data(const struct nlattr *a, size_t len)
{
	return a && mnl_attr_get_payload_len(a) >= len ? mnl_attr_get_payload(a) : NULL;
}

uint32_t nl_u32(const struct nlattr *a)
{
	uint32_t v = 0;
	const void *data = nl_data(a, sizeof(v));
	if (data)
		memcpy(&v, data, sizeof(v));
	return v;
}

const char *nl_str(const struct nlattr *a)
{
	size_t len = a ? mnl_attr_get_payload_len(a) : 0;
	const char *s = len ? mnl_attr_get_payload(a) : NULL;
	return s && memchr(s, 0, len) ? s : "";
}
