/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The agent's state directory; see state.h. */
#include "vnagent/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "proto/message.h"

enum { PLAN_BYTES_MAX = 64 << 20 };
static const char *const slot_suffix[] = { [SLOT_COMMITTED] = "plan", [SLOT_PREPARED] = "next" };

struct state {
	char *dir;
	int fd, lock;
	uint64_t term;
};

static int make_dirs(const char *dir, struct err *err)
{
	mem_auto char *path = mem_str(dir);
	for (char *at = path + 1; *path && *at; at++)
		if (*at == '/') {
			*at = 0;
			(void)mkdir(path, 0755); /* what matters is told by the last one */
			*at = '/';
		}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "%s", path);
	return 0;
}

static int read_all(int dir, const char *name, uint8_t **ret, size_t *ret_len)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_size > PLAN_BYTES_MAX) {
		close(fd);
		return -EFBIG;
	}
	uint8_t *data = mem_alloc((size_t)st.st_size + 1);
	ssize_t n = read(fd, data, (size_t)st.st_size);
	close(fd);
	if (n != st.st_size) {
		free(data);
		return -EIO;
	}
	*ret = data;
	*ret_len = (size_t)n;
	return 0;
}

static int write_all(struct state *s, const char *name, const void *data, size_t len, struct err *err)
{
	char beside[64];
	snprintf(beside, sizeof(beside), "%s.new", name);
	fault_point("state, before");
	int fd = openat(s->fd, beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "%s/%s", s->dir, beside);
	ssize_t n = write(fd, data, len);
	int code = n == (ssize_t)len ? fault_write() : n < 0 ? -errno : -ENOSPC;
	if (close(fd) < 0 && !code)
		code = -errno;
	fault_point("state, beside");
	if (!code && renameat(s->fd, beside, s->fd, name) < 0)
		code = -errno;
	if (code)
		(void)unlinkat(s->fd, beside, 0);
	fault_point("state, after");
	return code ? err_sys(err, code, "%s/%s", s->dir, name) : 0;
}

/* What an agent that died while writing has left beside a file. */
static void remove_unfinished(struct state *s)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return; /* whoever reads the directory next says why */
	for (struct dirent *e; (e = readdir(dir));) {
		size_t len = strlen(e->d_name);
		if (len > 4 && !strcmp(e->d_name + len - 4, ".new"))
			(void)unlinkat(s->fd, e->d_name, 0);
	}
	closedir(dir);
}

int state_open(const char *dir, struct state **ret, struct err *err)
{
	int code = make_dirs(dir, err);
	if (code)
		return code;
	struct state *s = mem_alloc(sizeof(*s));
	s->dir = mem_str(dir);
	s->lock = -1;
	s->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->fd >= 0)
		s->lock = openat(s->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		code = err_sys(err, -errno, "%s", dir);
	else if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		code = err_set(err, -EBUSY, "%s: another agent uses this state directory", dir);
	else
		remove_unfinished(s);
	uint8_t *text;
	size_t len;
	if (!code && !read_all(s->fd, "term", &text, &len)) {
		(void)sscanf((char *)text, "%" SCNu64, &s->term);
		free(text);
	}
	if (code) {
		state_close(s);
		return code;
	}
	*ret = s;
	return 0;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->lock >= 0)
		close(s->lock);
	if (s->fd >= 0)
		close(s->fd);
	free(s->dir);
	free(s);
}

uint64_t state_term(const struct state *s)
{
	return s->term;
}

int state_set_term(struct state *s, uint64_t term, struct err *err)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%" PRIu64 "\n", term);
	int code = write_all(s, "term", text, (size_t)len, err);
	if (!code)
		s->term = term;
	return code;
}

int state_set_plan(struct state *s, uint32_t net, enum build_slot slot, const struct node_plan *plan, struct err *err)
{
	char name[48];
	snprintf(name, sizeof(name), "%06x.%s", net, slot_suffix[slot]);
	if (!plan) {
		fault_point("state, removing");
		if (unlinkat(s->fd, name, 0) < 0 && errno != ENOENT)
			return err_sys(err, -errno, "%s/%s", s->dir, name);
		fault_point("state, removed");
		return 0;
	}
	uint8_t *data;
	size_t len;
	node_plan_pack(plan, &data, &len);
	int code = write_all(s, name, data, len, err);
	free(data);
	return code;
}

/* 1 and the plan; 0: there is none, or none that can be believed. */
static int load(struct state *s, uint32_t net, enum build_slot slot, struct node_plan *ret,
                void (*bad)(void *arg, const char *file, const char *why), void *arg)
{
	char name[48];
	uint8_t *data;
	size_t len;
	struct err err = { 0 };
	snprintf(name, sizeof(name), "%06x.%s", net, slot_suffix[slot]);
	int code = read_all(s->fd, name, &data, &len);
	if (code == -ENOENT)
		return 0;
	if (code) {
		bad(arg, name, strerror(-code));
		return 0;
	}
	code = node_plan_unpack(data, len, ret, &err);
	free(data);
	if (code) {
		bad(arg, name, err.text);
		return 0;
	}
	/* An empty plan is a prepared release: nothing in it to check. */
	if (ret->net == net && (node_plan_empty(ret) || !node_plan_check(ret, &err)))
		return 1;
	bad(arg, name, ret->net == net ? err.text : "it is another network's plan");
	node_plan_done(ret);
	return 0;
}

int state_each(struct state *s, void (*each)(void *arg, const struct node_plan *committed, const struct node_plan *prepared),
               void (*bad)(void *arg, const char *file, const char *why), void *arg, struct err *err)
{
	int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_sys(err, -errno, "%s", s->dir);
	struct hash *seen = hash_new();
	for (struct dirent *e; (e = readdir(dir));) {
		unsigned net;
		char suffix[8];
		if (sscanf(e->d_name, "%6x.%7s", &net, suffix) != 2 || strlen(e->d_name) != 11)
			continue;
		if (strcmp(suffix, "plan") && strcmp(suffix, "next"))
			continue;
		if (hash_get_u64(seen, net)) /* the network's other file */
			continue;
		hash_put_u64(seen, net, s);
		struct node_plan committed, prepared;
		int has_committed = load(s, net, SLOT_COMMITTED, &committed, bad, arg);
		int has_prepared = load(s, net, SLOT_PREPARED, &prepared, bad, arg);
		each(arg, has_committed ? &committed : NULL, has_prepared ? &prepared : NULL);
		if (has_prepared)
			node_plan_done(&prepared);
		if (has_committed)
			node_plan_done(&committed);
	}
	closedir(dir);
	hash_free(seen, NULL);
	return 0;
}
