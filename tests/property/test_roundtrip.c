/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is written reads back the same: random quantities, substrates and requests. And whatever
 * bytes of a file are changed, it is either taken or refused with at least one error. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "model/request_rules.h"
#include "tests/help_model.h"

/* xorshift64*: the same on every machine; the seed of a case is told when it fails. */
static uint64_t seed;

static uint64_t rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * UINT64_C(2685821657736338717);
}

static uint64_t below(uint64_t n)
{
	return rnd() % n;
}

static bool chance(unsigned int percent)
{
	return below(100) < percent;
}

static int64_t amount(int64_t max)
{
	/* as often small as large, and round as often as not */
	int64_t value = (int64_t)(rnd() >> 1 >> below(63)) % (max + 1);
	int64_t power = 1;

	for (uint64_t i = below(12); i; i--)
		power *= 10;
	return chance(50) ? value : value - value % power;
}

static void test_quantities(void **state)
{
	static const struct {
		int (*read)(const char *text, int64_t *ret, struct err *err);
		const char *(*text)(int64_t value, char text[static UNITS_TEXT]);
		int64_t max;
	} all[] = {
		{units_bandwidth, units_bandwidth_text, BW_MAX_KBPS}, {units_delay, units_delay_text, DELAY_MAX_US},
		{units_duration, units_duration_text, DURATION_MAX_US}, {units_memory, units_memory_text, MEM_MAX_KIB},
		{units_cpu, units_cpu_text, CPU_MAX_MILLI},             {units_cost, units_cost_text, COST_MAX_MICRO},
	};

	seed = 1;
	for (size_t q = 0; q < ARRAY_LEN(all); q++)
		for (int i = 0; i < 20000; i++) {
			int64_t value = i == 0 ? 0 : i == 1 ? all[q].max : amount(all[q].max), got = -1;
			char text[UNITS_TEXT];
			struct err err = {0};

			if (all[q].read(all[q].text(value, text), &got, &err) < 0 || got != value)
				fail_msg("%" PRId64 " was written as %s and read as %" PRId64 ": %s", value, text, got, err.text);
		}
	for (int i = 0; i < 20000; i++) {
		char text[UNITS_TEXT];
		uint64_t bits = rnd();
		double value, got;
		struct err err = {0};

		memcpy(&value, &bits, sizeof(value));
		if (value - value != 0) /* infinite or none */
			continue;
		assert_int_equal(units_number(units_number_text(value, text), &got, &err), 0);
		assert_memory_equal(&got, &value, sizeof(value));
	}
}

/* ---- random parts ---- */

static char *random_name(size_t number)
{
	static const char *const stems[] = {"n", "true", "null", "0", "a-b", "No", "_"};

	return mem_printf("%s%s%zu", chance(20) ? "y" : "x", stems[below(ARRAY_LEN(stems))], number);
}

static char *random_text(void)
{
	static const char *const texts[] = {"",  "~", "south", "a: b", "x\ny", "\"q\"", "ä€😀", "#", "\\", "- a", " ", "{}",
	                                    "\xc2\x85", "true", "12"};

	return mem_str(texts[below(ARRAY_LEN(texts))]);
}

static struct yaml_names random_names(size_t most)
{
	struct yaml_names names = {.n = below(most + 1)};

	names.v = mem_array(names.n, sizeof(*names.v));
	for (size_t i = 0; i < names.n; i++)
		names.v[i] = random_name(i);
	return names;
}

static struct coords random_coords(void)
{
	struct coords c = {.kind = (enum coords_kind)below(3)};

	c.a = (double)(int64_t)below(1800001) / 10000 - 90;
	c.b = (double)(int64_t)below(3600001) / 10000 - 180;
	if (chance(20) && c.kind != COORDS_NONE)
		c.a = c.a / 3;
	return c;
}

