/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libbpf; see split_bpf.h. The object is part of the agent, so that program and agent are of one version. */
#include "vnagent/split_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

static const _Alignas(8) unsigned char object[] = {
#include "vnagent/bpf/split.inc"
};

enum { OLD_MAPS_MAX = 16 };
static const char program_name[] = "vne_split", counts_name[] = "counts";

struct split_bpf {
	struct bpf_object *object;
	int program, ports, counts, routes4, routes6, neighbours4, neighbours6;
	uint32_t program_id;
	int cpus;
	struct split_count *per_cpu;
};

static int silent(enum libbpf_print_level level, const char *format, va_list ap)
{
	return 0; /* reasons are ours to give */
}

static int find_maps(struct split_bpf *b)
{
	const struct {
		const char *name;
		int *fd;
	} maps[] = { { "ports", &b->ports }, { counts_name, &b->counts }, { "routes4", &b->routes4 }, { "routes6", &b->routes6 },
		     { "neighbours4", &b->neighbours4 }, { "neighbours6", &b->neighbours6 } };
	for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
		*maps[i].fd = bpf_object__find_map_fd_by_name(b->object, maps[i].name);
		if (*maps[i].fd < 0)
			return *maps[i].fd;
	}
	const struct bpf_program *p = bpf_object__find_program_by_name(b->object, program_name);
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	b->program = p ? bpf_program__fd(p) : -ENOENT;
	if (b->program < 0)
		return b->program;
	int code = bpf_obj_get_info_by_fd(b->program, &info, &len);
	b->program_id = info.id;
	b->cpus = libbpf_num_possible_cpus();
	return code ? code : b->cpus < 0 ? b->cpus : 0;
}

int split_bpf_open(struct split_bpf **ret, struct err *err)
{
	libbpf_set_print(silent);
	struct bpf_object_open_opts opts = { .sz = sizeof(opts), .object_name = program_name };
	struct split_bpf *b = mem_alloc(sizeof(*b));
	b->object = bpf_object__open_mem(object, sizeof(object), &opts);
	int code = b->object ? bpf_object__load(b->object) : -errno;
	if (!code)
		code = find_maps(b);
	if (code) {
		split_bpf_close(b);
		if (code == -EPERM)
			return err_sys(err, code, "BPF programs may not be loaded here (it takes root outside of user namespaces)");
		return err_sys(err, code, "this kernel does not take the split plane's BPF program");
	}
	b->per_cpu = mem_array((size_t)b->cpus, sizeof(*b->per_cpu));
	*ret = b;
	return 0;
}

void split_bpf_close(struct split_bpf *b)
{
	if (!b)
		return;
	bpf_object__close(b->object);
	free(b->per_cpu);
	free(b);
}

int split_bpf_program(const struct split_bpf *b)
{
	return b->program;
}

uint32_t split_bpf_program_id(const struct split_bpf *b)
{
	return b->program_id;
}

int split_bpf_port(struct split_bpf *b, uint32_t slot, const struct split_port *port)
{
	return bpf_map_update_elem(b->ports, &slot, port, BPF_ANY);
}

/* ---- routes ------------------------------------------------------------------------------------ */
static struct split_key4 key4(uint32_t router, const struct addr *to)
{
	struct split_key4 k = { .prefix = SPLIT_KEY_BITS + to->prefix, .router = router };
	memcpy(k.to, to->bytes, sizeof(k.to));
	return k;
}

static struct split_key6 key6(uint32_t router, const struct addr *to)
{
	struct split_key6 k = { .prefix = SPLIT_KEY_BITS + to->prefix, .router = router };
	memcpy(k.to, to->bytes, sizeof(k.to));
	return k;
}

int split_bpf_route(struct split_bpf *b, uint32_t router, const struct addr *to, uint32_t slot, const uint8_t *via)
{
	if (to->family == AF_INET6) {
		struct split_key6 k = key6(router, to);
		struct split_route6 r = { .slot = slot };
		memcpy(r.via, via, sizeof(r.via));
		return bpf_map_update_elem(b->routes6, &k, &r, BPF_ANY);
	}
	struct split_key4 k = key4(router, to);
	struct split_route4 r = { .slot = slot };
	memcpy(r.via, via, sizeof(r.via));
	return bpf_map_update_elem(b->routes4, &k, &r, BPF_ANY);
}

