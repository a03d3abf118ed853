/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far the search is, on one line of a terminal that is written over and in the end wiped. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/loop.h"
#include "model/embedding.h"
#include "tools/vnembed/vnembed.h"

enum { EVERY_MS = 100, FIRST_MS = 300 }; /* what is done sooner needs no line */

static bool tell(void *arg, const struct solution *best)
{
	struct status *status = arg;
	int64_t now = clock_ms();
	double gap;

	if (now < status->told_ms)
		return true;
	status->told_ms = now + EVERY_MS;
	status->shown = true;
	fprintf(stderr, "\r%.60s: ", status->name);
	if (best->has_embedding)
		fprintf(stderr, "%.10g found, ", best->objective);
	fprintf(stderr, "at least %.10g", best->bound);
	if (solution_gap(best, &gap))
		fprintf(stderr, ", gap %.2g %%", 100 * gap);
	fprintf(stderr, ", %.1f s\033[K", best->seconds);
	fflush(stderr);
	return true;
}

void status_begin(struct status *status, const char *name, struct embed_options *options)
{
	*status = (struct status){ .on = isatty(STDERR_FILENO), .name = name, .told_ms = clock_ms() + FIRST_MS };
	options->progress = status->on ? tell : NULL;
	options->arg = status;
}

void status_end(struct status *status)
{
	if (status->shown)
		fprintf(stderr, "\r\033[K");
	status->shown = false;
}
