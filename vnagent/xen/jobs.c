/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Jobs in children; see jobs.h. */
#include "vnagent/xen/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "vnagent/xen/ctlnet.h"
#include "vnagent/xen/talk.h"

enum { BOOT_MS = 120000, APPLY_MS = 25000, DIAL_MS = 8000, FIRST_FD = 4, HIGH_FD = 200 };

struct job {
	struct host *host; /* the child's own */
	const struct images *images;
	const char *script;
	const struct request *r;
};

int message_send(const struct xen_message *m, const void *text, size_t len, int fd, int flags)
{
	struct xen_message head = *m;
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)text, len } };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	head.len = (uint32_t)len;
	if (fd >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(XEN_FD, &msg, MSG_NOSIGNAL | flags) < 0 ? -errno : 0;
}

/* ---- the jobs ------------------------------------------------------------------------------------------ */
static int find(const struct job *j, uint32_t *ret_domid, struct err *err)
{
	*ret_domid = j->r->domid;
	return j->r->domid ? 0 : err_set(err, -ENOENT, "no such guest runs");
}

static int ramdisk_file(const struct image *image, const struct domain_request *q, int *ret_fd, struct err *err)
{
	struct buf data = BUF_INIT;
	int code = image_ramdisk(image, q->setup, q->setup_len, &data, err), fd;
	if (!code && (fd = memfd_create("vne-ramdisk", MFD_CLOEXEC)) < 0)
		code = err_sys(err, -errno, "the ramdisk");
	for (size_t at = 0; !code && at < data.len;) {
		ssize_t n = write(fd, data.data + at, data.len - at);
		if (n > 0)
			at += (size_t)n;
		else if (errno != EINTR)
			code = err_sys(err, -errno, "the ramdisk");
	}
	buf_done(&data);
	if (!code)
		*ret_fd = fd;
	return code;
}

static int build(const struct job *j, const struct domain_request *q, uint32_t *ret_domid, struct err *err)
{
	char path[64];
	libxl_domain_config config;
	const struct image *image = images_find(j->images, q->spec.image);
	int fd;
	if (!image)
		return err_set(err, -ENOENT, q->spec.image[0] ? "image %s: the operator of this node allows none of that name"
		                                              : "no guest image is configured on this node%s",
		               q->spec.image);
	int code = ramdisk_file(image, q, &fd, err);
	if (code)
		return code;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
	struct domain_place place = { .net = j->r->m.net, .router = j->r->m.router, .cookie = host_cookie(j->host), .script = j->script,
		                      .ramdisk = path, .cores = host_cores(j->host), .pvh = host_pvh(j->host),
		                      .rtds = host_rtds(j->host) };
	code = domain_configure(q, image, &place, &config, err);
	if (!code)
		code = host_create(j->host, &config, ret_domid, err);
	libxl_domain_config_dispose(&config);
	close(fd);
	if (!code && q->spec.rt_period_us)
		code = host_schedule(j->host, *ret_domid, &q->spec, err);
	return code ? code : host_unpause(j->host, *ret_domid, err);
}

/* The cap only now: a boot is longer than anything that comes after it, and the others have their weights. */
static int boot(const struct job *j, const struct domain_request *q, uint32_t domid, struct err *err)
{
	int fd;
	int64_t deadline_ms = clock_ms() + BOOT_MS;
	int code = ctlnet_connect(domid, deadline_ms, &fd, err);
	if (code)
		return code;
	code = talk_ask(fd, 'v', "", 0, deadline_ms, err);
	close(fd);
	if (!code)
		code = host_schedule(j->host, domid, &q->spec, err);
	return code ? code : host_mark_up(j->host, domid, err);
}

static int apply(uint32_t domid, const char *setup, size_t len, struct err *err)
{
	int fd;
	int64_t deadline_ms = clock_ms() + APPLY_MS;
	int code = ctlnet_connect(domid, deadline_ms, &fd, err);
	if (code)
		return code;
	code = talk_apply(fd, setup, len, deadline_ms, err);
	close(fd);
	return code;
}

static int create(const struct job *j, struct err *err)
{
	struct domain d;
	struct domain_request *q = mem_alloc(sizeof(*q));
	uint32_t domid;
	int code = domain_request_read(j->r->text, j->r->m.len, q, err);
	if (code)
		goto out;
	code = host_find(j->host, j->r->m.net, j->r->m.router, &d, err);
	if (!code && d.up && !d.shutdown) {
		code = host_add_ports(j->host, d.domid, j->r->m.net, q, j->script, err);
		if (!code)
			code = host_schedule(j->host, d.domid, &q->spec, err);
		if (!code)
			code = apply(d.domid, q->setup, q->setup_len, err);
		goto out;
	}
	if (!code) /* what a crash has left */
		code = host_destroy(j->host, d.domid, err);
	else if (code == -ENOENT)
		code = 0;
	if (!code)
		code = build(j, q, &domid, err);
	if (!code)
		code = boot(j, q, domid, err);
out:
	free(q);
	return code;
}

