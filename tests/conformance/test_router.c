/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One suite over every router driver: what router.h promises, each driver keeps. A driver that
 * cannot work here (no privilege, no such kernel) is skipped, and says why. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "base/mem.h"
#include "base/ns.h"
#include "model/yaml.h"
#include "vnagent/device.h"
#include "vnagent/router.h"
#include "vnagent/router_xen.h"

enum { EVENTS_MAX = 256, LIMIT_MS = 20000, LIMIT_GUEST_MS = 500000 };

static struct spawner *spawner;
static const struct router_driver *driver;
static char why_not[256]; /* of the driver that is tested */

struct bench {
	struct loop *loop;
	void *self;
	struct router_event events[EVENTS_MAX];
	char text[EVENTS_MAX][128];
	size_t n;
	bool within; /* a call into the driver: no event may come from there */
};

static void on_event(void *arg, const struct router_event *e)
{
	struct bench *b = arg;
	assert_false(b->within);
	assert_true(b->n < EVENTS_MAX);
	snprintf(b->text[b->n], sizeof(b->text[0]), "%s", e->text ? e->text : "");
	b->events[b->n++] = *e;
	loop_stop(b->loop);
}

static void overdue(void *arg)
{
	fail_msg("no event in time");
}

/* Runs the loop until n events have come since the last call that cleared them. */
static void await(struct bench *b, size_t n)
{
	struct err err = { 0 };
	struct loop_source *limit;
	assert_int_equal(loop_add_timer(b->loop, driver->ports == ROUTER_PORTS_DRIVER ? LIMIT_GUEST_MS : LIMIT_MS, 0, overdue, NULL, &limit, &err), 0);
	while (b->n < n)
		assert_int_equal(loop_run(b->loop, &err), 0);
	loop_remove(limit);
}

static size_t count(const struct bench *b, enum router_event_type type)
{
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++)
		n += b->events[i].type == type;
	return n;
}

static void create(struct bench *b, uint32_t router, const char *name)
{
	struct router_spec spec = { .key = { 9, router }, .name = name, .cpu_milli = 100, .setup = "vne 1\n" };
	b->within = true;
	driver->create(b->self, &spec);
	b->within = false;
}

static void destroy(struct bench *b, uint32_t router)
{
	b->within = true;
	driver->destroy(b->self, (struct router_key){ 9, router });
	b->within = false;
}

static bool running(struct bench *b, uint32_t router)
{
	return driver->running(b->self, (struct router_key){ 9, router });
}

static size_t listed(struct bench *b)
{
	struct router_key *keys = NULL;
	size_t n = 0;
	driver->list(b->self, &keys, &n);
	free(keys);
	return n;
}

static void open_driver(struct bench *b)
{
	struct err err = { 0 };
	struct router_options o = { .loop = b->loop, .spawner = spawner, .cgroup = "", .event = on_event, .arg = b };
	int code = driver->open(&o, &b->self, &err);
	if (code)
		print_error("%s\n", err.text);
	assert_int_equal(code, 0);
}

static int enter(void **state)
{
	struct err err = { 0 };
	struct bench *b = mem_alloc(sizeof(*b));
	*state = b;
	unsetenv("VNE_FAKE_FAULTS");
	if (*why_not)
		return 0;
	assert_int_equal(loop_new(&b->loop, &err), 0);
	open_driver(b);
	return 0;
}

static int leave(void **state)
{
	struct bench *b = *state;
	if (!*why_not) {
		driver->close(b->self);
		loop_free(b->loop);
	}
	free(b);
	return 0;
}

#define NEED_DRIVER() \
	if (*why_not) { \
		print_message("SKIPPED: routers of kind %s: %s\n", driver->kind, why_not); \
		skip(); \
	}

