/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Routers that are namespaces of this kernel, each in a holder process of its own (holder.c),
 * made by the spawner. The agent keeps two descriptors per router: the process, whose end it
 * thereby learns at once, and the network namespace, to build ports in. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "vnagent/cgroup.h"
#include "vnagent/proc.h"
#include "vnagent/router.h"

enum { CREATE_TIMEOUT_MS = 15000, END_TIMEOUT_MS = 10000, WALKS_PER_S = 50 };

enum state { WAITING, ASKED, RUNNING, ENDING };

struct netns_router {
	struct netns *self;
	struct router_spec spec;
	char name[SPAWN_NAME_MAX];
	enum state state;
	bool wanted;       /* ENDING: make it anew; ASKED: false where it was destroyed meanwhile */
	bool report_gone;  /* ENDING: somebody asked for it */
	pid_t pid;
	int pidfd, netns_fd;
	int64_t asked_ms;
	struct loop_source *end; /* of the process */
	struct cgroup_meter meter;
	int64_t walked_ms;  /* without a meter: what /proc said, and when */
	uint64_t cpu_us;
	int64_t mem_kib;
};

struct netns {
	struct router_options options;
	struct hash *routers; /* by router_key_u64 */
	VEC(uint64_t) waiting; /* creates that the spawner has no room for yet */
	VEC(struct router_event) events; /* told from the loop; FAILED carries its text, owned */
	struct loop_source *answers, *tick, *prepare;
	bool sweep; /* some control group may have been left: it was busy still, or from before */
};

static struct netns_router *find(struct netns *self, struct router_key key)
{
	return hash_get_u64(self->routers, router_key_u64(key));
}

static void tell(struct netns *self, enum router_event_type type, struct router_key key, int code, const char *text)
{
	*vec_add(&self->events) = (struct router_event){ type, key, code, mem_str(text ? text : "") };
}

static void forget(struct netns_router *r)
{
	hash_del_u64(r->self->routers, router_key_u64(r->spec.key));
	loop_remove(r->end);
	if (r->pidfd >= 0)
		close(r->pidfd);
	if (r->netns_fd >= 0)
		close(r->netns_fd);
	cgroup_meter_close(&r->meter);
	free(r);
}

static struct netns_router *add(struct netns *self, struct router_key key, enum state state)
{
	struct netns_router *r = mem_alloc(sizeof(*r));
	*r = (struct netns_router){ .self = self, .spec.key = key, .state = state, .pidfd = -1, .netns_fd = -1,
		                    .meter = { -1, -1 } };
	hash_put_u64(self->routers, router_key_u64(key), r);
	return r;
}

static void ask(struct netns_router *r)
{
	struct netns *self = r->self;
	struct err err = { 0 };
	struct spawn_router q = { .net = r->spec.key.net, .router = r->spec.key.router };
	snprintf(q.name, sizeof(q.name), "%s", r->name);
	snprintf(q.cgroup, sizeof(q.cgroup), "%s", self->options.cgroup);
	int code = spawner_create(self->options.spawner, &q, &err);
	r->state = code ? WAITING : ASKED;
	r->wanted = true;
	r->asked_ms = clock_ms();
	if (code == -EAGAIN) {
		*vec_add(&self->waiting) = router_key_u64(r->spec.key);
	} else if (code) {
		tell(self, ROUTER_EVENT_FAILED, r->spec.key, code, err.text);
		forget(r);
	}
}

/* The process has ended: by our hand, or by itself. */
static void ended(void *arg, uint32_t events)
{
	struct netns_router *r = arg;
	struct netns *self = r->self;
	struct router_key key = r->spec.key;
	if (r->state != ENDING)
		tell(self, ROUTER_EVENT_DIED, key, 0, "its holder process ended");
	else if (r->report_gone && !r->wanted)
		tell(self, ROUTER_EVENT_GONE, key, 0, NULL);
	if (r->state == ENDING && r->wanted) {
		struct router_spec spec = r->spec;
		char name[SPAWN_NAME_MAX];
		memcpy(name, r->name, sizeof(name));
		forget(r);
		spec.name = name;
		router_netns.create(self, &spec);
		return;
	}
	if (self->options.cgroup[0])
		self->sweep |= cgroup_remove(self->options.cgroup, key.net, key.router) != 0;
	forget(r);
}

