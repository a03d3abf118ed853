/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A lab: a substrate on one machine. The shapes shared by vnlab's parts.
 *
 * Four processes and what they are for:
 *
 *   up          in the terminal; prints progress; waits until every agent is connected; leaves
 *   watcher     outside; holds the lock; removes files and cgroups once the lab has ended
 *   supervisor  init of the lab's own pid, network and mount namespace (and user namespace
 *               without root); starts vned and the agents; answers on a socket
 *   node init   one per substrate node: init of its pid, network, mount and uts namespace
 *
 * Whatever happens to a lab, its end is the end of the supervisor: the kernel then kills every
 * process inside, and with the last of them go namespaces, devices and routers. Nothing has to
 * be undone step by step, so nothing can be forgotten. The watcher is tied to `up` by a socket
 * until the lab is ready, and the supervisor to the watcher by a parent-death signal. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "model/plan.h"
#include "model/substrate.h"
#include "model/units.h"

enum {
	LAB_NODES_MAX = 1000,     /* ports of one bridge, and processes of one machine */
	LAB_UPLINKS_MAX = 256,    /* of a node: what an agent takes */
	LAB_OUTSIDE_MTU = 1500,
	LAB_UNDERLAY_MTU = 1600,  /* room for encapsulation, so that routers get 1500 */
	LAB_VNED_PORT = 7410,
	LAB_DIR_MAX = 80          /* so that a socket's path fits into sun_path */
};

struct lab_node {
	struct addr mgmt;   /* 198.18.x.y/16 */
};

struct lab_link {
	char device[2][IFNAME_MAX + 1]; /* at a, at b */
};

struct lab {
	char *dir;          /* absolute */
	bool rootless;
	uid_t uid;
	gid_t gid;
	char id[24];        /* "vnlab-xxxxxxxx": its nodes' cgroups are ID-0, ID-1 … */
	struct substrate s; /* with the lab's own underlay addresses once lab_layout has run */
	struct lab_node *nodes;
	struct lab_link *links;
	int listen_fd, metrics_fd; /* sockets on the machine's own 127.0.0.1 */
	uint16_t listen_port, metrics_port;
};

/* An uplink is a veth pair in its node, by its number in the node's list: the agent's end, and the one that is given to an end host. No
 * link's name begins with "_". */
#define LAB_UPLINK_INNER "_up%u"
#define LAB_UPLINK_OUTER "_host%u"
size_t lab_uplinks(const struct lab *lab, size_t node); /* those that the lab makes: none where there is no agent */

/* layout.c: numbers, names and files. */
int lab_layout(struct lab *lab, struct err *err) VNE_MUST;      /* addresses and device names */
int lab_write_files(const struct lab *lab, struct err *err) VNE_MUST; /* keys, configurations */
void lab_done(struct lab *lab); /* frees what it describes; ends nothing */
char *lab_path(const struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* up.c */
int lab_up(const char *dir, const char *file, int64_t timeout_ms);

/* watcher.c: the process between `up` and the supervisor. Never returns. */
_Noreturn void watcher_run(struct lab *lab, int tie, int report);

/* super.c: init of the lab. Never returns. */
_Noreturn void super_run(struct lab *lab, int go, int report);

/* node.c: a node's namespaces. */
int node_spawn(const struct lab *lab, size_t node, pid_t *ret, int *ret_ready, struct err *err) VNE_MUST;

/* net.c: devices of the lab. netns[i]: descriptor of node i's network namespace. */
int net_build(const struct lab *lab, const int *netns, struct err *err) VNE_MUST;
bool net_can_delay(void);

/* switches.c: routes through nodes without an agent. */
struct lab_route {
	size_t node;      /* where it goes */
	struct addr to, via;
};
void switches_routes(const struct lab *lab, struct lab_route **ret, size_t *ret_n); /* caller frees */

/* clean.c: what the kernel does not remove. */
void clean_content(const char *dir); /* all but the lock */
void clean_files(const char *dir);   /* and the lock, and the directory */
void clean_cgroups(const char *id);
void clean_stale(const char *dir); /* of a lab that nobody holds any more */

/* lock.c */
int lock_take(const char *dir, int *ret_fd, struct err *err) VNE_MUST; /* -EBUSY: a lab runs there */
pid_t lock_holder(const char *dir); /* the watcher's pid; 0: nobody */

/* control.c: asking the supervisor. All print their errors and return an exit code. */
enum { CONTROL_MESSAGE_MAX = 512 };
int control_connect(const char *dir, int *ret, struct err *err) VNE_MUST;
int control_status(const char *dir, bool json);
int control_exec(const char *dir, const char *node, char **argv);
int control_kill(const char *dir, const char *name, int signo);
int control_start(const char *dir, const char *name);
int control_down(const char *dir);

/* fds.c: one message with descriptors over a SOCK_SEQPACKET socket. */
int fds_send(int sock, const char *text, const int *fds, size_t n_fds);
/* Bytes of text received (NUL-terminated), 0 at the end, or -errno. Unused fds are -1. */
ssize_t fds_receive(int sock, char text[static CONTROL_MESSAGE_MAX], int *fds, size_t n_fds);

/* Messages from watcher and supervisor to `up`, one packet each: first character P (progress),
 * E (error: exit code, blank, text), S (server, blank, metrics: in the order they come up), R (ready). */
void report_send(int report, char kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