static void a_router_lives_and_ends(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	create(b, 1, "r1");
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_READY);
	assert_int_equal(b->events[0].key.net, 9);
	assert_int_equal(b->events[0].key.router, 1);
	assert_true(running(b, 1));
	assert_int_equal(listed(b), 1);
	int netns = driver->netns(b->self, (struct router_key){ 9, 1 });
	assert_true(driver->ports == ROUTER_PORTS_VETH ? netns >= 0 : netns == -1);
	destroy(b, 1);
	await(b, 2);
	assert_int_equal(b->events[1].type, ROUTER_EVENT_GONE);
	assert_false(running(b, 1));
	assert_int_equal(listed(b), 0);
	assert_int_equal(driver->netns(b->self, (struct router_key){ 9, 1 }), -1);
}

static void everything_may_be_repeated(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	destroy(b, 1); /* was never there */
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_GONE);
	create(b, 1, "r1");
	await(b, 2);
	create(b, 1, "r1"); /* runs */
	await(b, 3);
	assert_int_equal(b->events[2].type, ROUTER_EVENT_READY);
	assert_int_equal(listed(b), 1);
	struct router_spec spec = { .key = { 9, 1 }, .name = "r1", .cpu_milli = 500 };
	struct err err = { 0 };
	assert_int_equal(driver->resize(b->self, &spec, &err), 0);
	destroy(b, 1);
	await(b, 4);
	destroy(b, 1);
	await(b, 5);
	assert_int_equal(count(b, ROUTER_EVENT_GONE), 3);
	assert_int_equal(count(b, ROUTER_EVENT_READY), 2);
}

static void many_at_once(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	enum { MANY_MAX = 50 };
	const size_t MANY = driver->ports == ROUTER_PORTS_DRIVER ? 2 : MANY_MAX; /* guests take memory */
	for (uint32_t i = 0; i < MANY; i++)
		create(b, i, "many");
	await(b, MANY);
	assert_int_equal(count(b, ROUTER_EVENT_READY), MANY);
	assert_int_equal(listed(b), MANY);
	for (uint32_t i = 0; i < MANY; i++)
		destroy(b, i);
	await(b, 2 * MANY);
	assert_int_equal(count(b, ROUTER_EVENT_GONE), MANY);
	assert_int_equal(listed(b), 0);
}

static void a_creation_can_be_taken_back(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	create(b, 1, "r1");
	destroy(b, 1);
	while (count(b, ROUTER_EVENT_GONE) < 1)
		await(b, b->n + 1);
	assert_false(running(b, 1));
	assert_int_equal(listed(b), 0);
	/* and what is being taken back can be asked for anew */
	b->n = 0;
	create(b, 1, "r1");
	destroy(b, 1);
	create(b, 1, "r1");
	while (!running(b, 1))
		await(b, b->n + 1);
	assert_int_equal(listed(b), 1);
	b->n = 0;
	destroy(b, 1);
	while (count(b, ROUTER_EVENT_GONE) < 1)
		await(b, b->n + 1);
	assert_int_equal(listed(b), 0);
}

static void closing_leaves_routers_alone(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	create(b, 1, "r1");
	create(b, 2, "r2");
	await(b, 2);
	driver->close(b->self);
	b->n = 0;
	open_driver(b); /* the agent, started again */
	if (driver->ports == ROUTER_PORTS_NONE) {
		assert_int_equal(listed(b), 0); /* nothing that could outlive the agent */
		return;
	}
	assert_int_equal(listed(b), 2);
	assert_true(running(b, 1) && running(b, 2));
	destroy(b, 1);
	destroy(b, 2);
	await(b, 2);
	assert_int_equal(listed(b), 0);
}

