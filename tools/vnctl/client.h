/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnctl's end of the wire: settings, one connection, questions with answers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "model/writer.h"
#include "proto/keys.h"
#include "proto/message.h"

struct settings {
	char *server, *server_key, *key; /* from flags, else environment, else the file; owned */
	char *config;                    /* the file itself, NULL: found by itself */
	char *since, *until, *by;        /* as given, or NULL; owned */
	const char *drawn;               /* of graph: "svg", "png"; NULL: DOT */
	bool json, csv, dot, wait_accepted, probe, follow, history, routes;
	int64_t timeout_us, expires_us; /* 0: as long as is usual */
};
void settings_done(struct settings *s);
/* config.c: fills in what flags and environment have left open. Prints; 0 or the exit code. */
int settings_complete(struct settings *s);
struct writer *settings_writer(const struct settings *s);

struct client {
	struct loop *loop;
	struct wire *wire;
	struct identity self, server;
	const struct settings *settings;
	bool up, over;
	bool told;      /* a line of client_tell stands on the terminal */
	int code;       /* exit code, once over */
	uint64_t asked; /* sequence of the question under way; 0: none */
	struct loop_source *deadline;
	/* Everything that is no answer to the question goes here; may be NULL. */
	void (*handle)(void *arg, struct message *m);
	void *arg;
};

/* Connects. Prints the reason; 0 or the exit code. */
int client_open(struct client *c, const struct settings *s);
void client_close(struct client *c);

/* Sends; *ret_sequence (may be NULL) is the message's number. Prints; 0 or the exit code. The
 * message's content stays the caller's. */
int client_send(struct client *c, struct message *m, uint64_t *ret_sequence);
/* Asks and waits for the end of the answer (timeout_us of settings; < 0: as long as it takes).
 * `each` gets every answer but the REPLY that ends it; it may keep the content by setting type 0.
 * Returns the exit code; prints the reason unless it is 0. */
int client_ask(struct client *c, struct message *m, int64_t timeout_us,
               void (*each)(void *arg, struct message *m), void *arg);
/* How far a question has come, on stderr: on a terminal one line, rewritten, and cleared (client_told) before anything else is
 * printed; elsewhere a line each. */
void client_tell(struct client *c, const char *text);
void client_told(struct client *c);
/* Lets the loop turn until client_end or the deadline; for commands that talk by themselves. */
int client_run(struct client *c, int64_t timeout_us);
void client_end(struct client *c, int code);

/* commands.c, audit.c, backup.c, exec.c, graph.c, keys.c, log.c, plane.c: each takes its own words; returns the exit code. */
int command_reload(const struct settings *s, int argc, char **argv);
int command_drain(const struct settings *s, int argc, char **argv);
int command_undrain(const struct settings *s, int argc, char **argv);
int command_update(const struct settings *s, int argc, char **argv);
int command_submit(const struct settings *s, int argc, char **argv);
int command_plan(const struct settings *s, int argc, char **argv);
int command_release(const struct settings *s, int argc, char **argv);
int command_list(const struct settings *s, int argc, char **argv);
int command_backup(const struct settings *s, int argc, char **argv);
int command_show(const struct settings *s, int argc, char **argv);
int command_nodes(const struct settings *s, int argc, char **argv);
int command_links(const struct settings *s, int argc, char **argv);
int command_events(const struct settings *s, int argc, char **argv);
int command_audit(const struct settings *s, int argc, char **argv);
int command_exec(const struct settings *s, int argc, char **argv);
int command_console(const struct settings *s, int argc, char **argv);
int command_plane(const struct settings *s, int argc, char **argv);
int command_keys(const struct settings *s, int argc, char **argv);
bool keys_local(int argc, char **argv); /* what is asked of `keys` needs no vned */
int command_log(const struct settings *s, int argc, char **argv);
int command_usage(const struct settings *s, int argc, char **argv);
int command_quota(const struct settings *s, int argc, char **argv);
int command_graph(const struct settings *s, int argc, char **argv);
int command_join(const struct settings *s, int argc, char **argv);

int print_result(const struct settings *s, struct writer *w); /* finishes w onto stdout; 0 or 70 */

/* A message's content, kept after the answer. */
struct kept {
	struct message m;
};
void keep_message(void *arg, struct message *m); /* arg: struct kept; the last one wins */

/* map.c: the substrate by location as text, with the routers of `net` (may be NULL) beside their
 * nodes and the links that it uses drawn bolder. "" where no node has a location. */
void map_draw(const struct node_view *nodes, size_t n_nodes, const struct slink_view *links, size_t n_links,
              const struct network_view *net, bool utf8, struct buf *out);
