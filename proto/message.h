/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The messages of the suite as plain structs. vne.proto is the contract on the wire; the
 * generated types never leave this folder. What arrives is unpacked under a memory cap,
 * bounds-checked and validated (UTF-8, no NUL inside, names, ranges, enumerations, counts)
 * before anybody sees it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/load.h"
#include "model/plan.h"
#include "model/view.h"

enum { PROTOCOL_VERSION = 1 };
/* Terms are counted from 1 at each start: what is beyond this is no term, and adding to one never wraps. */
#define TERM_MAX ((UINT64_C(1) << 48) - 1)

enum message_type {
	/* both ways */
	MSG_REPLY = 1,   /* the end of a request: exit code of formats.md, and the reason */
	MSG_HEARTBEAT,
	/* agent → vned */
	MSG_HELLO,       /* first on every connection */
	MSG_DONE,        /* outcome of PREPARE, COMMIT, ABORT, ENSURE */
	MSG_PROGRESS,    /* routers ready, out of all; between PREPARE and its DONE */
	MSG_REPORT,      /* load, every report_ms */
	MSG_NOTICE,      /* something happened on the node: a router ended, a device vanished */
	/* vned → agent */
	MSG_WELCOME,
	MSG_PREPARE,     /* build beside what is there; carry no traffic yet */
	MSG_COMMIT,      /* carry traffic by what was prepared; what the plan before had more stays until ENSURE */
	MSG_ABORT,       /* remove what PREPARE built; the committed generation goes on */
	MSG_ENSURE,      /* desired state: build what is missing, remove what is surplus, touch nothing else */
	/* client → vned */
	MSG_SUBMIT, MSG_PLAN, MSG_RELEASE, MSG_LIST, MSG_SHOW, MSG_NODES, MSG_LINKS, MSG_EVENTS,
	/* vned → client */
	MSG_NETWORKS,    /* answer to SUBMIT, PLAN, LIST, SHOW */
	MSG_NODE_LIST, MSG_LINK_LIST, MSG_EVENT_LIST,
	/* exec: client → vned → agent, and back */
	MSG_EXEC, MSG_EXEC_INPUT, MSG_EXEC_OUTPUT, MSG_EXEC_EXIT,
	/* what routers know of the ways to others: client → vned → agents, and back in parts */
	MSG_ROUTES, MSG_ROUTE_LIST,
	/* the store: client → vned, and back */
	MSG_BACKUP, MSG_BACKUP_DATA, MSG_HISTORY, MSG_HISTORY_LIST,
	/* the map of a router's forwarding program: client → vned → agent, and back */
	MSG_PLANE, MSG_PLANE_DATA,
	/* client → vned */
	MSG_UPDATE, MSG_DRAIN,
	/* agent → vned: links that it listens to */
	MSG_WATCH,
	/* client → vned */
	MSG_RELOAD,
	/* who may connect: client → vned, and back; a new node → vned */
	MSG_KEYS = 185, MSG_KEY_LIST, MSG_JOIN,
	/* what was done, what was used, what may be: client → vned, and back */
	MSG_LOG = 205, MSG_LOG_LIST, MSG_USAGE, MSG_USAGE_LIST, MSG_QUOTAS, MSG_QUOTA_LIST,
	/* history of what was measured: client → vned, and back */
	MSG_SERIES = 285, MSG_SERIES_DATA,
	MSG_TYPES
};
const char *message_type_name(enum message_type type);

enum keys_op { KEYS_LIST, KEYS_ALLOW, KEYS_REVOKE, KEYS_INVITE };
enum plane_op { PLANE_GET, PLANE_SET, PLANE_DELETE };
enum { PLANE_BYTES_MAX = 512, PLANE_ENTRIES_MAX = 4096 }; /* of a key or value; shown at once */

struct held_net { /* what an agent holds of a network */
	uint32_t net, generation;
	bool committed; /* false: prepared only */
	uint32_t prepared; /* generation that stands beside a committed one, prepared or just replaced; 0: none */
	uint64_t digest; /* node_plan_digest of the committed plan */
};

