/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator's state, and what its files offer each other.
 *
 * One struct vned, one loop, one thread (the store's writer and libzmq have theirs). A network
 * is known by its number everywhere outside the function at hand: callbacks look it up again,
 * because it may be gone by then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/loop.h"
#include "base/vec.h"
#include "model/embedding.h"
#include "model/plan.h"
#include "model/view.h"
#include "proto/wire.h"
#include "vned/config.h"
#include "vned/events.h"
#include "vned/monitor.h"
#include "vned/solve.h"
#include "vned/store.h"
#include "vned/txn.h"

enum { REPORT_MS = 1000, NETWORKS_MAX = 100000, TICK_MS = 200, RETRY_MS = 5000 };

struct network;
struct follower;
struct submission;
struct write;

/* Somebody who waits for an outcome. Exactly one call each, then it is forgotten. */
struct waiter {
	struct waiter *next;
	void (*done)(void *arg, struct network *net, int code, const char *reason); /* net NULL: gone */
	void *arg;
};

struct network {
	uint32_t id, generation;
	char *owner, *name, *full; /* full: owner/name */
	enum net_state state;      /* as stored: PLANNED, COMMITTING, ACTIVE, RELEASING */
	char *reason;              /* why it is degraded, or NULL; not stored */
	struct history_view *history; /* history.c */
	size_t n_history;
	uint64_t submitted_ms, changed_ms, expires_ms; /* wall clock; 0: never */
	struct request request;
	struct embedding embedding;
	double cost, bound, revenue, solve_seconds; /* bound < 0: not known */
	char solver[32], status[16];
	struct plan plan;

	/* not stored */
	struct plan_numbers numbers; /* in the plan, of what the request lists */
	struct hash *places;         /* and back: network_router_at, network_port_at */
	struct part { /* beside plan.nodes */
		uint64_t digest;
		bool synced;   /* its agent has confirmed exactly this */
		bool ensuring; /* it was told and has not answered */
		int64_t retry_ms;
		uint32_t ready; /* routers that it has made, as it says */
		char *why;     /* it answered with this */
	} *parts;
	struct txn *txn;
	struct network *next; /* of an update: what it is to become; once decided, what it was */
	bool switched;        /* the latter */
	bool solving;         /* it is being embedded anew, as something that it uses is lost */
	char *stuck;          /* ... which did not succeed: why; NULL */
	int64_t repair_ms;    /* not tried again before, while that is all the room there is */
	int64_t repair_rest_ms; /* what was found could not be built: not tried again before, whatever room there is */
	uint64_t repair_room; /* of repairs: the room there was when it was tried */
	uint32_t tried;       /* the highest generation of which agents may have heard */
	bool degraded;
	int64_t settle_ms; /* it stands, and until then its routers are awaited to compute their routes; 0: not */
	uint32_t told;   /* how many routers are ready, as who waits was told last; UINT32_MAX: not */
	int64_t told_ms;
	int64_t give_up_ms; /* PLANNED after a restart: until when its agents are awaited; 0: not waiting */
	int64_t resume_ms;  /* ... and when at the earliest it goes on */
	bool acknowledged;  /* somebody was told that it will be: it stays, whatever becomes of its nodes meanwhile */
	struct waiter *accepted, *active, *gone;
	char *asked_by, *asked_why; /* who wants it gone, or NULL */
	int64_t release_retry_ms;   /* the store could not take it: at its lifetime's end not tried before */
	struct net_load load;
	int64_t charged_ms; /* until when its use is charged; 0: not begun */
	/* it stands nowhere any more, and is kept until the store has forgotten it */
	bool over;
	int over_code;
	char *over_why;
	int64_t over_retry_ms; /* 0: on its way to disk */
};

struct agent { /* one per substrate node */
	uint32_t snode;
	bool connected, seen, doomed;
	struct peer peer;
	int64_t heard_ms;
	struct node_probe probe;
	struct hash *commands; /* sequence → struct command */
	struct load_report report; /* the last one's own figures; its lists are empty */
	bool has_report;
};

struct vned {
	struct loop *loop;
	struct vned_config config;
	struct substrate declared;  /* the file, as last read */
	struct substrate substrate; /* that, and what networks are still on */
	uint64_t substrate_version; /* grows whenever places in it change */
	bool leaving;               /* something is on it that is not declared */
	int64_t leaving_retry_ms;   /* ... and could not be forgotten: not tried before */
	int64_t substrate_retry_ms; /* the store could not take it: not tried before; 0: it has it */
	struct substrate usable;    /* kinds reduced to what agents can do */
	uint64_t usable_version;    /* grows whenever that changes */
	struct identity self;
	struct allow_list *allow;
	struct key_watch *key_watch;
	struct wire *wire;
	struct store *store;
	uint64_t term;
	uint32_t next_net, next_vni;
	struct hash *by_id, *by_name, *vnis; /* vnis: in use */
	struct network **networks;           /* in order of submission */
	size_t n_networks;
	struct residual left;
	struct failures *failures;
	struct repairs *repairs;
	struct agent *agents;
	struct solve_pool *pool;
	struct events *events;
	struct monitor *monitor;
	struct hash *paces; /* of identities, pace.c */
	struct audit_log *audit;
	struct usage *usage;
	struct quotas *quotas;
	struct samples *samples;
	struct metrics *metrics;
	struct follower *followers;
	struct execs *execs;
	struct asking *askings;
	struct plane_asking *plane_askings;
	struct backups *backups;
	struct submission *submissions;
	struct write *writes;
	VEC(char *) gone; /* keys of the histories of networks that are no more, the oldest first */
	struct loop_source *tick, *doom;
	int64_t started_ms, refused_ms, claims_ms, ticked_ms, knock_ms;
	int exit_code;
	void (*ready)(struct vned *v);
	struct {
		uint64_t accepted, rejected, failed, released, messages, refused_peers, claims, paced;
		double solve_seconds;
		uint64_t solves;
	} counters;
};

/* networks.c: the table. */
void networks_init(struct vned *v);
void networks_done(struct vned *v);
void networks_recount(struct vned *v, uint32_t snode); /* what is left of a node, anew from v->usable; may be below 0 */
int64_t networks_reserved(const struct vned *v, uint32_t snode, enum resource res); /* 0 where not limited */
struct network *network_new(const char *owner, const struct request *r, struct err *err);
void network_free(struct network *net);
int networks_add(struct vned *v, struct network *net, struct err *err) VNE_MUST; /* takes capacity and VNIs; owns it then */
void networks_remove(struct vned *v, struct network *net);                       /* gives back and frees */
struct network *networks_find(const struct vned *v, uint32_t id);
/* "owner/name" or "name" where that is unique among those that `peer` may see. -ENOENT, -ENOTUNIQ. */
int networks_resolve(const struct vned *v, const struct peer *peer, const char *name, struct network **ret, struct err *err) VNE_MUST;
bool network_visible(const struct peer *peer, const struct network *net);
uint32_t networks_take_id(struct vned *v);
struct vni_pool networks_vni_pool(struct vned *v);
size_t network_part(const struct network *net, uint32_t snode); /* SIZE_MAX: it has none there */
void network_make_parts(struct network *net); /* after plan is set */
/* From numbers of the plan to places in the request, as monitor.h has them: of a router; of a port (link << 1 | end, or
 * PLAN_UPLINK_ID + place among all uplinks). UINT32_MAX: the network has none of that number. */
uint32_t network_router_at(const struct network *net, uint32_t router);
uint32_t network_port_at(const struct network *net, uint32_t port);
uint32_t network_port_number(const struct network *net, uint32_t at); /* the other way */
bool network_committed(const struct network *net); /* its plan is what should be */
void networks_hold(struct vned *v, const struct network *a, const struct network *b, int sign); /* what the larger of both takes, of each node and link: -1 takes, 1 gives back */
void network_renumber(struct network *net); /* numbers, places and digests anew; parts stay */

/* keys.c: who may connect. */
int keys_reload(struct vned *v, struct buf *out) VNE_MUST; /* -EINVAL: something is wrong, as out says; what is right counts */
int keys_watch(struct vned *v, struct err *err) VNE_MUST;
void keys_done(struct vned *v);
void keys_message(struct vned *v, const struct peer *peer, const struct message *q); /* of an admin */
void keys_join(struct vned *v, const struct peer *peer, const struct message *q);    /* of role ROLE_JOIN */

/* usable.c: the substrate as agents can serve it. */
int usable_make(struct vned *v, struct err *err) VNE_MUST; /* as declared; agents' probes reduce it */
void usable_kinds(struct vned *v, struct agent *a);
void usable_guests(struct vned *v, struct agent *a);
void usable_ways(const struct agent *a, const struct snode *declared, struct snode *usable);

/* pace.c: how often. false: answered with code 3. */
bool pace_admit(struct vned *v, const struct peer *peer, const struct message *m);
void pace_done(struct vned *v);

/* rights.c: who may ask what. */
bool rights_may(enum role role, const struct message *m);
bool rights_admit(struct vned *v, const struct peer *peer, const struct message *m); /* false: answered; what changes something is noted for the audit log */
void rights_hide_node(const struct vned *v, const struct peer *peer, uint32_t snode, struct node_view *n); /* what is not a tenant's to see */
void rights_hide_slink(const struct peer *peer, struct slink_view *l);

/* audit_log.c: who changed what. begin and end belong together by (peer, reply_to); api_reply does the latter. `what` is static. */
int audit_open(struct vned *v, struct err *err) VNE_MUST;
void audit_done(struct vned *v);
void audit_tick(struct vned *v);
void audit_begin(struct vned *v, const struct peer *peer, uint64_t reply_to, const char *what, const char *object);
void audit_about(struct vned *v, const struct peer *peer, uint64_t reply_to, const char *object); /* it is known better by now */
void audit_end(struct vned *v, const struct peer *peer, uint64_t reply_to, int code, const char *result);
void audit_note(struct vned *v, const struct peer *peer, const char *what, const char *object, int code, const char *result); /* all at once; peer NULL: vned itself */
void audit_message(struct vned *v, const struct peer *peer, const struct message *q);

/* usage.c: what tenants had, over time. */
int usage_open(struct vned *v, struct err *err) VNE_MUST;
void usage_done(struct vned *v);
void usage_load(struct vned *v); /* after the networks */
void usage_tick(struct vned *v);
void usage_charge(struct vned *v, struct network *net); /* up to now: before it, or what it asks for, goes */
void usage_message(struct vned *v, const struct peer *peer, const struct message *q);

/* quota.c: what tenants may have at once. */
int quotas_load(const char *path, struct yaml_errors *errors, struct quotas **ret, struct err *err) VNE_MUST; /* path NULL: no limits */
int quotas_reload(struct vned *v, struct buf *out) VNE_MUST; /* what is wrong goes into out, and nothing has changed */
void quotas_free(struct quotas *q);
void quota_asked(const struct request *r, int64_t ret[QUOTA_COUNT]); /* units as struct quota_view */
/* -EDQUOT: with this (in the place of `stands`, or NULL) its owner would have more than it may. */
int quota_check(const struct vned *v, const char *owner, const struct request *r, const struct network *stands, struct err *err) VNE_MUST;
void quota_message(struct vned *v, const struct peer *peer, const struct message *q);

/* samples.c: history of what was measured, from memory. -EINVAL: no such kind of thing; -ENOENT: there is none; -EACCES. */
struct samples *samples_new(void);
void samples_free(struct samples *s);
void samples_tick(struct vned *v);
int samples_find(const struct vned *v, const struct peer *peer, const char *of, int64_t span_us, struct series_view *ret, struct err *err) VNE_MUST;
/* What all tunnels over each substrate link send now, from either end, bytes/s; < 0: not known. ret: one per link. One walk over all plans. */
void slinks_carried(const struct vned *v, double (*ret)[2]);

/* record.c: a network as bytes for the store. */
void network_pack(const struct network *net, const struct substrate *s, struct buf *out);
int network_unpack(const void *data, size_t len, const struct substrate *s, struct network **ret, struct err *err) VNE_MUST;

/* history.c: who did what to a network, when and why. The caller writes it to the store, under history_key, or has history_store do it. */
void history_add(struct network *net, enum net_state state, const char *who, const char *why);
void history_free(struct network *net);
void history_key(const struct network *net, char key[STORE_KEY_MAX + 1]);
void history_pack(const struct network *net, uint8_t **ret, size_t *ret_len);
void history_store(struct vned *v, const struct network *net);
void history_gone(struct vned *v, const struct network *net); /* the store has it, and the network is no more */
size_t history_trim(struct vned *v, char *keys[], size_t max); /* the oldest, where there are too many: keys to be deleted, the caller's */
void history_load(struct vned *v); /* after the networks */
void history_done(struct vned *v);
/* Of networks that are or were, as far as `peer` may see them; the caller frees each and the array. -ENOENT, -ENOTUNIQ. */
int history_find(const struct vned *v, const struct peer *peer, const char *name, struct history_view **ret, size_t *ret_n,
                 struct err *err) VNE_MUST;

/* flow.c, flow_update.c, flow_store.c, flow_load.c, flow_progress.c: a network's life, through store and transaction. */
int flow_accept(struct vned *v, struct network *net, struct err *err) VNE_MUST; /* PLANNED into the store, then on by itself; takes net, frees it on failure */
/* From what it is to what `to` is (made by network_new, with embedding and plan; not in the table), on behalf of `who`; takes
 * `to`, and frees it on failure. Who waits for `active` is told how it ended; where it fails, the network goes on as before.
 * Errors as flow_settled. */
int flow_update(struct vned *v, struct network *net, struct network *to, const char *who, const char *why, struct err *err) VNE_MUST;
/* 0: it may be changed. -EBUSY: it does not stand, or is being changed; -ESTALE: some node has not confirmed what it has. */
int flow_settled(const struct vned *v, const struct network *net, struct err *err) VNE_MUST;
uint32_t flow_next_generation(const struct network *net);
void flow_release(struct vned *v, struct network *net, const char *who, const char *why);
void flow_event(struct vned *v, struct network *net, const struct txn_event *event);
/* An agent holds generation `seen`, beyond ours, as after a restore: go beyond that, or it would refuse what is older. */
void flow_overtake(struct vned *v, struct network *net, uint32_t seen);
void flow_tick(struct vned *v);
int flow_load(struct vned *v, struct err *err) VNE_MUST; /* at start: what the store holds */
void flow_judge_routing(struct vned *v, struct network *net, struct buf *why); /* of routers that compute their routes: why they do not */
void flow_stop(struct vned *v); /* answers who waits */
void flow_done(struct vned *v);
void flow_agent_changed(struct vned *v, struct agent *agent); /* came or went */
void flow_fatal(struct vned *v, const char *what, const char *reason);
void waiters_drop(struct waiter **list, void *arg); /* those that were added with arg; they are told nothing */
void waiter_add(struct waiter **list, void (*done)(void *, struct network *, int, const char *), void *arg);

/* health.c: of a network that is committed. */
void health_judge(struct vned *v, struct network *net);  /* degraded or active again? */
void health_repair(struct vned *v, struct network *net); /* tells agents that have not confirmed their part, every few seconds */

/* agents.c */
int agents_init(struct vned *v, struct err *err) VNE_MUST;
void agents_done(struct vned *v);
void agents_message(struct vned *v, const struct peer *peer, struct message *m);
void agents_tick(struct vned *v);
enum command_kind { COMMAND_PREPARE, COMMAND_COMMIT, COMMAND_ABORT, COMMAND_ENSURE };
/* Sends a command about part `part` of net; a peer that cannot be reached is taken for lost, later. */
void agents_command(struct vned *v, struct network *net, size_t part, enum command_kind kind);
bool agents_reachable(const struct vned *v, uint32_t snode);
struct agent *agents_of_peer(struct vned *v, const struct peer *peer); /* NULL: not the connection in force */
uint32_t agents_underlay_mtu(void *vned, uint32_t snode, uint32_t slink);
bool agent_offers(const struct agent *a, const char *feature); /* as a feature of its probe */
bool agents_down(const struct vned *v, uint32_t snode); /* it is to have an agent, and none is connected */
/* Names of the nodes that `which` is true of, separated by ", "; of many only the first. */
void agents_names(const struct vned *v, bool (*which)(const struct vned *v, uint32_t snode), struct buf *out);

/* admit.c, admit_uplinks.c: what a request of `owner` may use. */
struct offer {
	struct substrate substrate; /* its own are the array of nodes, and kinds and uplinks where they differ from those that it borrows */
	const struct snode *borrowed;
	struct residual left;
	uint64_t version; /* of the substrate, for solve_submit: 0 where it is for this request alone */
};
/* left: as promised to nobody. What no agent can host now is not in it. */
void offer_make(struct vned *v, const struct request *r, const char *owner, const struct residual *left, struct offer *ret);
void offer_done(struct offer *o);
/* What could be embedded, but would not work when built. -ENOTSUP. */
int admit_features(const struct vned *v, const struct request *r, struct err *err) VNE_MUST;
void admit_explain(const struct vned *v, const struct request *r, const char *owner, struct buf *out); /* after a reason: what else kept nodes from being used */

void admit_uplinks(const struct vned *v, const char *owner, uint32_t snode, struct snode *n); /* leaves n those that are open to owner */
void admit_uplinks_explain(const struct vned *v, const struct request *r, const char *owner, struct buf *out);

/* substrate.c: it changes while networks run on it. */
int substrate_reread(struct vned *v, struct buf *out, struct err *err) VNE_MUST; /* the file; out: what has changed, or its errors. Nothing changes where it fails */
int substrate_open(struct vned *v, struct err *err) VNE_MUST;   /* at start: what the networks in the store refer to */
int substrate_loaded(struct vned *v, struct err *err) VNE_MUST; /* they are loaded: what differs in the file takes effect */
void substrate_tick(struct vned *v);

/* failures.c: what of the substrate is lost. Each adds the reason to `why`, where that is not NULL and it is. */
void failures_init(struct vned *v);
void failures_done(struct vned *v);
bool failures_link(const struct vned *v, uint32_t slink, struct buf *why);
bool failures_node(const struct vned *v, uint32_t snode, struct buf *why);
bool failures_drained(const struct vned *v, uint32_t snode); /* its operator wants nothing on it */
void failures_drain(struct vned *v, uint32_t snode, bool drained);
void failures_leave_node(struct vned *v, uint32_t snode, bool leaves); /* like drained, but not by `vnctl drain` */
void failures_leave_link(struct vned *v, uint32_t slink, bool leaves);
bool failures_node_leaves(const struct vned *v, uint32_t snode);
bool failures_link_leaves(const struct vned *v, uint32_t slink);
/* Places have changed: where each node and link is now, UINT32_MAX: gone. v->substrate is the new one. */
void failures_move(struct vned *v, const struct substrate *old, const uint32_t *nodes, const uint32_t *links);
void agents_move(struct vned *v, const struct substrate *old, const uint32_t *nodes);
void agent_claims(struct vned *v, const struct agent *a, const char *what, const char *of); /* it spoke of what is not its own: counted, logged */
void agents_recheck(struct vned *v); /* after the allow-list has changed */
void exec_move(struct vned *v, const uint32_t *nodes);
void planes_move(struct vned *v, const uint32_t *nodes);
void repair_move(struct vned *v, const uint32_t *nodes);
void failures_report(struct vned *v, const struct agent *a, char *const *down, size_t n); /* addresses that nothing goes out by */

void failures_watch(struct vned *v, const struct agent *a, const struct message *m); /* MSG_WATCH */
void failures_guards(const struct vned *v, const struct network *net, struct buf *why); /* of protected links: one that is not on its primary path, or could not be on the other */

/* repair.c: networks that use what is lost or drained are embedded anew, with the least moving, the most valuable first. */
void repair_init(struct vned *v);
void repair_done(struct vned *v);
void repair_tick(struct vned *v);
void repair_wake(struct vned *v);     /* something was lost or has come back: look at once */
void repair_unmoved(struct vned *v, struct network *net, const char *why); /* an update of it came to nothing */
void repair_capacity(struct vned *v); /* there is more room than before: what fitted nowhere is tried again */
void repair_drain(struct vned *v, const struct peer *peer, const struct message *m);
void repair_load(struct vned *v);     /* from the store: which nodes are drained */

/* update.c */
bool update_is_due(const struct vned *v, const struct network *net, struct buf *why); /* it uses what is lost or drained; why (may be NULL): of what is lost */
bool update_awaits_agent(const struct vned *v, const struct network *net); /* one of its nodes' may only be restarting: what is on that node would have to move, too */
/* What of net's embedding can stay if it is to fulfil r: as embed_update takes it. embedding_done frees. */
void update_now(const struct vned *v, const struct network *net, const struct request *r, struct embedding *ret);
/* A network, not in the table, that a solution makes of r (whose embedding is taken), with its plan; beside `before`, which stands
 * and may become it (flow_update), or NULL. */
struct network *update_make(struct vned *v, const char *owner, const struct request *r, struct solution *solution,
                            const struct network *before, struct err *err);
void update_changes(const struct vned *v, const struct network *net, const struct network *to, struct network_view *view);

/* submit.c */
void submit_begin(struct vned *v, const struct peer *peer, struct message *m); /* SUBMIT, PLAN, UPDATE */
void submit_tick(struct vned *v);
/* To clients that wait for net to be active: so many of its routers have come through a stage. */
void submit_progress(struct vned *v, const struct network *net, const char *stage, uint32_t ready, uint32_t all);
void submit_done(struct vned *v);

/* api.c: everything a client may ask. */
void api_message(struct vned *v, const struct peer *peer, struct message *m);
void api_reply(struct vned *v, const struct peer *peer, uint64_t reply_to, int code, const char *text);
void api_send(struct vned *v, const struct peer *peer, struct message *m); /* frees its content */
void api_event(void *vned, const struct event_view *event); /* to those who follow */
void api_tick(struct vned *v);
void api_done(struct vned *v);
void api_recheck(struct vned *v); /* after the allow-list has changed: whoever follows, and may not any more, is cut off */

/* backup.c: copies of the store for clients, piece by piece. */
void backup_message(struct vned *v, const struct peer *peer, const struct message *m);
void backup_tick(struct vned *v);
void backup_done(struct vned *v); /* after the store is closed */

/* exec.c: relays between a client and an agent. */
void exec_client_message(struct vned *v, const struct peer *peer, struct message *m);
void exec_agent_message(struct vned *v, struct agent *agent, struct message *m);
void exec_agent_lost(struct vned *v, struct agent *agent);
void exec_recheck(struct vned *v); /* after the allow-list has changed */
void exec_tick(struct vned *v);
void exec_done(struct vned *v);

/* routes.c: what routers know of the ways to others. */
void routes_client_message(struct vned *v, const struct peer *peer, const struct message *q);
void routes_agent_message(struct vned *v, struct agent *agent, struct message *m);
void routes_tick(struct vned *v);
void routes_done(struct vned *v);

/* planes.c: the maps of forwarding programs. */
void planes_client_message(struct vned *v, const struct peer *peer, const struct message *q);
void planes_agent_message(struct vned *v, struct agent *agent, struct message *m);
void planes_tick(struct vned *v);
void planes_done(struct vned *v);

/* views.c: what is shown. The caller frees with the x_done of model/view.h. */
void view_network(const struct vned *v, const struct network *net, bool detailed, struct network_view *ret);
void view_request(const struct vned *v, const char *owner, const struct request *r, const struct embedding *e,
                  const struct solution *s, struct network_view *ret); /* planned or rejected, not in the table */
void view_node(const struct vned *v, uint32_t snode, struct node_view *ret);
void view_slink(const struct vned *v, uint32_t slink, struct slink_view *ret);
enum net_state network_shown_state(const struct network *net);

/* metrics.c: /metrics and /healthz. */
int metrics_open(struct vned *v, const char *where, struct err *err) VNE_MUST;
void metrics_close(struct vned *v);
void metrics_text(const struct vned *v, struct buf *out);

/* coordinator.c: puts it together, and registers every socket and timer. Opening goes on in the loop: the
 * term is made durable before the first connection is taken; then `ready` is called. */
int vned_open(struct vned *v, struct loop *loop, struct vned_config *config, void (*ready)(struct vned *v), struct err *err) VNE_MUST;
void vned_close(struct vned *v); /* also after a failed vned_open; networks are not touched */
void vned_message(void *vned, const struct peer *peer, struct message *m); /* what a connection says */
void vned_tick(void *vned);                                                 /* every TICK_MS */
int vned_reload(struct vned *v, struct buf *out); /* the keys and the substrate's file again; out: what has changed, and what is wrong: then -EINVAL */
