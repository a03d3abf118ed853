/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantities. One exact decimal parser and one table of units per quantity: nothing goes
 * through floating point, so that what was written is what is kept, or is refused. */
#include "model/units.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

typedef __int128 wide; /* no struct: the one type that the language has no portable name for */

/* 1 of the unit is num/den of what is kept. One with `wrong` is not taken: the reason says that,
 * and what to write instead, where num/den is what its user had most likely in mind. */
struct unit {
	const char *name;
	int64_t num, den;
	const char *wrong;
};

struct quantity {
	const char *what, *example;
	const char *kept; /* what it is kept in, as the user knows it */
	bool bare;        /* written without a unit, in units[0]; otherwise that is the unit to offer */
	const struct unit *units; /* ended by a NULL name */
	int64_t max;
	const char *(*text)(int64_t value, char text[static UNITS_TEXT]);
};

/* What somebody wrote, quoted, short and harmless, for a reason. */
struct shown {
	char text[64];
};

static struct shown shown(const char *text)
{
	struct shown s;
	size_t n = 0;

	s.text[n++] = '"';
	for (; *text && n < 44; text++)
		s.text[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
	if (*text) {
		while (n > 1 && ((unsigned char)*text & 0xc0) == 0x80) /* not inside of a character */
			text--, n--;
		n += (size_t)snprintf(s.text + n, sizeof(s.text) - n, "…");
	}
	snprintf(s.text + n, sizeof(s.text) - n, "\"");
	return s;
}

/* ---- numbers ---- */

enum { WHOLE_DIGITS = 20, FRACTION_DIGITS = 18 };

/* A number as it was written: whole + fraction / scale. */
struct decimal {
	wide whole;
	wide fraction, scale;
	bool huge; /* more digits than anything that is kept has */
	bool fine;
	const char *end; /* what follows it */
};

static bool decimal_parse(const char *text, struct decimal *d)
{
	const char *p = text;
	int digits = 0;

	*d = (struct decimal){.scale = 1};
	for (; *p == '0' && isdigit((unsigned char)p[1]); p++)
		;
	for (; isdigit((unsigned char)*p); p++) {
		if (++digits > WHOLE_DIGITS)
			d->huge = true;
		else
			d->whole = d->whole * 10 + (*p - '0');
	}
	if (*p == '.' && isdigit((unsigned char)p[1])) {
		const char *last = ++p; /* behind the last digit that is not 0 */

		for (const char *q = p; isdigit((unsigned char)*q); q++)
			if (*q != '0')
				last = q + 1;
		d->fine = last - p > FRACTION_DIGITS;
		for (; p < last && !d->fine; p++) {
			d->fraction = d->fraction * 10 + (*p - '0');
			d->scale *= 10;
		}
		while (isdigit((unsigned char)*p))
			p++;
	} else if (p == text) {
		return false;
	}
	d->end = p;
	return true;
}

/* The kept integer, exactly, or why not. */
static int quantity_scale(const struct quantity *q, const struct unit *u, const char *text, const struct decimal *d,
                          int64_t *ret, struct err *err)
{
	char low[UNITS_TEXT], high[UNITS_TEXT];
	wide whole = d->whole * u->num;
	wide value = whole / u->den;
	/* what the whole part leaves over, and the fraction, over one denominator */
	wide rest = (whole % u->den) * d->scale + d->fraction * u->num;
	wide below = (wide)u->den * d->scale;

	value += rest / below;
	if (d->huge || value > q->max || (value == q->max && (rest % below || d->fine)))
		return err_set(err, -ERANGE, "%s %s is too large; at most %s", q->what, shown(text).text,
		               q->text(q->max, high));
	if (d->fine)
		return err_set(err, -EINVAL, "%s %s has more decimals than the %s it is kept in; write fewer", q->what,
		               shown(text).text, q->kept);
	if (rest % below)
		return err_set(err, -EINVAL, "%s %s is finer than the %s it is kept in; write %s or %s", q->what,
		               shown(text).text, q->kept, q->text((int64_t)value, low),
		               q->text((int64_t)value + 1, high));
	*ret = (int64_t)value;
	return 0;
}

/* The refusal of a unit that nothing is kept in, or of none at all. */
static int quantity_refuse(const struct quantity *q, const struct unit *u, const char *text, const struct decimal *d,
                           struct err *err)
{
	char right[UNITS_TEXT];
	const char *suffix = d->end;
	const char *wrong = u && u->wrong ? u->wrong : NULL;
	int64_t value;

