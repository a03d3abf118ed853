/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Protected links. Both ends send probes along both paths, through the very tunnels and crosses that frames take, both paths in one
 * system call, ROUND_MS apart. A probe says which path its sender uses and which it hears the other end on: so each end knows of each
 * path whether it carries frames both ways.
 *
 * A path is dead when the other one is still heard while it is not: MISSED probes in a row, the other's rounds being as much ahead, and at least
 * DEAD_MS. Whatever delays both (this process or the far one without a processor, a stopped machine) makes nothing dead, so a
 * busy machine does not switch; and where the other path is not heard either, there is nothing to switch to.
 *
 * Each end leaves a path that is not good for one that is. Back to the primary goes the end whose port number is even once the primary was
 * good for a while, longer each time that it fails again; the other end follows. Both paths are built, and each end accepts frames from both:
 * moving between two good paths loses nothing.
 *
 * Tenants cannot send probes (tc_put_protected) and do not see them (tc_put_probe_exit takes them off the tunnel). Each end has a random
 * key, and believes only who repeats it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/nl.h"
#include "base/vec.h"
#include "vnagent/watch/impl.h"
#include "vnagent/wire_tc.h"

enum {
	TICK_MS = 5, ROUND_MS = 10, FULL_RATE = 200 /* guards; with more of them rounds are longer */, MISSED = 3, DEAD_US = 32000, ALIVE = 3 /* probes in a row */, SILENT_US = 1000000,
	SETTLE_US = 150000, FIRST_US = 2000000, /* after neither path was good; and where the one in use has never been */
	HOLD_FIRST_US = 5000000, HOLD_MAX_US = 300000000, HOLD_CALM_US = 60000000,
	BATCH = 64, RECEIVE_ROUNDS = 64, BUFFER_BYTES = 8 << 20
};
enum { FRAME_MAGIC = 0x564e4577, FRAME_VERSION = 1, HEARD_PRIMARY = 1, HEARD_BACKUP = 2 };

struct frame {
	uint8_t to[6], from[6];
	uint16_t type;
	uint8_t version, path;
	uint32_t magic;
	uint8_t active, heard;
	uint16_t reserved;
	uint32_t round;
	uint64_t key, your_key;
} __attribute__((packed));

struct path {
	struct guard *guard;
	uint32_t ifindex;
	int64_t heard_us;
	uint32_t round;   /* of the last probe heard */
	uint32_t missed;  /* probes heard on the other one since */
	uint32_t in_row;
	bool heard, far_hears;
	enum watch_state told;
};

struct guard {
	struct watch_guard is;
	struct path path[2];
	uint64_t key, far_key;
	uint32_t round, far_round;
	unsigned active, far_active;
	uint32_t switches;
	int64_t born_us, due_us, none_us /* when neither path was good last */, good_us /* the primary has been good since; 0: it is not */, switched_us, hold_us;
	char why[WATCH_WHY];
	bool stays, settled /* the path in use has been good */;
};

