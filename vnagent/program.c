/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See program.h. */
#include "vnagent/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "vnagent/bpf/program.h"

enum { OBJECT_MAPS_MAX = 64 };

struct program {
	char *name;
	int fd, ports, locals, tenant; /* maps: -1 where it has none */
	uint32_t id;
	struct bpf_map_info about; /* of `tenant` */
};

static int silent(enum libbpf_print_level level, const char *format, va_list ap)
{
	return 0; /* reasons are ours to give */
}

static const char *path_of(const struct yaml_names *objects, const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < objects->n; i++)
		if (!strncmp(objects->v[i], name, len) && objects->v[i][len] == '=')
			return objects->v[i] + len + 1;
	return NULL;
}

/* ---- opening ----------------------------------------------------------------------------------- */
static bool tenant_may_fill(const struct bpf_map_info *m)
{
	return (m->type == BPF_MAP_TYPE_HASH || m->type == BPF_MAP_TYPE_LRU_HASH || m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_LPM_TRIE) &&
	       m->key_size <= PLANE_BYTES_MAX && m->value_size <= PLANE_BYTES_MAX;
}

/* Takes the map if it is one of ours; else closes it. */
static void take_map(struct program *p, int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int *place = NULL;
	if (bpf_obj_get_info_by_fd(fd, &info, &len)) {
		close(fd);
		return;
	}
	if (!strcmp(info.name, "ports") && info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(struct plane_port))
		place = &p->ports;
	else if (!strcmp(info.name, "locals") && info.type == BPF_MAP_TYPE_HASH && info.key_size == 16 && info.value_size == 1)
		place = &p->locals;
	else if (!strcmp(info.name, "tenant") && tenant_may_fill(&info))
		place = &p->tenant;
	if (!place || *place >= 0) {
		close(fd);
		return;
	}
	*place = fd;
	if (place == &p->tenant)
		p->about = info;
}

/* From here on all is asked of the kernel: program and maps are held by our descriptors, whoever loaded them. Takes fd. */
static int by_program(int fd, const char *name, struct program **ret)
{
	uint32_t ids[OBJECT_MAPS_MAX] = { 0 }, len = sizeof(struct bpf_prog_info);
	struct bpf_prog_info info = { .nr_map_ids = OBJECT_MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)ids };
	if (bpf_obj_get_info_by_fd(fd, &info, &len) || info.type != BPF_PROG_TYPE_SCHED_CLS) {
		close(fd);
		return -EINVAL;
	}
	struct program *p = mem_alloc(sizeof(*p));
	*p = (struct program){ .name = mem_str(name), .fd = fd, .ports = -1, .locals = -1, .tenant = -1, .id = info.id };
	for (uint32_t i = 0; i < info.nr_map_ids && i < OBJECT_MAPS_MAX; i++) {
		int map = bpf_map_get_fd_by_id(ids[i]);
		if (map >= 0)
			take_map(p, map);
	}
	*ret = p;
	return 0;
}

int program_open(const struct yaml_names *objects, const char *name, struct program **ret, struct err *err)
{
	const char *path = path_of(objects, name);
	if (!path)
		return err_set(err, -ENOENT, "the operator of this node allows no program \"%s\" (`programs` in vnagent.yaml)", name);
	libbpf_set_print(silent);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object)
		return err_sys(err, -errno, "program \"%s\": %s", name, path);
	struct bpf_program *only = bpf_object__next_program(object, NULL);
	int code = 0;
	if (!only || bpf_object__next_program(object, only))
		code = err_set(err, -EINVAL, "program \"%s\": %s: expected one program in it", name, path);
	if (!code)
		bpf_program__set_type(only, BPF_PROG_TYPE_SCHED_CLS);
	if (!code && (code = bpf_object__load(object)))
		code = code == -EPERM ? err_sys(err, code, "BPF programs may not be loaded here (it takes root outside of user namespaces)") :
		                        err_sys(err, code, "program \"%s\": this kernel does not take %s", name, path);
	if (!code) {
		int fd = dup(bpf_program__fd(only));
		code = fd < 0 ? -errno : by_program(fd, name, ret);
		if (code)
			err_sys(err, code, "program \"%s\"", name);
	}
	bpf_object__close(object);
	return code;
}

