/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See txn.h. One function per phase: what an event means there. */
#include "vned/txn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/vec.h"

const char *const txn_phase_names[] = { "new", "preparing", "deciding", "committing", "cleaning", "aborting", "committed", "aborted" };

void txn_init(struct txn *t, size_t n_agents, enum txn_kind kind, int64_t step_ms)
{
	*t = (struct txn){ .kind = kind, .step_ms = step_ms, .prepare_ms = step_ms, .deadline_ms = INT64_MAX, .n_agents = n_agents };
	t->agents = mem_array(n_agents ? n_agents : 1, sizeof(*t->agents));
}

void txn_done(struct txn *t)
{
	free(t->agents);
	t->agents = NULL;
}

bool txn_final(const struct txn *t)
{
	return t->phase == TXN_COMMITTED || t->phase == TXN_ABORTED;
}

bool txn_decided(const struct txn *t)
{
	return t->phase == TXN_COMMITTING || t->phase == TXN_CLEANING || t->phase == TXN_COMMITTED;
}

static void act(struct txn_out *out, enum txn_action_type type, size_t agent)
{
	*vec_add(out) = (struct txn_action){ type, agent };
}

static void say(struct txn *t, int code, const char *format, const char *who, const char *why)
{
	if (t->reason[0])
		return; /* the first reason is the cause, what follows is its consequence */
	mem_auto char *text = mem_printf(format, who, why);
	err_copy(t->reason, sizeof(t->reason), text);
	t->code = code;
}

static size_t count(const struct txn *t, enum txn_agent_state state)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n_agents; i++)
		n += t->agents[i].state == state;
	return n;
}

static int64_t limit_ms(const struct txn *t)
{
	return t->phase == TXN_PREPARING ? t->prepare_ms : t->step_ms;
}

static void enter(struct txn *t, enum txn_phase phase, int64_t now_ms)
{
	t->phase = phase;
	t->deadline_ms = phase == TXN_DECIDING ? INT64_MAX : now_ms + limit_ms(t);
	for (size_t i = 0; i < t->n_agents; i++)
		t->agents[i].state = TXN_AGENT_IDLE;
}

static void end(struct txn *t, enum txn_phase phase, struct txn_out *out)
{
	t->phase = phase;
	t->deadline_ms = INT64_MAX;
	act(out, TXN_ACT_END, 0);
}

/* ---- aborting ------------------------------------------------------------------------------- */

static void abort_if_done(struct txn *t, struct txn_out *out)
{
	if (count(t, TXN_AGENT_ASKED) == 0)
		end(t, TXN_ABORTED, out);
}

static void abort_begin(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	enter(t, TXN_ABORTING, now_ms);
	for (size_t i = 0; i < t->n_agents; i++) {
		if (!t->agents[i].told || !t->agents[i].up)
			continue;
		t->agents[i].state = TXN_AGENT_ASKED;
		act(out, TXN_ACT_ABORT, i);
	}
	abort_if_done(t, out);
}

static void aborting(struct txn *t, const struct txn_event *e, int64_t now_ms, struct txn_out *out)
{
	struct txn_agent *a = &t->agents[e->agent];
	switch (e->type) {
	case TXN_EV_DONE:
		/* a refusal to undo is the agent's to repair: it is not desired there, and reconciled */
		if (e->step == TXN_STEP_ABORT && a->state == TXN_AGENT_ASKED)
			a->state = TXN_AGENT_READY;
		break;
	case TXN_EV_DOWN:
		if (a->state == TXN_AGENT_ASKED)
			a->state = TXN_AGENT_LOST;
		break;
	case TXN_EV_TICK:
		if (now_ms >= t->deadline_ms) {
			end(t, TXN_ABORTED, out);
			return;
		}
		break;
	default:
		break;
	}
	abort_if_done(t, out);
}

/* ---- preparing ------------------------------------------------------------------------------ */

static void decide(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	enter(t, TXN_DECIDING, now_ms);
	act(out, TXN_ACT_DECIDE, 0);
}

