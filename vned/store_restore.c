/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Restoring: a copy of the backup is judged before anything is moved, then takes the store's place in
 * one rename, so that at no moment is there no store, which a start would take for a new one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/store_db.h"

enum { CHUNK = 1 << 20 };

static int copy_file(const char *from, const char *dir, const char *to, struct err *err)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return err_sys(err, -errno, "%s", from);
	struct stat st;
	int r = fstat(in, &st) < 0 ? err_sys(err, -errno, "%s", from) : 0;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = err_set(err, -EINVAL, "%s: not a file", from);
	int out = r == 0 ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (r == 0 && out < 0)
		r = err_sys(err, -errno, "%s", to);
	if (out >= 0)
		store_give(out, dir);
	ssize_t n = 1;
	while (r == 0 && n > 0) {
		n = sendfile(out, in, NULL, CHUNK);
		if (n < 0)
			r = err_sys(err, -errno, "%s", to);
	}
	if (r == 0 && fsync(out) < 0)
		r = err_sys(err, -errno, "%s", to);
	if (out >= 0)
		close(out);
	close(in);
	return r;
}

static uint64_t term_of(const struct store_table *t)
{
	size_t len = 0;
	const char *value = store_table_get(t, "term", &len);
	mem_auto char *text = mem_strn(value ? value : "", value ? len : 0);
	return strtoull(text, NULL, 10);
}

/* The old store's last term; closing it leaves one file, without a log. 0 where it cannot be read: then agents
 * tell their highest when they come, and vned goes beyond. */
static uint64_t old_term(const char *path)
{
	struct store_db *db;
	struct store_table *table;
	uint64_t revision, term = 0;
	struct err err = { 0 };
	if (store_db_open(path, &db, &table, &revision, &err) < 0) {
		log_warn("the store that was there: %s", err.text);
		return 0;
	}
	term = term_of(table);
	store_table_free(table);
	if (store_db_close(db) < 0)
		log_warn("%s: could not be closed", path);
	return term;
}

/* Judges the copy, and takes its term beyond any that the old store has given out. */
static int adopt(const char *copy, const char *file, uint64_t term, struct err *err)
{
	struct store_db *db;
	struct store_table *table;
	uint64_t revision;
	int r = store_db_open(copy, &db, &table, &revision, err);
	if (r == -EBADMSG)
		return err_set(err, r, "%s: damaged: it is not restored, and the store is as it was", file);
	if (r == -ENOTSUP)
		return err_set(err, r, "%s: not a backup that this release can read (of another program, or of a newer release): it is "
		               "not restored, and the store is as it was", file);
	if (r < 0)
		return r;
	if (term > term_of(table)) {
		char text[32];
		int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)term);
		struct store_op op = { "term", text, (size_t)len };
		r = store_db_begin(db);
		if (r == 0)
			r = store_db_change(db, &op);
		if (r == 0)
			r = store_db_commit(db, revision + 1);
		if (r < 0)
			err_sys(err, r, "%s", copy);
	}
	store_table_free(table);
	int closed = store_db_close(db);
	return r == 0 && closed < 0 ? err_sys(err, closed, "%s", copy) : r;
}

/* The old file gets a second name, and what is left of its log (only where it is damaged) that name's. */
static int put_aside(const char *path, char **ret, struct err *err)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	mem_auto char *aside = mem_printf("%s.before-%s", path, when), *log = mem_printf("%s-wal", path);
	bool there = access(path, F_OK) == 0;
	for (int i = 2; there && link(path, aside) < 0; i++) {
		if (errno != EEXIST)
			return err_sys(err, -errno, "%s", aside);
		free(aside);
		aside = mem_printf("%s.before-%s-%d", path, when, i);
	}
	mem_auto char *log_aside = mem_printf("%s-wal", aside);
	if (there)
		*ret = mem_str(aside);
	if (rename(log, log_aside) < 0 && errno != ENOENT)
		return err_sys(err, -errno, "%s", log_aside);
	return 0;
}

int store_restore(const char *dir, const char *file, char **ret_aside, struct err *err)
{
	mem_auto char *path = mem_printf("%s/store.db", dir), *copy = mem_printf("%s/restore.db", dir),
		      *copy_log = mem_printf("%s-wal", copy);
	int lock, r = store_lock(dir, &lock, err);
	*ret_aside = NULL;
	if (r == -EBUSY)
		return err_set(err, r, "%s: a vned is using it: stop that first; its networks run on meanwhile", dir);
	if (r < 0)
		return r;
	unlink(copy_log);
	r = copy_file(file, dir, copy, err);
	if (r == 0)
		r = adopt(copy, file, 0, err);
	uint64_t term = r == 0 && access(path, F_OK) == 0 ? old_term(path) : 0;
	if (r == 0)
		r = adopt(copy, file, term, err);
	if (r == 0)
		r = put_aside(path, ret_aside, err);
	if (r == 0 && rename(copy, path) < 0)
		r = err_sys(err, -errno, "%s", path);
	int synced = r == 0 ? store_sync_dir(dir) : 0;
	if (synced < 0)
		r = err_sys(err, synced, "%s", dir);
	unlink(copy);
	unlink(copy_log);
	close(lock);
	return r;
}
