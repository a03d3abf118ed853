/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantities, addresses and names: what is taken, what is refused, and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "model/units.h"

typedef int read_fn(const char *text, int64_t *ret, struct err *err);

static void takes(read_fn *read, const char *text, int64_t value)
{
	struct err err = {0};
	int64_t got = -7;

	if (read(text, &got, &err) != 0 || got != value)
		fail_msg("%s: got %lld (%s), expected %lld", text, (long long)got, err.text, (long long)value);
	assert_int_equal(err.code, 0);
}

static void refuses(read_fn *read, const char *text, const char *words)
{
	struct err err = {0};
	int64_t got = -7;
	int r = read(text, &got, &err);

	if (r != -EINVAL && r != -ERANGE)
		fail_msg("\"%s\" was taken as %lld", text, (long long)got);
	if (!strstr(err.text, words))
		fail_msg("\"%s\": the reason is %s, expected %s in it", text, err.text, words);
	assert_int_equal(got, -7);
}

static void test_bandwidth(void **state)
{
	takes(units_bandwidth, "64kbit", 64);
	takes(units_bandwidth, "100mbit", 100000);
	takes(units_bandwidth, "100MBit", 100000);
	takes(units_bandwidth, "1.5gbit", 1500000);
	takes(units_bandwidth, "0.064mbit", 64);
	takes(units_bandwidth, "0mbit", 0);
	takes(units_bandwidth, "2000bit", 2);
	takes(units_bandwidth, "125kibit", 128);
	takes(units_bandwidth, "100tbit", BW_MAX_KBPS);
	takes(units_bandwidth, "0001.5000000000000000000000000000mbit", 1500);
	refuses(units_bandwidth, "100", "has no unit; write 100mbit");
	refuses(units_bandwidth, "0", "write 0mbit");
	refuses(units_bandwidth, "100mbps", "counts bytes in tc; write 100mbit");
	refuses(units_bandwidth, "10Gbps", "write 10gbit");
	refuses(units_bandwidth, "100 mbit", "space inside; write 100mbit");
	refuses(units_bandwidth, "100mbt", "no unit of bandwidth");
	refuses(units_bandwidth, "0.5kbit", "finer than the kbit it is kept in; write 0mbit or 1kbit");
	refuses(units_bandwidth, "1.0000001mbit", "finer");
	refuses(units_bandwidth, "0.0000000000000000000000000001gbit", "more decimals");
	refuses(units_bandwidth, "-1mbit", "negative");
	refuses(units_bandwidth, "100.001tbit", "too large; at most 100tbit");
	refuses(units_bandwidth, "100.0000000000000000000000001tbit", "too large");
	refuses(units_bandwidth, "99999999999999999999999999999999999999999gbit", "too large");
	refuses(units_bandwidth, "18446744073709551616kbit", "too large");
	refuses(units_bandwidth, "", "empty");
	refuses(units_bandwidth, "fast", "not a number");
	refuses(units_bandwidth, "mbit", "not a number");
	refuses(units_bandwidth, ".mbit", "not a number");
	refuses(units_bandwidth, "+1mbit", "not a number");
	refuses(units_bandwidth, "0x10mbit", "no unit");
	refuses(units_bandwidth, "1,5gbit", "no unit");
	refuses(units_bandwidth, "nan", "not a number");
	refuses(units_bandwidth, "10ms", "no unit of bandwidth");
}

static void test_times(void **state)
{
	takes(units_delay, "500us", 500);
	takes(units_delay, "10ms", 10000);
	takes(units_delay, "0.1s", 100000);
	takes(units_delay, "2secs", 2000000);
	takes(units_delay, "3000ns", 3);
	takes(units_delay, "3600s", DELAY_MAX_US);
	refuses(units_delay, "10", "has no unit; write 10ms");
	refuses(units_delay, "1.5us", "write 1us or 2us");
	refuses(units_delay, "3600.1s", "too large; at most 3600s");
	refuses(units_delay, "2h", "no unit of delay");
	takes(units_duration, "12.5s", 12500000);
	takes(units_duration, "10m", 600000000);
	takes(units_duration, "2h", INT64_C(7200000000));
	takes(units_duration, "7d", INT64_C(604800000000));
	takes(units_duration, "33.863000s", 33863000);
	refuses(units_duration, "10", "has no unit; write 10s");
	refuses(units_duration, "40000d", "too large");
	refuses(units_duration, "1y", "no unit of duration");
}

