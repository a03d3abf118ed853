/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a file: parsed, read as a substrate and as requests. Nothing may crash, what is
 * refused has at least one error, and what is taken reads back from what is written. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/request.h"
#include "model/substrate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void fuzz_substrate(const char *text, size_t size)
{
	struct yaml_errors errors = {.file = "fuzz"};
	struct yaml_doc **docs;
	size_t n;

	yaml_parse(text, size, &errors, &docs, &n);
	for (size_t i = 0; i < n; i++) {
		struct buf out = BUF_INIT;
		struct substrate s, copy;
		size_t before = errors.n;

		if (substrate_read(docs[i], &errors, &s) < 0) {
			must(errors.n > before || errors.n);
			continue;
		}
		struct err err = {0};

		must(substrate_copy(&s, &copy, &err) == 0);
		substrate_write(&s, &out);
		struct yaml_errors again = {.file = "again"};
		struct yaml_doc **written;
		struct substrate back;
		size_t n_written;

		yaml_parse(buf_cstr(&out), out.len, &again, &written, &n_written);
		must(n_written == 1 && substrate_read(written[0], &again, &back) == 0 && !again.n);
		must(back.n_nodes == s.n_nodes && back.n_links == s.n_links);
		yaml_free_docs(written, n_written);
		yaml_errors_done(&again);
		substrate_done(&back);
		substrate_done(&copy);
		substrate_done(&s);
		buf_done(&out);
	}
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
}

static void fuzz_request(const char *text, size_t size, bool trace)
{
	struct yaml_errors errors = {.file = "fuzz"};
	struct request *requests;
	struct err err = {0};
	size_t n;

	if (request_parse(text, size, trace, &errors, &requests, &n, &err) < 0) {
		must(errors.n && errors.text.len && err.text[0]);
	} else {
		for (size_t i = 0; i < n; i++) {
			struct yaml_errors again = {.file = "again"};
			struct buf out = BUF_INIT;
			struct request *back;
			size_t one;

			request_write(&requests[i], &out);
			must(request_parse(buf_cstr(&out), out.len, trace, &again, &back, &one, &err) == 0 && one == 1);
			must(back[0].n_nodes == requests[i].n_nodes && back[0].n_links == requests[i].n_links);
			request_done(&back[0]);
			free(back);
			request_done(&requests[i]);
			buf_done(&out);
			yaml_errors_done(&again);
		}
		free(requests);
	}
	yaml_errors_done(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_dup(data, size); /* its own block, so that reading past its end shows */

	fuzz_substrate(text, size);
	fuzz_request(text, size, false);
	fuzz_request(text, size, true);
	free(text);
	return 0;
}