static void a_death_is_told(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	if (driver == &router_fake)
		setenv("VNE_FAKE_FAULTS", "r1=die", 1);
	create(b, 1, "r1");
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_READY);
	if (driver == &router_netns) {
		struct holder *h = NULL;
		size_t n = 0;
		struct err err = { 0 };
		assert_int_equal(holders_find(&h, &n, &err), 0);
		assert_int_equal(n, 1);
		assert_int_equal(kill(h[0].pid, SIGKILL), 0);
		close(h[0].pidfd);
		close(h[0].netns_fd);
		free(h);
	}
	if (driver == &router_xen) { /* its kernel crashes; nobody waits for the command's end */
		static const char *const crash[] = { "sh", "-c", "echo c > /proc/sysrq-trigger", NULL };
		struct err err = { 0 };
		int none = open("/dev/null", O_RDWR | O_CLOEXEC), control[2];
		assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), errno);
		struct router_command c = { .argv = crash, .argc = 3, .in = none, .out = none, .error = none, .control = control[1] };
		assert_int_equal(driver->exec(b->self, (struct router_key){ 9, 1 }, &c, &err), 0);
		close(none);
		close(control[1]);
		await(b, 2);
		close(control[0]);
	}
	await(b, 2);
	assert_int_equal(b->events[1].type, ROUTER_EVENT_DIED);
	assert_true(strlen(b->text[1]) > 0);
	assert_false(running(b, 1));
	create(b, 1, "r1"); /* it can be made again */
	await(b, 3);
	assert_int_equal(b->events[2].type, ROUTER_EVENT_READY);
	destroy(b, 1);
	await(b, 4);
}

/* Runs a command and gives its exit code; what it printed into `out`. */
static int exec_in(struct bench *b, uint32_t router, const char *const *argv, char *out, size_t size, char *why)
{
	int pipes[2], control[2], nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct err err = { 0 };
	size_t argc = 0;
	while (argv[argc])
		argc++;
	assert_return_code(nothing, errno);
	assert_return_code(pipe(pipes), errno);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), errno);
	struct router_command c = { .argv = argv, .argc = argc, .in = nothing, .out = pipes[1], .error = pipes[1], .control = control[1] };
	int code = driver->exec(b->self, (struct router_key){ 9, router }, &c, &err);
	close(nothing);
	close(pipes[1]);
	close(control[1]);
	struct spawn_exit e = { .code = code };
	if (!code) {
		assert_int_equal(recv(control[0], &e, sizeof(e), 0), sizeof(e));
		ssize_t n = read(pipes[0], out, size - 1);
		out[n > 0 ? n : 0] = 0;
	}
	snprintf(why, SPAWN_TEXT_MAX, "%.150s", code ? err.text : e.text);
	close(pipes[0]);
	close(control[0]);
	return e.code;
}

static void commands_run_inside(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	char out[256], why[SPAWN_TEXT_MAX];
	static const char *const echo[] = { "echo", "hello", "router", NULL }, *const nothing[] = { "no-such-program", NULL };
	assert_int_equal(exec_in(b, 1, echo, out, sizeof(out), why), -ENOENT);
	create(b, 1, "r1");
	await(b, 1);
	assert_int_equal(exec_in(b, 1, echo, out, sizeof(out), why), 0);
	assert_string_equal(out, "hello router\n");
	assert_string_equal(why, "");
	assert_int_equal(exec_in(b, 1, nothing, out, sizeof(out), why), 127);
	assert_true(strlen(why) > 0);
	char longest[202] = "x"; /* cut anywhere, the reason has to remain text: the wire takes no other */
	for (size_t i = 1; i + 2 < sizeof(longest); i += 2)
		memcpy(longest + i, "é", 3);
	assert_int_not_equal(exec_in(b, 1, (const char *const[]){ longest, NULL }, out, sizeof(out), why), 0);
	assert_int_equal(yaml_utf8_prefix(why, strlen(why)), strlen(why));
	if (driver == &router_netns) {
		static const char *const inside[] = { "sh", "-c", "hostname; id -u; ls /proc | grep -c -x 1; touch /etc/x 2>/dev/null || exit 7", NULL };
		assert_int_equal(exec_in(b, 1, inside, out, sizeof(out), why), 7);
		assert_string_equal(out, "r1\n0\n1\n");
	}
	destroy(b, 1);
	await(b, 2);
}

