/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file that only grows: records of text, a line each, fields parted by tabs, the first the time in milliseconds since the epoch,
 * which never falls. Control characters in a field are written as \xNN, so a record is one line whatever it says.
 *
 * Beside the store, because that keeps all it has in memory. What was added survives the end of the process at once, a loss of power from
 * the next journal_sync on. A file that was moved away is begun anew at the next sync, so that it can be archived while vned runs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { JOURNAL_FIELDS = 16, JOURNAL_PAGE = 256 << 10, JOURNAL_LINE = 16 << 10 };

struct journal;
int journal_open(const char *path, struct journal **ret, struct err *err) VNE_MUST; /* mode 0600 where it is made; half a last line is ended */
void journal_close(struct journal *j); /* NULL accepted; syncs */
/* A line longer than JOURNAL_LINE loses its end. */
int journal_add(struct journal *j, uint64_t wall_ms, const char *const fields[], size_t n, struct err *err) VNE_MUST;
int journal_sync(struct journal *j, struct err *err) VNE_MUST; /* blocks for a disk's millisecond; nothing to do: nothing done */
uint64_t journal_last_ms(const struct journal *j); /* of the last record; 0: there is none */
/* Where the records from since_ms on begin: O(log size) reads. */
uint64_t journal_seek(const struct journal *j, uint64_t since_ms);
/* Visits the whole lines of the page at `offset` (of journal_seek, or *ret_next); what is damaged is passed over. *ret_next ==
 * offset: there is no more. fields are those behind the time, the visitor's to read only. */
int journal_read(const struct journal *j, uint64_t offset, void (*visit)(void *arg, uint64_t wall_ms, char *const fields[], size_t n), void *arg,
                 uint64_t *ret_next, struct err *err) VNE_MUST;