static void start(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	enter(t, TXN_PREPARING, now_ms);
	for (size_t i = 0; i < t->n_agents; i++) {
		if (t->kind == TXN_RELEASE || t->agents[i].leaves)
			t->agents[i].state = TXN_AGENT_READY;
		else if (!t->agents[i].up) {
			say(t, -ETIMEDOUT, "node %s: %s", t->agents[i].name, "its agent is not connected");
			abort_begin(t, now_ms, out);
			return;
		}
	}
	if (count(t, TXN_AGENT_READY) == t->n_agents) {
		decide(t, now_ms, out);
		return;
	}
	for (size_t i = 0; i < t->n_agents; i++) {
		if (t->agents[i].state == TXN_AGENT_READY)
			continue;
		t->agents[i].state = TXN_AGENT_ASKED;
		t->agents[i].told = true;
		act(out, TXN_ACT_PREPARE, i);
	}
}

static void late(struct txn *t, const char *what)
{
	size_t n = count(t, TXN_AGENT_ASKED);
	for (size_t i = 0; i < t->n_agents && n > 0; i++) {
		if (t->agents[i].state != TXN_AGENT_ASKED)
			continue;
		char why[128];
		snprintf(why, sizeof(why), "did not %s within %g s%s", what, (double)limit_ms(t) / 1000,
		         n > 1 ? ", nor did others" : "");
		say(t, -ETIMEDOUT, "node %s %s", t->agents[i].name, why);
		return;
	}
}

static void preparing(struct txn *t, const struct txn_event *e, int64_t now_ms, struct txn_out *out)
{
	struct txn_agent *a = &t->agents[e->agent];
	switch (e->type) {
	case TXN_EV_DONE:
		if (e->step != TXN_STEP_PREPARE || a->state != TXN_AGENT_ASKED)
			return;
		if (e->code == 0) {
			a->state = TXN_AGENT_READY;
			if (count(t, TXN_AGENT_READY) == t->n_agents)
				decide(t, now_ms, out);
			return;
		}
		say(t, e->code, "node %s: %s", a->name, e->reason && e->reason[0] ? e->reason : strerror(-e->code));
		break;
	case TXN_EV_DOWN:
		if (a->leaves)
			return;
		say(t, -ETIMEDOUT, "node %s: %s", a->name, "its agent was lost while preparing");
		break;
	case TXN_EV_CANCEL:
		say(t, -ECANCELED, "%s%s", "cancelled", "");
		break;
	case TXN_EV_TICK:
		if (now_ms < t->deadline_ms)
			return;
		late(t, "prepare");
		break;
	default:
		return;
	}
	abort_begin(t, now_ms, out);
}

/* ---- committing, cleaning ------------------------------------------------------------------- */

static void clean_if_done(struct txn *t, struct txn_out *out)
{
	size_t there = 0, away = 0;
	for (size_t i = 0; i < t->n_agents; i++) {
		there += t->agents[i].state == TXN_AGENT_READY;
		/* what has nothing to carry any more is removed when it returns */
		away += t->agents[i].state == TXN_AGENT_LOST && t->agents[i].leaves;
	}
	if (there + away < t->n_agents)
		return;
	t->behind = false;
	end(t, TXN_COMMITTED, out);
}

static void clean_begin(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	enter(t, TXN_CLEANING, now_ms);
	for (size_t i = 0; i < t->n_agents; i++) {
		struct txn_agent *a = &t->agents[i];
		a->state = a->clean ? TXN_AGENT_READY : a->up ? TXN_AGENT_ASKED : TXN_AGENT_LOST;
		if (a->state == TXN_AGENT_ASKED)
			act(out, TXN_ACT_ENSURE, i);
	}
	clean_if_done(t, out);
}

static void commit_if_done(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	size_t there = count(t, TXN_AGENT_READY);
	/* a release does not wait for those who are away: they have nothing to carry any more */
	size_t away = t->kind == TXN_RELEASE ? count(t, TXN_AGENT_LOST) : 0;
	if (there + away < t->n_agents)
		return;
	t->behind = away > 0;
	if (t->kind == TXN_UPDATE)
		clean_begin(t, now_ms, out);
	else
		end(t, TXN_COMMITTED, out);
}

static void commit_begin(struct txn *t, int64_t now_ms, struct txn_out *out)
{
	enter(t, TXN_COMMITTING, now_ms);
	for (size_t i = 0; i < t->n_agents; i++) {
		struct txn_agent *a = &t->agents[i];
		a->state = a->leaves ? TXN_AGENT_READY : a->up ? TXN_AGENT_ASKED : TXN_AGENT_LOST;
		if (a->state != TXN_AGENT_ASKED)
			continue;
		/* what was prepared on an earlier connection may be gone: desired state serves both */
		act(out, t->kind == TXN_RELEASE || a->anew ? TXN_ACT_ENSURE : TXN_ACT_COMMIT, i);
	}
	commit_if_done(t, now_ms, out);
}

