/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A connection from the host, as serve.c (frames), serve_exec.c (a command) and serve_dial.c (a stream) see it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "vnagent/guest/serve.h"
#include "vnagent/guest_wire.h"

/* Together 9 MB at most, of the 12 that a guest of 64 MiB has. */
enum { CONNECTIONS_MAX = 32, QUEUE_MAX = 64 << 10, CHUNK = 16 << 10 };
enum { FIRST_MS = 30000, LAST_MS = 5000, LINGER_MS = 300 };

enum work { WORK_NONE, WORK_EXEC, WORK_APPLY, WORK_DIAL, WORK_DONE }; /* DONE: 'x' is said, all else is drained */

struct stream { /* an output of a command */
	struct connection *c;
	char type;
	int fd; /* -1: ended */
	struct loop_source *source; /* NULL while the connection does not take more */
};

struct connection {
	struct serve *s;
	struct connection *next;
	int fd;
	struct loop_source *source, *timer;
	enum work work;
	bool dead;       /* freed by the next timer: nobody up the stack holds it then */
	bool input_ends; /* the host has closed its end */
	struct buf in, out;
	size_t out_done;

	/* WORK_EXEC */
	pid_t pid; /* 0: ended */
	int exit_code;
	bool exited, lingered;
	struct stream streams[2];
	int feed; /* its stdin, or the dialled socket; -1 */
	struct loop_source *feed_source;
	struct buf feed_queue;
	size_t feed_done;
	bool feed_ends;

	/* WORK_APPLY */
	struct buf setup;
	bool applying;
};

struct serve {
	struct loop *loop;
	struct reaper *reaper;
	struct inside *inside;
	struct bird *bird;
	int listener;
	struct loop_source *listener_source;
	struct connection *connections;
	size_t n_connections;

	/* The one setup that BIRD is being asked about. */
	struct guest_setup pending;
	void (*done)(void *arg, int code, const char *text);
	void *arg;
};

/* serve.c */
void connection_frame(struct connection *c, char type, const void *data, size_t len); /* queues */
void connection_bytes(struct connection *c, const void *data, size_t len);
void connection_end(struct connection *c, int code, const char *text);                /* says 'x'; nothing follows */
void connection_drop(struct connection *c);                                           /* at once */
void connection_flush(struct connection *c);
size_t connection_waiting(const struct connection *c); /* bytes that the host has not taken */
void feed_add(struct connection *c, const void *data, size_t len, bool ends);
void feed_close(struct connection *c);
size_t feed_waiting(const struct connection *c);

/* serve_exec.c: words, each ended by NUL */
void exec_begin(struct connection *c, const char *words, size_t len);
void exec_flows(struct connection *c); /* the host has taken something */
void exec_drop(struct connection *c);

/* serve_dial.c */
void dial_begin(struct connection *c, const char *path, size_t len);
void dial_flows(struct connection *c);
