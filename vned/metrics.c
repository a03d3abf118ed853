/* SPDX-License-Identifier: GPL-3.0-or-later */
/* /metrics in Prometheus' text format and /healthz, by libmicrohttpd: its epoll descriptor is one
 * more source of the loop, so there is no thread and nothing to lock. Read only. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "vned/vned.h"

struct metrics {
	struct vned *v;
	struct MHD_Daemon *daemon;
	struct loop_source *source, *timer;
};

/* ---- the text ------------------------------------------------------------------------------ */

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void label(struct buf *out, const char *name, const char *value, bool first)
{
	buf_printf(out, "%s%s=\"", first ? "{" : ",", name);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_printf(out, "\\%c", *value);
		else if (*value == '\n')
			buf_str(out, "\\n");
		else
			buf_char(out, *value);
	}
	buf_char(out, '"');
}

static void value(struct buf *out, double v)
{
	buf_printf(out, "%.15g\n", v);
}

static void plain(struct buf *out, const char *name, const char *type, const char *help, double v)
{
	head(out, name, type, help);
	buf_printf(out, "%s ", name);
	value(out, v);
}

struct series { /* one per node or link */
	const char *name, *type, *help;
	double (*get)(const struct vned *v, uint32_t i); /* < 0: left out */
};

static void series_of(struct buf *out, const struct vned *v, const struct series *s, const char *key, bool links)
{
	head(out, s->name, s->type, s->help);
	size_t n = links ? v->substrate.n_links : v->substrate.n_nodes;
	for (size_t i = 0; i < n; i++) {
		double got = s->get(v, (uint32_t)i);
		if (got < 0)
			continue;
		buf_str(out, s->name);
		label(out, key, links ? v->substrate.links[i].name : v->substrate.nodes[i].name, true);
		buf_str(out, "} ");
		value(out, got);
	}
}

static double node_up(const struct vned *v, uint32_t i)
{
	return v->substrate.nodes[i].agent ? v->agents[i].connected : -1;
}
static double node_cpu(const struct vned *v, uint32_t i)
{
	return (double)v->substrate.nodes[i].cap[RES_CPU_MILLI] / 1000;
}
static double node_cpu_reserved(const struct vned *v, uint32_t i)
{
	return (double)(v->substrate.nodes[i].cap[RES_CPU_MILLI] - v->left.node[i][RES_CPU_MILLI]) / 1000;
}
static double node_memory_reserved(const struct vned *v, uint32_t i)
{
	return v->left.node[i][RES_MEM_KIB] == UNLIMITED ? -1 : (double)networks_reserved(v, i, RES_MEM_KIB) * 1024;
}
static double agent_cpu(const struct vned *v, uint32_t i)
{
	return v->agents[i].connected && v->agents[i].has_report ? v->agents[i].report.cpu_permille / 1000.0 : -1;
}
static double agent_memory_used(const struct vned *v, uint32_t i)
{
	return v->agents[i].connected && v->agents[i].has_report ? (double)v->agents[i].report.mem_used_kib * 1024 : -1;
}
static double agent_memory(const struct vned *v, uint32_t i)
{
	return v->agents[i].connected && v->agents[i].has_report ? (double)v->agents[i].report.mem_total_kib * 1024 : -1;
}
static double link_capacity(const struct vned *v, uint32_t i)
{
	return (double)v->substrate.links[i].bw_kbps * 125;
}
static double link_reserved(const struct vned *v, uint32_t i)
{
	return (double)(v->substrate.links[i].bw_kbps - v->left.link_kbps[i]) * 125;
}

static const struct series node_series[] = {
	{ "vned_node_up", "gauge", "Whether the agent of the node is connected and answers.", node_up },
	{ "vned_node_cpu_cores", "gauge", "Declared cores of the node.", node_cpu },
	{ "vned_node_cpu_reserved_cores", "gauge", "Cores promised to virtual routers.", node_cpu_reserved },
	{ "vned_node_memory_reserved_bytes", "gauge", "Memory promised to virtual routers.", node_memory_reserved },
	{ "vnagent_cpu_used_ratio", "gauge", "Use of all cores of the node, as its agent measures it.", agent_cpu },
	{ "vnagent_memory_used_bytes", "gauge", "Memory in use on the node.", agent_memory_used },
	{ "vnagent_memory_bytes", "gauge", "Memory of the node.", agent_memory },
};
static const struct series link_series[] = {
	{ "vned_link_capacity_bytes_per_second", "gauge", "Capacity of the substrate link, each direction.", link_capacity },
	{ "vned_link_reserved_bytes_per_second", "gauge", "Promised on the substrate link, each direction.", link_reserved },
};

static void network_states(struct buf *out, const struct vned *v)
{
	size_t counts[NET_STATES] = { 0 };
	for (size_t i = 0; i < v->n_networks; i++)
		counts[network_shown_state(v->networks[i])]++;
	head(out, "vned_networks", "gauge", "Virtual networks by state.");
	for (size_t i = 0; i <= NET_RELEASING; i++) {
		buf_str(out, "vned_networks");
		label(out, "state", net_state_names[i], true);
		buf_str(out, "} ");
		value(out, (double)counts[i]);
	}
}