static void end(struct netns_router *r)
{
	r->state = ENDING;
	r->asked_ms = clock_ms();
	if (r->netns_fd >= 0)
		close(r->netns_fd);
	r->netns_fd = -1;
	cgroup_meter_close(&r->meter);
	/* Its end is reported by the descriptor, also where it had ended before. */
	(void)syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
}

/* 0, or why its end cannot be watched (then it is not ours to run). */
static int watch(struct netns_router *r, pid_t pid, int pidfd, int netns_fd, struct err *err)
{
	r->pid = pid;
	r->pidfd = pidfd;
	r->netns_fd = netns_fd;
	return loop_add_fd(r->self->options.loop, pidfd, EPOLLIN, ended, r, &r->end, err);
}

static void take(struct netns *self, const struct spawn_answer *a)
{
	struct router_key key = { a->net, a->router };
	struct netns_router *r = find(self, key);
	struct err err = { .code = a->code };
	memcpy(err.text, a->text, sizeof(a->text));
	if (!r || r->state != ASKED) { /* nobody waits for it any more */
		if (a->pidfd >= 0) {
			(void)syscall(SYS_pidfd_send_signal, a->pidfd, SIGKILL, NULL, 0);
			close(a->pidfd);
			close(a->netns_fd);
		}
		return;
	}
	int code = a->code;
	if (!code && (a->pidfd < 0 || a->netns_fd < 0))
		code = err_set(&err, -EMFILE, "no descriptors left for a router");
	if (!code)
		code = watch(r, a->pid, a->pidfd, a->netns_fd, &err);
	if (code) {
		enum router_event_type type = r->wanted ? ROUTER_EVENT_FAILED : ROUTER_EVENT_GONE;
		if (r->pidfd >= 0)
			(void)syscall(SYS_pidfd_send_signal, r->pidfd, SIGKILL, NULL, 0);
		tell(self, type, key, code, err.text);
		forget(r);
		return;
	}
	if (!r->wanted) {
		end(r);
		return;
	}
	r->state = RUNNING;
	if (self->options.cgroup[0])
		cgroup_meter_open(self->options.cgroup, key.net, key.router, &r->meter);
	tell(self, ROUTER_EVENT_READY, key, 0, NULL);
}

static void ask_waiting(struct netns *self)
{
	size_t n = self->waiting.n;
	uint64_t *keys = n ? mem_dup(self->waiting.v, n * sizeof(*keys)) : NULL;
	self->waiting.n = 0;
	for (size_t i = 0; i < n; i++) {
		struct netns_router *r = hash_get_u64(self->routers, keys[i]);
		if (r && r->state == WAITING)
			ask(r);
	}
	free(keys);
}

static void answers_ready(void *arg, uint32_t events)
{
	struct netns *self = arg;
	for (int i = 0; i < 64; i++) {
		struct spawn_answer a;
		struct err err = { 0 };
		int code = spawner_receive(self->options.spawner, &a, &err);
		if (code == -EPIPE) {
			/* Told once; every create that waits times out with this reason. */
			loop_remove(self->answers);
			self->answers = NULL;
		}
		if (code)
			break;
		take(self, &a);
	}
	ask_waiting(self);
}

static bool tell_all(void *arg)
{
	struct netns *self = arg;
	for (size_t i = 0; i < self->events.n; i++) {
		struct router_event e = self->events.v[i]; /* the callee may add more */
		self->options.event(self->options.arg, &e);
		free((char *)e.text);
	}
	self->events.n = 0;
	return false;
}

static void overdue(void *value, void *arg)
{
	struct netns_router *r = value;
	if (r->state == ENDING && r->report_gone && clock_ms() - r->asked_ms >= END_TIMEOUT_MS) {
		/* A process that the kernel cannot end now: nobody waits for it any longer. */
		r->report_gone = false;
		tell(r->self, ROUTER_EVENT_GONE, r->spec.key, 0, NULL);
	}
	if ((r->state != ASKED && r->state != WAITING) || clock_ms() - r->asked_ms < CREATE_TIMEOUT_MS)
		return;
	tell(r->self, r->wanted ? ROUTER_EVENT_FAILED : ROUTER_EVENT_GONE, r->spec.key, -ETIMEDOUT,
	     r->self->answers ? "no router within 15 s" : "the spawner has ended; restart the agent");
	forget(r);
}

static bool has_router(void *arg, uint32_t net, uint32_t router)
{
	return find(arg, (struct router_key){ net, router }) != NULL;
}

