/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the builder's networks carry, read with two requests to the kernel however many links
 * there are: all queueing disciplines, all devices.
 *
 * A limited port is counted by the discipline that limits it: those are frames after any segmentation
 * offload was taken apart, so bytes + frames x overhead is what stands on the wire, exactly. Others
 * are counted by their device. A port's figures are kept here as sums of differences, so that
 * they only grow when a path is exchanged under it. */
#include <errno.h>
#include <linux/gen_stats.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "vnagent/build_impl.h"

/* Of one device, as read now and the time before. */
struct counter {
	bool limited;      /* the discipline's figures are there */
	uint64_t limit_frames, limit_bytes, limit_drops;
	uint64_t tx_frames, tx_bytes, tx_drops, rx_frames, rx_bytes, rx_drops;
};

/* What was last read of a device that a port's frames leave by. */
struct source {
	uint32_t ifindex;
	uint64_t frames, bytes, drops;
};

struct port_sum {
	uint64_t key;
	bool seen;
	uint64_t tx_frames, tx_bytes, tx_drops; /* told so far */
	VEC(struct source) sources;
};

struct reading {
	struct builder *b;
	struct hash *counters; /* by ifindex */
	struct load_report *report;
	VEC(struct router_load) routers;
	VEC(struct port_load) ports;
	VEC(struct segment_load) segments;
};

static void free_sum(void *value)
{
	struct port_sum *sum = value;
	vec_done(&sum->sources);
	free(sum);
}

void build_counters_free(struct hash *counters)
{
	if (counters)
		hash_free(counters, free_sum);
}

static struct counter *counter_of(struct reading *r, uint32_t ifindex)
{
	struct counter *c = hash_get_u64(r->counters, ifindex);
	if (!c && inventory_find(r->b->inv, ifindex)) {
		c = mem_alloc(sizeof(*c));
		hash_put_u64(r->counters, ifindex, c);
	}
	return c;
}

static int read_qdisc(void *arg, const struct nlmsghdr *m)
{
	struct reading *r = arg;
	const struct tcmsg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[TCA_MAX + 1] = { 0 }, *stats[TCA_STATS_MAX + 1] = { 0 };
	if (!head || m->nlmsg_type != RTM_NEWQDISC || head->tcm_parent != TC_H_ROOT)
		return 0;
	nl_parse(m, sizeof(*head), table, TCA_MAX);
	if (strcmp(nl_str(table[TCA_KIND]), "tbf"))
		return 0;
	struct counter *c = counter_of(r, (uint32_t)head->tcm_ifindex);
	nl_parse_nested(table[TCA_STATS2], stats, TCA_STATS_MAX);
	/* Attributes are aligned to 4 bytes: what holds 8 is copied, not pointed at. */
	const void *data = nl_data(stats[TCA_STATS_BASIC], sizeof(uint64_t) + sizeof(uint32_t));
	struct gnet_stats_basic basic = { 0 };
	const struct gnet_stats_queue *queue = nl_data(stats[TCA_STATS_QUEUE], sizeof(*queue));
	const void *packets64 = nl_data(stats[TCA_STATS_PKT64], sizeof(uint64_t));
	if (!c || !data)
		return 0;
	memcpy(&basic, data, sizeof(uint64_t) + sizeof(uint32_t));
	c->limited = true;
	c->limit_bytes = basic.bytes;
	c->limit_frames = basic.packets;
	if (packets64)
		memcpy(&c->limit_frames, packets64, sizeof(c->limit_frames));
	c->limit_drops = queue ? queue->drops : 0;
	return 0;
}

static int read_stats(void *arg, const struct nlmsghdr *m)
{
	struct reading *r = arg;
	const struct if_stats_msg *head = nl_head(m, sizeof(*head));
	const struct nlattr *table[IFLA_STATS_MAX + 1] = { 0 };
	struct rtnl_link_stats64 s;
	if (!head || m->nlmsg_type != RTM_NEWSTATS)
		return 0;
	nl_parse(m, sizeof(*head), table, IFLA_STATS_MAX);
	/* The kernel's struct grows at its end; what we read is in the part that all have. */
	const void *data = nl_data(table[IFLA_STATS_LINK_64], offsetof(struct rtnl_link_stats64, rx_compressed));
	struct counter *c = data ? counter_of(r, head->ifindex) : NULL;
	if (!c)
		return 0;
	memset(&s, 0, sizeof(s));
	memcpy(&s, data, offsetof(struct rtnl_link_stats64, rx_compressed));
	c->tx_frames = s.tx_packets;
	c->tx_bytes = s.tx_bytes;
	c->tx_drops = s.tx_dropped;
	c->rx_frames = s.rx_packets;
	c->rx_bytes = s.rx_bytes;
	c->rx_drops = s.rx_dropped;
	return 0;
}