static void random_labels(struct label **labels, size_t *n)
{
	*n = below(3);
	*labels = *n ? mem_array(*n, sizeof(**labels)) : NULL;
	for (size_t i = 0; i < *n; i++)
		(*labels)[i] = (struct label){random_name(i), random_text()};
}

static struct addr random_host(void)
{
	struct addr a = {.family = chance(50) ? AF_INET : AF_INET6};

	a.prefix = a.family == AF_INET ? 32 : 128;
	for (int i = 0; i < a.prefix / 8; i++)
		a.bytes[i] = (uint8_t)rnd();
	return a;
}

/* Ends of link i. Whether its name is the default one, which *used (bit 8a + b) has not seen yet. */
static bool random_ends(size_t n_nodes, uint64_t *used, uint32_t *a, uint32_t *b)
{
	*a = (uint32_t)below(n_nodes);
	*b = (uint32_t)((*a + 1 + below(n_nodes - 1)) % n_nodes);
	uint64_t bit = UINT64_C(1) << (8 * *a + *b);
	bool plain = !(*used & bit) && chance(50);

	*used |= bit;
	return plain;
}

static struct substrate random_substrate(void)
{
	struct substrate s = {.name = random_name(0), .n_nodes = 1 + below(8)};
	uint64_t used = 0;

	s.nodes = mem_array(s.n_nodes, sizeof(*s.nodes));
	for (size_t i = 0; i < s.n_nodes; i++) {
		struct snode *n = &s.nodes[i];

		n->name = random_name(i);
		n->cap[RES_CPU_MILLI] = amount(CPU_MAX_MILLI);
		n->cap[RES_MEM_KIB] = chance(50) ? UNLIMITED : amount(MEM_MAX_KIB);
		n->cap[RES_ROUTERS] = chance(50) ? UNLIMITED : amount(1000);
		n->cap[RES_PORTS] = chance(50) ? UNLIMITED : amount(1000);
		n->cap[RES_GUEST_KIB] = chance(50) ? UNLIMITED : amount(MEM_MAX_KIB);
		n->cap[RES_GUESTS] = chance(50) ? UNLIMITED : amount(1000);
		n->realtime_given = chance(50);
		n->cap[RES_REALTIME_MILLI] = n->realtime_given ? amount(CPU_MAX_MILLI) : 0;
		n->max_guest_ports = chance(50) ? UNLIMITED : amount(1000);
		n->any_image = chance(50);
		n->images = n->any_image ? (struct yaml_names){0} : random_names(3);
		n->agent = chance(80);
		n->any_kind = chance(50);
		n->kinds = n->any_kind || !n->agent ? (struct yaml_names){0} : random_names(3);
		n->uplinks = random_names(2);
		n->coords = random_coords();
		n->cost_micro = chance(50) ? 1000000 : amount(COST_MAX_MICRO);
		random_labels(&n->labels, &n->n_labels);
		if (chance(50))
			n->address = random_host();
	}
	s.n_links = s.n_nodes > 1 ? below(12) : 0;
	s.links = mem_array(s.n_links, sizeof(*s.links));
	for (size_t i = 0; i < s.n_links; i++) {
		struct slink *l = &s.links[i];

		l->name = random_ends(s.n_nodes, &used, &l->a, &l->b)
		                  ? mem_printf("%s-%s", s.nodes[l->a].name, s.nodes[l->b].name)
		                  : mem_printf("l%zu", i);
		l->bw_kbps = amount(BW_MAX_KBPS);
		l->delay_us = chance(30) ? 0 : amount(DELAY_MAX_US);
		l->cost_micro = chance(50) ? 1000000 : amount(COST_MAX_MICRO);
		l->risks = random_names(3);
		if (chance(50)) {
			l->underlay[0] = l->underlay[1] = random_host();
			l->underlay[1].bytes[1] ^= 1;
		}
	}
	return s;
}

static struct place random_place(void)
{
	struct place p = {.on = random_names(2), .not_on = random_names(2)};

