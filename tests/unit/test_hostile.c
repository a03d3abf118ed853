/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A coordinator among enemies, on real sockets: a tenant that floods, one that never reads, a thousand connections that say nothing or half of
 * something, messages beyond all bounds, an agent that speaks of what is not its own. Each time others are served meanwhile, and memory stays
 * within a bound. Attackers are threads with sockets of their own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <zmq.h>

#include "tests/help_vned.h"

enum { CONNECTIONS = 1000, FLOOD = 10000, UNREAD = 20000, MIB = 1024 };

/* What is freed stays for a while with a sanitizer. */
#ifdef __SANITIZE_ADDRESS__
enum { LEAVE = 1024 * MIB };
#else
enum { LEAVE = 0 };
#endif

static long memory_kib(void) /* the most so far */
{
	struct rusage use;
	assert_int_equal(getrusage(RUSAGE_SELF, &use), 0);
	return use.ru_maxrss;
}

static int port_of(const struct world *w)
{
	return atoi(strrchr(w->endpoint, ':') + 1);
}

/* ---- an attacker with a key ------------------------------------------------------------------------- */

struct attacker {
	struct world *w;
	const struct identity *id;
	pthread_t thread;
	bool reads;
	size_t n;
	const uint8_t *data;
	size_t len;
	/* what it saw */
	volatile bool sent;
	size_t answers;
};

static void *open_dealer(const struct attacker *a, void **ret_context)
{
	int none = 0, one = 1, all = 0;
	void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
	zmq_setsockopt(dealer, ZMQ_LINGER, &none, sizeof(none));
	zmq_setsockopt(dealer, ZMQ_SNDHWM, &all, sizeof(all));
	zmq_setsockopt(dealer, ZMQ_RCVHWM, a->reads ? &all : &one, sizeof(one));
	zmq_setsockopt(dealer, ZMQ_CURVE_SERVERKEY, a->w->coordinator.public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_PUBLICKEY, a->id->public, 32);
	zmq_setsockopt(dealer, ZMQ_CURVE_SECRETKEY, a->id->secret, 32);
	zmq_connect(dealer, a->w->endpoint);
	*ret_context = context;
	return dealer;
}

static void *attack(void *arg)
{
	struct attacker *a = arg;
	void *context, *dealer = open_dealer(a, &context);
	int patience = 10000;
	zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &patience, sizeof(patience));
	for (size_t i = 0; i < a->n; i++)
		zmq_send(dealer, a->data, a->len, 0);
	a->sent = true;
	char answer[4096];
	while (a->reads && a->answers < a->n && zmq_recv(dealer, answer, sizeof(answer), 0) >= 0)
		a->answers++;
	while (!a->reads && !a->answers) /* until it is told to go */
		zmq_poll(NULL, 0, 10);
	zmq_close(dealer);
	zmq_ctx_term(context);
	a->sent = true;
	return NULL;
}

static size_t asked;
static int64_t until_ms;

static bool time_is_over(struct world *w) { return clock_ms() >= until_ms; }

/* The other client asks again and again, and is answered; how long the slowest answer took. */
static int64_t serve_meanwhile(struct world *w, const volatile bool *over, int64_t most_ms)
{
	int64_t slowest = 0, end = clock_ms() + most_ms;
	for (asked = 0; !*over && clock_ms() < end; asked++) {
		struct message m = { .type = MSG_LIST };
		int64_t began = clock_ms();
		assert_int_equal(ask(w, &m), 0);
		slowest = clock_ms() - began > slowest ? clock_ms() - began : slowest;
		until_ms = clock_ms() + 5; /* at a pace that is its own to ask at */
		assert_true(world_run(w, time_is_over, 1000));
	}
	return slowest;
}

static void test_a_flood_of_submits(void **state)
{
	struct world *w = *state;
	struct message m = submission(world_pair, MSG_SUBMIT);
	struct attacker a = { .w = w, .id = &w->tenant, .reads = true, .n = FLOOD };
	uint8_t *data;
	volatile bool never = false;
	client_start(w, &w->admin);
	m.u.submit.wait_active = false;
	m.sequence = 1;
	message_pack(&m, &data, &a.len);
	a.data = data;
	long before = memory_kib();
	uint64_t paced = w->v.counters.paced;
	assert_int_equal(pthread_create(&a.thread, NULL, attack, &a), 0);
	int64_t slowest = 0, end = clock_ms() + 60000;
	while (w->v.counters.paced - paced < FLOOD * 9 / 10 && clock_ms() < end) {
		int64_t one = serve_meanwhile(w, &never, 100);
		slowest = one > slowest ? one : slowest;
	}
	assert_true(w->v.counters.paced - paced >= FLOOD * 9 / 10); /* answered, each; and the others have been asked for honestly */
	while (a.answers < FLOOD && clock_ms() < end)
		serve_meanwhile(w, &never, 50);
	pthread_join(a.thread, NULL);
	assert_true(a.answers >= FLOOD); /* nobody is left without an answer */
	assert_true(memory_kib() - before < 64 * MIB + LEAVE);
	assert_true(w->v.n_networks <= 1);
	print_message("# slowest answer to another meanwhile: %lld ms\n", (long long)slowest);
	free(data);
}

