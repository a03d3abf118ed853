/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An embedding, what is left of a substrate, and the checker that nobody's answer gets around. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/request.h"
#include "model/substrate.h"

enum { PATHS_MAX = 8 };

struct path {
	uint32_t *links; /* substrate links from the host of the first endpoint to that of the second */
	size_t n;
	int64_t bw_kbps;
};

struct vlink_map {
	struct path *paths; /* none where both routers are on one node */
	size_t n_paths;
	struct path backup; /* n == 0: none */
};

struct embedding {
	uint32_t *host; /* per virtual node: substrate node */
	char **kind;    /* per virtual node: router kind, owned */
	struct vlink_map *links; /* per virtual link */
	size_t n_nodes, n_links;
};

void embedding_init(struct embedding *e, size_t n_nodes, size_t n_links); /* hosts UINT32_MAX */
void embedding_done(struct embedding *e);
void embedding_copy(const struct embedding *from, struct embedding *ret);
/* Fills kind[] where NULL: the request's; else netns if the host has it, else the host's first kind. */
void embedding_choose_kinds(struct embedding *e, const struct substrate *s, const struct request *r);

/* What virtual node i takes of its host, being of the kind chosen for it. */
void embedding_takes(const struct request *r, const struct embedding *e, size_t i, int64_t ret[RES_COUNT]);

/* What is left. Best effort takes nothing. */
struct residual {
	int64_t (*node)[RES_COUNT]; /* UNLIMITED stays UNLIMITED */
	int64_t *link_kbps;
	size_t n_nodes, n_links;
};
void residual_init(struct residual *left, const struct substrate *s); /* all of it */
void residual_node(const struct snode *n, int64_t left[RES_COUNT]); /* all of one node */
void residual_done(struct residual *left);
void residual_copy(const struct residual *from, struct residual *ret);
/* Takes an embedding away, or gives it back. The caller has checked that it fits. */
void residual_take(struct residual *left, const struct request *r, const struct embedding *e);
void residual_give(struct residual *left, const struct request *r, const struct embedding *e);

/* Accepts or refuses an embedding of r onto what is left of s by every rule of formats.md,
 * "Embedding, exactly"; -EINVAL with the first rule broken and where. Indices out of range are
 * found before they are used, so it may be handed anything. Independent of every solver.
 * O(substrate + request + total length of paths), plus O(risks) for protected links, and for best-effort
 * ones a search of the substrate whenever the first endpoint's host is another than the one before. */
int embedding_check(const struct substrate *s, const struct residual *left, const struct request *r,
                    const struct embedding *e, struct err *err) VNE_MUST;
/* The same for one that was right when it was made: best effort may take more hops than the fewest that there are by now. */
int embedding_check_standing(const struct substrate *s, const struct residual *left, const struct request *r,
                             const struct embedding *e, struct err *err) VNE_MUST;

/* Cost in nano-units: Σ milli-cores × cost_micro + Σ kbit/s carried × cost_micro (backups
 * included), formats.md. Saturates at INT64_MAX. */
int64_t embedding_cost_nano(const struct substrate *s, const struct request *r, const struct embedding *e);
double nano_to_units(int64_t nano);

int64_t path_delay_us(const struct substrate *s, const struct path *p);
/* The nodes along a path that begins at `from`: n + 1 indices into `via`; -EINVAL where links do not join. */
int path_via(const struct substrate *s, uint32_t from, const struct path *p, uint32_t *via, struct err *err) VNE_MUST;

/* The answer of a solver to one request. */
enum solve_status { SOLVE_OPTIMAL, SOLVE_FEASIBLE, SOLVE_INFEASIBLE, SOLVE_REFUSED, SOLVE_UNKNOWN };
enum solve_scope { SCOPE_UNSAID, SCOPE_NOW, SCOPE_NEVER };
extern const char *const solve_status_names[]; /* optimal, feasible, infeasible, refused, unknown */

struct solution {
	enum solve_status status;
	enum solve_scope scope; /* with INFEASIBLE */
	bool has_embedding;     /* with OPTIMAL, FEASIBLE */
	struct embedding embedding;
	double cost, objective;   /* objective == cost unless it is `balance` */
	bool has_bound;
	double bound;             /* valid lower bound of the objective */
	double seconds;
	char solver[32];          /* which gave the answer: exact, heuristic, mip … */
	char reason[1024];        /* with INFEASIBLE, REFUSED, UNKNOWN */
	char relax[256];          /* beside the reason: the smallest single change found that makes it fit; "": none */
	uint64_t work;            /* arcs looked at: what effort counts; same seed and effort, same work */
};
void solution_done(struct solution *s);
bool solution_gap(const struct solution *s, double *ret); /* false where not known */
