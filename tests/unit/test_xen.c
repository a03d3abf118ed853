/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of the Xen helper needs no Xen: requests from the wire, hostile ones too; router to libxl configuration; images and the
 * cpio behind them; names of vifs; the tail of a console; balancing, which converges and comes to rest. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "vnagent/device.h"
#include "vnagent/guest_wire.h"
#include "vnagent/xen/balance.h"
#include "vnagent/xen/console.h"
#include "vnagent/xen/domain_config.h"
#include "vnagent/xen/hotplug.h"
#include "vnagent/xen/image.h"

/* ---- requests ---------------------------------------------------------------------------------- */
static size_t make_request(char *text, const struct xen_spec *spec, const struct xen_port *ports, const char *setup)
{
	memcpy(text, spec, sizeof(*spec));
	memcpy(text + sizeof(*spec), ports, spec->n_ports * sizeof(*ports));
	memcpy(text + sizeof(*spec) + spec->n_ports * sizeof(*ports), setup, strlen(setup));
	return sizeof(*spec) + spec->n_ports * sizeof(*ports) + strlen(setup);
}

static void request_is_taken_apart(void **state)
{
	char text[4096];
	struct xen_spec spec = { .name = "r1", .cpu_milli = 1500, .mem_kib = 131072, .n_ports = 2 };
	struct xen_port ports[] = { { 7, 1500, { 10, 0, 0, 0, 0, 1 } }, { 9, 9000, { 10, 0, 0, 0, 0, 2 } } };
	struct domain_request q;
	struct err err = { 0 };
	size_t len = make_request(text, &spec, ports, "vne 1\nrouter r1\n");
	assert_int_equal(domain_request_read(text, len, &q, &err), 0);
	assert_int_equal(q.ports[1].mtu, 9000);
	assert_int_equal(q.setup_len, strlen("vne 1\nrouter r1\n"));
	assert_memory_equal(q.setup, "vne 1", 5);
	for (size_t cut = 0; cut < sizeof(spec) + sizeof(ports); cut++)
		assert_int_equal(domain_request_read(text, cut, &q, &err), -EINVAL);
}

static int read_bent(const struct xen_spec *spec, const struct xen_port *port, struct domain_request *q)
{
	static char text[sizeof(struct xen_spec) + (XEN_PORTS_MAX + 1) * sizeof(struct xen_port)];
	struct err err = { 0 };
	memset(text, 0, sizeof(text));
	memcpy(text, spec, sizeof(*spec));
	for (uint32_t i = 0; i < spec->n_ports && i <= XEN_PORTS_MAX; i++)
		memcpy(text + sizeof(*spec) + i * sizeof(*port), port, sizeof(*port));
	int code = domain_request_read(text, sizeof(text), q, &err);
	assert_true(!code || err.text[0]);
	return code;
}

static void hostile_requests_are_refused(void **state)
{
	struct domain_request q;
	struct xen_port port = { 1, 1500, { 0 } };
	struct xen_spec spec = { .name = "r" };
	assert_int_equal(read_bent(&spec, &port, &q), 0);
	struct xen_spec bad = spec;
	bad.n_ports = XEN_PORTS_MAX + 1;
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	memset(bad.name, 'a', sizeof(bad.name));
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	memset(bad.image, 'a', sizeof(bad.image));
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	bad.cpu_milli = -1;
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	bad.cpu_milli = INT64_MAX;
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	bad.mem_kib = INT64_MIN;
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	bad = spec;
	bad.n_ports = 1;
	assert_int_equal(read_bent(&bad, &port, &q), 0);
	port.mtu = 1;
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	port = (struct xen_port){ PORT_ID_MAX + 1, 1500, { 0 } };
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
	port = (struct xen_port){ 1, 1500, { 0 } };
	bad.n_ports = 2; /* the same twice */
	assert_int_equal(read_bent(&bad, &port, &q), -EINVAL);
}

/* ---- configurations ------------------------------------------------------------------------------- */
static const struct image an_image = { .name = "default", .kernel = (char *)"/i/vmlinuz", .initrd = (char *)"/i/initrd",
	                               .cmdline = "quiet", .memory_kib = 65536 };
