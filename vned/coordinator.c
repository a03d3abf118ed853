/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The coordinator as a whole: what it is made of, in the order in which it comes to be. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

enum { EVENTS_KEPT = 4096, SOLVE_GRACE_MS = 2000, SOLVE_QUEUE = 1000, REFUSED_LOG_MS = 1000 };

/* ---- what comes in --------------------------------------------------------------------------- */

void vned_message(void *vned, const struct peer *peer, struct message *m)
{
	struct vned *v = vned;
	v->counters.messages++;
	if (!pace_admit(v, peer, m))
		return;
	if (peer->role == ROLE_AGENT)
		agents_message(v, peer, m);
	else if (peer->role == ROLE_JOIN)
		keys_join(v, peer, m);
	else
		api_message(v, peer, m);
}

/* At most one line a second: the log is not for strangers to fill. */
static void refused(void *arg, const char *address, const char *why)
{
	struct vned *v = arg;
	v->counters.refused_peers++;
	if (clock_ms() - v->refused_ms < REFUSED_LOG_MS)
		return;
	v->refused_ms = clock_ms();
	log_warn("refused %s: %s", address, why);
}

void vned_tick(void *vned)
{
	struct vned *v = vned;
	agents_tick(v);
	flow_tick(v);
	repair_tick(v);
	submit_tick(v);
	exec_tick(v);
	routes_tick(v);
	planes_tick(v);
	api_tick(v);
	samples_tick(v);
	usage_tick(v);
	audit_tick(v);
	backup_tick(v);
}

static void doom(void *arg)
{
	agents_tick(arg);
}

/* ---- opening --------------------------------------------------------------------------------- */

static int open_wire(struct vned *v, struct err *err)
{
	const char **listen = mem_array(v->config.listen.n + 1, sizeof(*listen));
	for (size_t i = 0; i < v->config.listen.n; i++)
		listen[i] = v->config.listen.v[i];
	struct wire_server_options options = { .listen = listen, .self = &v->self, .allow = v->allow, .local = v->config.local, .message = vned_message,
		                                   .refused = refused, .arg = v };
	int r = wire_listen(v->loop, &options, &v->wire, err);
	free(listen);
	return r < 0 ? err_add(err, r, "listen") : 0;
}

/* The term is on disk: from here on others may see us. */
static void term_durable(void *arg, int code, const char *reason)
{
	struct vned *v = arg;
	struct err err = { 0 };
	if (code < 0) {
		flow_fatal(v, "the store cannot be written", reason);
		return;
	}
	int r = open_wire(v, &err);
	if (r == 0)
		r = keys_watch(v, &err);
	if (r == 0)
		r = flow_load(v, &err);
	if (r == 0)
		usage_load(v);
	if (r == 0 && v->config.metrics)
		r = metrics_open(v, v->config.metrics, &err);
	v->ticked_ms = clock_ms();
	if (r == 0)
		r = loop_add_timer(v->loop, TICK_MS, TICK_MS, vned_tick, v, &v->tick, &err);
	if (r < 0) {
		log_error("%s", err.text);
		v->exit_code = r == -EINVAL ? 2 : 70;
		loop_stop(v->loop);
		return;
	}
	log_info("vned %s: substrate %s, %zu nodes, %zu links; term %llu; at %s", VNE_VERSION, v->substrate.name,
	         v->substrate.n_nodes, v->substrate.n_links, (unsigned long long)v->term, wire_endpoint(v->wire));
	if (v->ready)
		v->ready(v);
}

static int raise_term(struct vned *v, struct err *err)
{
	size_t len;
	char text[32] = "0";
	const char *stored = v->store->driver->get(v->store, "term", &len);
	if (stored)
		snprintf(text, sizeof(text), "%.*s", (int)len, stored);
	char *end;
	errno = 0;
	unsigned long long term = strtoull(text, &end, 10);
	if (errno || end == text || *end)
		return err_set(err, -EBADMSG, "%s: the term is not a number", v->config.state);
	if (term >= TERM_MAX)
		return err_set(err, -EBADMSG, "%s: the term is %llu; none can follow: restore it from a backup", v->config.state, term);
	v->term = term + 1;
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)v->term);
	struct store_op op = { "term", text, (size_t)n };
	return v->store->driver->batch(v->store, v->store->driver->revision(v->store), &op, 1, term_durable, v, err);
}

