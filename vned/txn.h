/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The transaction: how a network goes from one plan to the next on many agents, all or none.
 *
 * A pure state machine. It is told what happened and says what to do; sockets, timers and the
 * store are its caller's, so that a test can walk through every order of events.
 *
 *   PREPARING  every agent builds its part beside what is there; a refusal, a loss, a cancel
 *              or the time limit leads to ABORTING, the last "done" to
 *   DECIDING   the caller is making the decision to commit durable. From here nothing goes
 *              back, because a crash may find the decision on disk;
 *   COMMITTING every agent switches. One that is lost meanwhile gets the new plan as desired state
 *              when it returns; at the time limit the transaction ends as committed, with the
 *              agents named that are still behind;
 *   CLEANING   of an update: all have switched, so that nobody sends to what was replaced any more, and
 *              every agent removes it: make before break. Nodes that have no part in the new plan have
 *              nothing to prepare or commit, and one of them that is away holds nothing up;
 *   ABORTING   every agent that was told to prepare is told to undo. One that cannot be told
 *              removes it when it returns and finds it is not desired;
 *   then COMMITTED or ABORTED, final.
 *
 * Release (nothing is wanted anywhere any more) has nothing to prepare and cannot be refused: it
 * starts at DECIDING, and agents that are away do not hold it up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum txn_phase { TXN_NEW, TXN_PREPARING, TXN_DECIDING, TXN_COMMITTING, TXN_CLEANING, TXN_ABORTING, TXN_COMMITTED, TXN_ABORTED };
extern const char *const txn_phase_names[];

enum txn_kind { TXN_SUBMIT, TXN_RELEASE, TXN_UPDATE }; /* from nothing, to nothing, from one plan to another */
enum txn_step_kind { TXN_STEP_PREPARE, TXN_STEP_COMMIT, TXN_STEP_ABORT, TXN_STEP_ENSURE };

enum txn_event_type {
	TXN_EV_START,
	TXN_EV_DONE,    /* agent, step, code, reason: the outcome of a command; one not asked for is ignored */
	TXN_EV_DOWN,    /* agent: lost, or its connection began anew */
	TXN_EV_UP,      /* agent: there again */
	TXN_EV_STORED,  /* the decision is durable */
	TXN_EV_UNSTORED,/* it is not and never will be (the store refused or undid it) */
	TXN_EV_CANCEL,
	TXN_EV_TICK     /* time has passed */
};
struct txn_event {
	enum txn_event_type type;
	size_t agent; /* index into txn->agents */
	enum txn_step_kind step;
	int code;
	const char *reason;
};

enum txn_action_type {
	TXN_ACT_PREPARE, TXN_ACT_COMMIT, TXN_ACT_ABORT, /* to agent */
	TXN_ACT_ENSURE,  /* to agent: the new plan as desired state (empty: remove); its done counts as commit, too */
	TXN_ACT_DECIDE,  /* make the decision durable, then TXN_EV_STORED */
	TXN_ACT_END      /* phase is final; txn->reason where aborted or where agents are behind */
};
struct txn_action {
	enum txn_action_type type;
	size_t agent;
};

enum txn_agent_state { TXN_AGENT_IDLE, TXN_AGENT_ASKED, TXN_AGENT_READY, TXN_AGENT_FAILED, TXN_AGENT_LOST };
struct txn_agent {
	enum txn_agent_state state; /* in the current phase */
	bool up;
	bool told;   /* was sent prepare */
	bool anew;   /* its connection began anew since: what it prepared may be gone */
	bool leaves; /* of an update: nothing is wanted there any more; the caller's to set before the start */
	bool clean;  /* holds the new plan and nothing else */
	char name[64]; /* for reasons */
};

struct txn {
	enum txn_phase phase;
	enum txn_kind kind;
	int64_t step_ms;     /* limit of each phase */
	int64_t prepare_ms;  /* but of PREPARING; txn_init sets it to step_ms */
	int64_t deadline_ms; /* of the current one; INT64_MAX: none */
	struct txn_agent *agents;
	size_t n_agents;
	char reason[512];
	bool unstored;       /* aborted because the decision could not be made durable */
	int code;            /* of the reason: -ETIMEDOUT: silence or loss; -ECANCELED; else what the agent said */
	bool behind;         /* COMMITTED, but some agent has not confirmed */
};

struct txn_out { /* what to do, in order */
	struct txn_action *v;
	size_t n, cap;
};

void txn_init(struct txn *t, size_t n_agents, enum txn_kind kind, int64_t step_ms);
void txn_done(struct txn *t);
/* O(agents). Appends to out, which the caller empties. */
void txn_step(struct txn *t, const struct txn_event *event, int64_t now_ms, struct txn_out *out);
bool txn_final(const struct txn *t);
/* Whether the new plan is what should be: from the moment the decision is durable. */
bool txn_decided(const struct txn *t);