static void tick(void *arg)
{
	struct netns *self = arg;
	ask_waiting(self);
	if (self->sweep)
		cgroup_sweep(self->options.cgroup, has_router, self);
	self->sweep = false;
	hash_each(self->routers, overdue, NULL);
}

/* ---- the table ------------------------------------------------------------------------------ */
static int netns_probe(struct err *err)
{
	return proc_try_namespaces(err);
}

static void close_router(void *value)
{
	struct netns_router *r = value;
	loop_remove(r->end);
	if (r->pidfd >= 0)
		close(r->pidfd);
	if (r->netns_fd >= 0)
		close(r->netns_fd);
	cgroup_meter_close(&r->meter);
	free(r);
}

static void netns_close(void *arg)
{
	struct netns *self = arg;
	loop_remove(self->answers);
	loop_remove(self->tick);
	loop_remove(self->prepare);
	hash_free(self->routers, close_router);
	for (size_t i = 0; i < self->events.n; i++)
		free((char *)self->events.v[i].text);
	vec_done(&self->events);
	vec_done(&self->waiting);
	free(self);
}

static int adopt(struct netns *self, struct err *err)
{
	struct holder *found = NULL;
	size_t n = 0;
	int code = holders_find(&found, &n, err);
	for (size_t i = 0; i < n; i++) {
		struct router_key key = { found[i].net, found[i].router };
		if (code || find(self, key)) { /* two of a kind: a crash while one was being replaced */
			(void)syscall(SYS_pidfd_send_signal, found[i].pidfd, SIGKILL, NULL, 0);
			close(found[i].pidfd);
			close(found[i].netns_fd);
			continue;
		}
		struct netns_router *r = add(self, key, RUNNING);
		code = watch(r, found[i].pid, found[i].pidfd, found[i].netns_fd, err);
		if (self->options.cgroup[0])
			cgroup_meter_open(self->options.cgroup, key.net, key.router, &r->meter);
	}
	free(found);
	return code;
}

static int netns_open(const struct router_options *options, void **ret_self, struct err *err)
{
	if (!options->spawner)
		return err_set(err, -EINVAL, "router driver netns needs a spawner");
	struct netns *self = mem_alloc(sizeof(*self));
	self->options = *options;
	self->routers = hash_new();
	self->sweep = options->cgroup[0];
	int code = adopt(self, err);
	if (!code)
		code = loop_add_fd(options->loop, spawner_fd(options->spawner), EPOLLIN, answers_ready, self, &self->answers, err);
	if (!code)
		code = loop_add_timer(options->loop, 1000, 1000, tick, self, &self->tick, err);
	if (!code)
		code = loop_add_prepare(options->loop, tell_all, self, &self->prepare, err);
	if (code) {
		netns_close(self);
		return code;
	}
	*ret_self = self;
	return 0;
}

struct listing {
	VEC(struct router_key) keys;
};

static void list_one(void *value, void *arg)
{
	struct netns_router *r = value;
	struct listing *l = arg;
	if (r->state != ENDING && (r->state == RUNNING || r->wanted))
		*vec_add(&l->keys) = r->spec.key;
}

static void netns_list(void *arg, struct router_key **ret, size_t *ret_n)
{
	struct netns *self = arg;
	struct listing l = { 0 };
	hash_each(self->routers, list_one, &l);
	*ret = l.keys.v;
	*ret_n = l.keys.n;
}

static bool netns_running(void *self, struct router_key key)
{
	struct netns_router *r = find(self, key);
	return r && r->state == RUNNING;
}

static void netns_create(void *arg, const struct router_spec *spec)
{
	struct netns *self = arg;
	struct netns_router *r = find(self, spec->key);
	struct err err = { 0 };
	if (r && r->state == RUNNING) {
		tell(self, ROUTER_EVENT_READY, spec->key, 0, NULL);
		return;
	}
	bool fresh = !r;
	if (fresh)
		r = add(self, spec->key, WAITING);
	r->spec = *spec;
	snprintf(r->name, sizeof(r->name), "%s", spec->name);
	r->spec.name = r->name;
	r->wanted = true;
	if (!fresh)
		return; /* on its way, or made anew once it is gone */
	if (self->options.cgroup[0] &&
	    cgroup_set(self->options.cgroup, spec->key.net, spec->key.router, spec->cpu_milli, spec->mem_kib, &err)) {
		tell(self, ROUTER_EVENT_FAILED, spec->key, err.code, err.text);
		forget(r);
		return;
	}
	ask(r);
}