	p.near = random_coords();
	p.has_near = p.near.kind != COORDS_NONE;
	p.within = p.has_near ? (double)below(100000) / 7 : 0;
	if (p.has_near && chance(10))
		p.within = 1e25;
	random_labels(&p.labels, &p.n_labels);
	return p;
}

/* An address that a router can have, and often another one as its gateway. */
static void random_uplink(struct vuplink *u)
{
	do {
		u->address = random_host();
		u->address.prefix = (uint8_t)below(u->address.prefix + 1U);
	} while (uplink_check(u, NULL) < 0);
	if (chance(50))
		return;
	u->gateway = u->address;
	u->gateway.prefix = u->address.family == AF_INET ? 32 : 128;
	u->gateway.bytes[u->address.family == AF_INET ? 3 : 15] ^= (uint8_t)(1 << below(8));
	if (uplink_check(u, NULL) < 0)
		u->gateway = (struct addr){0};
}

/* A plane that the kind can have, or a switch without any. */
static void random_plane(struct vnode *n, size_t i)
{
	static const char *const kinds[] = {"netns", KIND_OPENFLOW, KIND_SWITCH};

	if (!n->image && chance(40)) {
		free(n->kind);
		n->kind = chance(30) ? NULL : mem_str(kinds[below(i ? 2 : 3)]); /* one bridge: two might be in a ring */
	}
	if (kind_is_switch(n->kind)) {
		for (size_t k = 0; k < n->n_uplinks; k++)
			free(n->uplinks[k].port);
		n->n_uplinks = 0;
		if (strcmp(n->kind, KIND_OPENFLOW) == 0 && chance(70))
			n->controller = mem_str(chance(50) ? "tcp:192.0.2.1:6653" : "tcp:[2001:db8::1]:1");
		return;
	}
	n->plane = (enum plane)below(5);
	if ((n->kind && !plane_fits(n->plane, n->kind)) || (n->plane == PLANE_KERNEL && n->image))
		n->plane = PLANE_DEFAULT;
	if (n->plane == PLANE_PROGRAM)
		n->program = random_name(3);
}

static struct vnode random_vnode(size_t i)
{
	struct vnode n = {.name = random_name(i), .kind = chance(50) ? random_name(7) : NULL, .place = random_place()};

	n.demand[RES_CPU_MILLI] = amount(CPU_MAX_MILLI);
	n.demand[RES_MEM_KIB] = chance(30) ? 0 : amount(MEM_MAX_KIB);
	if (chance(30)) {
		free(n.kind);
		n.kind = mem_str(KIND_GUEST);
		n.image = chance(50) ? random_name(i) : NULL;
	}
	if (n.image && chance(50)) {
		n.rt_period_us = RT_PERIOD_MIN_US + amount(RT_PERIOD_MAX_US - RT_PERIOD_MIN_US);
		n.rt_budget_us = RT_BUDGET_MIN_US + amount(n.rt_period_us - RT_BUDGET_MIN_US);
	}
	n.n_uplinks = below(3);
	n.uplinks = mem_array(n.n_uplinks, sizeof(*n.uplinks));
	for (size_t k = 0; k < n.n_uplinks; k++) {
		n.uplinks[k].port = random_name(k);
		if (chance(70))
			random_uplink(&n.uplinks[k]);
	}
	random_plane(&n, i);
	const char *kind = n.kind ? n.kind : vnode_kind_implied(&n);
	for (size_t k = 0; kind && kind_is_guest(kind) && k < n.n_uplinks; k++)
		random_uplink(&n.uplinks[k]);
	bool by_kernel = !(kind && kind_is_guest(kind)) && n.plane != PLANE_SPLIT && n.plane != PLANE_PROGRAM;
	for (size_t k = 0; by_kernel && k < n.n_uplinks; k++)
		n.uplinks[k].nat = chance(30);
	return n;
}

