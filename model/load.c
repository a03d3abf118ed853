/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reports of agents: names of states, and the end of their memory. */
#include "model/load.h"

#include <stdlib.h>

const char *const router_state_names[] = {
	[ROUTER_ABSENT] = "absent", [ROUTER_STARTING] = "starting",
	[ROUTER_RUNNING] = "running", [ROUTER_FAILED] = "failed",
};

void load_report_done(struct load_report *r)
{
	free(r->routers);
	free(r->ports);
	free(r->segments);
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
	for (size_t i = 0; i < p->n_uplinks; i++) {
		free(p->uplinks[i].name);
		for (size_t k = 0; k < p->uplinks[i].n_users; k++)
			free(p->uplinks[i].users[k]);
		free(p->uplinks[i].users);
	}
	free(p->uplinks);
	*p = (struct node_probe){ 0 };
}