static void deciding(struct txn *t, const struct txn_event *e, int64_t now_ms, struct txn_out *out)
{
	switch (e->type) {
	case TXN_EV_STORED:
		commit_begin(t, now_ms, out);
		break;
	case TXN_EV_UNSTORED:
		t->unstored = true;
		say(t, -EIO, "the decision could not be stored%s%s", e->reason && e->reason[0] ? ": " : "", e->reason ? e->reason : "");
		abort_begin(t, now_ms, out);
		break;
	default:
		break;
	}
}

/* COMMITTING and CLEANING: in the one a commit or an ensure is awaited of each, in the other an ensure. */
static void answered(struct txn *t, const struct txn_event *e)
{
	struct txn_agent *a = &t->agents[e->agent];
	bool counts = e->step == TXN_STEP_ENSURE || (e->step == TXN_STEP_COMMIT && t->phase == TXN_COMMITTING);
	if (!counts || a->state == TXN_AGENT_READY || a->state == TXN_AGENT_LOST)
		return;
	a->state = e->code == 0 ? TXN_AGENT_READY : TXN_AGENT_FAILED;
	a->clean = e->code == 0 && e->step == TXN_STEP_ENSURE;
	if (e->code != 0)
		say(t, e->code, "node %s: %s", a->name, e->reason && e->reason[0] ? e->reason : strerror(-e->code));
}

static void out_of_time(struct txn *t, struct txn_out *out)
{
	for (size_t i = 0; i < t->n_agents; i++) {
		if (t->agents[i].state == TXN_AGENT_LOST)
			say(t, -ETIMEDOUT, "node %s: %s", t->agents[i].name, "its agent is not connected");
	}
	late(t, t->phase == TXN_CLEANING ? "remove what was replaced" : "commit");
	t->behind = true;
	end(t, TXN_COMMITTED, out);
}

static void committing(struct txn *t, const struct txn_event *e, int64_t now_ms, struct txn_out *out)
{
	struct txn_agent *a = &t->agents[e->agent];
	switch (e->type) {
	case TXN_EV_DONE:
		answered(t, e);
		break;
	case TXN_EV_DOWN:
		if (a->state != TXN_AGENT_READY)
			a->state = TXN_AGENT_LOST;
		return; /* one that has connected anew is there again at once: whether it is away is looked at with time */
	case TXN_EV_UP:
		if (a->state == TXN_AGENT_READY)
			return;
		a->state = TXN_AGENT_ASKED;
		act(out, TXN_ACT_ENSURE, e->agent);
		break;
	case TXN_EV_TICK:
		if (now_ms < t->deadline_ms)
			break;
		out_of_time(t, out);
		return;
	default:
		return;
	}
	if (t->phase == TXN_CLEANING)
		clean_if_done(t, out);
	else
		commit_if_done(t, now_ms, out);
}

/* ---- the machine ---------------------------------------------------------------------------- */

void txn_step(struct txn *t, const struct txn_event *e, int64_t now_ms, struct txn_out *out)
{
	bool of_agent = e->type == TXN_EV_DONE || e->type == TXN_EV_DOWN || e->type == TXN_EV_UP;
	if (of_agent && e->agent >= t->n_agents)
		return;
	if (e->type == TXN_EV_DOWN) {
		t->agents[e->agent].up = false;
		t->agents[e->agent].anew = true;
	}
	if (e->type == TXN_EV_UP)
		t->agents[e->agent].up = true;
	switch (t->phase) {
	case TXN_NEW:
		if (e->type == TXN_EV_START)
			start(t, now_ms, out);
		break;
	case TXN_PREPARING:
		preparing(t, e, now_ms, out);
		break;
	case TXN_DECIDING:
		deciding(t, e, now_ms, out);
		break;
	case TXN_COMMITTING:
	case TXN_CLEANING:
		committing(t, e, now_ms, out);
		break;
	case TXN_ABORTING:
		aborting(t, e, now_ms, out);
		break;
	case TXN_COMMITTED:
	case TXN_ABORTED:
		break;
	}
}
