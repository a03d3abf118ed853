/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reports of agents: names of states, and the end of their memory. */
#include "model/load.h"

#include <stdlib.h>

const char *const router_state_names[] = {
	[ROUTER_ABSENT] = "absent", [ROUTER_STARTING] = "starting",
	[ROUTER_RUNNING] = "running", [ROUTER_FAILED] = "failed",
};

static void uplinks_done(struct probe_uplink *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		for (size_t k = 0; k < v[i].n_users; k++)
			free(v[i].users[k]);
		free(v[i].users);
	}
	free(v);
}

void load_report_done(struct load_report *r)
{
	uplinks_done(r->uplinks, r->n_uplinks);
	free(r->routers);
	free(r->ports);
	free(r->segments);
	for (size_t i = 0; i < r->n_down; i++)
		free(r->down[i]);
	free(r->down);
	*r = (struct load_report){ 0 };
}

void node_probe_done(struct node_probe *p)
{
	free(p->kinds);
	free(p->features);
	free(p->mtus);
	for (size_t i = 0; i < p->n_images; i++)
		free(p->images[i]);
	free(p->images);
	for (size_t i = 0; i < p->n_programs; i++)
		free(p->programs[i]);
	free(p->programs);
	uplinks_done(p->uplinks, p->n_uplinks);
	*p = (struct node_probe){ 0 };
}