static long device_says(uint32_t port, const char *what)
{
	char name[DEVICE_NAME], path[96], text[32] = "";
	device_port_name(9, port, name);
	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", name, what);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtol(text, NULL, 0) : -1;
}

static void drivers_make_their_ports(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	if (driver->ports != ROUTER_PORTS_DRIVER) {
		print_message("SKIPPED: ports of kind %s are not the driver's\n", driver->kind);
		skip();
	}
	char out[256], why[SPAWN_TEXT_MAX];
	static const char *const look[] = { "cat", "/sys/class/net/wan0/mtu", NULL };
	const struct plan_port first = { .id = 2, .router = 1, .ifname = "eth0", .mac = { 2, 0, 0, 0, 9, 2 }, .mtu = 1400 },
	                       second = { .id = 5, .router = 1, .ifname = "eth1", .mac = { 2, 0, 0, 0, 9, 5 }, .mtu = 1400 };
	const struct plan_port *const ports[] = { &first, &second };
	struct router_spec spec = { .key = { 9, 1 }, .name = "r1", .cpu_milli = 100, .ports = ports, .n_ports = 1,
		                    .setup = "vne 1\nport 02:00:00:00:09:02 eth0 1400\n" };
	driver->create(b->self, &spec);
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_READY);
	assert_int_equal(device_says(2, "netdev_group"), DEVICE_GROUP | 9);
	assert_int_equal(device_says(2, "flags") & 1, 0); /* down */
	assert_int_equal(device_says(5, "flags"), -1);
	spec.n_ports = 2;
	driver->create(b->self, &spec);
	await(b, 2);
	assert_int_equal(b->events[1].type, ROUTER_EVENT_READY);
	assert_int_equal(device_says(5, "netdev_group"), DEVICE_GROUP | 9);
	driver->configure(b->self, spec.key, "vne 1\nport 02:00:00:00:09:02 wan0 1300\nport 02:00:00:00:09:05 eth1 1400\n");
	await(b, 3);
	assert_int_equal(b->events[2].type, ROUTER_EVENT_CONFIGURED);
	assert_int_equal(b->events[2].code, 0);
	assert_int_equal(exec_in(b, 1, look, out, sizeof(out), why), 0);
	assert_string_equal(out, "1300\n");
	driver->detach(b->self, spec.key, 5);
	driver->configure(b->self, spec.key, "vne 1\nport 02:00:00:00:09:02 wan0 1300\n"); /* answered after the detach */
	await(b, 4);
	assert_int_equal(device_says(5, "flags"), -1);
	destroy(b, 1);
	await(b, 5);
	assert_int_equal(device_says(2, "flags"), -1);
}

/* What a router's root may try against the walls of its file system. It prints what worked. The
 * paths with $M are the host's: files that lie there, or would if a write got through. */