	if (!*suffix) {
		u = q->units;
		wrong = "has no unit";
	} else if (!u && isspace((unsigned char)*suffix)) {
		while (isspace((unsigned char)*suffix))
			suffix++;
		for (u = q->units; u->name && (!*suffix || strcasecmp(u->name, suffix) != 0 || u->wrong); u++)
			;
		wrong = "has a space inside";
	}
	if (u && u->name && quantity_scale(q, u, text, d, &value, NULL) == 0)
		return err_set(err, -EINVAL, "%s %s %s; write %s", q->what, shown(text).text, wrong, q->text(value, right));
	if (wrong)
		return err_set(err, -EINVAL, "%s %s %s; expected %s", q->what, shown(text).text, wrong, q->example);
	return err_set(err, -EINVAL, "%s %s ends in %s, which is no unit of %s; expected %s", q->what, shown(text).text,
	               shown(suffix).text, q->what, q->example);
}

static int quantity_read(const struct quantity *q, const char *text, int64_t *ret, struct err *err)
{
	struct decimal d;
	const struct unit *u = q->units;

	if (!*text)
		return err_set(err, -EINVAL, "%s is empty; expected %s", q->what, q->example);
	if (*text == '-' && (isdigit((unsigned char)text[1]) || text[1] == '.'))
		return err_set(err, -EINVAL, "%s %s is negative; expected %s", q->what, shown(text).text, q->example);
	if (!decimal_parse(text, &d))
		return err_set(err, -EINVAL, "%s %s is not a number; expected %s", q->what, shown(text).text, q->example);
	if (*d.end || !q->bare) {
		while (u->name && (!*d.end || strcasecmp(u->name, d.end) != 0))
			u++;
		if (!u->name || u->wrong)
			return quantity_refuse(q, u->name ? u : NULL, text, &d, err);
	}
	return quantity_scale(q, u, text, &d, ret, err);
}

/* The shortest of the ways to write it with these units; of equals the first. A unit that is
 * no power of ten of what is kept only counts where the value is a whole number of it. */
static const char *quantity_text(const struct unit *units, int64_t value, char text[static UNITS_TEXT])
{
	text[0] = '\0';
	for (const struct unit *u = units; u->name; u++) {
		char tried[UNITS_TEXT];
		int64_t rest = value % u->num, power = 10;
		int digits = 1;
		size_t n;

		while (power < u->num)
			power *= 10, digits++;
		if (rest && power != u->num)
			continue;
		n = (size_t)snprintf(tried, sizeof(tried), "%lld", (long long)(value / u->num));
		if (rest) {
			n += (size_t)snprintf(tried + n, sizeof(tried) - n, ".%0*lld", digits, (long long)rest);
			while (tried[n - 1] == '0')
				n--;
		}
		snprintf(tried + n, sizeof(tried) - n, "%s", u->name);
		if (!text[0] || strlen(tried) < strlen(text))
			memcpy(text, tried, sizeof(tried));
	}
	return text;
}

/* ---- the quantities ---- */

#define BYTES_IN_TC "counts bytes in tc"
#define NO_SUCH_UNIT "is ambiguous"

static const struct unit bandwidth_units[] = {
	{"mbit", 1000, 1, NULL},           {"kbit", 1, 1, NULL},
	{"gbit", 1000000, 1, NULL},        {"tbit", 1000000000, 1, NULL},
	{"bit", 1, 1000, NULL},            {"kibit", 128, 125, NULL},
	{"mibit", 131072, 125, NULL},      {"gibit", 134217728, 125, NULL},
	{"mbps", 1000, 1, BYTES_IN_TC},    {"kbps", 1, 1, BYTES_IN_TC},
	{"gbps", 1000000, 1, BYTES_IN_TC}, {"tbps", 1000000000, 1, BYTES_IN_TC},
	{"bps", 1, 1000, BYTES_IN_TC},     {"mbit/s", 1000, 1, "needs no /s"},
	{"kbit/s", 1, 1, "needs no /s"},   {"gbit/s", 1000000, 1, "needs no /s"},
	{"m", 1000, 1, NO_SUCH_UNIT},      {"k", 1, 1, NO_SUCH_UNIT},
	{"g", 1000000, 1, NO_SUCH_UNIT},   {NULL, 0, 0, NULL},
};
static const struct unit bandwidth_written[] = {
	{"mbit", 1000, 1, NULL}, {"kbit", 1, 1, NULL}, {"gbit", 1000000, 1, NULL},
	{"tbit", 1000000000, 1, NULL}, {NULL, 0, 0, NULL},
};
static const struct unit delay_units[] = {
	{"ms", 1000, 1, NULL},     {"msec", 1000, 1, NULL},   {"msecs", 1000, 1, NULL},
	{"us", 1, 1, NULL},        {"usec", 1, 1, NULL},      {"usecs", 1, 1, NULL},
	{"s", 1000000, 1, NULL},   {"sec", 1000000, 1, NULL}, {"secs", 1000000, 1, NULL},
	{"ns", 1, 1000, NULL},     {"m", 1000, 1, "is in minutes or metres"},
	{NULL, 0, 0, NULL},
};
static const struct unit delay_written[] = {
	{"us", 1, 1, NULL}, {"ms", 1000, 1, NULL}, {"s", 1000000, 1, NULL}, {NULL, 0, 0, NULL},
};
static const struct unit duration_units[] = {
	{"s", 1000000, 1, NULL},           {"sec", 1000000, 1, NULL}, {"secs", 1000000, 1, NULL},
	{"m", 60000000, 1, NULL},          {"min", 60000000, 1, NULL}, {"h", INT64_C(3600000000), 1, NULL},
	{"d", INT64_C(86400000000), 1, NULL}, {"ms", 1000, 1, NULL},  {"us", 1, 1, NULL},
	{NULL, 0, 0, NULL},
};
static const struct unit duration_written[] = {
	{"s", 1000000, 1, NULL}, {"m", 60000000, 1, NULL}, {"h", INT64_C(3600000000), 1, NULL},
	{"d", INT64_C(86400000000), 1, NULL}, {"ms", 1000, 1, NULL}, {"us", 1, 1, NULL}, {NULL, 0, 0, NULL},
};
static const struct unit memory_units[] = {
	{"MiB", 1 << 10, 1, NULL},           {"KiB", 1, 1, NULL},
	{"GiB", 1 << 20, 1, NULL},           {"TiB", 1 << 30, 1, NULL},
	{"PiB", INT64_C(1) << 40, 1, NULL},  {"EiB", INT64_C(1) << 50, 1, NULL},
	{"KB", 125, 128, NULL},              {"MB", 15625, 16, NULL},
	{"GB", 1953125, 2, NULL},            {"TB", 976562500, 1, NULL},
	{"PB", INT64_C(976562500000), 1, NULL}, {"B", 1, 1024, NULL},
	{"K", 1, 1, NO_SUCH_UNIT},           {"M", 1 << 10, 1, NO_SUCH_UNIT},
	{"G", 1 << 20, 1, NO_SUCH_UNIT},     {"T", 1 << 30, 1, NO_SUCH_UNIT},
	{"Ki", 1, 1, "lacks its B"},         {"Mi", 1 << 10, 1, "lacks its B"},
	{"Gi", 1 << 20, 1, "lacks its B"},   {NULL, 0, 0, NULL},
};
static const struct unit memory_written[] = {
	{"MiB", 1 << 10, 1, NULL}, {"KiB", 1, 1, NULL}, {"GiB", 1 << 20, 1, NULL}, {"TiB", 1 << 30, 1, NULL},
	{"PiB", INT64_C(1) << 40, 1, NULL}, {"EiB", INT64_C(1) << 50, 1, NULL}, {NULL, 0, 0, NULL},
};
static const struct unit cpu_units[] = {
	{"", 1000, 1, NULL}, {"m", 1, 1, "has a unit, but counts cores"}, {"core", 1000, 1, "has a unit, but counts cores"},
	{"cores", 1000, 1, "has a unit, but counts cores"}, {"%", 10, 1, "has a unit, but counts cores"}, {NULL, 0, 0, NULL},
};
static const struct unit cpu_written[] = {{"", 1000, 1, NULL}, {NULL, 0, 0, NULL}};
static const struct unit cost_units[] = {{"", 1000000, 1, NULL}, {NULL, 0, 0, NULL}};

#define TEXT_FUNCTION(name, table) \
	const char *units_##name##_text(int64_t value, char text[static UNITS_TEXT]) \
	{ \
		return quantity_text(table, value, text); \
	}
TEXT_FUNCTION(bandwidth, bandwidth_written)
TEXT_FUNCTION(delay, delay_written)
TEXT_FUNCTION(duration, duration_written)
TEXT_FUNCTION(memory, memory_written)
TEXT_FUNCTION(cpu, cpu_written)
TEXT_FUNCTION(cost, cost_units)

static const struct quantity bandwidth = {
	"bandwidth", "64kbit, 100mbit or 1.5gbit", "kbit", false, bandwidth_units, BW_MAX_KBPS, units_bandwidth_text,
};
static const struct quantity delay = {
	"delay", "500us, 10ms or 0.1s", "microsecond", false, delay_units, DELAY_MAX_US, units_delay_text,
};
static const struct quantity duration = {
	"duration", "12.5s, 10m, 2h or 7d", "microsecond", false, duration_units, DURATION_MAX_US, units_duration_text,
};
static const struct quantity memory = {
	"memory", "512KiB, 64MiB or 4GiB", "KiB", false, memory_units, MEM_MAX_KIB, units_memory_text,
};
static const struct quantity cpu = {
	"cpu", "a number of cores, such as 0.25 or 2", "thousandth of a core", true, cpu_units, CPU_MAX_MILLI, units_cpu_text,
};
static const struct quantity cost = {
	"number", "a number such as 1 or 0.25", "millionth", true, cost_units, COST_MAX_MICRO, units_cost_text,
};

#define READ_FUNCTION(name) \
	int units_##name(const char *text, int64_t *ret, struct err *err) \
	{ \
		return quantity_read(&name, text, ret, err); \
	}
READ_FUNCTION(bandwidth)
READ_FUNCTION(delay)
READ_FUNCTION(duration)
READ_FUNCTION(memory)
READ_FUNCTION(cpu)
READ_FUNCTION(cost)

/* ---- plain numbers ---- */

/* The C locale, whatever a program that draws has set: a decimal comma would not read back. */
static locale_t plain_locale(void)
{
	static locale_t plain;

	if (!plain)
		plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	return plain;
}

int units_number(const char *text, double *ret, struct err *err)
{
	char *end;

	/* strtod takes blanks in front, hexadecimal, "inf" and "nan" as well */
	if (!*text || text[strspn(text, "+-.0123456789eE")])
		return err_set(err, -EINVAL, "%s is not a number; expected one such as 33.75", shown(text).text);
	double value = strtod_l(text, &end, plain_locale());

	if (*end)
		return err_set(err, -EINVAL, "%s is not a number; expected one such as 33.75", shown(text).text);
	if (!isfinite(value))
		return err_set(err, -ERANGE, "%s is too large for a number", shown(text).text);
	*ret = value;
	return 0;
}

const char *units_number_text(double value, char text[static UNITS_TEXT])
{
	locale_t before = uselocale(plain_locale());

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, UNITS_TEXT, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	uselocale(before);
	return text;
}

int units_integer(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
	const char *digits = *text == '-' ? text + 1 : text;
	char *end;

	if (!*digits || digits[strspn(digits, "0123456789")])
		return err_set(err, -EINVAL, "%s is not a whole number; expected one from %lld to %lld", shown(text).text,
		               (long long)min, (long long)max);
	errno = 0;
	long long value = strtoll(text, &end, 10);

	if (errno == ERANGE || value < min || value > max)
		return err_set(err, -ERANGE, "%s is out of range; expected a whole number from %lld to %lld",
		               shown(text).text, (long long)min, (long long)max);
	*ret = value;
	return 0;
}
