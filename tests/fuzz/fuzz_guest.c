/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as what a host says to vnguest: a setup, and a stream of frames with words in them. Nothing may crash; what is
 * taken is within the bounds that the rest of vnguest relies on, and what is refused has a reason. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/guest/frame.h"
#include "vnagent/guest/setup_read.h"
#include "vnagent/guest_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static bool is_plain_name(const char *name)
{
	return name[0] && strlen(name) <= GUEST_IFNAME_MAX && !strchr(name, '/') && !strchr(name, '.') && strcmp(name, "ctl") && strcmp(name, "lo");
}

static void setup(const char *text, size_t len)
{
	struct guest_setup s;
	struct err err = { 0 };
	if (guest_setup_read(text, len, &s, &err)) {
		must(err.text[0] && !s.ports && !s.routes && !s.loopbacks && !s.bird);
		return;
	}
	must(s.n_ports <= GUEST_PORTS_MAX && s.n_routes <= GUEST_ROUTES_MAX && s.n_loopbacks <= GUEST_LOOPBACKS_MAX);
	for (size_t i = 0; i < s.n_ports; i++) {
		must(is_plain_name(s.ports[i].ifname) && s.ports[i].mtu >= GUEST_MTU_MIN && s.ports[i].mtu <= GUEST_MTU_MAX);
		must(memcmp(s.ports[i].mac, GUEST_CONTROL_MAC, 6));
		for (size_t j = 0; j < i; j++)
			must(memcmp(s.ports[i].mac, s.ports[j].mac, 6) && strcmp(s.ports[i].ifname, s.ports[j].ifname));
	}
	for (size_t i = 0; i < s.n_routes; i++)
		must(s.routes[i].via.family == s.routes[i].to.family);
	guest_setup_done(&s);
}

static void frames(const char *data, size_t len)
{
	const char *argv[FRAME_WORDS_MAX + 1];
	struct frame f;
	long n;
	for (; (n = frame_take(data, len, &f)) > 0; data += n, len -= (size_t)n) {
		must((size_t)n <= len && f.len <= GUEST_FRAME_MAX && f.data + f.len == data + n);
		int words = frame_words(f.data, f.len, argv);
		for (int i = 0; i < words; i++)
			must(argv[i] >= f.data && argv[i] + strlen(argv[i]) < f.data + f.len);
		must(words < 0 || (words > 0 && !argv[words]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mem_auto char *text = mem_dup(data, size); /* its own block, so that reading past its end shows */
	setup(text, size);
	frames(text, size);
	return 0;
}
