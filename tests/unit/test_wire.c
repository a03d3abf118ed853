/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wire: who is let in and as whom, who is refused and told, what happens when an end goes away. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

#include "base/mem.h"
#include "proto/wire.h"

struct world {
	struct loop *loop;
	struct loop_source *poll, *limit;
	bool (*until)(struct world *w);
	bool timed_out;
	char dir[64];
	struct identity server_id, alice, mallory;
	struct allow_list *allow;
	struct wire *server, *client;
	char *endpoint;
	/* the server's side */
	size_t received, refused, echo_bytes;
	pid_t flooder; /* a process that floods the server: nothing is answered, the first message is held until it ends */
	struct peer peer;
	uint64_t last_sequence;
	char *why;
	/* the client's side */
	enum wire_state state;
	char *reason;
	size_t ups, downs, answers, answer_bytes;
};

static void poll_until(void *arg)
{
	struct world *w = arg;
	if (w->until(w))
		loop_stop(w->loop);
}

static void limit(void *arg)
{
	struct world *w = arg;
	w->timed_out = true;
	loop_stop(w->loop);
}

static bool run(struct world *w, bool (*until)(struct world *w), int64_t ms)
{
	w->until = until;
	w->timed_out = false;
	loop_set_timer(w->poll, 0, 2);
	loop_set_timer(w->limit, ms, 0);
	assert_int_equal(loop_run(w->loop, NULL), 0);
	return !w->timed_out;
}

/* ---- the two ends ------------------------------------------------------------------------------ */

/* The window in which a socket that is left alone after a reset would show what is wrong with it. */
enum { HOLD_MS = 2500 };

static void hold(struct world *w)
{
	if (w->flooder < 0)
		return;
	int status;
	assert_int_equal(waitpid(w->flooder, &status, 0), w->flooder);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	w->flooder = -1;
	assert_int_equal(poll(NULL, 0, HOLD_MS), 0);
}

static void server_message(void *arg, const struct peer *peer, struct message *m)
{
	struct world *w = arg;
	w->received++;
	w->peer = *peer;
	w->last_sequence = m->sequence;
	if (w->flooder) {
		hold(w);
		return;
	}
	struct message answer = { .type = MSG_REPLY, .reply_to = m->sequence };
	answer.u.reply.text = mem_alloc(w->echo_bytes + 1);
	memset(answer.u.reply.text, 'x', w->echo_bytes);
	struct err err = { 0 };
	if (wire_send(w->server, peer, &answer, &err) < 0)
		fail_msg("%s", err.text);
	message_done(&answer);
}

static void server_refused(void *arg, const char *address, const char *why)
{
	struct world *w = arg;
	w->refused++;
	free(w->why);
	w->why = mem_printf("%s: %s", address, why);
}

static void client_message(void *arg, struct message *m)
{
	struct world *w = arg;
	w->answers++;
	w->answer_bytes = strlen(m->u.reply.text);
}

static void client_state(void *arg, enum wire_state state, const char *why)
{
	struct world *w = arg;
	w->state = state;
	w->ups += state == WIRE_UP;
	w->downs += state == WIRE_DOWN;
	free(w->reason);
	w->reason = mem_str(why);
}

static void serve_at(struct world *w, const char *listen)
{
	struct err err = { 0 };
	const char *all[] = { listen, NULL };
	struct wire_server_options o = { .listen = all, .self = &w->server_id, .allow = w->allow, .message = server_message,
		                             .refused = server_refused, .arg = w };
	if (wire_listen(w->loop, &o, &w->server, &err) < 0)
		fail_msg("%s", err.text);
}

static void connect_as(struct world *w, const struct identity *id, const uint8_t *server_public)
{
	struct wire_client_options o = { .server = w->endpoint, .self = id, .server_public = server_public,
		                             .message = client_message, .state = client_state, .arg = w };
	assert_int_equal(wire_connect(w->loop, &o, &w->client, NULL), 0);
}

static void send_heartbeat(struct world *w)
{
	struct message m = { .type = MSG_HEARTBEAT };
	struct err err = { 0 };
	if (wire_send(w->client, NULL, &m, &err) < 0)
		fail_msg("%s", err.text);
}

