/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnctl backup: fetches a copy of vned's store, piece by piece, into a file that is there whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnctl/client.h"

struct fetch {
	int fd;
	uint64_t at, size;
	int code;      /* negative errno of writing */
	bool got, bad; /* a piece came since the last question; it was not the one asked for */
};

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENOSPC;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static void take(void *arg, struct message *m)
{
	struct fetch *f = arg;
	if (m->type != MSG_BACKUP_DATA)
		return;
	uint64_t size = m->u.backup_data.size, len = m->u.backup_data.len;
	f->got = true;
	f->bad = m->u.backup_data.offset != f->at || len == 0 || size < f->at + len || (f->at && size != f->size);
	if (f->bad || f->code < 0)
		return;
	f->size = size;
	f->code = write_all(f->fd, m->u.backup_data.data, m->u.backup_data.len);
	f->at += len;
}

static int fetch(const struct settings *s, struct fetch *f)
{
	struct client c;
	int code = client_open(&c, s);
	if (code)
		return code;
	do {
		struct message m = { .type = MSG_BACKUP, .u.backup = { .offset = f->at } };
		f->got = false;
		code = client_ask(&c, &m, s->timeout_us, take, f);
		if (!code && (!f->got || f->bad)) {
			fprintf(stderr, "vnctl: vned sent something else than the piece of the backup that was asked for\n");
			code = 70;
		}
	} while (!code && f->code == 0 && f->at < f->size);
	client_close(&c);
	return code;
}

static int sync_dir_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	mem_auto char *dir = slash ? mem_strn(file, (size_t)(slash - file) + 1) : mem_str(".");
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int show_result(const struct settings *s, const char *file, uint64_t size)
{
	if (!s->json) {
		printf("%s: %llu bytes; vned --restore takes it\n", file, (unsigned long long)size);
		return 0;
	}
	struct writer *w = settings_writer(s);
	write_object(w, NULL, NULL);
	write_string(w, "file", NULL, file);
	write_int(w, "bytes", NULL, (int64_t)size);
	write_end(w);
	return print_result(s, w);
}

int command_backup(const struct settings *s, int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: vnctl backup FILE\n");
		return 2;
	}
	mem_auto char *beside = mem_printf("%s.new", argv[1]);
	/* 0600: it holds what belongs to everybody */
	struct fetch f = { .fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) };
	if (f.fd < 0) {
		fprintf(stderr, "vnctl: %s: %s\n", beside, strerror(errno));
		return 2;
	}
	int code = fetch(s, &f);
	if (!code && f.code == 0 && (fsync(f.fd) < 0 || rename(beside, argv[1]) < 0))
		f.code = -errno;
	close(f.fd);
	if (!code && f.code == 0)
		f.code = sync_dir_of(argv[1]);
	if (code || f.code < 0)
		unlink(beside);
	if (!code && f.code < 0) {
		fprintf(stderr, "vnctl: %s: %s; there is no backup\n", argv[1], strerror(-f.code));
		code = 70;
	}
	return code ? code : show_result(s, argv[1], f.size);
}