static const char ESCAPES[] =
	"M=$1; in=$2; mounts=$(awk '{print $5}' /proc/self/mountinfo | sort -ru)\n"
	"look() {\n"
	"  for d in /tmp /run /var/tmp /dev/shm /dev/mqueue $2 ${2:+$2/tmp $2/run $2/var/tmp $2/dev/shm}; do\n"
	"    [ -e $d/$M ] && echo \"$in $1: $d of the host\"\n"
	"  done\n"
	"  for d in /var/tmp /dev/mqueue /usr /etc ${2:+$2/var/tmp $2/dev/mqueue}; do\n"
	"    touch $d/new-$M 2>&- && echo \"$in $1: $d can be written\"\n"
	"  done\n"
	"  for p in /proc ${2:+$2/proc}; do [ ! -r $p/1/cmdline ] || [ $in ] || grep -q ^vne-router $p/1/cmdline || echo \"$1: $p of the host\"; done\n"
	"  for p in /sys ${2:+$2/sys}; do [ \"$(ls $p/fs/cgroup 2>&-)\" ] && echo \"$in $1: $p of the host\"; done\n"
	"}\n"
	"look nothing\n"
	"[ $in ] || unshare -Urm sh -c \"$0\" \"$0\" $M unshared 2>&1\n"
	"nsenter -t 1 -m -- sh -c \"ls /tmp/$M /var/tmp/$M\" 2>&- && echo nsenter\n"
	"mkdir -p /dev/shm/a /dev/shm/b\n"
	"mount --bind / /dev/shm/a 2>&-; look bind /dev/shm/a\n"
	"mount --rbind / /dev/shm/b 2>&-; mount --make-rprivate /dev/shm/b 2>&-\n"
	"for m in tmp run var/tmp dev/shm dev proc sys ''; do\n"
	"  mount -o remount,rw,bind,suid,dev /dev/shm/b/$m; umount /dev/shm/b/$m; umount -l /dev/shm/b/$m\n"
	"done 2>&-\n"
	"look rbind /dev/shm/b\n"
	"mkdir -p /dev/shm/c; for m in /tmp /run /proc /sys /dev /var/tmp; do mount --move $m /dev/shm/c; mount --move $m /dev/shm/c; done 2>&-\n"
	"look move /dev/shm/c; umount -l /dev/shm/c 2>&-\n"
	"for m in $mounts; do mount -o remount,rw,bind,suid,dev,exec $m; mount -o remount,rw $m; done 2>&-\n"
	"look remount\n"
	"for m in $mounts $mounts $mounts; do [ $m = / ] || umount $m; done 2>&-; look umount\n"
	"for m in $mounts $mounts $mounts; do [ $m = / ] || umount -l $m; done 2>&-; look umount-l\n"
	"mount -t proc proc /proc 2>&-; mount -t sysfs sysfs /sys 2>&-; look again\n"
	"umount -l / 2>&-; look umount-root\n"
	"echo tried";

/* Where everybody may write; a file of ours lies in each, so that one who sees it is outside. */
static const char *const everybodys[] = { "/tmp", "/run", "/var/tmp", "/dev/shm", "/dev/mqueue" };

static bool host_file(const char *dir, const char *prefix, const char *mark, int flags)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s%s", dir, prefix, mark);
	if (!flags)
		return unlink(path) == 0;
	int fd = open(path, flags | O_CLOEXEC, 0666);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void walls_hold_against_root(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	if (driver != &router_netns) {
		print_message("SKIPPED: routers of kind %s have no file system\n", driver->kind);
		skip();
	}
	static char out[16384];
	char why[SPAWN_TEXT_MAX], mark[32];
	size_t through = 0;
	snprintf(mark, sizeof(mark), "vne-wall-%d", (int)getpid());
	for (size_t i = 0; i < ARRAY_LEN(everybodys); i++)
		(void)host_file(everybodys[i], "", mark, O_CREAT | O_WRONLY | O_EXCL);
	create(b, 1, "r1");
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_READY);
	const char *const argv[] = { "sh", "-c", ESCAPES, ESCAPES, mark, NULL };
	int code = exec_in(b, 1, argv, out, sizeof(out), why);
	for (size_t i = 0; i < ARRAY_LEN(everybodys); i++) {
		(void)host_file(everybodys[i], "", mark, 0);
		through += host_file(everybodys[i], "new-", mark, 0);
	}
	through += host_file("/usr", "new-", mark, 0) + host_file("/etc", "new-", mark, 0);
	assert_int_equal(through, 0);
	assert_string_equal(out, "tried\ntried\n"); /* the router's root, and a user namespace inside it */
	assert_int_equal(code, 0);
	/* and it is still a router: its own /tmp, forwarding to change, devices to use */
	create(b, 2, "r2");
	await(b, 2);
	static const char *const works[] = {
		"sh", "-c",
		"echo 0 >/proc/sys/net/ipv4/ip_forward && echo 1 >/proc/sys/net/ipv4/ip_forward && touch /tmp/x /run/x /dev/shm/x && "
		"ls /sys/class/net && echo y >/dev/null && head -c1 /dev/urandom | wc -c && cat /proc/1/comm",
		NULL
	};
	assert_int_equal(exec_in(b, 2, works, out, sizeof(out), why), 0);
	assert_string_equal(out, "lo\n1\nvr9.2\n");
	destroy(b, 1);
	destroy(b, 2);
	await(b, 4);
}

