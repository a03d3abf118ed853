/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Faults on demand, in builds for tests only (make FAULTS=1): everywhere else what is here is nothing at all.
 *
 * A daemon passes a numbered point before and after each of its writes and sends. A test holds the strings in a
 * file per process, VNE_FAKE_POINTS/NAME, which the daemon maps: it reads there how many points have been passed and
 * says at which one the daemon is to die, while it runs. So a sweep over hundreds of points needs one lab. The same file says
 * which writes fail, by how much the wall clock is wrong, and what becomes of messages. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The file, in the machine's byte order; tests/system/points.py has the same. All but the first four words are the test's. */
struct fault_file {
	uint64_t passed;     /* points so far */
	uint64_t die_at;     /* the process kills itself when `passed` becomes this; 0: never */
	uint64_t messages;   /* sent so far, lost ones among them: the place in the sequence of chances */
	uint64_t reserved;
	int64_t wall_ms;     /* the wall clock is wrong by */
	uint64_t write_code; /* an errno: writes of durable state fail with it; 0: they work */
	uint64_t seed;
	uint64_t lose, twice, hold; /* chances of a message, in thousandths */
	char at[48];         /* the point passed last */
};

enum fault_fate { FAULT_FATE_SENT, FAULT_FATE_LOST, FAULT_FATE_TWICE, FAULT_FATE_HELD };

#ifdef VNE_FAULTS
/* Once, when the process knows who it is; without VNE_FAKE_POINTS, or without the file, there are no faults. */
void fault_open(const char *name);
void fault_point(const char *what);
/* Like fault_point, but what was handed to another thread first gets the time to leave the process. */
void fault_point_sent(const char *what);
/* 0, or the negative errno with which a write of durable state is to fail. */
int fault_write(void);
int64_t fault_wall_ms(void);
enum fault_fate fault_message(void);
#else
static inline void fault_open(const char *name) { (void)name; }
static inline void fault_point(const char *what) { (void)what; }
static inline void fault_point_sent(const char *what) { (void)what; }
static inline int fault_write(void) { return 0; }
static inline int64_t fault_wall_ms(void) { return 0; }
static inline enum fault_fate fault_message(void) { return FAULT_FATE_SENT; }
#endif