static void test_memory_cpu_cost(void **state)
{
	takes(units_memory, "512KiB", 512);
	takes(units_memory, "64mib", 65536);
	takes(units_memory, "4GiB", 4 << 20);
	takes(units_memory, "64MB", 62500);
	takes(units_memory, "1.5MiB", 1536);
	takes(units_memory, "1024B", 1);
	takes(units_memory, "1EiB", MEM_MAX_KIB);
	refuses(units_memory, "1MB", "finer than the KiB it is kept in; write 976KiB or 977KiB");
	refuses(units_memory, "64", "has no unit; write 64MiB");
	refuses(units_memory, "64M", "ambiguous; write 64MiB");
	refuses(units_memory, "64Mi", "write 64MiB");
	refuses(units_memory, "64mbit", "no unit of memory");
	refuses(units_memory, "1.1EiB", "too large");
	takes(units_cpu, "0.25", 250);
	takes(units_cpu, "2", 2000);
	takes(units_cpu, ".5", 500);
	takes(units_cpu, "0", 0);
	refuses(units_cpu, "250m", "has a unit, but counts cores; write 0.25");
	refuses(units_cpu, "2cores", "write 2");
	refuses(units_cpu, "50%", "write 0.5");
	refuses(units_cpu, "2GHz", "no unit of cpu");
	refuses(units_cpu, "0.0005", "finer");
	refuses(units_cpu, "1e3", "no unit");
	takes(units_cost, "1", 1000000);
	takes(units_cost, "0.000001", 1);
	takes(units_cost, "0", 0);
	refuses(units_cost, "0.0000001", "finer");
	refuses(units_cost, "1000001", "too large");
	refuses(units_cost, "1eur", "no unit");
}

static void test_texts(void **state)
{
	char t[UNITS_TEXT];

	assert_string_equal(units_bandwidth_text(0, t), "0mbit");
	assert_string_equal(units_bandwidth_text(64, t), "64kbit");
	assert_string_equal(units_bandwidth_text(100000, t), "100mbit");
	assert_string_equal(units_bandwidth_text(1500000, t), "1.5gbit");
	assert_string_equal(units_bandwidth_text(10000000, t), "10gbit");
	assert_string_equal(units_delay_text(0, t), "0s");
	assert_string_equal(units_delay_text(500, t), "500us");
	assert_string_equal(units_delay_text(5700, t), "5.7ms");
	assert_string_equal(units_duration_text(INT64_C(5400000000), t), "90m");
	assert_string_equal(units_memory_text(65536, t), "64MiB");
	assert_string_equal(units_memory_text(65537, t), "65537KiB");
	assert_string_equal(units_cpu_text(250, t), "0.25");
	assert_string_equal(units_cost_text(1000001, t), "1.000001");
}

static void test_numbers(void **state)
{
	struct err err = {0};
	char t[UNITS_TEXT];
	double d = 7;
	int64_t i = 7;

	assert_int_equal(units_number("-84.38", &d, &err), 0);
	assert_true(d == -84.38);
	assert_int_equal(units_number("1e3", &d, &err), 0);
	assert_true(d == 1000);
	static const char *const bad[] = {"", "nan", "inf", "0x10", " 1", "1 ", "1,5", "--1", "e", "1e", "."};

	for (size_t k = 0; k < ARRAY_LEN(bad); k++)
		assert_int_equal(units_number(bad[k], &d, &err), -EINVAL);
	assert_int_equal(units_number("1e999", &d, &err), -ERANGE);
	assert_true(d == 1000);
	assert_string_equal(units_number_text(0.1, t), "0.1");
	assert_int_equal(units_number(units_number_text(1.0 / 3, t), &d, &err), 0);
	assert_true(d == 1.0 / 3);

	assert_int_equal(units_integer("42", 0, 100, &i, &err), 0);
	assert_int_equal(i, 42);
	assert_int_equal(units_integer("101", 0, 100, &i, &err), -ERANGE);
	assert_int_equal(units_integer("-1", 0, 100, &i, &err), -ERANGE);
	assert_int_equal(units_integer("99999999999999999999", 0, INT64_MAX, &i, &err), -ERANGE);
	assert_int_equal(units_integer("4.2", 0, 100, &i, &err), -EINVAL);
	assert_int_equal(units_integer("", 0, 100, &i, &err), -EINVAL);
	assert_int_equal(units_integer("-", 0, 100, &i, &err), -EINVAL);
	assert_int_equal(i, 42);
}

