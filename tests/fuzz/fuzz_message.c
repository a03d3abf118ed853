/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a message between hosts, as a plan in a file, as a job or an answer of a solver. Nothing
 * may crash; what is believed packs, and reads back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"
#include "proto/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void fuzz_message(const uint8_t *data, size_t size)
{
	struct err err = { 0 };
	struct message m, back;
	uint8_t *once, *twice;
	size_t once_len, twice_len;
	if (message_unpack(data, size, &m, &err) < 0) {
		must(err.text[0] != '\0');
		return;
	}
	message_pack(&m, &once, &once_len);
	must(message_unpack(once, once_len, &back, &err) == 0);
	message_pack(&back, &twice, &twice_len);
	must(once_len == twice_len && memcmp(once, twice, once_len) == 0);
	if (m.type == MSG_PREPARE && node_plan_check(&m.u.plan, &err) < 0)
		must(err.text[0] != '\0');
	message_done(&m);
	message_done(&back);
	free(once);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_plan plan;
	struct worker_job job;
	struct worker_answer answer;
	fuzz_message(data, size);
	if (node_plan_unpack(data, size, &plan, NULL) == 0)
		node_plan_done(&plan);
	if (worker_job_unpack(data, size, NULL, &job, NULL) == 0)
		worker_job_done(&job);
	if (worker_answer_unpack(data, size, &answer, NULL) == 0)
		worker_answer_done(&answer);
	return 0;
}
