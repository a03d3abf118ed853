/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as somebody else's network, by each of the readers and by content. Nothing may crash, what is refused
 * has a reason with its place, and what is taken becomes a substrate and a request that pass their checks, or are
 * refused with a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "origin/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void build(const struct net *net)
{
	const struct net_defaults defaults = { 1000, NET_UNKNOWN, 1000, 0, true, 1000000 };
	struct substrate s = { 0 }, back = { 0 };
	struct request r = { 0 };
	struct err err = { 0 };

	if (net_substrate(net, &defaults, &s, &err) == 0) {
		buf_auto struct buf out = BUF_INIT;
		struct yaml_errors errors = { .file = "written" };
		struct yaml_doc **docs;
		size_t n;

		substrate_write(&s, &out);
		yaml_parse(buf_cstr(&out), out.len, &errors, &docs, &n);
		must(n == 1 && substrate_read(docs[0], &errors, &back) == 0 && errors.n == 0);
		must(back.n_nodes == net->nodes.n && back.n_links == net->links.n);
		yaml_free_docs(docs, n);
		yaml_errors_done(&errors);
	} else
		must(err.text[0]);
	if (net_request(net, &defaults, true, &r, &err) != 0)
		must(err.text[0]);
	substrate_done(&s);
	substrate_done(&back);
	request_done(&r);
}

static void fuzz(const struct import_format *format, const char *text, size_t size)
{
	struct err err = { 0 };
	struct net net;

	if (import_read(format, text, size, "fuzz", &net, &err) == 0)
		build(&net);
	else
		must(strncmp(err.text, "fuzz:", 5) == 0);
	net_done(&net);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = mem_alloc(size + 1); /* as yaml_load_file ends what it reads */

	if (size > 0)
		memcpy(text, data, size);
	fuzz(NULL, text, size);
	for (const struct import_format *f = import_formats; f->name; f++)
		fuzz(f, text, size);
	free(text);
	return 0;
}