static bool is_up(struct world *w) { return w->state == WIRE_UP; }
static bool is_down(struct world *w) { return w->state == WIRE_DOWN; }
static bool is_refused(struct world *w) { return w->state == WIRE_REFUSED; }
static bool answered(struct world *w) { return w->answers > 0; }
static bool server_refused_one(struct world *w) { return w->refused > 0; }

static int setup(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));
	strcpy(w->dir, "/tmp/wire-test-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(loop_new(&w->loop, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, -1, 0, poll_until, w, &w->poll, NULL), 0);
	assert_int_equal(loop_add_timer(w->loop, -1, 0, limit, w, &w->limit, NULL), 0);
	assert_int_equal(identity_make("vned", ROLE_COORDINATOR, NULL, &w->server_id, NULL), 0);
	assert_int_equal(identity_make("alice", ROLE_AGENT, "atla", &w->alice, NULL), 0);
	assert_int_equal(identity_make("mallory", ROLE_ADMIN, NULL, &w->mallory, NULL), 0);
	mem_auto char *path = mem_printf("%s/alice.pub", w->dir);
	assert_int_equal(identity_save(&w->alice, path, false, NULL), 0);
	assert_int_equal(allow_list_load(w->dir, NULL, &w->allow, NULL), 0);
	serve_at(w, "tcp://127.0.0.1:*");
	w->endpoint = mem_str(wire_endpoint(w->server));
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	wire_close(w->client);
	wire_close(w->server);
	allow_list_free(w->allow);
	mem_auto char *path = mem_printf("%s/alice.pub", w->dir);
	unlink(path);
	rmdir(w->dir);
	loop_free(w->loop);
	free(w->endpoint);
	free(w->reason);
	free(w->why);
	free(w);
	return 0;
}

/* ---- tests -------------------------------------------------------------------------------------- */

static void test_allowed(void **state)
{
	struct world *w = *state;
	connect_as(w, &w->alice, w->server_id.public);
	struct message early = { .type = MSG_HEARTBEAT };
	assert_int_equal(wire_send(w->client, NULL, &early, NULL), -EHOSTUNREACH);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_string_equal(w->peer.identity, "alice");
	assert_string_equal(w->peer.node, "atla");
	assert_int_equal(w->peer.role, ROLE_AGENT);
	assert_string_equal(w->peer.address, "127.0.0.1");
	assert_int_equal(w->last_sequence, 1);
	assert_int_equal(w->received, 1);
	assert_int_equal(w->refused, 0);
}

static void test_large_answer(void **state)
{
	struct world *w = *state;
	w->echo_bytes = 1 << 20;
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 10000));
	assert_int_equal(w->answer_bytes, 1 << 20);
}

static void test_unknown_key(void **state)
{
	struct world *w = *state;
	connect_as(w, &w->mallory, w->server_id.public);
	assert_true(run(w, is_refused, 5000));
	char print[FINGERPRINT_TEXT];
	assert_non_null(strstr(w->reason, "vnctl keys allow mallory.pub")); /* in its own log: what to do, and which key it is */
	assert_non_null(strstr(w->reason, key_fingerprint(w->mallory.public, print)));
	assert_non_null(strstr(w->why, print));
	assert_true(w->refused > 0);
	assert_non_null(strstr(w->why, "127.0.0.1"));
	assert_int_equal(w->ups, 0);
	assert_int_equal(w->received, 0);
	/* let in after all, it comes by itself */
	struct allow_list *wider;
	mem_auto char *path = mem_printf("%s/mallory.pub", w->dir);
	assert_int_equal(identity_save(&w->mallory, path, false, NULL), 0);
	assert_int_equal(allow_list_load(w->dir, NULL, &wider, NULL), 0);
	unlink(path);
	wire_set_allow(w->server, wider);
	assert_true(run(w, is_up, 10000));
	/* and revoked, its messages count for nothing */
	wire_set_allow(w->server, w->allow);
	w->refused = 0;
	send_heartbeat(w);
	assert_true(run(w, server_refused_one, 5000));
	assert_int_equal(w->received, 0);
	allow_list_free(wider);
}

