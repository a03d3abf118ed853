/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views: names of states, and the end of their memory. */
#include "model/view.h"

#include <stdlib.h>

const char *const net_state_names[NET_STATES] = {
	[NET_PLANNED] = "planned",       [NET_PREPARING] = "preparing", [NET_COMMITTING] = "committing",
	[NET_ACTIVE] = "active",         [NET_DEGRADED] = "degraded",   [NET_UPDATING] = "updating",
	[NET_RELEASING] = "releasing",   [NET_RELEASED] = "released",   [NET_REJECTED] = "rejected",
	[NET_FAILED] = "failed",
};

static void router_view_done(struct router_view *v)
{
	free(v->name);
	free(v->node);
	free(v->kind);
	free(v->state);
	free(v->reason);
	free(v->loopback);
	free(v->image);
	free(v->plane);
	free(v->program);
	free(v->controller);
	free(v->uplinks);
}

static void vlink_view_done(struct vlink_view *v)
{
	free(v->name);
	free(v->a);
	free(v->b);
	free(v->address_a);
	free(v->address_b);
	free(v->in_use);
	for (size_t i = 0; v->paths && i < v->n_paths; i++) {
		free(v->paths[i].via);
		free(v->paths[i].links);
	}
	free(v->paths);
}

void network_view_done(struct network_view *v)
{
	/* the counts stand in a list's entry too, where the arrays do not */
	for (size_t i = 0; v->routers && i < v->n_routers; i++)
		router_view_done(&v->routers[i]);
	for (size_t i = 0; v->links && i < v->n_links; i++)
		vlink_view_done(&v->links[i]);
	for (size_t i = 0; v->uplinks && i < v->n_uplinks; i++) {
		free(v->uplinks[i].router);
		free(v->uplinks[i].port);
		free(v->uplinks[i].address);
		free(v->uplinks[i].gateway);
	}
	for (size_t i = 0; v->changes && i < v->n_changes; i++) {
		free(v->changes[i].name);
		free(v->changes[i].what);
	}
	free(v->changes);
	free(v->uplinks);
	free(v->routers);
	free(v->links);
	free(v->owner);
	free(v->name);
	free(v->reason);
	free(v->solver);
	free(v->status);
	*v = (struct network_view){ 0 };
}

void node_view_done(struct node_view *v)
{
	free(v->name);
	free(v->state);
	free(v->kinds);
	free(v->address);
	free(v->lacks);
	free(v->images);
	free(v->uplinks);
	free(v->programs);
	*v = (struct node_view){ 0 };
}

void slink_view_done(struct slink_view *v)
{
	free(v->name);
	free(v->a);
	free(v->b);
	free(v->lost);
	*v = (struct slink_view){ 0 };
}

void event_view_done(struct event_view *v)
{
	free(v->kind);
	free(v->object);
	free(v->what);
	*v = (struct event_view){ 0 };
}

void history_view_done(struct history_view *v)
{
	free(v->network);
	free(v->who);
	free(v->why);
	*v = (struct history_view){ 0 };
}

void routes_view_done(struct routes_view *v)
{
	for (size_t i = 0; i < v->n_neighbours; i++) {
		free(v->neighbours[i].router);
		free(v->neighbours[i].device);
		free(v->neighbours[i].state);
	}
	for (size_t i = 0; i < v->n_routes; i++) {
		free(v->routes[i].to);
		free(v->routes[i].via);
		free(v->routes[i].device);
		free(v->routes[i].protocol);
	}
	free(v->neighbours);
	free(v->routes);
	free(v->router);
	free(v->node);
	free(v->why);
	*v = (struct routes_view){ 0 };
}

void series_view_done(struct series_view *v)
{
	for (size_t i = 0; i < v->n_columns; i++)
		free(v->columns[i]);
	free(v->columns);
	free(v->points);
	free(v->of);
	*v = (struct series_view){ 0 };
}

void key_view_done(struct key_view *v)
{
	free(v->name);
	free(v->role);
	free(v->node);
	free(v->fingerprint);
	*v = (struct key_view){ 0 };
}

void log_view_done(struct log_view *v)
{
	free(v->who);
	free(v->role);
	free(v->from);
	free(v->what);
	free(v->object);
	free(v->result);
	*v = (struct log_view){ 0 };
}

void usage_view_done(struct usage_view *v)
{
	free(v->owner);
	*v = (struct usage_view){ 0 };
}

void quota_view_done(struct quota_view *v)
{
	free(v->tenant);
	*v = (struct quota_view){ 0 };
}