void split_bpf_unroute(struct split_bpf *b, uint32_t router, const struct addr *to)
{
	struct split_key6 k6 = key6(router, to);
	struct split_key4 k4 = key4(router, to);
	(void)bpf_map_delete_elem(to->family == AF_INET6 ? b->routes6 : b->routes4, to->family == AF_INET6 ? (void *)&k6 : (void *)&k4);
}

/* ---- neighbours ------------------------------------------------------------------------------------ */
union neighbour_key {
	struct split_neighbour4 v4;
	struct split_neighbour6 v6;
};

static int neighbour_of(const struct split_bpf *b, uint32_t slot, const struct addr *a, union neighbour_key *ret)
{
	*ret = (union neighbour_key){ 0 };
	if (a->family == AF_INET6) {
		ret->v6.slot = slot;
		memcpy(ret->v6.address, a->bytes, sizeof(ret->v6.address));
		return b->neighbours6;
	}
	ret->v4.slot = slot;
	memcpy(ret->v4.address, a->bytes, sizeof(ret->v4.address));
	return b->neighbours4;
}

int split_bpf_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address, const uint8_t *mac)
{
	union neighbour_key k;
	struct split_mac v = { .used = 1 };
	int map = neighbour_of(b, slot, address, &k);
	memcpy(v.mac, mac, sizeof(v.mac));
	return bpf_map_update_elem(map, &k, &v, BPF_ANY);
}

void split_bpf_forget_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address)
{
	union neighbour_key k;
	int map = neighbour_of(b, slot, address, &k);
	(void)bpf_map_delete_elem(map, &k);
}

bool split_bpf_neighbour_used(struct split_bpf *b, uint32_t slot, const struct addr *address)
{
	union neighbour_key k;
	struct split_mac v;
	int map = neighbour_of(b, slot, address, &k);
	if (bpf_map_lookup_elem(map, &k, &v) || !v.used)
		return false;
	v.used = 0;
	return !bpf_map_update_elem(map, &k, &v, BPF_EXIST);
}

/* ---- counters ------------------------------------------------------------------------------------ */
static bool count_of(int map, uint32_t slot, int cpus, struct split_count *per_cpu, struct split_count *ret)
{
	*ret = (struct split_count){ 0 };
	if (bpf_map_lookup_elem(map, &slot, per_cpu))
		return false;
	for (int i = 0; i < cpus; i++) {
		ret->in_packets += per_cpu[i].in_packets;
		ret->in_bytes += per_cpu[i].in_bytes;
		ret->out_packets += per_cpu[i].out_packets;
		ret->out_bytes += per_cpu[i].out_bytes;
	}
	return true;
}

void split_bpf_count(struct split_bpf *b, uint32_t slot, struct split_count *ret)
{
	(void)count_of(b->counts, slot, b->cpus, b->per_cpu, ret);
}

void split_bpf_clear_count(struct split_bpf *b, uint32_t slot)
{
	memset(b->per_cpu, 0, (size_t)b->cpus * sizeof(*b->per_cpu));
	(void)bpf_map_update_elem(b->counts, &slot, b->per_cpu, BPF_ANY);
}

static int open_old_counts(uint32_t program_id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t ids[OLD_MAPS_MAX] = { 0 }, len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(program_id), found = -1;
	if (fd < 0)
		return -1;
	info.nr_map_ids = OLD_MAPS_MAX;
	info.map_ids = (uint64_t)(uintptr_t)ids;
	int code = bpf_obj_get_info_by_fd(fd, &info, &len);
	close(fd);
	if (code || strncmp(info.name, program_name, sizeof(info.name)))
		return -1;
	for (uint32_t i = 0; found < 0 && i < info.nr_map_ids && i < OLD_MAPS_MAX; i++) {
		struct bpf_map_info map = { 0 };
		len = sizeof(map);
		int map_fd = bpf_map_get_fd_by_id(ids[i]);
		if (map_fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(map_fd, &map, &len) && !strcmp(map.name, counts_name) &&
		    map.type == BPF_MAP_TYPE_PERCPU_ARRAY && map.value_size == sizeof(struct split_count))
			found = map_fd;
		else
			close(map_fd);
	}
	return found;
}

bool split_bpf_old_count(uint32_t program_id, uint32_t slot, struct split_count *ret)
{
	int map = open_old_counts(program_id), cpus = libbpf_num_possible_cpus();
	if (map < 0 || cpus <= 0) {
		if (map >= 0)
			close(map);
		return false;
	}
	struct split_count *per_cpu = mem_array((size_t)cpus, sizeof(*per_cpu));
	bool known = count_of(map, slot, cpus, per_cpu, ret);
	free(per_cpu);
	close(map);
	return known;
}
