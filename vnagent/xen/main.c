/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnagent-xen: the agent's helper for Xen guests, and the program that libxl runs for each vif (hotplug.h). */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "vnagent/xen/helper.h"
#include "vnagent/xen/hotplug.h"
#include "vnagent/xen_wire.h"

enum { EXIT_BAD = 2, EXIT_MACHINE = 70 };

const char *argp_program_version = "vnagent-xen " VNE_VERSION;
error_t argp_err_exit_status = EXIT_BAD;

struct arguments {
	struct images images;
	bool balance, verbose;
};

static const struct argp_option options[] = {
	{ "image", 'i', "NAME=DIR", 0, "a guest image as vnimage makes it (repeatable; the default is the first, or the one named default)", 0 },
	{ "balance", 'b', "load|none", 0, "whether vcpus are spread over the cores by their measured load (none)", 0 },
	{ "verbose", 'v', NULL, 0, "log more", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct err err = { 0 };
	switch (key) {
	case 'i':
		if (images_add(&a->images, arg, &err) == -EINVAL)
			argp_error(state, "%s", err.text);
		else if (err.code) /* the others can do without it */
			fprintf(stderr, "vnagent-xen: %s\n", err.text);
		return 0;
	case 'b':
		if (strcmp(arg, "load") && strcmp(arg, "none"))
			argp_error(state, "balance is %s; expected load or none", arg);
		a->balance = !strcmp(arg, "load");
		return 0;
	case 'v':
		a->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "%s: no argument is expected", arg);
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_option, NULL,
		                          "Xen guests for vnagent, which starts it and speaks to it on descriptor 3. libxl calls it "
		                          "for each vif of a guest, too, with XENBUS_PATH in the environment.",
		                          NULL, NULL, NULL };
	struct arguments a = { 0 };
	struct err err = { 0 };
	char self[4096];
	int type;
	socklen_t len = sizeof(type);
	if (hotplug_called(argc, argv))
		return hotplug_run(argv);
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	log_open("vnagent-xen", a.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = 0;
	if (getsockopt(XEN_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
		fprintf(stderr, "vnagent-xen: descriptor %d is no connection to vnagent, which starts this program\n", XEN_FD);
		return EXIT_BAD;
	}
	int code = helper_run(&(struct helper_options){ .images = &a.images, .script = self, .balance = a.balance }, &err);
	if (code)
		log_error("%s", err.text);
	images_done(&a.images);
	return code ? EXIT_MACHINE : 0;
}