/* Revoked while connected: nothing more reaches it, what it says counts for nothing, and once cut it is told why in its own log. */
static void test_revoked(void **state)
{
	struct world *w = *state;
	struct allow_list *nobody;
	struct err err = { 0 };
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_true(wire_peer_allowed(w->server, &w->peer));
	assert_int_equal(allow_remove(w->dir, "alice", &err), 0);
	assert_int_equal(allow_list_load(w->dir, NULL, &nobody, NULL), 0);
	wire_set_allow(w->server, nobody);
	assert_false(wire_peer_allowed(w->server, &w->peer));
	struct message m = { .type = MSG_HEARTBEAT };
	assert_int_equal(wire_send(w->server, &w->peer, &m, &err), -EHOSTUNREACH);
	assert_int_equal(w->state, WIRE_UP);
	wire_cut(w->server, &w->peer);
	assert_true(run(w, is_down, 5000));
	assert_true(run(w, is_refused, 10000));
	assert_non_null(strstr(w->reason, "revoked"));
	wire_set_allow(w->server, w->allow);
	allow_list_free(nobody);
}

/* The same key with another role: what it was on a standing connection it is no more. */
static void test_other_role(void **state)
{
	struct world *w = *state;
	struct allow_list *other;
	struct err err = { 0 };
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	struct peer was = w->peer;
	struct identity viewer = w->alice;
	viewer.role = ROLE_VIEWER;
	viewer.node[0] = '\0';
	assert_int_equal(allow_put(w->dir, &viewer, &err), 0);
	assert_int_equal(allow_list_load(w->dir, NULL, &other, NULL), 0);
	wire_set_allow(w->server, other);
	assert_false(wire_peer_allowed(w->server, &was));
	w->answers = 0;
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_int_equal(w->peer.role, ROLE_VIEWER);
	wire_set_allow(w->server, w->allow);
	allow_list_free(other);
}