static void test_addresses(void **state)
{
	struct err err = {0};
	struct addr a = {0}, b;
	char t[ADDR_TEXT];

	assert_int_equal(addr_parse("192.0.2.1", &a, &err), 0);
	assert_string_equal(addr_text(&a, t), "192.0.2.1");
	assert_int_equal(addr_parse("2001:DB8::1", &a, &err), 0);
	assert_string_equal(addr_text(&a, t), "2001:db8::1");
	assert_int_equal(addr_parse("192.0.2.1/24", &a, &err), -EINVAL);
	assert_non_null(strstr(err.text, "write 192.0.2.1"));
	assert_int_equal(addr_parse("192.0.2", &a, &err), -EINVAL);
	assert_int_equal(addr_parse("192.0.2.01", &a, &err), -EINVAL);
	assert_int_equal(addr_parse("", &a, &err), -EINVAL);
	assert_int_equal(addr_parse("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", &a, &err), -EINVAL);
	assert_string_equal(addr_text(&a, t), "2001:db8::1");

	assert_int_equal(addr_parse_prefix("10.64.0.0/12", &a, &err), 0);
	assert_string_equal(addr_text(&a, t), "10.64.0.0/12");
	assert_string_equal(addr_host_text(&a, t), "10.64.0.0");
	static const char *const bad[] = {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "::/129", "/8",
	                                  "10.0.0.0/8/8"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(addr_parse_prefix(bad[i], &b, &err), -EINVAL);

	assert_int_equal(addr_offset(&a, 257, &b, &err), 0);
	assert_string_equal(addr_text(&b, t), "10.64.1.1");
	assert_int_equal(addr_offset(&a, (1 << 20) - 1, &b, &err), 0);
	assert_string_equal(addr_text(&b, t), "10.79.255.255");
	assert_int_equal(addr_offset(&a, 1 << 20, &b, &err), -ERANGE);
	assert_string_equal(addr_text(&b, t), "10.79.255.255");
	assert_int_equal(addr_parse_prefix("2001:db8::/32", &a, &err), 0);
	assert_int_equal(addr_offset(&a, UINT64_C(0x1234567890), &b, &err), 0);
	assert_string_equal(addr_text(&b, t), "2001:db8::12:3456:7890");
	assert_int_equal(addr_parse_prefix("10.1.2.3/32", &a, &err), 0);
	assert_int_equal(addr_offset(&a, 0, &b, &err), 0);
	assert_int_equal(addr_offset(&a, 1, &b, &err), -ERANGE);
	assert_int_equal(addr_parse_prefix("0.0.0.0/0", &a, &err), 0);
	assert_int_equal(addr_offset(&a, UINT32_MAX, &b, &err), 0);
	assert_string_equal(addr_text(&b, t), "255.255.255.255");
	assert_int_equal(addr_offset(&a, UINT64_C(1) << 32, &b, &err), -ERANGE);
}

static void test_names(void **state)
{
	struct err err = {0};
	char longest[66] = "";

	assert_int_equal(name_check("a", 1, &err), 0);
	assert_int_equal(name_check("9-_Z", 4, &err), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	assert_int_equal(name_check(longest, 63, &err), 0);
	assert_int_equal(name_check(longest, 64, &err), -EINVAL);
	static const char *const bad[] = {"", "-a", "_a", "a b", "a.b", "a/b", "\xc3\xa4", "a\n"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(name_check(bad[i], strlen(bad[i]), &err), -EINVAL);
	assert_int_equal(name_check("a\0b", 3, &err), -EINVAL);

	static const char *const words[] = {"bandwidth", "delay", "name", "cpu"};

	assert_string_equal(name_nearest("bandwith", words, 4), "bandwidth");
	assert_string_equal(name_nearest("nmae", words, 4), "name");
	assert_string_equal(name_nearest("CPUs", words, 4), "cpu");
	assert_null(name_nearest("weight", words, 4));
	assert_null(name_nearest("", words, 4));
	assert_null(name_nearest(longest, words, 4));
	assert_null(name_nearest("cpu", words, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bandwidth), cmocka_unit_test(test_times), cmocka_unit_test(test_memory_cpu_cost),
		cmocka_unit_test(test_texts),     cmocka_unit_test(test_numbers), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