static struct request random_request(void)
{
	struct request r = {
		.name = random_name(0),
		.arrival_us = -1,
		.lifetime_us = chance(50) ? -1 : 1 + amount(DURATION_MAX_US - 1),
		.priority_micro = chance(50) ? 1000000 : 1 + amount(COST_MAX_MICRO - 1),
		.placement = (enum placement)below(2),
		.routing = (enum routing)below(3),
		.n_nodes = 1 + below(8),
	};
	uint64_t used = 0;

	if (chance(50)) {
		r.pool_loopbacks = random_host();
		r.pool_loopbacks.prefix = r.pool_loopbacks.family == AF_INET ? 24 : 64;
		/* What routers can have, apart from the links' default 10.64.0.0/12. */
		r.pool_loopbacks.bytes[0] = r.pool_loopbacks.family == AF_INET ? (uint8_t)(11 + below(100)) : (uint8_t)(0x20 + below(0x20));
		addr_network(&r.pool_loopbacks, &r.pool_loopbacks);
		if (r.pool_loopbacks.family == AF_INET6 && r.routing == ROUTING_STATIC)
			r.pool_links = (struct addr){ AF_INET6, 64, { 0xfd, (uint8_t)rnd() } };
	}
	r.nodes = mem_array(r.n_nodes, sizeof(*r.nodes));
	for (size_t i = 0; i < r.n_nodes; i++)
		r.nodes[i] = random_vnode(i);
	r.n_links = r.n_nodes > 1 ? below(12) : 0;
	r.links = mem_array(r.n_links, sizeof(*r.links));
	for (size_t i = 0; i < r.n_links; i++) {
		struct vlink *l = &r.links[i];

		l->name = random_ends(r.n_nodes, &used, &l->a, &l->b)
		                  ? mem_printf("%s-%s", r.nodes[l->a].name, r.nodes[l->b].name)
		                  : mem_printf("l%zu", i);
		l->bw_kbps = amount(BW_MAX_KBPS);
		l->max_delay_us = chance(50) ? -1 : amount(DELAY_MAX_US);
		l->split = chance(30);
		l->protect = !l->split && chance(30);
	}
	return r;
}

/* ---- equality ---- */

static bool names_equal(const struct yaml_names *a, const struct yaml_names *b)
{
	bool equal = a->n == b->n;

	for (size_t i = 0; i < a->n && equal; i++)
		equal = strcmp(a->v[i], b->v[i]) == 0;
	return equal;
}

static bool labels_equal(const struct label *a, size_t na, const struct label *b, size_t nb)
{
	bool equal = na == nb;

	for (size_t i = 0; i < na && equal; i++)
		equal = strcmp(a[i].key, b[i].key) == 0 && strcmp(a[i].value, b[i].value) == 0;
	return equal;
}

static bool coords_equal(const struct coords *a, const struct coords *b)
{
	return a->kind == b->kind && (a->kind == COORDS_NONE || (a->a == b->a && a->b == b->b));
}

static bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void substrates_equal(const struct substrate *s, const struct substrate *t)
{
	assert_string_equal(s->name, t->name);
	assert_int_equal(s->n_nodes, t->n_nodes);
	assert_int_equal(s->n_links, t->n_links);
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct snode *m = &s->nodes[i], *n = &t->nodes[i];

		assert_string_equal(m->name, n->name);
		assert_memory_equal(m->cap, n->cap, sizeof(m->cap));
		assert_true(m->any_kind == n->any_kind && m->agent == n->agent && m->cost_micro == n->cost_micro);
		assert_true(m->any_image == n->any_image && names_equal(&m->images, &n->images));
		assert_true(m->max_guest_ports == n->max_guest_ports && m->realtime_given == n->realtime_given);
		assert_true(names_equal(&m->kinds, &n->kinds) && names_equal(&m->uplinks, &n->uplinks));
		assert_true(labels_equal(m->labels, m->n_labels, n->labels, n->n_labels));
		assert_true(coords_equal(&m->coords, &n->coords) && addr_equal(&m->address, &n->address));
	}
	for (size_t i = 0; i < s->n_links; i++) {
		const struct slink *l = &s->links[i], *k = &t->links[i];

		assert_string_equal(l->name, k->name);
		assert_true(l->a == k->a && l->b == k->b && l->bw_kbps == k->bw_kbps && l->delay_us == k->delay_us);
		assert_true(l->cost_micro == k->cost_micro && names_equal(&l->risks, &k->risks));
		assert_true(addr_equal(&l->underlay[0], &k->underlay[0]) && addr_equal(&l->underlay[1], &k->underlay[1]));
	}
}