static void port_counters(struct buf *out, const struct vned *v, const char *name, const char *help, size_t offset)
{
	head(out, name, "counter", help);
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		for (size_t p = 0; p < net->load.n_ports; p++) {
			if (!net->load.ports[p].known)
				continue;
			const struct vlink *l = &net->request.links[p >> 1];
			uint64_t n;
			memcpy(&n, (const char *)&net->load.ports[p].last + offset, sizeof(n));
			buf_str(out, name);
			label(out, "network", net->full, true);
			label(out, "link", l->name, false);
			label(out, "from", net->request.nodes[p & 1 ? l->b : l->a].name, false);
			buf_printf(out, "} %llu\n", (unsigned long long)n);
		}
	}
}

static void uplink_counters(struct buf *out, const struct vned *v, const char *name, const char *help, size_t offset)
{
	head(out, name, "counter", help);
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		size_t number = 0;
		for (size_t r = 0; r < net->request.n_nodes; r++) {
			const struct vnode *n = &net->request.nodes[r];
			for (size_t k = 0; k < n->n_uplinks; k++, number++) {
				const struct port_mon *m = &net->load.uplinks[number];
				uint64_t count;
				if (!m->known)
					continue;
				memcpy(&count, (const char *)&m->last + offset, sizeof(count));
				buf_str(out, name);
				label(out, "network", net->full, true);
				label(out, "router", n->name, false);
				label(out, "uplink", n->uplinks[k].port, false);
				buf_printf(out, "} %llu\n", (unsigned long long)count);
			}
		}
	}
}

static void routers(struct buf *out, const struct vned *v)
{
	head(out, "vnagent_router_up", "gauge", "Whether the virtual router runs.");
	for (size_t i = 0; i < v->n_networks; i++) {
		const struct network *net = v->networks[i];
		for (size_t r = 0; r < net->load.n_routers; r++) {
			if (!net->load.routers[r].known)
				continue;
			buf_str(out, "vnagent_router_up");
			label(out, "network", net->full, true);
			label(out, "router", net->request.nodes[r].name, false);
			label(out, "node", v->substrate.nodes[net->embedding.host[r]].name, false);
			buf_printf(out, "} %d\n", net->load.routers[r].state == ROUTER_RUNNING);
		}
	}
}

void metrics_text(const struct vned *v, struct buf *out)
{
	head(out, "vned_build_info", "gauge", "Always 1; the version is in the label.");
	buf_str(out, "vned_build_info");
	label(out, "version", VNE_VERSION, true);
	buf_str(out, "} 1\n");
	plain(out, "vned_uptime_seconds", "gauge", "Time since vned started.", (double)(clock_ms() - v->started_ms) / 1000);
	plain(out, "vned_term", "gauge", "Term of this run of the coordinator.", (double)v->term);
	network_states(out, v);
	plain(out, "vned_networks_accepted_total", "counter", "Networks that became active.", (double)v->counters.accepted);
	plain(out, "vned_networks_rejected_total", "counter", "Requests that were refused.", (double)v->counters.rejected);
	plain(out, "vned_networks_failed_total", "counter", "Networks that could not be built.", (double)v->counters.failed);
	plain(out, "vned_networks_released_total", "counter", "Networks released.", (double)v->counters.released);
	plain(out, "vned_solver_seconds_total", "counter", "Time spent in solvers.", v->counters.solve_seconds);
	plain(out, "vned_solver_answers_total", "counter", "Answers of solvers.", (double)v->counters.solves);
	plain(out, "vned_solver_waiting", "gauge", "Requests queued for or in a solver.", (double)solve_waiting(v->pool));
	plain(out, "vned_solver_killed_total", "counter", "Solver processes that crashed or were killed.", (double)solve_killed(v->pool));
	plain(out, "vned_messages_total", "counter", "Messages received.", (double)v->counters.messages);
	plain(out, "vned_refused_total", "counter", "Connections and messages refused.", (double)v->counters.refused_peers);
	for (size_t i = 0; i < ARRAY_LEN(node_series); i++)
		series_of(out, v, &node_series[i], "node", false);
	for (size_t i = 0; i < ARRAY_LEN(link_series); i++)
		series_of(out, v, &link_series[i], "link", true);
	routers(out, v);
	port_counters(out, v, "vnagent_link_transmit_bytes_total", "Sent into the virtual link, bytes on the underlay wire.",
	              offsetof(struct port_load, tx_bytes));
	port_counters(out, v, "vnagent_link_transmit_frames_total", "Frames sent into the virtual link.",
	              offsetof(struct port_load, tx_frames));
	port_counters(out, v, "vnagent_link_transmit_drops_total", "Frames dropped at the virtual link's limit.",
	              offsetof(struct port_load, tx_drops));
	uplink_counters(out, v, "vnagent_uplink_transmit_bytes_total", "Sent out by the uplink.", offsetof(struct port_load, tx_bytes));
	uplink_counters(out, v, "vnagent_uplink_receive_bytes_total", "Received by the uplink.", offsetof(struct port_load, rx_bytes));
	uplink_counters(out, v, "vnagent_uplink_transmit_drops_total", "Frames dropped on their way out.", offsetof(struct port_load, tx_drops));
}