static int read_kernel(struct reading *r, struct err *err)
{
	struct builder *b = r->b;
	struct tcmsg qdiscs = { .tcm_family = AF_UNSPEC };
	struct if_stats_msg stats = { .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64) };
	nl_begin(b->batch, RTM_GETQDISC, NLM_F_DUMP, &qdiscs, sizeof(qdiscs));
	nl_label(b->batch, "reading limits");
	int code = nl_dump(b->nl, b->batch, read_qdisc, r, err);
	if (code && code != -EINTR) /* interrupted: somebody changes devices; every figure is still true */
		return code;
	nl_begin(b->batch, RTM_GETSTATS, NLM_F_DUMP, &stats, sizeof(stats));
	nl_label(b->batch, "reading counters");
	code = nl_dump(b->nl, b->batch, read_stats, r, err);
	return code == -EINTR ? 0 : code;
}

/* ---- ports ------------------------------------------------------------------------------------ */
static struct port_sum *sum_of(struct builder *b, uint32_t net, uint32_t port)
{
	uint64_t key = (uint64_t)net << 32 | port;
	if (!b->counters)
		b->counters = hash_new();
	struct port_sum *sum = hash_get_u64(b->counters, key);
	if (!sum) {
		sum = mem_alloc(sizeof(*sum));
		sum->key = key;
		hash_put_u64(b->counters, key, sum);
	}
	return sum;
}

/* Adds what a source has counted since it was last read; one that has begun anew counts from 0. */
static void add_source(struct port_sum *sum, uint32_t ifindex, uint64_t frames, uint64_t bytes, uint64_t drops,
                       uint32_t overhead)
{
	struct source *s = NULL;
	for (size_t i = 0; i < sum->sources.n; i++)
		if (sum->sources.v[i].ifindex == ifindex)
			s = &sum->sources.v[i];
	if (!s) {
		if (sum->sources.n >= 64) /* a port whose paths were exchanged often: the oldest are long gone */
			memmove(sum->sources.v, sum->sources.v + 1, --sum->sources.n * sizeof(*sum->sources.v));
		s = vec_add(&sum->sources);
		s->ifindex = ifindex;
	}
	if (frames < s->frames || bytes < s->bytes)
		s->frames = s->bytes = 0;
	if (drops < s->drops)
		s->drops = 0;
	sum->tx_frames += frames - s->frames;
	sum->tx_bytes += bytes - s->bytes + (frames - s->frames) * overhead;
	sum->tx_drops += drops - s->drops;
	s->frames = frames;
	s->bytes = bytes;
	s->drops = drops;
}

static struct counter *device_counter(struct reading *r, const struct device *d)
{
	return d ? hash_get_u64(r->counters, d->ifindex) : NULL;
}

static void read_port(struct reading *r, const struct plan_index *index, const struct plan_port *port)
{
	struct builder *b = r->b;
	uint32_t net = index->plan->net, overhead = 0;
	const struct device *d = inventory_port(b->inv, net, port->id);
	struct split_count past = { 0 }; /* what a plane has taken past the device, either way */
	struct counter both, *own = device_counter(r, d);
	if (own && build_plane_counts(b, d->ifindex, &past)) {
		both = *own;
		own = &both;
		both.tx_frames += past.in_packets;
		both.tx_bytes += past.in_bytes;
		both.rx_frames += past.out_packets;
		both.rx_bytes += past.out_bytes;
	}
	struct port_sum *sum = sum_of(b, net, port->id);
	struct port_load *load = vec_add(&r->ports);
	size_t n;
	bool limited = false;
	const struct join *joins = plan_index_joins(index, (struct endpoint){ ENDPOINT_PORT, port->id }, &n);
	for (size_t i = 0; i < n; i++) {
		bool to_port = joins[i].there.kind == ENDPOINT_PORT;
		const struct device *to = to_port ? inventory_port(b->inv, net, joins[i].there.id) :
		                                    inventory_segment(b->inv, joins[i].there.id);
		const struct counter *c = device_counter(r, to);
		overhead = joins[i].cross->overhead;
		if (!c || !c->limited || joins[i].cross->bw_kbps == 0)
			continue;
		limited = true;
		add_source(sum, to->ifindex, c->limit_frames, c->limit_bytes, c->limit_drops, overhead);
	}
	const struct device *outside = port->uplink ? inventory_outside(b->inv, net, port->id) : NULL;
	const struct counter *beyond = device_counter(r, outside);
	if (beyond && beyond->limited) {
		limited = true;
		add_source(sum, outside->ifindex, beyond->limit_frames, beyond->limit_bytes, beyond->limit_drops, 0);
	}
	if (!limited && own)
		add_source(sum, d->ifindex, own->rx_frames, own->rx_bytes, own->rx_drops, overhead);
	sum->seen = true;
	*load = (struct port_load){ .net = net, .port = port->id, .tx_frames = sum->tx_frames, .tx_bytes = sum->tx_bytes,
		                    .tx_drops = sum->tx_drops };
	if (!own)
		return;
	load->rx_frames = own->tx_frames;
	load->rx_bytes = own->tx_bytes;
	load->rx_drops = own->tx_drops;
	if (own->limited) { /* the other end's frames, before they reached us */
		load->rx_frames = own->limit_frames;
		load->rx_bytes = own->limit_bytes;
	}
}

