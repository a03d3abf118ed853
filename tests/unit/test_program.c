/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forwarding programs as the kernel runs them: frames in, a verdict and a frame out. Needs root and a kernel that loads BPF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "vnagent/program.h"

static char *objects[2];
static struct yaml_names allowed = { .v = objects, .n = 2 };

/* An Ethernet frame with a UDP packet of 20 bytes in it, its checksum of the header as it should be. */
static size_t frame4(uint8_t *f, const char *from, const char *to, uint16_t source_port, uint16_t target_port, uint8_t ttl)
{
	memset(f, 0, 62);
	memcpy(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00\x45\x00\x00\x30", 18);
	f[22] = ttl;
	f[23] = 17;
	inet_pton(AF_INET, from, f + 26);
	inet_pton(AF_INET, to, f + 30);
	uint16_t ports[2] = { htons(source_port), htons(target_port) };
	memcpy(f + 34, ports, 4);
	uint32_t sum = 0;
	for (size_t i = 14; i < 34; i += 2)
		sum += (uint32_t)f[i] << 8 | f[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
	return 62;
}

static bool header_is_sound(const uint8_t *f)
{
	uint32_t sum = 0;
	for (size_t i = 14; i < 34; i += 2)
		sum += (uint32_t)f[i] << 8 | f[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return ((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

static int run(struct program *p, const uint8_t *in, size_t len, uint8_t *out)
{
	struct bpf_test_run_opts o = { .sz = sizeof(o), .data_in = in, .data_size_in = (uint32_t)len, .data_out = out, .data_size_out = 256, .repeat = 1 };
	assert_int_equal(bpf_prog_test_run_opts(program_fd(p), &o), 0);
	return (int)o.retval;
}

static struct program *open_it(const char *name)
{
	struct program *p = NULL;
	struct err err = { 0 };
	int code = program_open(&allowed, name, &p, &err);
	if (code == -EPERM) {
		print_message("SKIPPED: %s\n", err.text);
		skip();
	}
	if (code)
		fail_msg("%s", err.text);
	return p;
}

static void ask(struct program *p, enum plane_op op, const void *key, size_t key_len, const void *value, size_t value_len, struct message *ret)
{
	struct message q = { .type = MSG_PLANE, .u.plane = { .op = op, .key = (uint8_t *)(uintptr_t)key, .key_len = key_len,
		                                             .value = (uint8_t *)(uintptr_t)value, .value_len = value_len } };
	program_answer(p, &q, ret);
}

static int ask_code(struct program *p, enum plane_op op, const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct message m;
	ask(p, op, key, key_len, value, value_len, &m);
	int code = m.u.plane_data.code;
	assert_true(code == 0 || m.u.plane_data.why[0]);
	message_done(&m);
	return code;
}

struct prefix {
	uint32_t bits;
	uint8_t address[16];
};

static void test_ecmp_spreads_flows(void **state)
{
	struct program *p = open_it("ecmp");
	struct program_port ports[3] = { { 0, 100, 1500, { 2, 0, 0, 0, 0, 1 }, { 2, 9, 9, 9, 9, 9 } },
		                         { 1, 101, 1500, { 2, 1, 1, 1, 1, 1 }, { 2, 1, 1, 1, 1, 2 } },
		                         { 2, 102, 1500, { 2, 2, 2, 2, 2, 1 }, { 2, 2, 2, 2, 2, 2 } } };
	struct addr own = { .family = AF_INET, .prefix = 32, .bytes = { 10, 1, 0, 9 } };
	struct err err = { 0 };
	uint8_t in[256], out[256];
	assert_int_equal(program_fill(p, ports, 3, &own, 1, &err), 0);
	size_t len = frame4(in, "10.9.0.1", "10.1.0.1", 1000, 53, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK); /* nobody has said anything yet */
	struct prefix key = { 112, { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1 } };
	uint32_t set = 6;
	assert_int_equal(ask_code(p, PLANE_SET, &key, sizeof(key), &set, sizeof(set)), 0);
	int by[3] = { 0 };
	for (uint16_t flow = 0; flow < 512; flow++) {
		len = frame4(in, "10.9.0.1", "10.1.0.1", (uint16_t)(1000 + flow), 53, 64);
		assert_int_equal(run(p, in, len, out), TC_ACT_REDIRECT);
		assert_int_equal(out[22], 63);
		assert_true(header_is_sound(out));
		int way = out[0] == 2 && out[1] == 1 ? 1 : 2;
		assert_memory_equal(out, ports[way].peer, 6);
		assert_memory_equal(out + 6, ports[way].mac, 6);
		by[way]++;
		uint8_t again[256];
		assert_int_equal(run(p, in, len, again), TC_ACT_REDIRECT);
		assert_memory_equal(again, out, 14); /* a flow stays on its way */
	}
	assert_true(by[1] > 150 && by[2] > 150);
	/* Into the router: its own address, a hop limit that ends, another destination, broadcast. */
	len = frame4(in, "10.9.0.1", "10.1.0.9", 1, 2, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	len = frame4(in, "10.9.0.1", "10.1.0.1", 1, 2, 1);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	len = frame4(in, "10.9.0.1", "10.2.0.1", 1, 2, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	len = frame4(in, "10.9.0.1", "10.1.0.1", 1, 2, 64);
	in[0] = 0xff;
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	/* A port that is not there. */
	set = 1 << 5;
	assert_int_equal(ask_code(p, PLANE_SET, &key, sizeof(key), &set, sizeof(set)), 0);
	len = frame4(in, "10.9.0.1", "10.1.0.1", 1, 2, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	/* A new filling forgets own addresses that are no more. */
	set = 2;
	assert_int_equal(ask_code(p, PLANE_SET, &key, sizeof(key), &set, sizeof(set)), 0);
	assert_int_equal(program_fill(p, ports, 3, NULL, 0, &err), 0);
	len = frame4(in, "10.9.0.1", "10.1.0.9", 1, 2, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_REDIRECT);
	/* Who comes later finds the same instance by its number. */
	struct program *later;
	assert_true(program_adopt(program_id(p), "ecmp", &later));
	program_close(p);
	struct message m;
	ask(later, PLANE_GET, NULL, 0, NULL, 0, &m);
	assert_int_equal(m.u.plane_data.n, 1);
	assert_memory_equal(m.u.plane_data.v[0].key, &key, sizeof(key));
	assert_memory_equal(m.u.plane_data.v[0].value, &set, sizeof(set));
	message_done(&m);
	assert_int_equal(run(later, in, len, out), TC_ACT_REDIRECT);
	program_close(later);
}

struct rule_key {
	uint8_t source[16], target[16];
	uint16_t source_port, target_port;
	uint8_t protocol, pad[3];
};

static void test_firewall_decides_by_the_first_rule(void **state)
{
	struct program *p = open_it("firewall");
	struct err err = { 0 };
	uint8_t in[256], out[256];
	assert_int_equal(program_fill(p, NULL, 0, NULL, 0, &err), 0); /* it has none of those maps */
	size_t len = frame4(in, "10.9.0.1", "10.1.0.1", 1000, 53, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	struct rule_key everything = { 0 }, service = { .target = { [10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [15] = 1 }, .target_port = htons(53), .protocol = 17 };
	uint32_t drop[2] = { 0, 0 }, pass[2] = { 1, 0 };
	assert_int_equal(ask_code(p, PLANE_SET, &everything, sizeof(everything), drop, sizeof(drop)), 0);
	assert_int_equal(run(p, in, len, out), TC_ACT_SHOT);
	assert_int_equal(ask_code(p, PLANE_SET, &service, sizeof(service), pass, sizeof(pass)), 0);
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	len = frame4(in, "10.9.0.1", "10.1.0.1", 1000, 54, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_SHOT);
	len = frame4(in, "10.9.0.1", "10.1.0.2", 1000, 53, 64);
	assert_int_equal(run(p, in, len, out), TC_ACT_SHOT);
	in[12] = 0x88; /* no IP: a routing protocol of one's own, say */
	assert_int_equal(run(p, in, len, out), TC_ACT_OK);
	struct message m;
	ask(p, PLANE_GET, &everything, sizeof(everything), NULL, 0, &m);
	assert_int_equal(m.u.plane_data.n, 1);
	uint32_t counted[2];
	memcpy(counted, m.u.plane_data.v[0].value, sizeof(counted));
	assert_int_equal(counted[1], 3);
	message_done(&m);
	assert_int_equal(ask_code(p, PLANE_DELETE, &everything, sizeof(everything), NULL, 0), 0);
	assert_int_equal(ask_code(p, PLANE_DELETE, &everything, sizeof(everything), NULL, 0), -ENOENT);
	program_close(p);
}

static void test_what_does_not_fit_is_refused(void **state)
{
	struct program *p = open_it("firewall"), *q = NULL;
	struct err err = { 0 };
	uint8_t bytes[512] = { 0 };
	assert_int_equal(ask_code(p, PLANE_SET, bytes, 3, bytes, 8), -EINVAL);
	assert_int_equal(ask_code(p, PLANE_SET, bytes, 40, bytes, 9), -EINVAL);
	assert_int_equal(ask_code(p, PLANE_GET, bytes, 41, NULL, 0), -EINVAL);
	assert_int_equal(ask_code(p, PLANE_DELETE, bytes, 0, NULL, 0), -EINVAL);
	assert_int_equal(program_open(&allowed, "other", &q, &err), -ENOENT);
	assert_non_null(strstr(err.text, "other"));
	assert_int_equal(program_open(&allowed, "ecm", &q, &err), -ENOENT);
	char *nonsense[] = { (char *)"x=/proc/self/exe", (char *)"y=/nowhere" };
	struct yaml_names odd = { .v = nonsense, .n = 2 };
	assert_true(program_open(&odd, "x", &q, &err) < 0);
	assert_true(program_open(&odd, "y", &q, &err) < 0);
	assert_non_null(strstr(err.text, "/nowhere"));
	program_close(p);
}

/* A file of n bytes as the operator's object; what program_open makes of it. */
static int look_at(const uint8_t *bytes, size_t n, bool probe, struct err *err)
{
	char path[] = "/tmp/vne-test-program-XXXXXX", *entry;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	entry = mem_printf("damaged=%s", path);
	struct yaml_names one = { .v = &entry, .n = 1 };
	struct program *p = NULL;
	int code = probe ? program_probe(&one, "damaged", err) : program_open(&one, "damaged", &p, err);
	assert_true(code < 0 || p || probe);
	program_close(p);
	unlink(path);
	free(entry);
	return code;
}

static int open_bytes(const uint8_t *bytes, size_t n, struct err *err)
{
	return look_at(bytes, n, false, err);
}

/* Whatever the bytes, whoever probes them lives, and is told why not. */
static void test_damaged_objects_are_probed(void **state)
{
	uint8_t bytes[1 << 16];
	struct err err = { 0 };
	uint64_t seed = 1;
	FILE *f = fopen(strchr(objects[0], '=') + 1, "rb");
	assert_non_null(f);
	size_t n = fread(bytes, 1, sizeof(bytes), f), refused = 0;
	fclose(f);
	assert_int_equal(look_at(bytes, n, true, &err), 0);
	for (int i = 0; i < 300; i++) {
		uint8_t kept[16];
		size_t at[16];
		for (int k = 0; k < 16; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			at[k] = (seed >> 33) % n;
			kept[k] = bytes[at[k]];
			bytes[at[k]] = (uint8_t)(seed >> 25);
		}
		err.text[0] = 0;
		if (look_at(bytes, n, true, &err) < 0) {
			assert_non_null(strstr(err.text, "damaged")); /* its name */
			refused++;
		}
		for (int k = 16; k-- > 0;)
			bytes[at[k]] = kept[k];
	}
	assert_true(refused > 100);
}

/* A file that was copied half is refused, with its name and a reason. */
static void test_objects_copied_half(void **state)
{
	uint8_t bytes[1 << 16];
	struct err err = { 0 };
	program_close(open_it("ecmp"));
	FILE *f = fopen(strchr(objects[0], '=') + 1, "rb");
	assert_non_null(f);
	size_t n = fread(bytes, 1, sizeof(bytes), f);
	assert_true(feof(f) && n > 64);
	fclose(f);
	for (size_t len = 0; len < n / 2; len += n / 100 + 1) {
		assert_true(open_bytes(bytes, len, &err) < 0);
		assert_non_null(strstr(err.text, "damaged"));
	}
	assert_int_equal(open_bytes(bytes, n, &err), 0);
}

int main(int argc, char **argv)
{
	char *end = strstr(argv[0], "tests/unit/");
	objects[0] = mem_printf("ecmp=%.*splanes/ecmp.o", end ? (int)(end - argv[0]) : 0, argv[0]);
	objects[1] = mem_printf("firewall=%.*splanes/firewall.o", end ? (int)(end - argv[0]) : 0, argv[0]);
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_ecmp_spreads_flows), cmocka_unit_test(test_firewall_decides_by_the_first_rule),
		                            cmocka_unit_test(test_what_does_not_fit_is_refused),
		                            cmocka_unit_test(test_objects_copied_half), cmocka_unit_test(test_damaged_objects_are_probed) };
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(objects[0]);
	free(objects[1]);
	return failed;
}