/* ---- HTTP ---------------------------------------------------------------------------------- */

static enum MHD_Result respond(struct MHD_Connection *c, unsigned int status, const char *type, struct buf *text)
{
	size_t len = text->len;
	struct MHD_Response *r = MHD_create_response_from_buffer(len, buf_take(text), MHD_RESPMEM_MUST_FREE);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, "Allow", "GET, HEAD");
	enum MHD_Result result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result asked(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                             const char *version, const char *upload, size_t *upload_size, void **state)
{
	(void)version;
	(void)upload;
	(void)upload_size;
	(void)state;
	struct metrics *m = arg;
	struct buf text = BUF_INIT;
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		buf_str(&text, "only GET and HEAD\n");
		return respond(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", &text);
	}
	if (strcmp(url, "/metrics") == 0) {
		metrics_text(m->v, &text);
		return respond(c, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &text);
	}
	if (strcmp(url, "/healthz") == 0) {
		buf_str(&text, "ok\n");
		return respond(c, MHD_HTTP_OK, "text/plain; charset=utf-8", &text);
	}
	buf_str(&text, "not here; try /metrics or /healthz\n");
	return respond(c, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", &text);
}

static void run(struct metrics *m)
{
	MHD_UNSIGNED_LONG_LONG wait;
	MHD_run(m->daemon);
	loop_set_timer(m->timer, MHD_get_timeout(m->daemon, &wait) == MHD_YES ? (int64_t)wait : -1, 0);
}

static void ready(void *arg, uint32_t events)
{
	(void)events;
	run(arg);
}

static void due(void *arg)
{
	run(arg);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* "127.0.0.1:7411", "[::1]:7411" */
static int parse_address(const char *where, struct sockaddr_storage *ret, socklen_t *ret_len, struct err *err)
{
	const char *colon = strrchr(where, ':');
	char host[64] = "";
	char *end = NULL;
	long port = colon ? strtol(colon + 1, &end, 10) : -1;
	if (!colon || end == colon + 1 || *end || port < 0 || port > 65535 || (size_t)(colon - where) >= sizeof(host))
		return err_set(err, -EINVAL, "metrics: %s: expected ADDRESS:PORT or fd:NUMBER", where);
	bool bracket = where[0] == '[' && colon > where && colon[-1] == ']';
	memcpy(host, where + bracket, (size_t)(colon - where) - 2 * bracket);
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*v6);
	} else {
		return err_set(err, -EINVAL, "metrics: %s: expected an IP address before the port", where);
	}
	return 0;
}

static int listen_at(const char *where, int *ret, struct err *err)
{
	if (strncmp(where, "fd:", 3) == 0) {
		int given = atoi(where + 3), listening = 0;
		socklen_t size = sizeof(listening);
		if (given < 3 || getsockopt(given, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 || !listening)
			return err_set(err, -EINVAL, "metrics: %s: not a listening socket that was handed over", where);
		int fd = fcntl(given, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fcntl(given, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return err_sys(err, -errno, "metrics: %s", where);
		*ret = fd;
		return 0;
	}
	struct sockaddr_storage address;
	socklen_t len = 0;
	int r = parse_address(where, &address, &len, err);
	if (r < 0)
		return r;
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	if (fd < 0)
		return err_sys(err, -errno, "metrics");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 128) < 0) {
		r = err_sys(err, -errno, "metrics: %s", where);
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int metrics_open(struct vned *v, const char *where, struct err *err)
{
	int fd = -1;
	int r = listen_at(where, &fd, err);
	if (r < 0)
		return r;
	struct metrics *m = mem_alloc(sizeof(*m));
	m->v = v;
	v->metrics = m;
	m->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, asked, m, MHD_OPTION_LISTEN_SOCKET, fd,
	                             MHD_OPTION_CONNECTION_LIMIT, 256u, MHD_OPTION_CONNECTION_TIMEOUT, 30u, MHD_OPTION_END);
	if (!m->daemon) {
		close(fd);
		metrics_close(v);
		return err_set(err, -EIO, "metrics: %s: libmicrohttpd does not start", where);
	}
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	r = loop_add_timer(v->loop, -1, 0, due, m, &m->timer, err);
	if (r == 0)
		r = loop_add_fd(v->loop, info->epoll_fd, EPOLLIN, ready, m, &m->source, err);
	if (r < 0)
		metrics_close(v);
	return r;
}

void metrics_close(struct vned *v)
{
	struct metrics *m = v->metrics;
	if (!m)
		return;
	loop_remove(m->source);
	loop_remove(m->timer);
	if (m->daemon)
		MHD_stop_daemon(m->daemon);
	free(m);
	v->metrics = NULL;
}