static int open_substrate(struct vned *v, struct err *err)
{
	struct yaml_errors errors = { 0 };
	int r = substrate_load(v->config.substrate, &errors, &v->declared, err);
	if (r < 0 && errors.n)
		log_error("%s", buf_cstr(&errors.text));
	yaml_errors_done(&errors);
	return r;
}

static int open_keys(struct vned *v, struct err *err)
{
	int r = identity_load(v->config.key, &v->self, err);
	if (r == 0 && (!v->self.has_secret || v->self.role != ROLE_COORDINATOR))
		r = err_set(err, -EINVAL, "%s: expected a key with its secret part and role coordinator", v->config.key);
	return r < 0 ? r : allow_list_load(v->config.allow, NULL, &v->allow, err);
}

int vned_reload(struct vned *v, struct buf *out)
{
	struct err err = { 0 };
	if (!v->wire || !v->tick)
		return 0; /* it is still opening, and reads them anyway */
	int keys = keys_reload(v, out);
	if (out->len)
		buf_str(out, "\n");
	else
		log_info("the allow-list was read again");
	int quotas = quotas_reload(v, out);
	int r = substrate_reread(v, out, &err);
	return keys < 0 || quotas < 0 || r < 0 ? -EINVAL : 0;
}

static int open_quotas(struct vned *v, struct err *err)
{
	struct yaml_errors errors = { 0 };
	int r = quotas_load(v->config.tenants, &errors, &v->quotas, err);
	if (r < 0 && errors.n)
		log_error("%s", buf_cstr(&errors.text));
	yaml_errors_done(&errors);
	return r;
}

static int open_pool(struct vned *v, struct err *err)
{
	mem_auto char *program = child_sibling("vnembed");
	bool own = v->config.solver && strncmp(v->config.solver, "exec:", 5) == 0;
	struct solve_options options = { .program = program, .solver = own ? v->config.solver : NULL, .workers = (size_t)v->config.workers,
		                             .grace_ms = SOLVE_GRACE_MS, .queue_max = SOLVE_QUEUE };
	return solve_pool_new(v->loop, &options, &v->pool, err);
}

int vned_open(struct vned *v, struct loop *loop, struct vned_config *config, void (*ready)(struct vned *v), struct err *err)
{
	*v = (struct vned){ .loop = loop, .config = *config, .ready = ready, .started_ms = clock_ms() };
	*config = (struct vned_config){ 0 };
	v->events = events_new(EVENTS_KEPT, api_event, v);
	v->monitor = monitor_new();
	v->samples = samples_new();
	v->paces = hash_new();
	int r = open_substrate(v, err);
	if (r == 0)
		r = open_keys(v, err);
	if (r < 0)
		return r;
	r = open_quotas(v, err);
	if (r == 0)
		r = (v->config.store ? v->config.store : &store_sqlite)->open(loop, v->config.state, &v->store, err);
	if (r == 0)
		r = audit_open(v, err);
	if (r == 0)
		r = usage_open(v, err);
	if (r == 0)
		r = substrate_open(v, err);
	if (r < 0)
		return r;
	networks_init(v);
	r = agents_init(v, err);
	if (r == 0)
		r = loop_add_timer(loop, -1, 0, doom, v, &v->doom, err);
	if (r == 0)
		r = open_pool(v, err);
	return r == 0 ? raise_term(v, err) : r;
}

void vned_close(struct vned *v)
{
	loop_remove(v->tick);
	loop_remove(v->doom);
	metrics_close(v);
	solve_pool_free(v->pool);
	flow_stop(v);
	usage_done(v);
	submit_done(v);
	api_done(v);
	exec_done(v);
	routes_done(v);
	planes_done(v);
	if (v->store)
		v->store->driver->close(v->store);
	backup_done(v);
	history_done(v);
	flow_done(v);
	keys_done(v);
	wire_close(v->wire);
	if (v->by_id)
		networks_done(v);
	agents_done(v);
	monitor_free(v->monitor);
	samples_free(v->samples);
	events_free(v->events);
	audit_done(v);
	pace_done(v);
	quotas_free(v->quotas);
	allow_list_free(v->allow);
	explicit_bzero(&v->self, sizeof(v->self));
	substrate_done(&v->substrate);
	substrate_done(&v->declared);
	vned_config_done(&v->config);
	*v = (struct vned){ .exit_code = v->exit_code };
}