static const struct domain_place a_place = { .net = 0x12, .router = 0x3, .cookie = 0xabc, .script = "/bin/vnagent-xen",
	                                     .ramdisk = "/proc/1/fd/5", .cores = 4 };

static const char *xs_value(const libxl_domain_config *c, const char *key)
{
	for (char **at = c->c_info.xsdata; at && *at; at += 2)
		if (!strcmp(*at, key))
			return at[1];
	return NULL;
}

static void router_becomes_a_domain(void **state)
{
	struct domain_request q = { .spec = { .name = "r1", .cpu_milli = 1500, .mem_kib = 131072, .n_ports = 2 },
		                    .ports = { { 7, 1500, { 10, 0, 0, 0, 0, 1 } }, { 9, 9000, { 10, 0, 0, 0, 0, 2 } } } };
	libxl_domain_config c;
	struct err err = { 0 };
	assert_int_equal(domain_configure(&q, &an_image, &a_place, &c, &err), 0);
	assert_string_equal(c.c_info.name, "vne-12-3");
	assert_int_equal(c.c_info.type, LIBXL_DOMAIN_TYPE_PV);
	assert_string_equal(xs_value(&c, "vne/net"), "12");
	assert_string_equal(xs_value(&c, "vne/cookie"), "abc");
	assert_string_equal(xs_value(&c, "vne/name"), "r1");
	assert_int_equal(c.b_info.max_vcpus, 2);
	assert_int_equal(c.b_info.max_memkb, 131072);
	assert_int_equal(c.b_info.sched_params.weight, 384);
	assert_string_equal(c.b_info.cmdline, "console=hvc0 quiet");
	assert_string_equal(c.b_info.ramdisk, "/proc/1/fd/5");
	assert_int_equal(c.num_nics, 3);
	assert_memory_equal(c.nics[0].mac, GUEST_CONTROL_MAC, 6);
	assert_string_equal(c.nics[0].ifname, DOMAIN_CONTROL_IFNAME);
	assert_string_equal(c.nics[2].ifname, "vp000012.9");
	assert_int_equal(c.nics[2].mtu, 9000);
	assert_int_equal(c.nics[2].devid, 2);
	assert_memory_equal(c.nics[2].mac, q.ports[1].mac, 6);
	assert_string_equal(c.nics[2].script, "/bin/vnagent-xen");
	libxl_domain_config_dispose(&c);
}

static void most_ports_and_no_demands(void **state)
{
	struct domain_request q = { .spec = { .n_ports = XEN_PORTS_MAX } };
	struct domain_place place = a_place;
	struct image large = an_image;
	libxl_domain_config c;
	struct err err = { 0 };
	for (uint32_t i = 0; i < XEN_PORTS_MAX; i++)
		q.ports[i] = (struct xen_port){ .id = PORT_ID_MAX - i, .mtu = 1500 };
	place.net = 0xffffff;
	place.pvh = true;
	large.memory_kib = 100 << 10;
	assert_int_equal(domain_configure(&q, &large, &place, &c, &err), 0);
	assert_int_equal(c.c_info.type, LIBXL_DOMAIN_TYPE_PVH);
	assert_int_equal(c.num_nics, XEN_PORTS_MAX + 1);
	assert_string_equal(c.nics[1].ifname, "vpffffff.ffffff");
	assert_int_equal(c.b_info.max_memkb, 100 << 10); /* without a demand: what the image needs */
	assert_int_equal(c.b_info.max_vcpus, 1);
	libxl_domain_config_dispose(&c);
}

static void what_cannot_be_is_refused_with_numbers(void **state)
{
	struct err err = { 0 };
	struct xen_spec little = { .mem_kib = 32768 }, wide = { .cpu_milli = 4001 };
	struct xen_spec rt = { .rt_period_us = 10000, .rt_budget_us = 2000 }, over = { .rt_period_us = 10000, .rt_budget_us = 10001 };
	assert_int_equal(domain_check(&little, &an_image, 4, false, &err), -EINVAL);
	assert_non_null(strstr(err.text, "32768"));
	assert_non_null(strstr(err.text, "65536"));
	assert_int_equal(domain_check(&wide, &an_image, 4, false, &err), -EINVAL);
	assert_int_equal(domain_check(&rt, &an_image, 4, false, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "RTDS"));
	assert_int_equal(domain_check(&rt, &an_image, 4, true, &err), 0);
	assert_int_equal(domain_check(&over, &an_image, 4, true, &err), -EINVAL);
}