static void netns_destroy(void *arg, struct router_key key)
{
	struct netns *self = arg;
	struct netns_router *r = find(self, key);
	if (!r || r->state == WAITING) {
		if (r)
			forget(r);
		if (self->options.cgroup[0])
			self->sweep |= cgroup_remove(self->options.cgroup, key.net, key.router) != 0;
		tell(self, ROUTER_EVENT_GONE, key, 0, NULL);
		return;
	}
	r->wanted = false;
	r->report_gone = true;
	if (r->state == RUNNING)
		end(r);
}

static int netns_resize(void *arg, const struct router_spec *spec, struct err *err)
{
	struct netns *self = arg;
	if (!self->options.cgroup[0])
		return 0;
	return cgroup_set(self->options.cgroup, spec->key.net, spec->key.router, spec->cpu_milli, spec->mem_kib, err);
}

static int netns_netns(void *self, struct router_key key)
{
	struct netns_router *r = find(self, key);
	return r && r->state == RUNNING ? r->netns_fd : -1;
}

static int netns_exec(void *arg, struct router_key key, const struct router_command *command, struct err *err)
{
	struct netns *self = arg;
	struct netns_router *r = find(self, key);
	if (!r || r->state != RUNNING)
		return err_set(err, -ENOENT, "the router does not run");
	struct spawn_command c = { .net = key.net, .router = key.router, .pidfd = r->pidfd, .in = command->in,
		                   .out = command->out, .error = command->error, .control = command->control,
		                   .argv = command->argv, .argc = command->argc };
	snprintf(c.cgroup, sizeof(c.cgroup), "%s", self->options.cgroup);
	return spawner_run(self->options.spawner, &c, err);
}

/* A tenant is root inside: what it puts where the socket should be is looked up within its own root, never followed out of it. */
static int netns_dial(void *arg, struct router_key key, const char *path, int *ret_fd, struct err *err)
{
	struct netns_router *r = find(arg, key);
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char root[40];
	struct stat st;
	if (!r || r->state != RUNNING)
		return err_set(err, -ENOENT, "the router does not run");
	snprintf(root, sizeof(root), "/proc/%d/root", (int)r->pid);
	int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC), at = -1, fd = -1, code = 0;
	if (top < 0 || (at = (int)syscall(SYS_openat2, top, path, &how, sizeof(how))) < 0 || fstat(at, &st) < 0)
		code = -errno;
	else if (!S_ISSOCK(st.st_mode))
		code = -ENOTSOCK;
	if (!code && (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		code = -errno;
	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", at);
	if (!code && connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		code = -errno;
	if (top >= 0)
		close(top);
	if (at >= 0)
		close(at);
	if (code && fd >= 0)
		close(fd);
	if (code)
		return err_sys(err, code, "%s", path);
	*ret_fd = fd;
	return 0;
}

static void netns_load(void *arg, struct router_key key, uint64_t *ret_cpu_us, int64_t *ret_mem_kib)
{
	struct netns_router *r = find(arg, key);
	*ret_cpu_us = 0;
	*ret_mem_kib = -1;
	if (!r || r->state != RUNNING)
		return;
	bool cpu = cgroup_meter_cpu(&r->meter, ret_cpu_us), mem = cgroup_meter_mem(&r->meter, ret_mem_kib);
	if (cpu && mem)
		return;
	/* Walking /proc takes 50 µs and more per router: of many, each is read more rarely. */
	int64_t pause_ms = (int64_t)(hash_count(r->self->routers) / WALKS_PER_S) * 1000, now = clock_ms();
	if (!r->walked_ms || now - r->walked_ms >= pause_ms) {
		r->walked_ms = now;
		r->mem_kib = -1;
		proc_router_load(r->pid, &r->cpu_us, &r->mem_kib);
	}
	if (!cpu)
		*ret_cpu_us = r->cpu_us;
	if (!mem)
		*ret_mem_kib = r->mem_kib;
}

const struct router_driver router_netns = {
	.kind = "netns",
	.ports = ROUTER_PORTS_VETH,
	.probe = netns_probe,
	.open = netns_open,
	.close = netns_close,
	.list = netns_list,
	.running = netns_running,
	.create = netns_create,
	.destroy = netns_destroy,
	.resize = netns_resize,
	.netns = netns_netns,
	.dial = netns_dial,
	.exec = netns_exec,
	.load = netns_load,
};
