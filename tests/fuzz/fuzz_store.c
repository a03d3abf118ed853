/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as what the store holds: a network's record, a history, a journal of an older release, lines of the audit log and of use. Nothing may
 * crash; a network that is believed is one that can stand (its parts belong to it), and packs to a record that reads back. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "model/substrate.h"
#include "vned/journal.h"
#include "vned/store_db.h"
#include "vned/vned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "kind: substrate\nname: s\nnodes:\n  - {name: a, cpu: 4}\n  - {name: b, cpu: 4}\n  - {name: c, cpu: 4}\n"
                           "links:\n  - {endpoints: [a, b], bandwidth: 100mbit}\n  - {endpoints: [b, c], bandwidth: 100mbit}\n";
static struct substrate substrate;
static char dir[] = "/dev/shm/fuzz-store-XXXXXX"; /* memory: nothing here is to outlive us */

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void leave(void)
{
	mem_auto char *journal = mem_printf("%s/journal", dir), *log = mem_printf("%s/log", dir);
	unlink(journal);
	unlink(log);
	rmdir(dir);
}

static void begin(void)
{
	struct yaml_errors errors = { 0 };
	struct yaml_doc **docs;
	size_t n;
	log_open("fuzz", LOG_LEVEL_NONE);
	yaml_parse(text, strlen(text), &errors, &docs, &n);
	must(n == 1 && substrate_read(docs[0], &errors, &substrate) == 0);
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
	must(mkdtemp(dir) != NULL);
	atexit(leave);
}

static void record(const uint8_t *data, size_t size)
{
	struct network *net, *back;
	struct err err = { 0 };
	buf_auto struct buf out = BUF_INIT;
	if (network_unpack(data, size, &substrate, &net, &err) < 0) {
		must(err.text[0]);
		return;
	}
	must(net->id && net->owner && net->name && net->embedding.host);
	for (size_t i = 0; i < net->plan.n_nodes; i++)
		must(net->plan.snode[i] < substrate.n_nodes && net->plan.nodes[i].net == net->id);
	network_pack(net, &substrate, &out);
	must(network_unpack(out.data, out.len, &substrate, &back, &err) == 0);
	must(back->id == net->id && back->plan.n_nodes == net->plan.n_nodes);
	network_free(back);
	network_free(net);
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void count(void *arg, uint64_t wall_ms, char *const fields[], size_t n)
{
	size_t *seen = arg;
	must(n > 0 && n <= JOURNAL_FIELDS);
	for (size_t i = 0; i < n; i++)
		*seen += strlen(fields[i]) + (size_t)wall_ms % 2;
}

static void lines(const uint8_t *data, size_t size)
{
	mem_auto char *path = mem_printf("%s/log", dir);
	struct journal *j;
	struct err err = { 0 };
	size_t seen = 0;
	write_file(path, data, size);
	if (journal_open(path, &j, &err) < 0)
		return;
	const char *const fields[] = { "a\tb\n", "" };
	must(journal_add(j, 1, fields, 2, &err) == 0);
	uint64_t at = journal_seek(j, journal_last_ms(j)), next = at;
	do
		must(journal_read(j, at = next, count, &seen, &next, &err) == 0);
	while (next != at);
	must(seen > 0); /* what was added is there, whatever was before it */
	journal_close(j);
}

static void old_journal(const uint8_t *data, size_t size)
{
	mem_auto char *path = mem_printf("%s/journal", dir);
	struct store_table *table = store_table_new();
	struct err err = { 0 };
	uint64_t revision = 0;
	bool found = false;
	write_file(path, data, size);
	must(store_import(dir, table, &revision, &found, &err) == 0 || err.text[0]);
	store_table_free(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m;
	if (!substrate.n_nodes)
		begin();
	if (!size)
		return 0;
	switch (data[0] % 4) {
	case 0:
		lines(data + 1, size - 1);
		break;
	case 1:
		old_journal(data + 1, size - 1);
		break;
	case 2:
		if (message_unpack(data + 1, size - 1, &m, NULL) == 0)
			message_done(&m);
		break;
	default:
		record(data + 1, size - 1);
	}
	return 0;
}