static void hostile_names_stay_values(void **state)
{
	char text[sizeof(struct xen_spec)];
	struct xen_spec spec = { .name = "a\n/../b\033[2J", .image = "../../etc" };
	struct domain_request q;
	struct images images = { .v = { an_image }, .n = 1 };
	struct err err = { 0 };
	memcpy(text, &spec, sizeof(spec));
	assert_int_equal(domain_request_read(text, sizeof(text), &q, &err), 0);
	assert_string_equal(q.spec.name, "a?/../b?[2J"); /* a value in xenstore, never part of a path */
	assert_null(images_find(&images, q.spec.image));
	assert_ptr_equal(images_find(&images, ""), &images.v[0]);
}

static void shares(void **state)
{
	assert_int_equal(domain_vcpus(0), 1);
	assert_int_equal(domain_vcpus(1000), 1);
	assert_int_equal(domain_vcpus(1001), 2);
	assert_int_equal(domain_cap(0), 0); /* none */
	assert_int_equal(domain_cap(1), 1);
	assert_int_equal(domain_cap(250), 25);
	assert_int_equal(domain_cap(1500), 150);
	assert_int_equal(domain_weight(1000), 256);
	assert_true(domain_weight(0) >= 1);
	assert_int_equal(domain_weight(INT32_MAX), 65535);
}