int program_probe(const struct yaml_names *objects, const char *name, struct err *err)
{
	struct { int code; char text[ERR_TEXT_MAX]; } told = { -EIO, "" };
	int fds[2], status = 0;
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(err, -errno, "program \"%s\"", name);
	pid_t pid = fork();
	if (pid == 0) {
		static const int fatal[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
		for (size_t i = 0; i < ARRAY_LEN(fatal); i++) /* nobody is to live on after them */
			(void)signal(fatal[i], SIG_DFL);
		struct program *p = NULL;
		struct err why = { 0 };
		told.code = program_open(objects, name, &p, &why);
		err_copy(told.text, sizeof(told.text), why.text);
		_exit(write(fds[1], &told, sizeof(told)) != sizeof(told));
	}
	int code = pid < 0 ? -errno : 0;
	close(fds[1]);
	ssize_t n = pid > 0 ? read(fds[0], &told, sizeof(told)) : 0;
	close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		return err_sys(err, code, "program \"%s\"", name);
	if (n != sizeof(told) || !WIFEXITED(status))
		return err_set(err, -EINVAL, "program \"%s\": %s: what reads it crashes over it: the object is damaged", name, path_of(objects, name));
	return told.code ? err_set(err, told.code, "%s", told.text) : 0;
}

bool program_adopt(uint32_t program_id, const char *name, struct program **ret)
{
	int fd = bpf_prog_get_fd_by_id(program_id);
	return fd >= 0 && by_program(fd, name, ret) == 0;
}

void program_close(struct program *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < 4; i++) {
		int fd = (int[]){ p->fd, p->ports, p->locals, p->tenant }[i];
		if (fd >= 0)
			close(fd);
	}
	free(p->name);
	free(p);
}

int program_fd(const struct program *p)
{
	return p->fd;
}

uint32_t program_id(const struct program *p)
{
	return p->id;
}

/* ---- what the agent fills ------------------------------------------------------------------------ */
static void mapped(const struct addr *a, uint8_t ret[16])
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	if (a->family == AF_INET6) {
		memcpy(ret, a->bytes, 16);
		return;
	}
	memcpy(ret, v4, sizeof(v4));
	memcpy(ret + sizeof(v4), a->bytes, 4);
}

/* Those that are not wanted any more go after those that are have come. */
static int fill_locals(struct program *p, const struct addr *locals, size_t n)
{
	uint8_t key[16], next[16], one = 1;
	int code = 0;
	for (size_t i = 0; i < n && !code; i++) {
		mapped(&locals[i], key);
		code = bpf_map_update_elem(p->locals, key, &one, BPF_ANY);
	}
	bool more = !bpf_map_get_next_key(p->locals, NULL, next);
	for (size_t seen = 0; more && !code && seen < 2 * PLANE_LOCALS; seen++) {
		bool wanted = false;
		memcpy(key, next, sizeof(key));
		more = !bpf_map_get_next_key(p->locals, key, next);
		for (size_t i = 0; i < n && !wanted; i++) {
			uint8_t own[16];
			mapped(&locals[i], own);
			wanted = !memcmp(own, key, sizeof(key));
		}
		if (!wanted)
			(void)bpf_map_delete_elem(p->locals, key);
	}
	return code;
}

int program_fill(struct program *p, const struct program_port *ports, size_t n_ports, const struct addr *locals, size_t n_locals,
                 struct err *err)
{
	int code = 0;
	for (uint32_t n = 0; p->ports >= 0 && n < PLANE_PORTS && !code; n++) {
		struct plane_port value = { 0 };
		for (size_t i = 0; i < n_ports; i++)
			if (ports[i].number == n) {
				value = (struct plane_port){ .ifindex = ports[i].ifindex, .mtu = ports[i].mtu };
				memcpy(value.mac, ports[i].mac, 6);
				memcpy(value.peer, ports[i].peer, 6);
			}
		code = bpf_map_update_elem(p->ports, &n, &value, BPF_ANY);
	}
	if (!code && p->locals >= 0)
		code = fill_locals(p, locals, n_locals);
	return code ? err_sys(err, code, "the maps of program \"%s\"", p->name) : 0;
}