struct guards {
	struct watcher *w;
	struct hash *by_key, *by_ifindex; /* (net, port) → guard; tunnel → path */
	int fd;
	struct nl *nl;
	struct nl_batch *batch;
	struct loop_source *tick, *source;
	struct frame out[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_ll to[BATCH];
	struct mmsghdr msgs[BATCH];
	unsigned n_out;
};

static const char *const path_names[] = { "primary", "backup" };

static uint64_t guard_key(uint32_t net, uint32_t port)
{
	return (uint64_t)net << 32 | port;
}

static bool path_good(const struct path *p)
{
	return p->heard && p->far_hears;
}

/* A path that has not been good yet may be on its way: nothing is said of it for a while. */
static enum watch_state state_of(const struct path *p)
{
	bool told = p->told != WATCH_UNKNOWN || clock_us() - p->guard->born_us >= FIRST_US;
	return path_good(p) ? WATCH_UP : told ? WATCH_DOWN : WATCH_UNKNOWN;
}

/* ---- telling ----------------------------------------------------------------------------------------- */
static void tell(struct guards *all, struct guard *g)
{
	struct watch_guard_state s = { .net = g->is.net, .port = g->is.port, .active = g->active, .switches = g->switches };
	for (int k = 0; k < 2; k++) {
		g->path[k].told = state_of(&g->path[k]);
		s.good[k] = g->path[k].told;
	}
	err_copy(s.why, sizeof(s.why), g->why);
	control_tell_guard(all->w, &s);
}

static bool differs(const struct guard *g)
{
	return state_of(&g->path[0]) != g->path[0].told || state_of(&g->path[1]) != g->path[1].told;
}

/* ---- sending ------------------------------------------------------------------------------------------ */
static void flush(struct guards *all)
{
	/* What a device refuses (it is down, or gone) is lost like on a wire; the rest of the batch follows. */
	for (unsigned at = 0; at < all->n_out;) {
		int n = sendmmsg(all->fd, all->msgs + at, all->n_out - at, MSG_DONTWAIT);
		at += n > 0 ? (unsigned)n : 1;
	}
	all->n_out = 0;
}

static void put_probe(struct guards *all, struct guard *g, unsigned k)
{
	static const uint8_t to[6] = { 0x02, 0x76, 0x6e, 0x65, 0, 2 }, from[6] = { 0x02, 0x76, 0x6e, 0x65, 0, 1 };
	unsigned i = all->n_out;
	struct frame *f = &all->out[i];
	*f = (struct frame){ .type = htons(ETH_P_WATCH), .version = FRAME_VERSION, .path = (uint8_t)k, .magic = htonl(FRAME_MAGIC),
		             .active = (uint8_t)g->active, .round = htonl(g->round), .key = g->key, .your_key = g->far_key,
		             .heard = (uint8_t)((g->path[0].heard ? HEARD_PRIMARY : 0) | (g->path[1].heard ? HEARD_BACKUP : 0)) };
	memcpy(f->to, to, sizeof(to));
	memcpy(f->from, from, sizeof(from));
	all->to[i] = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_WATCH), .sll_ifindex = (int)g->path[k].ifindex,
		                           .sll_halen = 6 };
	all->iov[i] = (struct iovec){ f, sizeof(*f) };
	all->msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &all->to[i], .msg_namelen = sizeof(all->to[i]), .msg_iov = &all->iov[i],
		                                      .msg_iovlen = 1 } };
	if (++all->n_out == BATCH)
		flush(all);
}

static void put_round(struct guards *all, struct guard *g)
{
	g->round++;
	/* the one in use last: what the other's probe is ahead is never held against it */
	put_probe(all, g, !g->active);
	put_probe(all, g, g->active);
}

/* ---- switching ---------------------------------------------------------------------------------------- */
static bool redirect(struct guards *all, struct guard *g, unsigned to)
{
	char name[IF_NAMESIZE];
	struct err err = { 0 };
	/* An agent that is building may have exchanged the devices and not told yet. */
	if (!if_indextoname(g->is.path[to], name) || strcmp(name, g->is.path_name[to]))
		return false;
	tc_put_protected(all->batch, g->is.ifindex, g->is.path[to], g->is.name);
	if (nl_send(all->nl, all->batch, NULL, &err)) {
		log_error("port %s cannot be switched: %s", g->is.name, err.text);
		return false;
	}
	return true;
}

static void switch_to(struct guards *all, struct guard *g, unsigned to, int64_t now, const char *why)
{
	if (!redirect(all, g, to))
		return;
	if (to == 1) /* away from the primary: the sooner again, the longer it has to prove itself */
		g->hold_us = g->switched_us && now - g->switched_us < HOLD_CALM_US ? g->hold_us * 2 : HOLD_FIRST_US;
	if (g->hold_us > HOLD_MAX_US)
		g->hold_us = HOLD_MAX_US;
	g->active = to;
	g->switched_us = now;
	g->switches++;
	err_copy(g->why, sizeof(g->why), to == 1 ? why : "");
	log_info("port %s: switched to its %s path: %s", g->is.name, path_names[to], why);
	put_round(all, g);
	tell(all, g);
}

static void decide(struct guards *all, struct guard *g, int64_t now)
{
	bool good[2] = { path_good(&g->path[0]), path_good(&g->path[1]) };
	bool leads = !(g->is.port & 1);
	if (!good[0])
		g->good_us = 0;
	else if (!g->good_us)
		g->good_us = now;
	if (!good[0] && !good[1])
		g->none_us = now;
	g->settled |= good[g->active];
	bool ripe = now - g->none_us >= (g->settled ? SETTLE_US : FIRST_US); /* paths do not come up at one moment */
	if (!good[g->active] && good[!g->active] && ripe)
		switch_to(all, g, !g->active, now, g->active == 1 ? "the backup path fails" :
		          g->path[0].heard ? "the far end hears nothing on the primary path" : "nothing is heard on the primary path");
	else if (leads && g->active == 1 && good[0] && now - g->good_us >= g->hold_us)
		switch_to(all, g, 0, now, "it is good again");
	else if (!leads && g->far_active != g->active && good[g->far_active])
		switch_to(all, g, g->far_active, now, "the far end uses it");
	else if (differs(g))
		tell(all, g);
}

