/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnagent join`: makes this machine an agent with the line that `vnctl join` or `vned init` printed. The key is made here and
 * its secret part never leaves; the token only has it allowed. */
#include "vnagent/join.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/mem.h"
#include "model/endpoint.h"
#include "proto/wire.h"

enum { ANSWER_MS = 10000, EXIT_REFUSED = 1, EXIT_BAD = 2, EXIT_SILENT = 3, EXIT_MACHINE = 70 };

struct join {
	struct loop *loop;
	struct wire *wire;
	struct identity token, server, agent;
	bool up;  /* it was, once: what follows a loss says why */
	int code; /* exit code; -1: not known yet */
};

static void end(struct join *j, int code, const char *why)
{
	if (j->code >= 0)
		return;
	if (code)
		fprintf(stderr, "vnagent: %s\n", why);
	j->code = code;
	loop_stop(j->loop);
}

static void answered(void *arg, struct message *m)
{
	struct join *j = arg;
	if (m->type != MSG_REPLY)
		return;
	if (m->u.reply.code == 0 && identity_rename(&j->agent, m->u.reply.text) < 0)
		end(j, EXIT_MACHINE, "what answers is no vned: it names no node");
	else
		end(j, m->u.reply.code ? EXIT_REFUSED : 0, m->u.reply.text);
}

static void state(void *arg, enum wire_state state, const char *why)
{
	struct join *j = arg;
	struct err err = { 0 };
	struct message m = { .type = MSG_JOIN };
	memcpy(m.u.join.key, j->agent.public, sizeof(m.u.join.key));
	if (state == WIRE_DOWN && j->up)
		return; /* another may have used the token meanwhile: the next attempt tells */
	j->up |= state == WIRE_UP;
	if (state == WIRE_REFUSED || state == WIRE_DOWN)
		end(j, state == WIRE_REFUSED ? EXIT_REFUSED : EXIT_SILENT, why);
	else if (state == WIRE_UP && wire_send(j->wire, NULL, &m, &err) < 0)
		end(j, EXIT_SILENT, err.text);
}

static void silent(void *arg)
{
	end(arg, EXIT_SILENT, "no answer within 10 s: is the address right, and vned running?");
}

static int ask(struct join *j, const char *server)
{
	struct err err = { 0 };
	struct loop_source *timer;
	struct wire_client_options o = { .server = server, .self = &j->token, .server_public = j->server.public, .message = answered,
		                             .state = state, .arg = j };
	int r = loop_new(&j->loop, &err);
	if (r == 0)
		r = loop_add_timer(j->loop, ANSWER_MS, 0, silent, j, &timer, &err);
	if (r == 0)
		r = wire_connect(j->loop, &o, &j->wire, &err);
	if (r == 0)
		r = loop_run(j->loop, &err);
	wire_close(j->wire);
	if (j->loop)
		loop_free(j->loop);
	if (r < 0)
		fprintf(stderr, "vnagent: %s\n", err.text);
	return r < 0 ? EXIT_MACHINE : j->code;
}

/* ---- files ------------------------------------------------------------------------------------ */

static int write_config(const char *path, const char *server, const char *node)
{
	FILE *f = fopen(path, "wxe");
	if (!f) {
		fprintf(stderr, errno == EEXIST ? "vnagent: %s is there already, and stays: it has to say server: %s, server_key: vned.pub, key: %s.key\n" :
		                                  "vnagent: cannot write %s; it has to say server: %s, server_key: vned.pub, key: %s.key\n", path, server, node);
		return errno == EEXIST ? 0 : EXIT_MACHINE;
	}
	fprintf(f, "# What else can stand here: vne-config(5).\nkind: vnagent\nserver: %s\nserver_key: vned.pub\nkey: %s.key\n"
	           "# underlay: [{device: eth0, bandwidth: 1gbit}]   # lets best effort never delay what was promised\n", server, node);
	return fclose(f) ? EXIT_MACHINE : 0;
}

/* Before anything is asked: a token that was used up for nothing is gone. */
static int writable(const char *dir)
{
	if ((mkdir(dir, 0755) < 0 && errno != EEXIST) || access(dir, W_OK) < 0) {
		fprintf(stderr, "vnagent: %s: %s; run this as root, or name another folder with --dir\n", dir, strerror(errno));
		return EXIT_BAD;
	}
	return 0;
}

static int save(const struct join *j, const char *dir, const char *server)
{
	struct err err = { 0 };
	mem_auto char *key = mem_printf("%s/%s.key", dir, j->agent.node), *pub = mem_printf("%s/vned.pub", dir),
	              *config = mem_printf("%s/vnagent.yaml", dir);
	if (identity_save(&j->agent, key, true, &err) || identity_save(&j->server, pub, false, &err)) {
		fprintf(stderr, "vnagent: %s\nThe token is used up, and the key it allowed is lost: have a new one made with `vnctl join %s`\n", err.text, j->agent.node);
		return EXIT_MACHINE;
	}
	int code = write_config(config, server, j->agent.node);
	char print[FINGERPRINT_TEXT];
	if (code == 0)
		printf("this machine is node %s, fingerprint %s (`vnctl keys list` shows the same)\nnow: systemctl enable --now vnagent\n", j->agent.node,
		       key_fingerprint(j->agent.public, print));
	return code;
}

static int usage(void)
{
	fprintf(stderr, "usage: vnagent join tcp://HOST:PORT TOKEN [--dir /etc/vne]\n"
	                "as `vnctl join NODE` or `vned init` printed it\n");
	return EXIT_BAD;
}

int join_main(int argc, char **argv)
{
	struct err err = { 0 };
	struct join j = { .code = -1, .server = { .name = "vned", .role = ROLE_COORDINATOR } };
	const char *dir = argc == 5 && !strcmp(argv[3], "--dir") ? argv[4] : "/etc/vne";
	if ((argc != 3 && argc != 5) || (argc == 5 && strcmp(argv[3], "--dir") != 0))
		return usage();
	int r = endpoint_check_server(argv[1], &err);
	if (r == 0)
		r = token_read(argv[2], &j.token, j.server.public, &err);
	if (r < 0) {
		fprintf(stderr, "vnagent: %s\n", err.text);
		return usage();
	}
	int code = writable(dir);
	if (code == 0 && identity_make("node", ROLE_AGENT, "node", &j.agent, &err) < 0) {
		fprintf(stderr, "vnagent: %s\n", err.text);
		code = EXIT_MACHINE;
	}
	if (code == 0)
		code = ask(&j, argv[1]);
	if (code == 0)
		code = save(&j, dir, argv[1]);
	explicit_bzero(&j.token, sizeof(j.token));
	explicit_bzero(&j.agent, sizeof(j.agent));
	return code;
}