static void places_equal(const struct place *p, const struct place *q)
{
	assert_true(names_equal(&p->on, &q->on) && names_equal(&p->not_on, &q->not_on));
	assert_true(p->has_near == q->has_near && p->within == q->within && coords_equal(&p->near, &q->near));
	assert_true(labels_equal(p->labels, p->n_labels, q->labels, q->n_labels));
}

static bool texts_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static void requests_equal(const struct request *r, const struct request *q)
{
	assert_string_equal(r->name, q->name);
	assert_true(r->arrival_us == q->arrival_us && r->lifetime_us == q->lifetime_us &&
	            r->priority_micro == q->priority_micro && r->placement == q->placement && r->routing == q->routing);
	assert_true(addr_equal(&r->pool_loopbacks, &q->pool_loopbacks) && addr_equal(&r->pool_links, &q->pool_links));
	assert_int_equal(r->n_nodes, q->n_nodes);
	assert_int_equal(r->n_links, q->n_links);
	for (size_t i = 0; i < r->n_nodes; i++) {
		const struct vnode *m = &r->nodes[i], *n = &q->nodes[i];

		assert_string_equal(m->name, n->name);
		assert_memory_equal(m->demand, n->demand, sizeof(m->demand));
		assert_true(!m->kind == !n->kind && (!m->kind || strcmp(m->kind, n->kind) == 0));
		assert_true(!m->image == !n->image && (!m->image || strcmp(m->image, n->image) == 0));
		assert_true(m->plane == n->plane && texts_equal(m->program, n->program) && texts_equal(m->controller, n->controller));
		assert_true(m->rt_period_us == n->rt_period_us && m->rt_budget_us == n->rt_budget_us);
		assert_int_equal(m->n_uplinks, n->n_uplinks);
		for (size_t k = 0; k < m->n_uplinks; k++) {
			assert_string_equal(m->uplinks[k].port, n->uplinks[k].port);
			assert_true(addr_equal(&m->uplinks[k].address, &n->uplinks[k].address));
			assert_true(addr_equal(&m->uplinks[k].gateway, &n->uplinks[k].gateway) && m->uplinks[k].nat == n->uplinks[k].nat);
		}
		places_equal(&m->place, &n->place);
	}
	for (size_t i = 0; i < r->n_links; i++) {
		const struct vlink *l = &r->links[i], *k = &q->links[i];

		assert_string_equal(l->name, k->name);
		assert_true(l->a == k->a && l->b == k->b && l->bw_kbps == k->bw_kbps && l->max_delay_us == k->max_delay_us &&
		            l->split == k->split && l->protect == k->protect);
	}
}

/* ---- there and back ---- */

static void test_substrates(void **state)
{
	for (uint64_t i = 1; i <= 400; i++) {
		seed = i * 7919;
		struct substrate s = random_substrate(), back;
		struct buf out = BUF_INIT;
		struct err err = {0};

		if (substrate_check(&s, &err) < 0)
			fail_msg("case %" PRIu64 ": %s", i, err.text);
		substrate_write(&s, &out);
		back = help_substrate(out.data);
		substrates_equal(&s, &back);
		substrate_done(&back);
		assert_int_equal(substrate_copy(&s, &back, &err), 0);
		substrates_equal(&s, &back);
		substrate_done(&back);
		substrate_done(&s);
		buf_done(&out);
	}
}

