/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How long vned takes from its start to its first connection, with N active networks in its store (default 10000),
 * each of two routers and a link, with a history. One line of JSON.
 *
 *     build/tests/bench/bench_start [NETWORKS] */
#include "tests/help_vned.h"

static const char large_substrate[] =
	"kind: substrate\nname: triangle\nnodes:\n"
	"  - {name: n0, cpu: 100000, address: 192.0.2.1}\n  - {name: n1, cpu: 100000, address: 192.0.2.2}\n"
	"  - {name: n2, cpu: 100000, address: 192.0.2.3}\n"
	"links:\n  - {endpoints: [n0, n1], bandwidth: 1000000mbit}\n  - {endpoints: [n1, n2], bandwidth: 1000000mbit}\n"
	"  - {endpoints: [n2, n0], bandwidth: 1000000mbit}\n";

/* Another network like `first`, under its own name and number, put into the store. */
static void store_one(struct world *w, const struct network *first, int i)
{
	struct vned *v = &w->v;
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	struct request *requests;
	size_t n, history_len;
	buf_auto struct buf yaml = BUF_INIT, value = BUF_INIT;
	mem_auto uint8_t *history = NULL;
	char key[32], past[STORE_KEY_MAX + 1], ids[64];
	request_write(&first->request, &yaml);
	assert_int_equal(request_parse(buf_cstr(&yaml), yaml.len, false, &errors, &requests, &n, &err), 0);
	free(requests[0].name);
	requests[0].name = mem_printf("net%d", i);
	struct network *net = network_new("alice", &requests[0], &err);
	assert_non_null(net);
	request_done(&requests[0]);
	free(requests);
	embedding_done(&net->embedding);
	embedding_copy(&first->embedding, &net->embedding);
	net->id = networks_take_id(v);
	net->generation = 1;
	net->state = NET_ACTIVE;
	struct plan_input in = { .s = &v->substrate, .r = &net->request, .e = &net->embedding, .net = net->id, .generation = 1,
		                     .owner = net->owner, .underlay_mtu = agents_underlay_mtu, .arg = v, .vnis = networks_vni_pool(v) };
	assert_int_equal(plan_make(&in, &net->plan, &err), 0);
	for (size_t k = 0; k < first->n_history; k++)
		history_add(net, first->history[k].state, first->history[k].who, first->history[k].why);
	snprintf(key, sizeof(key), "net/%u", net->id);
	history_key(net, past);
	network_pack(net, &v->substrate, &value);
	history_pack(net, &history, &history_len);
	int len = snprintf(ids, sizeof(ids), "%u %u", v->next_net, v->next_vni);
	struct store_op ops[] = { { key, value.data, value.len }, { past, history, history_len }, { "ids", ids, (size_t)len } };
	assert_int_equal(v->store->driver->batch(v->store, v->store->driver->revision(v->store), ops, 3, NULL, NULL, &err), 0);
	network_free(net);
}

int main(int argc, char **argv)
{
	int networks = argc > 1 ? atoi(argv[1]) : 10000;
	void *state = NULL;
	world_setup(&state);
	struct world *w = state;
	world_close_vned(w);
	write_text(w->dir, "substrate.yaml", large_substrate);
	world_open_vned(w);
	assert_true(world_run(w, all_welcome, 10000));
	client_start(w, &w->admin);
	assert_int_equal(submit(w, world_pair), 0);
	for (int i = 1; i < networks; i++)
		store_one(w, w->v.networks[0], i);
	for (size_t i = 0; i < FAKES; i++)
		fake_stop(&w->fakes[i]);
	world_close_vned(w);
	int64_t start = clock_us();
	world_open_vned(w);
	double seconds = (double)(clock_us() - start) / 1e6;
	assert_int_equal(w->v.n_networks, networks);
	mem_auto char *path = mem_printf("%s/state/store.db", w->dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	printf("{\"networks\": %d, \"bytes\": %lld, \"start_s\": %.3f}\n", networks, (long long)st.st_size, seconds);
	world_teardown(&state);
	return 0;
}