static void path_lost(struct guards *all, struct path *p, int64_t now)
{
	p->heard = false;
	p->in_row = 0;
	put_round(all, p->guard); /* the far end hears of it at once */
	decide(all, p->guard, now);
}

static void judge(struct guards *all, struct guard *g, int64_t now)
{
	for (int k = 0; k < 2; k++) {
		struct path *p = &g->path[k], *other = &g->path[!k];
		int64_t silent = now - p->heard_us;
		bool alone = p->missed >= MISSED && (int32_t)(other->round - p->round) >= MISSED && silent >= DEAD_US;
		if (p->heard && (alone || silent >= SILENT_US))
			path_lost(all, p, now);
	}
}

/* ---- hearing ------------------------------------------------------------------------------------------- */
static void hear(struct guards *all, uint32_t ifindex, const struct frame *f, int64_t now)
{
	struct path *p = hash_get_u64(all->by_ifindex, ifindex);
	if (!p || f->version != FRAME_VERSION || f->magic != htonl(FRAME_MAGIC) || f->type != htons(ETH_P_WATCH) || f->active > 1 ||
	    f->path != (p == &p->guard->path[1]))
		return;
	struct guard *g = p->guard;
	struct path *other = &g->path[!f->path];
	uint32_t round = ntohl(f->round);
	if (f->key != g->far_key) { /* it is new, or has begun anew */
		g->far_key = f->key;
		g->far_round = round - 1;
		for (int k = 0; k < 2; k++) {
			g->path[k].round = round - 1;
			g->path[k].heard = g->path[k].far_hears = false;
			g->path[k].in_row = g->path[k].missed = 0;
		}
		g->none_us = now;
	}
	if (f->your_key != g->key || (int32_t)(round - p->round) <= 0)
		return;
	p->round = round;
	p->heard_us = now;
	p->missed = 0;
	other->missed++;
	if (!p->heard && ++p->in_row >= ALIVE)
		p->heard = true;
	if ((int32_t)(round - g->far_round) > 0 || round == g->far_round) {
		g->far_round = round;
		g->far_active = f->active;
		g->path[0].far_hears = f->heard & HEARD_PRIMARY;
		g->path[1].far_hears = f->heard & HEARD_BACKUP;
	}
	decide(all, g, now);
}

static void drain(void *arg, uint32_t events)
{
	struct guards *all = arg;
	static struct frame in[BATCH];
	static struct sockaddr_ll from[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr msgs[BATCH];
	for (unsigned rounds = 0; rounds < RECEIVE_ROUNDS; rounds++) {
		for (unsigned i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ &in[i], sizeof(in[i]) };
			msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &iov[i], .msg_iovlen = 1 } };
		}
		int n = recvmmsg(all->fd, msgs, BATCH, MSG_DONTWAIT, NULL);
		int64_t now = clock_us();
		for (int i = 0; i < n; i++)
			if (msgs[i].msg_len >= sizeof(in[i]))
				hear(all, (uint32_t)from[i].sll_ifindex, &in[i], now);
		if (n < BATCH)
			break;
	}
	flush(all);
}

struct ticking {
	struct guards *all;
	int64_t now, round_us;
};

static void tick_guard(void *value, void *arg)
{
	struct guard *g = value;
	struct ticking *t = arg;
	judge(t->all, g, t->now);
	decide(t->all, g, t->now);
	if (t->now < g->due_us)
		return;
	g->due_us = (g->due_us + t->round_us > t->now ? g->due_us : t->now) + t->round_us;
	put_round(t->all, g);
}

static void tick(void *arg)
{
	struct guards *all = arg;
	drain(all, 0); /* what has come while we were late counts first */
	/* It goes before all others, so it may not take all there is. Ends need not agree: what counts is how many are missed. */
	size_t n = hash_count(all->by_key);
	struct ticking t = { all, clock_us(), (int64_t)ROUND_MS * 1000 * (int64_t)(n > FULL_RATE ? n : FULL_RATE) / FULL_RATE };
	hash_each(all->by_key, tick_guard, &t);
	flush(all);
}

/* ---- what is watched ------------------------------------------------------------------------------------ */
static void point(struct guards *all, struct guard *g, unsigned k, uint32_t ifindex)
{
	struct path *p = &g->path[k];
	if (p->ifindex && hash_get_u64(all->by_ifindex, p->ifindex) == p)
		hash_del_u64(all->by_ifindex, p->ifindex);
	p->guard = g;
	p->ifindex = ifindex;
	if (ifindex)
		hash_put_u64(all->by_ifindex, ifindex, p);
}