/* A router whose uplink is not as it should be runs, and does not do what it is there for. */
static void read_uplink(struct reading *r, const struct plan_index *index, size_t first, const struct plan_port *port)
{
	const struct plan_router *router = plan_index_router(index, port->router);
	struct router_load *load = &r->routers.v[first + (size_t)(router - index->plan->routers)];
	char why[192];
	if (load->state != ROUTER_RUNNING || !build_uplink_fault(r->b, index->plan->owner, port, why, sizeof(why)))
		return;
	load->state = ROUTER_FAILED;
	err_copy(load->reason, sizeof(load->reason), why);
}

static void read_segment(struct reading *r, uint32_t net, const struct plan_segment *s)
{
	const struct counter *c = device_counter(r, inventory_segment(r->b->inv, s->vni));
	struct segment_load *load = vec_add(&r->segments);
	*load = (struct segment_load){ .net = net, .vni = s->vni };
	if (!c)
		return;
	load->tx_frames = c->limited ? c->limit_frames : c->tx_frames;
	load->tx_bytes = c->limited ? c->limit_bytes : c->tx_bytes;
	load->rx_frames = c->rx_frames;
	load->rx_bytes = c->rx_bytes;
	load->drops = c->tx_drops + c->rx_drops + c->limit_drops;
}

/* ---- routers ------------------------------------------------------------------------------------ */
static void read_router(struct reading *r, const struct build_net *net, const struct plan_router *router)
{
	const struct open_driver *d = build_driver(r->b, router->kind);
	struct router_key key = { net->id, router->id };
	struct router_load *load = vec_add(&r->routers);
	*load = (struct router_load){ .net = net->id, .router = router->id, .state = ROUTER_ABSENT, .mem_kib = -1 };
	if (!d)
		return;
	if (d->ops->running(d->self, key)) {
		load->state = ROUTER_RUNNING;
		ospf_load(r->b->ospf, load);
		d->ops->load(d->self, key, &load->cpu_us, &load->mem_kib);
		return;
	}
	load->state = net->first ? ROUTER_STARTING : ROUTER_ABSENT;
	for (size_t i = 0; i < net->failed.n; i++)
		if (net->failed.v[i].id == router->id) {
			load->state = ROUTER_FAILED;
			err_copy(load->reason, sizeof(load->reason), net->failed.v[i].reason);
		}
}

static void read_net(void *value, void *arg)
{
	const struct build_net *net = value;
	struct reading *r = arg;
	const struct node_plan *p = net->has_committed ? &net->committed : net->has_prepared ? &net->prepared : NULL;
	struct plan_index index;
	if (!p)
		return;
	plan_index_init(&index, p);
	size_t first = r->routers.n;
	for (size_t i = 0; i < p->n_routers; i++)
		read_router(r, net, &p->routers[i]);
	for (size_t i = 0; i < p->n_ports; i++) {
		read_port(r, &index, &p->ports[i]);
		if (p->ports[i].uplink && r->b->real)
			read_uplink(r, &index, first, &p->ports[i]);
	}
	for (size_t i = 0; i < p->n_segments; i++)
		read_segment(r, net->id, &p->segments[i]);
	plan_index_done(&index);
}

struct forgetting {
	struct hash *counters;
	VEC(uint64_t) keys;
};

static void forget_unseen(void *value, void *arg)
{
	struct port_sum *sum = value;
	struct forgetting *f = arg;
	if (!sum->seen)
		*vec_add(&f->keys) = sum->key;
	sum->seen = false;
}

int builder_load(struct builder *b, struct load_report *report, struct err *err)
{
	struct reading r = { .b = b, .counters = hash_new(), .report = report };
	int code = b->real ? read_kernel(&r, err) : 0;
	if (!code)
		hash_each(b->nets, read_net, &r);
	hash_free(r.counters, free);
	if (code)
		return code;
	struct forgetting f = { .counters = b->counters };
	if (b->counters)
		hash_each(b->counters, forget_unseen, &f);
	for (size_t i = 0; i < f.keys.n; i++)
		free_sum(hash_del_u64(b->counters, f.keys.v[i]));
	vec_done(&f.keys);
	report->routers = r.routers.v;
	report->n_routers = r.routers.n;
	report->ports = r.ports.v;
	report->n_ports = r.ports.n;
	report->segments = r.segments.v;
	report->n_segments = r.segments.n;
	return 0;
}