static void failures_have_a_reason(void **state)
{
	struct bench *b = *state;
	NEED_DRIVER();
	if (driver != &router_fake) {
		print_message("SKIPPED: routers of kind %s do not fail on demand\n", driver->kind);
		skip();
	}
	setenv("VNE_FAKE_FAULTS", "bad=fail,late=hang,lazy=slow", 1);
	create(b, 1, "bad");
	await(b, 1);
	assert_int_equal(b->events[0].type, ROUTER_EVENT_FAILED);
	assert_int_equal(b->events[0].code, -EIO);
	assert_true(strlen(b->text[0]) > 0);
	create(b, 2, "late");
	create(b, 3, "lazy");
	assert_false(running(b, 3));
	await(b, 3);
	assert_int_equal(b->events[1].type, ROUTER_EVENT_READY);
	assert_int_equal(b->events[1].key.router, 3);
	assert_int_equal(b->events[2].type, ROUTER_EVENT_FAILED);
	assert_int_equal(b->events[2].code, -ETIMEDOUT);
	assert_int_equal(listed(b), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_router_lives_and_ends, enter, leave),
		cmocka_unit_test_setup_teardown(everything_may_be_repeated, enter, leave),
		cmocka_unit_test_setup_teardown(many_at_once, enter, leave),
		cmocka_unit_test_setup_teardown(a_creation_can_be_taken_back, enter, leave),
		cmocka_unit_test_setup_teardown(closing_leaves_routers_alone, enter, leave),
		cmocka_unit_test_setup_teardown(a_death_is_told, enter, leave),
		cmocka_unit_test_setup_teardown(commands_run_inside, enter, leave),
		cmocka_unit_test_setup_teardown(drivers_make_their_ports, enter, leave),
		cmocka_unit_test_setup_teardown(walls_hold_against_root, enter, leave),
		cmocka_unit_test_setup_teardown(failures_have_a_reason, enter, leave),
	};
	int failed = 0;
	struct err err = { 0 };
	const char *only = argc > 1 ? argv[1] : NULL, *image = getenv("VNE_XEN_IMAGE"), *helper = getenv("VNE_XEN_HELPER");
	mem_auto char *named = mem_printf("default=%s", image ? image : "");
	const char *const images[] = { named };
	router_xen_set(&(struct router_xen_options){ .helper = helper, .images = images, .n_images = image != NULL });
	/* A namespace of our own, so that routers of others are not taken for ours; but a guest's vifs stand in the first one. */
	bool privileged = geteuid() == 0 && ((only && !strcmp(only, router_xen.kind)) || unshare(CLONE_NEWNET) == 0);
	if (spawner_start(argc, argv, &spawner, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 70;
	}
	for (const struct router_driver *const *d = router_drivers; *d; d++) {
		driver = *d;
		why_not[0] = 0;
		if (driver->base || (only && strcmp(only, driver->kind)))
			continue; /* made by another's driver */
		if (driver->probe(&err))
			snprintf(why_not, sizeof(why_not), "%.250s", err.text);
		else if (driver->ports == ROUTER_PORTS_DRIVER && (!only || !image))
			snprintf(why_not, sizeof(why_not), "say `test_router %s`, with VNE_XEN_IMAGE the directory of an image", driver->kind);
		else if (driver->ports == ROUTER_PORTS_VETH && !privileged)
			snprintf(why_not, sizeof(why_not), "root is needed");
		print_message("-- routers of kind %s\n", driver->kind);
		failed += cmocka_run_group_tests_name(driver->kind, tests, NULL, NULL);
	}
	spawner_stop(spawner);
	return failed;
}