static void drop(struct guards *all, struct guard *g)
{
	point(all, g, 0, 0);
	point(all, g, 1, 0);
	hash_del_u64(all->by_key, guard_key(g->is.net, g->is.port));
	free(g);
}

static void set_one(struct guards *all, const struct watch_guard *is)
{
	struct guard *g = hash_get_u64(all->by_key, guard_key(is->net, is->port));
	if (g && !memcmp(&g->is, is, sizeof(*is))) {
		g->stays = true;
		return;
	}
	if (g)
		drop(all, g);
	g = mem_alloc(sizeof(*g));
	g->is = *is;
	g->stays = true;
	g->hold_us = HOLD_FIRST_US;
	g->none_us = g->born_us = clock_us();
	g->due_us = g->none_us + (int64_t)(hash_count(all->by_key) % (ROUND_MS / TICK_MS)) * TICK_MS * 1000;
	while (!g->key)
		if (getrandom(&g->key, sizeof(g->key), 0) != sizeof(g->key))
			g->key = 0;
	hash_put_u64(all->by_key, guard_key(is->net, is->port), g);
	point(all, g, 0, is->path[0]);
	point(all, g, 1, is->path[1]);
	uint32_t now = tc_redirected_to(all->nl, is->ifindex);
	g->active = now == is->path[1];
	if (now != is->path[g->active])
		(void)redirect(all, g, g->active);
	tell(all, g);
}

struct collecting {
	uint32_t net;
	VEC(struct guard *) gone;
};

static void unmark(void *value, void *arg)
{
	struct guard *g = value;
	if (g->is.net == *(const uint32_t *)arg)
		g->stays = false;
}

static void collect(void *value, void *arg)
{
	struct guard *g = value;
	struct collecting *c = arg;
	if (g->is.net == c->net && !g->stays)
		*vec_add(&c->gone) = g;
}

void guards_set(struct watcher *w, uint32_t net, const struct watch_guard *v, size_t n)
{
	struct collecting c = { .net = net };
	hash_each(w->guards->by_key, unmark, &net);
	for (size_t i = 0; i < n; i++)
		set_one(w->guards, &v[i]);
	hash_each(w->guards->by_key, collect, &c);
	for (size_t i = 0; i < c.gone.n; i++)
		drop(w->guards, c.gone.v[i]);
	vec_done(&c.gone);
	loop_set_timer(w->guards->tick, hash_count(w->guards->by_key) ? 0 : -1, TICK_MS);
}

static void tell_one(void *value, void *arg)
{
	tell(arg, value);
}

void guards_tell_all(struct watcher *w)
{
	hash_each(w->guards->by_key, tell_one, w->guards);
}

size_t guards_count(const struct watcher *w)
{
	return hash_count(w->guards->by_key);
}

/* ---- life ------------------------------------------------------------------------------------------------- */
static int open_socket(int *ret, struct err *err)
{
	int on = 1, bytes = BUFFER_BYTES;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_WATCH));
	if (fd < 0)
		return err_sys(err, -errno, "a packet socket");
	/* Probes do not stand behind what waits on the tunnel: a full link is not a dead one. */
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0) {
		int code = err_sys(err, -errno, "a packet socket past queues");
		close(fd);
		return code;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	*ret = fd;
	return 0;
}

int guards_open(struct watcher *w, struct err *err)
{
	struct guards *all = mem_alloc(sizeof(*all));
	w->guards = all;
	all->w = w;
	all->fd = -1;
	all->by_key = hash_new();
	all->by_ifindex = hash_new();
	all->batch = nl_batch_new();
	int code = nl_open(NETLINK_ROUTE, -1, &all->nl, err);
	if (!code)
		code = open_socket(&all->fd, err);
	if (!code)
		code = loop_add_fd(w->loop, all->fd, EPOLLIN, drain, all, &all->source, err);
	if (!code)
		code = loop_add_timer(w->loop, -1, TICK_MS, tick, all, &all->tick, err);
	return code;
}

void guards_close(struct watcher *w)
{
	struct guards *all = w->guards;
	if (!all)
		return;
	loop_remove(all->source);
	loop_remove(all->tick);
	hash_free(all->by_key, free);
	hash_free(all->by_ifindex, NULL);
	nl_close(all->nl);
	nl_batch_free(all->batch);
	if (all->fd >= 0)
		close(all->fd);
	free(all);
}