static int destroy(const struct job *j, struct err *err)
{
	struct domain d;
	int code = host_find(j->host, j->r->m.net, j->r->m.router, &d, err);
	if (code == -ENOENT || code == -EEXIST) /* a stranger's is not ours to take */
		return 0;
	return code ? code : host_destroy(j->host, d.domid, err);
}

static int configure(const struct job *j, struct err *err)
{
	uint32_t domid;
	int code = find(j, &domid, err);
	return code ? code : apply(domid, j->r->text, j->r->m.len, err);
}

static int detach(const struct job *j, struct err *err)
{
	struct domain d;
	int code = host_find(j->host, j->r->m.net, j->r->m.router, &d, err);
	if (code == -ENOENT)
		return 0;
	return code ? code : host_remove_port(j->host, d.domid, j->r->m.net, j->r->m.port, err);
}

static void dial(const struct job *j, struct err *err)
{
	struct xen_message m = { .type = XEN_DONE, .number = j->r->m.number, .net = j->r->m.net, .router = j->r->m.router };
	uint32_t domid;
	int fd = -1;
	int64_t deadline_ms = clock_ms() + DIAL_MS;
	int code = find(j, &domid, err);
	if (!code)
		code = ctlnet_connect(domid, deadline_ms, &fd, err);
	if (!code)
		code = talk_ask(fd, 'd', j->r->text, strnlen(j->r->text, j->r->m.len), deadline_ms, err);
	m.code = code;
	message_send(&m, err->text, code ? strlen(err->text) : 0, code ? -1 : fd, 0);
}

static void exec(const struct job *j, const int fds[4], struct err *err)
{
	uint32_t domid;
	int fd, code = find(j, &domid, err);
	if (!code)
		code = ctlnet_connect(domid, clock_ms() + DIAL_MS, &fd, err);
	if (code)
		talk_end(fds[3], 126, err->text);
	else
		talk_exec(fd, j->r->text, j->r->m.len, fds);
}

/* ---- the child ------------------------------------------------------------------------------------------ */
/* Keeps the standard ones, `keep` as FIRST_FD and on, and XEN_FD where it is to answer: what else the parent has open would
 * live on here. */
static void close_others(int *keep, int n, bool answers)
{
	for (int i = 0; i < n; i++)
		keep[i] = fcntl(keep[i], F_DUPFD_CLOEXEC, HIGH_FD);
	for (int i = 0; i < n; i++)
		keep[i] = dup3(keep[i], FIRST_FD + i, O_CLOEXEC);
	if (!answers)
		close(XEN_FD);
	close_range((unsigned)(FIRST_FD + n), ~0u, 0);
}

static _Noreturn void child(struct host *parent, struct job *j, int *keep, int n)
{
	static const struct {
		uint32_t type;
		int (*work)(const struct job *j, struct err *err);
	} works[] = { { XEN_CREATE, create }, { XEN_DESTROY, destroy }, { XEN_CONFIGURE, configure }, { XEN_DETACH, detach } };
	struct job_result result = { 0 };
	struct err err = { 0 };
	sigset_t none;
	uint32_t type = j->r->cleaning ? (uint32_t)XEN_DESTROY : j->r->m.type;
	uint64_t cookie = host_cookie(parent);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	host_forked(parent);
	close_others(keep, n, type == XEN_DIAL);
	if (type == XEN_DIAL) {
		dial(j, &err);
		_exit(0);
	}
	if (type == XEN_EXEC) {
		exec(j, keep, &err);
		_exit(0);
	}
	int code = type == XEN_CONFIGURE ? 0 : host_open(cookie, &j->host, &err);
	for (size_t i = 0; !code && i < ARRAY_LEN(works); i++)
		if (works[i].type == type)
			code = works[i].work(j, &err);
	result.code = code;
	snprintf(result.text, sizeof(result.text), "%s", err.text);
	(void)!write(keep[0], &result, sizeof(result)); /* fits into a pipe */
	_exit(0);
}

int job_start(struct host *parent, const struct images *images, const char *script, struct request *r, struct err *err)
{
	struct job j = { .images = images, .script = script, .r = r };
	int ends[2] = { -1, -1 }, keep[4], n = 1;
	pid_t me = getpid();
	bool answers = r->m.type == XEN_DIAL, command = r->m.type == XEN_EXEC;
	if (!answers && !command && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "a pipe");
	if (command)
		memcpy(keep, r->fds, sizeof(keep)), n = 4;
	else
		keep[0] = ends[1];
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != me)
			_exit(0);
		child(parent, &j, keep, answers ? 0 : n);
	}
	int code = r->pid < 0 ? err_sys(err, -errno, "a process for the job") : 0;
	if (code)
		r->pid = 0;
	if (ends[1] >= 0)
		close(ends[1]);
	if (code && ends[0] >= 0)
		close(ends[0]);
	r->result = code ? -1 : ends[0];
	return code;
}
