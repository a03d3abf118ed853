/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The substrate as it can be used: what is declared, reduced to what each node's agent has found that it can do. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "vned/vned.h"

int usable_make(struct vned *v, struct err *err)
{
	int r = substrate_copy(&v->substrate, &v->usable, err);
	for (size_t i = 0; r == 0 && i < v->usable.n_nodes; i++) {
		if (!v->usable.nodes[i].realtime_given)
			v->usable.nodes[i].cap[RES_REALTIME_MILLI] = UNLIMITED; /* until its agent has said */
	}
	v->usable_version++;
	return r;
}

/* The kinds that can be placed on a node: declared and usable. */
void usable_kinds(struct vned *v, struct agent *a)
{
	const struct snode *declared = &v->substrate.nodes[a->snode];
	struct snode *usable = &v->usable.nodes[a->snode];
	struct yaml_names kinds = { mem_array(a->probe.n_kinds ? a->probe.n_kinds : 1, sizeof(char *)), 0 };
	for (size_t i = 0; i < a->probe.n_kinds; i++) {
		if (a->probe.kinds[i].usable && snode_hosts(declared, a->probe.kinds[i].kind))
			kinds.v[kinds.n++] = mem_str(a->probe.kinds[i].kind);
	}
	yaml_names_done(&usable->kinds);
	usable->kinds = kinds;
	usable->any_kind = false;
	for (size_t i = 0; i < declared->kinds.n; i++) {
		if (!snode_hosts(usable, declared->kinds.v[i]))
			log_warn("node %s: its agent cannot host %s routers, though the substrate declares them", declared->name,
			         declared->kinds.v[i]);
	}
}

/* The images that a node has: declared ones, or what its agent has found. */
static void reduce_images(struct agent *a, const struct snode *declared, struct snode *usable)
{
	if (!declared->any_image)
		return;
	struct hash *seen = hash_new();
	yaml_names_done(&usable->images);
	usable->any_image = false;
	usable->images.v = mem_array(a->probe.n_images ? a->probe.n_images : 1, sizeof(char *));
	for (size_t i = 0; i < a->probe.n_images; i++) {
		const char *name = a->probe.images[i];
		if (name_check(name, strlen(name), NULL) == 0 && hash_index_put(seen, name, i))
			usable->images.v[usable->images.n++] = mem_str(name);
	}
	hash_free(seen, NULL);
}

/* How routers of a node can forward, and the declared uplinks that its agent has, whoever may use them (admit.c). */
void usable_ways(const struct agent *a, const struct snode *declared, struct snode *usable)
{
	struct hash *seen = hash_new(), *uplinks = hash_new();
	yaml_names_done(&usable->programs);
	yaml_names_done(&usable->uplinks);
	usable->probed = true;
	usable->split = agent_offers(a, "plane-split");
	usable->nat = agent_offers(a, "nat");
	usable->dhcp = agent_offers(a, "dhcp");
	usable->programs.v = mem_array(a->probe.n_programs ? a->probe.n_programs : 1, sizeof(char *));
	for (size_t i = 0; i < a->probe.n_programs; i++) {
		const char *name = a->probe.programs[i];
		if (name_check(name, strlen(name), NULL) == 0 && hash_index_put(seen, name, i))
			usable->programs.v[usable->programs.n++] = mem_str(name);
	}
	for (size_t i = 0; i < a->probe.n_uplinks; i++)
		if (a->probe.uplinks[i].usable)
			hash_index_put(uplinks, a->probe.uplinks[i].name, i);
	usable->uplinks.v = mem_array(declared->uplinks.n ? declared->uplinks.n : 1, sizeof(char *));
	for (size_t i = 0; i < declared->uplinks.n; i++)
		if (hash_index(uplinks, declared->uplinks.v[i]) != SIZE_MAX)
			usable->uplinks.v[usable->uplinks.n++] = mem_str(declared->uplinks.v[i]);
	hash_free(seen, NULL);
	hash_free(uplinks, NULL);
}

/* What guests can have on a node. Declared capacities win over the machine's own. */
void usable_guests(struct vned *v, struct agent *a)
{
	const struct snode *declared = &v->substrate.nodes[a->snode];
	struct snode *usable = &v->usable.nodes[a->snode];
	const struct probe_kind *guest = NULL;
	for (size_t i = 0; i < a->probe.n_kinds; i++)
		if (a->probe.kinds[i].usable && kind_is_guest(a->probe.kinds[i].kind))
			guest = &a->probe.kinds[i];
	memcpy(usable->cap, declared->cap, sizeof(usable->cap));
	usable->max_guest_ports = declared->max_guest_ports;
	if (guest && guest->mem_kib && declared->cap[RES_GUEST_KIB] == UNLIMITED)
		usable->cap[RES_GUEST_KIB] = guest->mem_kib;
	if (guest && guest->routers && declared->cap[RES_GUESTS] == UNLIMITED)
		usable->cap[RES_GUESTS] = guest->routers;
	if (guest && guest->ports && declared->max_guest_ports == UNLIMITED)
		usable->max_guest_ports = guest->ports;
	if (guest && !declared->realtime_given && agent_offers(a, "realtime")) {
		int64_t milli = (int64_t)(guest->cores ? guest->cores : a->probe.cores) * 1000;
		usable->cap[RES_REALTIME_MILLI] = milli < CPU_MAX_MILLI ? milli : CPU_MAX_MILLI;
	}
	reduce_images(a, declared, usable);
	usable_ways(a, declared, usable);
	networks_recount(v, a->snode);
}