/* The socket file: no key, admin; only its owner may open it; no other server may take it, and nothing of it is left. */
static void test_local(void **state)
{
	struct world *w = *state;
	struct err err = { 0 };
	struct stat st;
	struct wire *second;
	mem_auto char *path = mem_printf("%s/sock", w->dir), *address = mem_printf("ipc://%s", path);
	const char *all[] = { "tcp://127.0.0.1:*", NULL };
	struct wire_server_options o = { .listen = all, .self = &w->server_id, .allow = w->allow, .local = path, .message = server_message,
		                             .refused = server_refused, .arg = w };
	wire_close(w->server);
	if (wire_listen(w->loop, &o, &w->server, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	free(w->endpoint);
	w->endpoint = mem_str(address);
	struct identity none = { .name = "" };
	connect_as(w, &none, none.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_string_equal(w->peer.identity, "root");
	assert_int_equal(w->peer.role, ROLE_ADMIN);
	assert_int_equal(wire_listen(w->loop, &o, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another vned"));
	wire_close(w->client);
	wire_close(w->server);
	w->client = w->server = NULL;
	assert_int_equal(stat(path, &st), -1);
}

/* The same over TCP, or to the socket file's protocol without a key over TCP: nobody. */
static void test_no_plaintext(void **state)
{
	struct world *w = *state;
	void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
	int none = 0;
	zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof(none));
	assert_int_equal(zmq_connect(dealer, w->endpoint), 0);
	assert_int_equal(zmq_send(dealer, "hello", 5, ZMQ_DONTWAIT), 5);
	connect_as(w, &w->alice, w->server_id.public); /* by then the other has had its answer, if it gets one */
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_int_equal(w->received, 1);
	char got[8];
	assert_int_equal(zmq_recv(dealer, got, sizeof(got), ZMQ_DONTWAIT), -1);
	zmq_close(dealer);
	zmq_ctx_term(context);
}

static void test_wrong_server_key(void **state)
{
	struct world *w = *state;
	connect_as(w, &w->alice, w->mallory.public);
	assert_true(run(w, is_down, 10000));
	assert_non_null(strstr(w->reason, "server_key"));
	assert_int_equal(w->ups, 0);
}

static void test_nobody_there(void **state)
{
	struct world *w = *state;
	wire_close(w->server);
	w->server = NULL;
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_down, 10000));
	assert_non_null(strstr(w->reason, "cannot connect"));
	serve_at(w, w->endpoint);
	assert_true(run(w, is_up, 10000));
}

static void test_server_restarts(void **state)
{
	struct world *w = *state;
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	struct peer before = w->peer;
	wire_close(w->server);
	w->server = NULL;
	assert_true(run(w, is_down, 5000));
	struct message m = { .type = MSG_HEARTBEAT };
	assert_int_equal(wire_send(w->client, NULL, &m, NULL), -EHOSTUNREACH);
	serve_at(w, w->endpoint);
	assert_true(run(w, is_up, 10000));
	w->answers = 0;
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	assert_int_equal(w->last_sequence, 1); /* counted anew on each connection */
	assert_false(peer_same(&before, &w->peer));
}

static bool peer_gone(struct world *w)
{
	struct message m = { .type = MSG_HEARTBEAT };
	return wire_send(w->server, &w->peer, &m, NULL) == -EHOSTUNREACH;
}

static void test_client_goes(void **state)
{
	struct world *w = *state;
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	wire_close(w->client);
	w->client = NULL;
	assert_true(run(w, peer_gone, 5000));
}

static bool flood_read(struct world *w) { return w->flooder < 0 && w->received >= 900; }

/* Every TCP connection of this process ends with a reset. */
static bool reset_at_exit(void)
{
	static const struct linger none = { .l_onoff = 1, .l_linger = 0 };
	DIR *dir = opendir("/proc/self/fd");
	bool found = false;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		struct sockaddr_storage a;
		socklen_t len = sizeof(a);
		int fd = atoi(e->d_name);
		if (getpeername(fd, (struct sockaddr *)&a, &len) == 0 && a.ss_family == AF_INET)
			found |= setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)) == 0;
	}
	return found;
}

/* Sends until both queues and all buffers between are full, and is gone. */
static void flood(const struct world *w)
{
	enum { TEXT = 8192, MOST = 20000 };
	void *dealer = zmq_socket(zmq_ctx_new(), ZMQ_DEALER);
	int patience_ms = 1000;
	zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, w->server_id.public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, w->alice.public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, w->alice.secret, 32);
	zmq_setsockopt(dealer, ZMQ_SNDTIMEO, &patience_ms, sizeof(patience_ms));
	struct message m = { .type = MSG_PLAN };
	m.u.submit.text = mem_alloc(TEXT + 1);
	m.u.submit.len = TEXT;
	m.u.submit.file = mem_str("f");
	memset(m.u.submit.text, 'x', TEXT);
	uint8_t *data;
	size_t len;
	message_pack(&m, &data, &len);
	if (zmq_connect(dealer, w->endpoint) < 0)
		_exit(1);
	int sent = 0;
	while (sent < MOST && zmq_send(dealer, data, len, 0) >= 0)
		sent++;
	_exit(sent == MOST || sent < 1000 ? 2 : reset_at_exit() ? 0 : 3);
}

/* libzmq 4.3 aborts when its own heartbeat meets a connection that was reset while the receive
 * queue was full. */
static void test_flood_and_reset(void **state)
{
	struct world *w = *state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		flood(w);
	w->flooder = child;
	assert_true(run(w, flood_read, 30000));
	assert_true(run(w, peer_gone, 10000));
	/* and others are served as before */
	w->flooder = 0;
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
}