/* ---- images --------------------------------------------------------------------------------------- */
static void write_file(const char *dir, const char *name, const char *text)
{
	mem_auto char *path = mem_printf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void images_and_their_ramdisk(void **state)
{
	char dir[] = "/tmp/test_xen.XXXXXX";
	struct images images = { .n = 0 };
	struct err err = { 0 };
	struct {
		struct buf b;
	} out = { BUF_INIT };
	assert_non_null(mkdtemp(dir));
	mem_auto char *option = mem_printf("small=%s", dir), *again = mem_printf("small=%s", dir);
	assert_int_equal(images_add(&images, option, &err), -ENOENT);
	write_file(dir, GUEST_IMAGE_KERNEL, "k");
	write_file(dir, GUEST_IMAGE_INITRD, "12345");
	write_file(dir, GUEST_IMAGE_ABOUT, "version 1\nmemory 64MiB\ncmdline quiet panic=1\n");
	assert_int_equal(images_add(&images, option, &err), 0);
	assert_int_equal(images.v[0].memory_kib, 65536);
	assert_string_equal(images.v[0].cmdline, "quiet panic=1");
	assert_int_equal(images_add(&images, again, &err), -EINVAL);
	assert_int_equal(images_add(&images, "../x=/tmp", &err), -EINVAL);
	assert_int_equal(images_add(&images, "=/tmp", &err), -EINVAL);
	assert_int_equal(images_add(&images, "x", &err), -EINVAL);
	assert_int_equal(image_ramdisk(&images.v[0], "vne 1\n", 6, &out.b, &err), 0);
	assert_int_equal(out.b.len % 4, 0);
	assert_memory_equal(out.b.data, "12345\0\0\0" "070701", 14);
	write_file(dir, "cpio", "");
	mem_auto char *cpio = mem_printf("%s/cpio", dir), *command = mem_printf(
		"cd %s && cpio -i -d --quiet --no-absolute-filenames <cpio && test \"$(cat etc/vne/setup)\" = 'vne 1'", dir);
	FILE *f = fopen(cpio, "w");
	assert_int_equal(fwrite(out.b.data + 8, 1, out.b.len - 8, f), out.b.len - 8);
	fclose(f);
	if (!access("/usr/bin/cpio", X_OK) || !access("/bin/cpio", X_OK))
		assert_int_equal(system(command), 0);
	else
		print_message("no cpio here: the archive is not unpacked\n");
	mem_auto char *tidy = mem_printf("rm -rf %s", dir);
	assert_int_equal(system(tidy), 0);
	buf_done(&out.b);
	images_done(&images);
}

/* ---- names of vifs, tails ---------------------------------------------------------------------------- */
static void only_our_vifs(void **state)
{
	bool control;
	uint32_t net, port;
	assert_true(hotplug_name("vnectl", &control, &net, &port) && control);
	assert_true(hotplug_name("vp000012.9", &control, &net, &port) && !control && net == 0x12 && port == 9);
	static const char *const bad[] = { "vif1.0", "vp12.9", "vp000012.9x", "vp000012.09", "vp000012.", "eth0", "" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(hotplug_name(bad[i], &control, &net, &port));
}

static void tails_are_short_and_clean(void **state)
{
	struct buf out = BUF_INIT;
	static const char said[] = "one\r\ntwo\r\nthree\r\nfour\033[31m\r\nfive\0\r\nsix\r\n\r\n";
	console_tail_of(said, sizeof(said) - 1, &out);
	assert_string_equal(buf_cstr(&out), "; its console: two | three | four?[31m | five? | six");
	buf_clear(&out);
	console_tail_of("", 0, &out);
	assert_int_equal(out.len, 0);
	static const char panic[] = "ok\n[ 3.0] Kernel panic - not syncing: lost\r\n1\n2\n3\n4\n5\n6\n";
	console_tail_of(panic, sizeof(panic) - 1, &out);
	assert_string_equal(buf_cstr(&out), "; its console: Kernel panic - not syncing: lost … 2 | 3 | 4 | 5 | 6");
	buf_clear(&out);
	char flood[CONSOLE_RING];
	memset(flood, 0xff, sizeof(flood));
	console_tail_of(flood, sizeof(flood), &out);
	assert_true(out.len <= CONSOLE_TAIL + 20);
	buf_done(&out);
}

/* ---- balance ------------------------------------------------------------------------------------------- */
static void balance_converges_and_rests(void **state)
{
	enum { VCPUS = 40, CORES = 4 };
	uint64_t seed = 1;
	for (int round = 0; round < 200; round++) {
		struct balance_vcpu v[VCPUS];
		size_t which;
		uint32_t to;
		int moves = 0;
		int64_t load[CORES] = { 0 }, largest = 0;
		for (size_t i = 0; i < VCPUS; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			v[i] = (struct balance_vcpu){ (uint32_t)(seed >> 62), (int64_t)(seed >> 33) % 200 };
			largest = v[i].load_milli > largest ? v[i].load_milli : largest;
		}
		while (balance_move(v, VCPUS, CORES, &which, &to)) {
			assert_true(which < VCPUS && to < CORES && to != v[which].core);
			v[which].core = to;
			assert_true(++moves <= VCPUS); /* it comes to rest: no flapping */
		}
		for (size_t i = 0; i < VCPUS; i++)
			load[v[i].core] += v[i].load_milli;
		for (int a = 0; a < CORES; a++)
			for (int b = 0; b < CORES; b++)
				assert_true(load[a] - load[b] <= 2 * BALANCE_MARGIN + largest);
	}
}

static void balance_leaves_alone(void **state)
{
	size_t which;
	uint32_t to;
	struct balance_vcpu one[] = { { 0, 900 } }, even[] = { { 0, 500 }, { 1, 450 } }, two[] = { { 0, 600 }, { 0, 500 } };
	assert_false(balance_move(one, 1, 4, &which, &to)); /* nowhere is better */
	assert_false(balance_move(even, 2, 2, &which, &to));
	assert_false(balance_move(two, 2, 1, &which, &to));
	assert_false(balance_move(NULL, 0, 4, &which, &to));
	assert_true(balance_move(two, 2, 2, &which, &to) && to == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_taken_apart),
		cmocka_unit_test(hostile_requests_are_refused),
		cmocka_unit_test(router_becomes_a_domain),
		cmocka_unit_test(most_ports_and_no_demands),
		cmocka_unit_test(what_cannot_be_is_refused_with_numbers),
		cmocka_unit_test(hostile_names_stay_values),
		cmocka_unit_test(shares),
		cmocka_unit_test(images_and_their_ramdisk),
		cmocka_unit_test(only_our_vifs),
		cmocka_unit_test(tails_are_short_and_clean),
		cmocka_unit_test(balance_converges_and_rests),
		cmocka_unit_test(balance_leaves_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
