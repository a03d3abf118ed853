/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Quantities as people write them, and the integers they are kept in.
 *
 * Readers take the exact text (no NUL inside), are case-insensitive, refuse what is finer
 * than the unit kept, what is negative, and what exceeds the maximum; the reason says what was
 * expected and, where there is an obvious correction, offers it ("mbps are megabytes in tc;
 * write 100mbit"). All return 0, -EINVAL or -ERANGE and leave *ret untouched on failure. */
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BW_MAX_KBPS INT64_C(100000000000)      /* 100 Tbit/s */
#define DELAY_MAX_US INT64_C(3600000000)       /* one hour */
#define DURATION_MAX_US INT64_C(3155760000000000) /* a hundred years */
#define MEM_MAX_KIB INT64_C(1125899906842624)  /* 1 EiB */
#define CPU_MAX_MILLI INT64_C(1000000000)      /* a million cores */
#define COST_MAX_MICRO INT64_C(1000000000000)  /* a million per core or Mbit/s */

int units_bandwidth(const char *text, int64_t *ret_kbps, struct err *err) VNE_MUST;
int units_delay(const char *text, int64_t *ret_us, struct err *err) VNE_MUST;
int units_duration(const char *text, int64_t *ret_us, struct err *err) VNE_MUST;
int units_memory(const char *text, int64_t *ret_kib, struct err *err) VNE_MUST;
int units_cpu(const char *text, int64_t *ret_milli, struct err *err) VNE_MUST;
int units_cost(const char *text, int64_t *ret_micro, struct err *err) VNE_MUST;     /* 6 decimals */
int units_number(const char *text, double *ret, struct err *err) VNE_MUST;          /* finite */
int units_integer(const char *text, int64_t min, int64_t max, int64_t *ret, struct err *err) VNE_MUST;

/* Shortest text that reads back as the same integer, into a buffer of the caller's; return it. */
enum { UNITS_TEXT = 32 };
const char *units_bandwidth_text(int64_t kbps, char text[static UNITS_TEXT]);
const char *units_delay_text(int64_t us, char text[static UNITS_TEXT]);
const char *units_duration_text(int64_t us, char text[static UNITS_TEXT]);
const char *units_memory_text(int64_t kib, char text[static UNITS_TEXT]);
const char *units_cpu_text(int64_t milli, char text[static UNITS_TEXT]);
const char *units_cost_text(int64_t micro, char text[static UNITS_TEXT]);
const char *units_number_text(double value, char text[static UNITS_TEXT]);

/* Addresses, IPv4 and IPv6 alike. */
struct addr {
	uint8_t family; /* AF_INET, AF_INET6; 0: none */
	uint8_t prefix; /* prefix length; full length for a host */
	uint8_t bytes[16]; /* network order; the first 4 for IPv4 */
};
enum { ADDR_TEXT = 56 };
int addr_parse(const char *text, struct addr *ret, struct err *err) VNE_MUST;        /* no prefix allowed */
int addr_parse_prefix(const char *text, struct addr *ret, struct err *err) VNE_MUST; /* prefix required */
const char *addr_text(const struct addr *a, char text[static ADDR_TEXT]);            /* with /prefix unless full length */
const char *addr_host_text(const struct addr *a, char text[static ADDR_TEXT]);       /* never with a prefix */
bool addr_same(const struct addr *a, const struct addr *b); /* family, prefix and address */
void addr_network(const struct addr *a, struct addr *ret); /* with the bits behind the prefix cleared */
/* The address `offset` behind the first of the pool, with full prefix length; -ERANGE when
 * it lies outside the pool. */
int addr_offset(const struct addr *pool, uint64_t offset, struct addr *ret, struct err *err) VNE_MUST;

/* Names: [A-Za-z0-9][A-Za-z0-9_-]{0,62}. */
enum { NAME_MAX_LEN = 63 };
int name_check(const char *name, size_t len, struct err *err) VNE_MUST;
/* The candidate nearest to `word` by edit distance, if near enough to be a typing error; else NULL. */
const char *name_nearest(const char *word, const char *const *candidates, size_t n);