static void test_requests(void **state)
{
	for (uint64_t i = 1; i <= 400; i++) {
		seed = i * 104729;
		struct request r = random_request(), back;
		struct buf out = BUF_INIT;
		struct err err = {0};

		if (request_check(&r, &err) < 0)
			fail_msg("case %" PRIu64 ": %s", i, err.text);
		request_write(&r, &out);
		back = help_request(out.data);
		requests_equal(&r, &back);
		request_done(&back);
		assert_int_equal(request_copy(&r, &back, &err), 0);
		requests_equal(&r, &back);
		request_done(&back);
		request_done(&r);
		buf_done(&out);
	}
}

/* ---- mutations ---- */

static void mutate(struct buf *text)
{
	static const char *const bits[] = {"[", "]", "{", "}", ": ", "- ", "\n", "&a ", "*a", "!x ", "\"", "'", "|\n", "---\n",
	                                   "\xff", "\xc3\xa4", "0", "-1", "1e999", "99999999999999999999", "~", "#", "\t",
	                                   "nodes", "? ", "%"};

	for (uint64_t i = 1 + below(4); i && text->len; i--) {
		size_t at = below(text->len), n = 1 + below(8);

		if (n > text->len - at)
			n = text->len - at;
		if (chance(30)) {
			text->data[at] = (char)rnd();
		} else if (chance(50)) {
			memmove(text->data + at, text->data + at + n, text->len - at - n);
			text->len -= n;
		} else {
			const char *bit = bits[below(ARRAY_LEN(bits))];
			mem_auto char *tail = mem_strn(text->data + at, text->len - at);
			size_t left = strlen(tail); /* a NUL from above ends it */

			text->len = at;
			buf_str(text, bit);
			buf_add(text, tail, left);
		}
	}
}

static void read_both(const struct buf *text, size_t *taken, size_t *refused)
{
	struct yaml_errors errors = {.file = "f"};
	struct yaml_doc **docs;
	struct request *all = NULL;
	struct substrate s;
	struct err err = {0};
	size_t n;

	yaml_parse(text->data, text->len, &errors, &docs, &n);
	for (size_t i = 0; i < n; i++) {
		if (substrate_read(docs[i], &errors, &s) == 0)
			substrate_done(&s);
		else
			assert_true(errors.n > 0);
	}
	yaml_free_docs(docs, n);
	yaml_errors_done(&errors);
	if (request_parse(text->data, text->len, false, &errors, &all, &n, &err) == 0) {
		++*taken;
		assert_int_equal(errors.n, 0);
		for (size_t i = 0; i < n; i++)
			request_done(&all[i]);
		free(all);
	} else {
		++*refused;
		assert_true(errors.n > 0 && errors.text.len > 0 && err.text[0]);
	}
	yaml_errors_done(&errors);
}

static void test_mutations(void **state)
{
	size_t taken = 0, refused = 0;

	for (uint64_t i = 1; i <= 150; i++) {
		struct buf written = BUF_INIT;

		seed = i * 15485863;
		struct request r = random_request();
		struct substrate s = random_substrate();
		struct err err = {0};

		assert_int_equal(request_check(&r, &err), 0);
		assert_int_equal(substrate_check(&s, &err), 0);
		if (i % 3)
			request_write(&r, &written);
		else
			substrate_write(&s, &written);
		for (int k = 0; k < 20; k++) {
			struct buf text = BUF_INIT;

			buf_add(&text, written.data, written.len);
			mutate(&text);
			read_both(&text, &taken, &refused);
			buf_done(&text);
		}
		buf_done(&written);
		request_done(&r);
		substrate_done(&s);
	}
	/* neither may be the only answer, or the mutations were no good */
	assert_true(taken > 20 && refused > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_substrates),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_mutations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