struct message {
	enum message_type type;
	/* envelope */
	uint64_t term;       /* of the coordinator; agents refuse older ones */
	uint32_t net, generation;
	uint64_t sequence;   /* grows with the sender's messages, unique on the connection; set by wire_send */
	uint64_t reply_to;   /* sequence that this answers; 0: none */
	bool more;           /* further answers to the same request follow */
	union {
		struct { int code; char *text; } reply;         /* DONE: code 0 or a negative errno */
		struct { struct node_probe probe; uint64_t term; struct held_net *held; size_t n_held; } hello;
		struct { uint32_t ready, all; char *stage, *network; } progress;
		struct load_report report;
		struct { char *object, *what; } notice;
		struct { bool all; struct link_heard *links; size_t n_links; struct guard_heard *guards; size_t n_guards; } watch; /* all: else what has changed */
		struct { char *node; uint32_t heartbeat_ms, report_ms; } welcome;
		struct node_plan plan;                           /* PREPARE, ENSURE */
		struct { char *text; size_t len; bool wait_active; char *file, *network; } submit; /* SUBMIT, PLAN, UPDATE: YAML */
		struct { char *node; bool undrain; } drain;
		struct { char *name; } name;                     /* RELEASE, SHOW, HISTORY, ROUTES */
		struct { uint64_t since; bool follow; } events;
		struct { struct network_view *v; size_t n; } networks;
		struct { struct node_view *v; size_t n; } nodes;
		struct { struct slink_view *v; size_t n; } links;
		struct { struct event_view *v; size_t n; } events_list;
		struct { struct history_view *v; size_t n; } history;
		struct { struct routes_view *v; size_t n; } routes;
		struct { char *network, *router; uint32_t router_id; enum plane_op op; uint8_t *key, *value; size_t key_len, value_len; } plane;
		struct { int code; char *why, *program; uint32_t key_len, value_len; struct plane_entry *v; size_t n; uint64_t left_out; } plane_data;
		/* KEYS: text is a .pub file, name its name (ALLOW); or name is a key's (REVOKE), or a node's (INVITE: the REPLY's text is the token) */
		struct { enum keys_op op; char *name, *text; int64_t expires_us; } keys;
		struct { struct key_view *v; size_t n; } keys_list;
		struct { uint8_t key[32]; } join;                /* the REPLY's text is the node that it speaks for from now on */
		/* LOG, USAGE: of `who` ("": of all), from since_ms to before until_ms (0: for ever); offset: `next` of the page before, or 0 */
		struct { uint64_t since_ms, until_ms, offset; char *who; } journal;
		struct { struct log_view *v; size_t n; uint64_t next; } log; /* next 0: that was all */
		struct { struct usage_view *v; size_t n; uint64_t next; } usage;
		struct { struct quota_view *v; size_t n; } quotas;
		struct { char *of; int64_t span_us; } series;    /* SERIES: see struct series_view */
		struct series_view series_data;
		struct { uint64_t offset; } backup;
		struct { uint64_t size, offset; uint8_t *data; size_t len; } backup_data;
		/* EXEC: the id is chosen by whoever starts it, unique on the connection. From a client
		 * network and router are names; to an agent they are net (envelope) and router_id. A console has no argv. */
		struct { uint64_t id; char *network, *router; uint32_t router_id; char **argv; size_t argc; bool console; } exec;
		struct { uint64_t id; int stream; uint8_t *data; size_t len; } exec_data; /* 0 in, 1 out, 2 err; len 0: end */
		struct { uint64_t id; int code; char *reason; } exec_exit; /* code as a shell shows it; reason: could not start */
	} u;
};

void message_done(struct message *m); /* frees the content; type becomes 0 */

/* Caller frees *ret. */
void message_pack(const struct message *m, uint8_t **ret, size_t *ret_len);
/* -EPROTO: not a message of ours; -EPROTONOSUPPORT: another version (the reason says which);
 * -EMSGSIZE: beyond the caps; -EINVAL: a field that no honest peer sends. */
int message_unpack(const uint8_t *data, size_t len, struct message *ret, struct err *err) VNE_MUST;

/* A digest of all of a plan but its generation: equal plans, equal digests. */
uint64_t node_plan_digest(const struct node_plan *p);

/* For files: an agent keeps its plans where a restart finds them. */
void node_plan_pack(const struct node_plan *p, uint8_t **ret, size_t *ret_len);
int node_plan_unpack(const uint8_t *data, size_t len, struct node_plan *ret, struct err *err) VNE_MUST;
