/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The driver of Xen guests against a scripted helper, which is this program itself, started again; and the text that a guest is
 * told. The helper does what the names of routers say: `die` ends it at the first create (VNE_TEST_MARK says whether there was one),
 * `junk` answers with half a packet, `again` was destroyed meanwhile when it is created once more, `fail` and `late` as they are called; every other guest comes up. Guests 9/77 is there before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/mem.h"
#include "vnagent/guest/setup_read.h"
#include "vnagent/router_xen.h"
#include "vnagent/setup.h"
#include "vnagent/xen_wire.h"

enum { LIMIT_MS = 20000, EVENTS_MAX = 32 };

/* ---- the helper -------------------------------------------------------------------------------------------- */
static void say(enum xen_type type, const struct xen_message *to, int code, const void *text, size_t len)
{
	char packet[4096];
	struct xen_message m = *to;
	m.type = type;
	m.code = code;
	m.len = (uint32_t)len;
	memcpy(packet, &m, sizeof(m));
	memcpy(packet + sizeof(m), text, len);
	(void)!send(XEN_FD, packet, sizeof(m) + len, MSG_NOSIGNAL);
}

static bool first_time(void)
{
	int fd = open(getenv("VNE_TEST_MARK"), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void create_as_told(const struct xen_message *m, const struct xen_spec *s)
{
	struct xen_load load = { m->net, m->router, 1234, 65536 };
	if (!strcmp(s->name, "die") && first_time())
		_exit(3);
	if (!strcmp(s->name, "doom"))
		_exit(4);
	if (!strcmp(s->name, "junk") && first_time()) {
		(void)!send(XEN_FD, "junk", 4, MSG_NOSIGNAL);
		return;
	}
	if (!strcmp(s->name, "late"))
		return;
	if (!strcmp(s->name, "fail")) {
		say(XEN_DONE, m, -EIO, "no luck", 7);
		return;
	}
	if (!strcmp(s->name, "again") && !first_time())
		say(XEN_DIED, m, 0, "destroyed by somebody else", 26);
	say(XEN_LOAD, m, 0, &load, sizeof(load));
	say(XEN_DONE, m, 0, "", 0);
	if (!strcmp(s->name, "crash"))
		say(XEN_DIED, m, 0, "its kernel crashed", 18);
}

static int be_helper(void)
{
	static char packet[sizeof(struct xen_message) + XEN_TEXT_MAX];
	ssize_t n;
	while ((n = recv(XEN_FD, packet, sizeof(packet), 0)) >= (ssize_t)sizeof(struct xen_message)) {
		struct xen_message m;
		struct xen_spec s;
		struct xen_host h = { .version = "4.17", .scheduler = "rtds", .cores = 2, .mem_total_kib = 1 << 20, .guests_max = 99,
			              .ports_max = 8, .images = "default\nother\n" };
		memcpy(&m, packet, sizeof(m));
		if (m.type == XEN_PROBE) {
			say(XEN_PROBED, &m, 0, &h, sizeof(h));
		} else if (m.type == XEN_LIST) {
			struct xen_message l = { .net = 9, .router = 77 };
			say(XEN_LISTED, &l, 0, "", 0);
			say(XEN_DONE, &m, 0, "", 0);
		} else if (m.type == XEN_CREATE) {
			memcpy(&s, packet + sizeof(m), sizeof(s));
			create_as_told(&m, &s);
		} else {
			say(XEN_DONE, &m, m.type == XEN_CONFIGURE && !strstr(packet + sizeof(m), "vne 1") ? -EINVAL : 0, "", 0);
		}
	}
	return 0;
}

/* ---- the tests -------------------------------------------------------------------------------------------- */
struct bench {
	struct loop *loop;
	void *self;
	struct router_event events[EVENTS_MAX];
	char text[EVENTS_MAX][128];
	size_t n;
	char mark[64];
};

static void on_event(void *arg, const struct router_event *e)
{
	struct bench *b = arg;
	assert_true(b->n < EVENTS_MAX);
	snprintf(b->text[b->n], sizeof(b->text[0]), "%s", e->text ? e->text : "");
	b->events[b->n++] = *e;
	loop_stop(b->loop);
}

static void overdue(void *arg)
{
	fail_msg("no event within %d ms", LIMIT_MS);
}

static void await(struct bench *b, size_t n)
{
	struct err err = { 0 };
	struct loop_source *limit;
	assert_int_equal(loop_add_timer(b->loop, LIMIT_MS, 0, overdue, NULL, &limit, &err), 0);
	while (b->n < n)
		assert_int_equal(loop_run(b->loop, &err), 0);
	loop_remove(limit);
}

static int enter(void **state)
{
	struct err err = { 0 };
	struct bench *b = mem_alloc(sizeof(*b));
	struct router_options o = { .event = on_event, .arg = b, .cgroup = "" };
	*state = b;
	snprintf(b->mark, sizeof(b->mark), "/tmp/vne-test-xen-%d", (int)getpid());
	unlink(b->mark);
	setenv("VNE_TEST_MARK", b->mark, 1);
	assert_int_equal(loop_new(&b->loop, &err), 0);
	o.loop = b->loop;
	assert_int_equal(router_xen.open(&o, &b->self, &err), 0);
	return 0;
}

static int leave(void **state)
{
	struct bench *b = *state;
	router_xen.close(b->self);
	loop_free(b->loop);
	unlink(b->mark);
	free(b);
	return 0;
}

static void create(struct bench *b, uint32_t router, const char *name)
{
	router_xen.create(b->self, &(struct router_spec){ .key = { 9, router }, .name = name, .setup = "vne 1\n" });
}

static void expect(const struct bench *b, size_t i, enum router_event_type type, uint32_t router)
{
	assert_int_equal(b->events[i].type, type);
	assert_int_equal(b->events[i].key.router, router);
}

static void guests_that_are_there_are_found(void **state)
{
	struct bench *b = *state;
	uint64_t cpu_us;
	int64_t mem_kib;
	assert_true(router_xen.running(b->self, (struct router_key){ 9, 77 }));
	create(b, 1, "r1");
	assert_false(router_xen.running(b->self, (struct router_key){ 9, 1 }));
	await(b, 1);
	expect(b, 0, ROUTER_EVENT_READY, 1);
	router_xen.load(b->self, (struct router_key){ 9, 1 }, &cpu_us, &mem_kib);
	assert_int_equal(cpu_us, 1234);
	assert_int_equal(mem_kib, 65536);
	router_xen.configure(b->self, (struct router_key){ 9, 1 }, "vne 1\n");
	await(b, 2);
	expect(b, 1, ROUTER_EVENT_CONFIGURED, 1);
	assert_int_equal(b->events[1].code, 0);
	router_xen.configure(b->self, (struct router_key){ 9, 1 }, "nonsense\n");
	await(b, 3);
	assert_int_equal(b->events[2].code, -EINVAL);
	router_xen.destroy(b->self, (struct router_key){ 9, 1 });
	await(b, 4);
	expect(b, 3, ROUTER_EVENT_GONE, 1);
	assert_false(router_xen.running(b->self, (struct router_key){ 9, 1 }));
}

static void failures_and_deaths_are_told(void **state)
{
	struct bench *b = *state;
	create(b, 1, "fail");
	await(b, 1);
	expect(b, 0, ROUTER_EVENT_FAILED, 1);
	assert_string_equal(b->text[0], "no luck");
	create(b, 2, "crash");
	await(b, 3);
	expect(b, 1, ROUTER_EVENT_READY, 2);
	expect(b, 2, ROUTER_EVENT_DIED, 2);
	assert_string_equal(b->text[2], "its kernel crashed");
	assert_false(router_xen.running(b->self, (struct router_key){ 9, 2 }));
}

/* Its ports have vanished, so it is made again before it is known that all of it is gone: that is told all the same. */
static void a_death_that_a_repair_overtakes_is_told(void **state)
{
	struct bench *b = *state;
	create(b, 3, "again");
	await(b, 1);
	expect(b, 0, ROUTER_EVENT_READY, 3);
	create(b, 3, "again");
	await(b, 3);
	expect(b, 1, ROUTER_EVENT_DIED, 3);
	assert_string_equal(b->text[1], "destroyed by somebody else");
	expect(b, 2, ROUTER_EVENT_READY, 3);
	assert_true(router_xen.running(b->self, (struct router_key){ 9, 3 }));
}

static void what_was_not_answered_is_asked_again(void **state)
{
	struct bench *b = *state;
	static const char *const names[] = { "die", "junk" };
	for (size_t i = 0; i < 2; i++) {
		unlink(b->mark);
		create(b, 5 + (uint32_t)i, names[i]);
		await(b, b->n + 1);
		/* guests of the helper that died and are not listed by the next have ended */
		while (b->events[b->n - 1].type == ROUTER_EVENT_DIED)
			await(b, b->n + 1);
		expect(b, b->n - 1, ROUTER_EVENT_READY, 5 + (uint32_t)i);
		assert_true(router_xen.running(b->self, (struct router_key){ 9, 77 }));
	}
}

static void what_always_ends_the_helper_fails(void **state)
{
	struct bench *b = *state;
	create(b, 1, "doom");
	await(b, 1);
	expect(b, 0, ROUTER_EVENT_FAILED, 1);
	assert_non_null(strstr(b->text[0], "ended over it"));
}

static void a_creation_can_be_taken_back(void **state)
{
	struct bench *b = *state;
	create(b, 1, "late");
	router_xen.destroy(b->self, (struct router_key){ 9, 1 });
	await(b, 1);
	expect(b, 0, ROUTER_EVENT_GONE, 1);
}

static void probe_tells_limits(void **state)
{
	struct node_probe p = { 0 };
	struct probe_kind k = { 0 };
	struct err err = { 0 };
	assert_int_equal(router_xen.probe(&err), 0);
	router_xen.describe(&p, &k);
	assert_int_equal(k.routers, 99);
	assert_int_equal(k.ports, 8);
	assert_int_equal(k.mem_kib, 1 << 20);
	assert_int_equal(p.n_images, 2);
	assert_string_equal(p.images[1], "other");
	assert_true(router_xen.realtime());
	node_probe_done(&p);
}

/* What is written, vnguest reads. */
static void setups_are_understood(void **state)
{
	struct addr loopback = { AF_INET, 32, { 10, 0, 0, 1 } };
	struct plan_route route = { .to = { AF_INET, 32, { 10, 0, 0, 2 } }, .via = { AF_INET, 32, { 10, 1, 0, 1 } }, .port = 4 };
	struct plan_router r = { .id = 1, .name = "r1", .loopbacks = &loopback, .n_loopbacks = 1, .routes = &route, .n_routes = 1 };
	struct plan_port port = { .id = 4, .router = 1, .ifname = "eth0", .mac = { 2, 0, 0, 0, 0, 9 }, .mtu = 1450,
		                  .address = { AF_INET, 31, { 10, 1, 0, 0 } } };
	const struct plan_port *ports[] = { &port };
	struct guest_setup s;
	struct err err = { 0 };
	buf_auto struct buf text = BUF_INIT;
	setup_write(&r, ports, 1, NULL, &text);
	assert_int_equal(guest_setup_read(buf_cstr(&text), text.len, &s, &err), 0);
	assert_string_equal(s.name, "r1");
	assert_int_equal(s.n_ports, 1);
	assert_string_equal(s.ports[0].ifname, "eth0");
	assert_int_equal(s.ports[0].mtu, 1450);
	assert_int_equal(s.ports[0].address.prefix, 31);
	assert_int_equal(s.n_loopbacks, 1);
	assert_int_equal(s.n_routes, 1);
	assert_int_equal(s.routes[0].source.bytes[3], 1);
	assert_null(s.bird);
	guest_setup_done(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(setups_are_understood),
		cmocka_unit_test(probe_tells_limits),
		cmocka_unit_test_setup_teardown(guests_that_are_there_are_found, enter, leave),
		cmocka_unit_test_setup_teardown(failures_and_deaths_are_told, enter, leave),
		cmocka_unit_test_setup_teardown(a_death_that_a_repair_overtakes_is_told, enter, leave),
		cmocka_unit_test_setup_teardown(what_was_not_answered_is_asked_again, enter, leave),
		cmocka_unit_test_setup_teardown(what_always_ends_the_helper_fails, enter, leave),
		cmocka_unit_test_setup_teardown(a_creation_can_be_taken_back, enter, leave),
	};
	if (getenv("VNE_TEST_MARK"))
		return be_helper();
	setenv("VNE_TEST_MARK", "/nonexistent", 1);
	router_xen_set(&(struct router_xen_options){ .helper = "/proc/self/exe" });
	return cmocka_run_group_tests(tests, NULL, NULL);
}
