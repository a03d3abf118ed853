/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may ask what: one table, from the kind of message to the roles that may send it. A message that has no line here is nobody's. What a
 * tenant may see of its answers, networks_resolve and network_visible decide: its own. */
#include <string.h>

#include "base/mem.h"
#include "vned/vned.h"

#define BY(role) (1u << (role))
enum { EVERYBODY = BY(ROLE_ADMIN) | BY(ROLE_TENANT) | BY(ROLE_VIEWER), OWNERS = BY(ROLE_ADMIN) | BY(ROLE_TENANT), OPERATORS = BY(ROLE_ADMIN) };

static const struct right {
	unsigned roles;
	bool changes; /* goes into the audit log */
} rights[MSG_TYPES] = {
	[MSG_HEARTBEAT] = { EVERYBODY, false },
	[MSG_LIST] = { EVERYBODY, false },
	[MSG_SHOW] = { EVERYBODY, false },
	[MSG_NODES] = { EVERYBODY, false },
	[MSG_LINKS] = { EVERYBODY, false },
	[MSG_EVENTS] = { EVERYBODY, false },
	[MSG_HISTORY] = { EVERYBODY, false },
	[MSG_ROUTES] = { EVERYBODY, false },
	[MSG_PLAN] = { EVERYBODY, false },
	[MSG_SERIES] = { EVERYBODY, false },
	[MSG_LOG] = { EVERYBODY, false },
	[MSG_USAGE] = { EVERYBODY, false },
	[MSG_QUOTAS] = { EVERYBODY, false },
	[MSG_SUBMIT] = { OWNERS, true },
	[MSG_UPDATE] = { OWNERS, true },
	[MSG_RELEASE] = { OWNERS, true },
	[MSG_EXEC] = { OWNERS, false }, /* exec.c notes it: it ends otherwise than by a REPLY */
	[MSG_EXEC_INPUT] = { OWNERS, false },
	[MSG_EXEC_EXIT] = { OWNERS, false },
	[MSG_PLANE] = { EVERYBODY, true }, /* reading it is everybody's: see below */
	[MSG_DRAIN] = { OPERATORS, true },
	[MSG_RELOAD] = { OPERATORS, true },
	[MSG_BACKUP] = { OPERATORS, true },
	[MSG_KEYS] = { OPERATORS, true },
};

static struct right right_of(const struct message *m)
{
	struct right r = (unsigned)m->type < MSG_TYPES ? rights[m->type] : (struct right){ 0, false };
	if (m->type == MSG_PLANE && m->u.plane.op != PLANE_GET)
		r.roles = OWNERS;
	if ((m->type == MSG_PLANE && m->u.plane.op == PLANE_GET) || (m->type == MSG_KEYS && m->u.keys.op == KEYS_LIST) ||
	    (m->type == MSG_BACKUP && m->u.backup.offset))
		r.changes = false;
	return r;
}

bool rights_may(enum role role, const struct message *m)
{
	return right_of(m).roles & BY(role);
}

/* What it is about, as far as the message says; the caller frees. */
static char *object_of(const struct message *m)
{
	switch (m->type) {
	case MSG_SUBMIT:
	case MSG_UPDATE:
		return mem_str(m->u.submit.network && m->u.submit.network[0] ? m->u.submit.network : m->u.submit.file);
	case MSG_RELEASE:
		return mem_str(m->u.name.name);
	case MSG_PLANE:
		return mem_printf("%s/%s", m->u.plane.network, m->u.plane.router);
	case MSG_DRAIN:
		return mem_printf("%s%s", m->u.drain.undrain ? "undrain " : "", m->u.drain.node);
	case MSG_KEYS:
		return mem_printf("%s %s", m->u.keys.op == KEYS_ALLOW ? "allow" : m->u.keys.op == KEYS_REVOKE ? "revoke" : "invite", m->u.keys.name);
	default:
		return mem_str("");
	}
}

bool rights_admit(struct vned *v, const struct peer *peer, const struct message *m)
{
	bool may = rights_may(peer->role, m);
	/* what nobody may send is no change that was tried, but noise */
	if (right_of(m).changes || (!may && right_of(m).roles)) {
		mem_auto char *object = object_of(m);
		audit_begin(v, peer, m->sequence, message_type_name(m->type), object);
	}
	if (may)
		return true;
	mem_auto char *why = right_of(m).roles ? mem_printf("role %s may not ask for %s", role_names[peer->role], message_type_name(m->type)) :
	                                         mem_printf("a client does not send %s", message_type_name(m->type));
	api_reply(v, peer, m->sequence, right_of(m).roles ? 1 : 2, why);
	return false;
}

/* A tenant is shown what it may place on, not where agents are nor what others do there. */
void rights_hide_node(const struct vned *v, const struct peer *peer, uint32_t snode, struct node_view *n)
{
	if (peer->role != ROLE_TENANT)
		return;
	n->address[0] = '\0';
	n->cpu_used_ratio = -1;
	n->mem_total_kib = n->mem_used_kib = -1;
	n->routers = n->segments = n->guests = 0;
	for (size_t i = 0; i < v->n_networks; i++) {
		size_t part = network_visible(peer, v->networks[i]) ? network_part(v->networks[i], snode) : SIZE_MAX;
		if (part == SIZE_MAX)
			continue;
		const struct node_plan *np = &v->networks[i]->plan.nodes[part];
		n->routers += np->n_routers;
		n->segments += np->n_segments;
		for (size_t k = 0; k < np->n_routers; k++)
			n->guests += kind_is_guest(np->routers[k].kind);
	}
}

void rights_hide_slink(const struct peer *peer, struct slink_view *l)
{
	if (peer->role != ROLE_TENANT)
		return;
	l->mbit_now[0] = l->mbit_now[1] = -1;
	l->segments = 0;
}