/* ---- what the tenant fills ----------------------------------------------------------------------- */
static void add_entry(struct program *p, const uint8_t *key, const uint8_t *value, struct message *ret)
{
	if (ret->u.plane_data.n >= PLANE_ENTRIES_MAX) {
		ret->u.plane_data.left_out++;
		return;
	}
	ret->u.plane_data.v = mem_grow(ret->u.plane_data.v, ret->u.plane_data.n + 1, sizeof(*ret->u.plane_data.v));
	ret->u.plane_data.v[ret->u.plane_data.n++] = (struct plane_entry){ mem_dup(key, p->about.key_size), mem_dup(value, p->about.value_size),
		                                                           p->about.key_size, p->about.value_size };
}

/* Entries that come and go meanwhile may be missed, or be there twice: the kernel's walk starts over where its key is gone. */
static void list(struct program *p, struct message *ret)
{
	uint8_t key[PLANE_BYTES_MAX], next[PLANE_BYTES_MAX], value[PLANE_BYTES_MAX];
	bool more = !bpf_map_get_next_key(p->tenant, NULL, next);
	for (uint32_t seen = 0; more && seen < p->about.max_entries; seen++) {
		memcpy(key, next, p->about.key_size);
		if (!bpf_map_lookup_elem(p->tenant, key, value))
			add_entry(p, key, value, ret);
		more = !bpf_map_get_next_key(p->tenant, key, next);
	}
}

static int work(struct program *p, const struct message *q, struct message *ret, struct err *err)
{
	const uint8_t *key = q->u.plane.key, *value = q->u.plane.value;
	size_t key_len = q->u.plane.key_len, value_len = q->u.plane.value_len;
	uint8_t found[PLANE_BYTES_MAX];
	bool set = q->u.plane.op == PLANE_SET;
	if (p->tenant < 0)
		return err_set(err, -ENOENT, "program \"%s\" has no map for its tenant", p->name);
	ret->u.plane_data.key_len = p->about.key_size;
	ret->u.plane_data.value_len = p->about.value_size;
	if (q->u.plane.op == PLANE_GET && !key_len) {
		list(p, ret);
		return 0;
	}
	if (key_len != p->about.key_size || (set && value_len != p->about.value_size))
		return err_set(err, -EINVAL, "keys of program \"%s\" have %u bytes and values %u; these have %zu and %zu", p->name, p->about.key_size,
		               p->about.value_size, key_len, set ? value_len : p->about.value_size);
	int code = q->u.plane.op == PLANE_GET ? bpf_map_lookup_elem(p->tenant, key, found) :
	           set                        ? bpf_map_update_elem(p->tenant, key, value, BPF_ANY) :
	                                        bpf_map_delete_elem(p->tenant, key);
	if (code == -ENOENT)
		return err_set(err, code, "there is no such entry");
	if (code == -E2BIG || code == -ENOSPC)
		return err_set(err, code, p->about.type == BPF_MAP_TYPE_ARRAY ? "keys are numbers below %u" : "the map is full: %u entries", p->about.max_entries);
	if (code)
		return err_sys(err, code, "the map of program \"%s\"", p->name);
	if (q->u.plane.op == PLANE_GET)
		add_entry(p, key, found, ret);
	return 0;
}

void program_answer(struct program *p, const struct message *question, struct message *ret)
{
	struct err err = { 0 };
	*ret = (struct message){ .type = MSG_PLANE_DATA, .net = question->net, .reply_to = question->sequence };
	ret->u.plane_data.code = work(p, question, ret, &err);
	ret->u.plane_data.why = mem_str(ret->u.plane_data.code ? err.text : "");
	ret->u.plane_data.program = mem_str(p->name);
}