/* A listening socket that a supervisor keeps: it outlives whoever accepts on it. */
static void test_descriptor(void **state)
{
	struct world *w = *state;
	wire_close(w->server);
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	free(w->endpoint);
	w->endpoint = mem_printf("tcp://127.0.0.1:%u", ntohs(address.sin_port));
	mem_auto char *listen_at = mem_printf("tcp://fd:%d", fd);
	const char *both[] = { listen_at, "tcp://127.0.0.1:*", NULL };
	struct wire_server_options o = { .listen = both, .self = &w->server_id, .allow = w->allow, .message = server_message,
		                             .refused = server_refused, .arg = w };
	struct err err = { 0 };
	if (wire_listen(w->loop, &o, &w->server, &err) < 0)
		fail_msg("%s", err.text);
	connect_as(w, &w->alice, w->server_id.public);
	assert_true(run(w, is_up, 5000));
	send_heartbeat(w);
	assert_true(run(w, answered, 5000));
	/* the second endpoint is a socket of its own */
	assert_string_not_equal(wire_endpoint(w->server), w->endpoint);
	wire_close(w->server);
	w->server = NULL;
	assert_true(run(w, is_down, 5000));
	serve_at(w, listen_at);
	assert_true(run(w, is_up, 10000));
	close(fd);
	w->server = (wire_close(w->server), NULL);
	assert_int_equal(wire_listen(w->loop, &o, &w->server, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a listening socket"));
}

/* What a peer of another release would send, over a real CURVE connection. */
static void test_wrong_version(void **state)
{
	struct world *w = *state;
	void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
	int zero = 0;
	zmq_setsockopt(dealer, ZMQ_LINGER, &zero, sizeof(zero));
	zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, w->server_id.public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, w->alice.public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, w->alice.secret, 32);
	assert_int_equal(zmq_connect(dealer, w->endpoint), 0);
	static const uint8_t other[] = { 0x08, 2, 0x8a, 0x01, 0 };
	assert_int_equal(zmq_send(dealer, other, sizeof(other), 0), sizeof(other));
	assert_true(run(w, server_refused_one, 5000));
	assert_non_null(strstr(w->why, "version 2"));
	uint8_t answer[1024];
	int timeout = 5000;
	zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &timeout, sizeof(timeout));
	int n = zmq_recv(dealer, answer, sizeof(answer), 0);
	assert_true(n > 0);
	struct message m;
	assert_int_equal(message_unpack(answer, (size_t)n, &m, NULL), 0);
	assert_int_equal(m.type, MSG_REPLY);
	assert_int_equal(m.u.reply.code, 2);
	assert_non_null(strstr(m.u.reply.text, "version 2"));
	message_done(&m);
	/* several frames, and an id of another's choosing, are nothing either */
	assert_int_equal(zmq_send(dealer, "a", 1, ZMQ_SNDMORE), 1);
	assert_int_equal(zmq_send(dealer, "b", 1, ZMQ_SNDMORE), 1);
	assert_int_equal(zmq_send(dealer, "c", 1, 0), 1);
	w->refused = 0;
	assert_int_equal(zmq_send(dealer, other, sizeof(other), 0), sizeof(other));
	assert_true(run(w, server_refused_one, 5000));
	assert_int_equal(w->received, 0);
	zmq_close(dealer);
	zmq_ctx_term(context);
}

static void close_self(void *arg, enum wire_state state, const char *why)
{
	struct world *w = arg;
	if (state == WIRE_UP) {
		wire_close(w->client);
		w->client = NULL;
		w->state = WIRE_UP;
	}
}

static void test_close_in_callback(void **state)
{
	struct world *w = *state;
	struct wire_client_options o = { .server = w->endpoint, .self = &w->alice, .server_public = w->server_id.public,
		                             .message = client_message, .state = close_self, .arg = w };
	assert_int_equal(wire_connect(w->loop, &o, &w->client, NULL), 0);
	assert_true(run(w, is_up, 5000));
	assert_null(w->client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_allowed), TEST(test_large_answer), TEST(test_unknown_key), TEST(test_revoked), TEST(test_other_role),
		TEST(test_local), TEST(test_no_plaintext), TEST(test_wrong_server_key),
		TEST(test_nobody_there), TEST(test_server_restarts), TEST(test_client_goes), TEST(test_descriptor),
		TEST(test_wrong_version), TEST(test_flood_and_reset), TEST(test_close_in_callback),
	};
	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