static void test_who_never_reads(void **state)
{
	struct world *w = *state;
	struct message m = { .type = MSG_NODES, .sequence = 1 };
	struct attacker a = { .w = w, .id = &w->tenant, .n = UNREAD };
	uint8_t *data;
	client_start(w, &w->admin);
	message_pack(&m, &data, &a.len);
	a.data = data;
	long before = memory_kib();
	uint64_t had = w->v.counters.messages;
	assert_int_equal(pthread_create(&a.thread, NULL, attack, &a), 0);
	int64_t end = clock_ms() + 60000;
	volatile bool never = false;
	while (w->v.counters.messages - had < UNREAD && clock_ms() < end)
		serve_meanwhile(w, &never, 50);
	assert_true(w->v.counters.messages - had >= UNREAD); /* all were read, and answered as far as there was room */
	assert_true(memory_kib() - before < 64 * MIB + LEAVE);
	a.answers = 1;
	pthread_join(a.thread, NULL);
	free(data);
}

static void test_beyond_all_bounds(void **state)
{
	struct world *w = *state;
	struct attacker a = { .w = w, .id = &w->tenant };
	void *context, *dealer;
	client_start(w, &w->admin);
	long before = memory_kib();
	for (int i = 0; i < 3; i++) {
		/* larger than any message may be; a bomb of nested lengths; nothing at all */
		size_t len = i == 0 ? (size_t)WIRE_MESSAGE_MAX + 1 : i == 1 ? 1 << 20 : 0;
		uint8_t *data = mem_alloc(len + 1);
		memset(data, i == 1 ? 0x12 : 0, len);
		dealer = open_dealer(&a, &context);
		zmq_send(dealer, data, len, ZMQ_DONTWAIT);
		free(data);
		volatile bool never = false;
		serve_meanwhile(w, &never, 300);
		zmq_close(dealer);
		zmq_ctx_term(context);
	}
	assert_true(memory_kib() - before < 256 * MIB + LEAVE); /* our own copies of it count, too */
}

/* ---- connections without a key ------------------------------------------------------------------------- */

static int connect_raw(const struct world *w)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(w)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	(void)!connect(fd, (struct sockaddr *)&at, sizeof(at));
	return fd;
}

static void test_a_thousand_that_say_nothing(void **state)
{
	/* a greeting of ZMTP 3.1 with CURVE, and ways to spoil it */
	static const uint8_t greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 1, 'C', 'U', 'R', 'V', 'E' };
	struct world *w = *state;
	int *fds = mem_array(CONNECTIONS, sizeof(int));
	struct rlimit files;
	client_start(w, &w->admin);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < 3 * CONNECTIONS) {
		print_message("# too few descriptors here\n");
		skip();
	}
	long before = memory_kib();
	volatile bool never = false;
	uint64_t random = 7;
	for (size_t i = 0; i < CONNECTIONS; i++) {
		uint8_t noise[256];
		fds[i] = connect_raw(w);
		if (i % 100 == 99)
			serve_meanwhile(w, &never, 20);
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)((random = random * 6364136223846793005u + 1) >> 33);
		if (i % 4 == 1)
			(void)!send(fds[i], greeting, i % 64 + 1, MSG_NOSIGNAL);
		if (i % 4 == 2)
			(void)!send(fds[i], noise, sizeof(noise), MSG_NOSIGNAL);
		if (i % 4 == 3 && send(fds[i], greeting, sizeof(greeting), MSG_NOSIGNAL) == sizeof(greeting))
			(void)!send(fds[i], noise, sizeof(noise), MSG_NOSIGNAL);
	}
	serve_meanwhile(w, &never, 500);
	assert_true(asked > 0);
	assert_true(memory_kib() - before < 128 * MIB + LEAVE);
	for (size_t i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	free(fds);
	serve_meanwhile(w, &never, 50);
}

/* ---- an agent in other hands --------------------------------------------------------------------------- */

static bool claim_counted(struct world *w) { return w->v.counters.claims > 0; }

static void test_an_agent_speaks_of_others(void **state)
{
	struct world *w = *state;
	client_start(w, &w->admin);
	assert_int_equal(submit(w, world_pair), 0); /* on n0 and n1 */
	struct network *net = w->v.networks[0];
	until_ms = clock_ms() + 2200; /* what has just changed may still be spoken of */
	world_run(w, time_is_over, 5000);
	/* n2, which has nothing of it, reports a failed router, much traffic, and its end */
	struct message m = { .type = MSG_REPORT };
	struct router_load router = { .net = net->id, .router = net->numbers.router[0], .state = ROUTER_FAILED, .cpu_us = 1 << 30 };
	struct port_load port = { .net = net->id, .port = network_port_number(net, 0), .tx_bytes = UINT64_C(1) << 50 };
	m.u.report.routers = &router;
	m.u.report.ports = &port;
	m.u.report.n_routers = m.u.report.n_ports = 1;
	fake_send(&w->fakes[2], &m);
	assert_true(world_run(w, claim_counted, 5000));
	assert_true(net->load.routers[0].state != ROUTER_FAILED);
	assert_false(net->load.ports[0].known);
	assert_true(net->load.sent_bytes == 0);
	/* what is an admin's to ask is not an agent's; nothing comes of it */
	struct message ask_release = { .type = MSG_RELEASE, .u.name = { (char *)(uintptr_t)"alice/pair" } }, ask_keys = { .type = MSG_KEYS, .u.keys = { .name = (char *)(uintptr_t)"", .text = (char *)(uintptr_t)"" } };
	fake_send(&w->fakes[2], &ask_release);
	fake_send(&w->fakes[2], &ask_keys);
	until_ms = clock_ms() + 300;
	world_run(w, time_is_over, 5000);
	assert_int_equal(w->v.n_networks, 1);
	assert_int_equal(shown_state(w, "pair"), NET_ACTIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_flood_of_submits, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_who_never_reads, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_beyond_all_bounds, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_a_thousand_that_say_nothing, world_setup, world_teardown),
		cmocka_unit_test_setup_teardown(test_an_agent_speaks_of_others, world_setup, world_teardown),
	};
	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
