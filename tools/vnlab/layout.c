/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a lab is made of, decided before anything is made: addresses, names of devices, keys and
 * configuration files.
 *
 * Addresses come from 198.18.0.0/15, which RFC 2544 keeps for benchmarks: the management network
 * is 198.18.0.0/16 with vned at its first address, the k-th link has the k-th /31 of
 * 198.19.0.0/16. They exist only inside the lab. What the substrate's file says of addresses is
 * about the real machines and is replaced. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/mem.h"
#include "proto/keys.h"
#include "tools/vnlab/lab.h"

#define MGMT_VNED 0xc6120001u  /* 198.18.0.1 */
#define MGMT_NODES 0xc6120100u /* 198.18.1.0 */
#define UNDERLAY 0xc6130000u   /* 198.19.0.0 */

char *lab_path(const struct lab *lab, const char *format, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;
	buf_printf(&b, "%s/", lab->dir);
	va_start(ap, format);
	buf_vprintf(&b, format, ap);
	va_end(ap);
	return buf_take(&b);
}

static struct addr v4(uint32_t host, uint8_t prefix)
{
	struct addr a = { .family = AF_INET, .prefix = prefix };
	uint32_t net = htonl(host);
	memcpy(a.bytes, &net, sizeof(net));
	return a;
}

/* A link's device at a node has the link's name, so that people find it, where that is a name
 * that a device can have and nothing else there has. */
static void name_devices(struct lab *lab)
{
	const struct substrate *s = &lab->s;
	for (size_t i = 0; i < s->n_links; i++) {
		const char *name = s->links[i].name;
		bool usable = strlen(name) <= IFNAME_MAX && strcmp(name, "lo") && strcmp(name, "mgmt") &&
		              strncmp(name, "vp", 2) && strncmp(name, "vt", 2);
		for (int end = 0; end < 2; end++) {
			char *device = lab->links[i].device[end];
			if (usable)
				snprintf(device, IFNAME_MAX + 1, "%s", name);
			else
				snprintf(device, IFNAME_MAX + 1, "_l%u", (unsigned)i & 0xffff); /* no link's name begins with "_" */
		}
	}
}

int lab_layout(struct lab *lab, struct err *err)
{
	struct substrate *s = &lab->s;
	if (s->n_nodes > LAB_NODES_MAX)
		return err_set(err, -E2BIG, "%zu nodes; a lab on one machine has at most %d", s->n_nodes, LAB_NODES_MAX);
	if (s->n_links > 0x8000)
		return err_set(err, -E2BIG, "%zu links; a lab on one machine has at most %d", s->n_links, 0x8000);
	lab->nodes = mem_array(s->n_nodes, sizeof(*lab->nodes));
	lab->links = mem_array(s->n_links, sizeof(*lab->links));
	for (size_t i = 0; i < s->n_nodes; i++) {
		lab->nodes[i].mgmt = v4(MGMT_NODES + (uint32_t)i, 16);
		s->nodes[i].address = (struct addr){ 0 };
	}
	for (size_t i = 0; i < s->n_links; i++) {
		s->links[i].underlay[0] = v4(UNDERLAY + 2 * (uint32_t)i, 32);
		s->links[i].underlay[1] = v4(UNDERLAY + 2 * (uint32_t)i + 1, 32);
	}
	name_devices(lab);
	uint32_t random;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys(err, -errno, "getrandom");
	snprintf(lab->id, sizeof(lab->id), "vnlab-%08x", random);
	return 0;
}

static int write_file(const struct lab *lab, const char *name, const struct buf *content, struct err *err)
{
	mem_auto char *path = lab_path(lab, "%s", name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(err, -errno, "%s", path);
	ssize_t n = write(fd, buf_cstr(content), content->len);
	int rc = n == (ssize_t)content->len ? 0 : err_sys(err, n < 0 ? -errno : -ENOSPC, "%s", path);
	if (close(fd) && !rc)
		rc = err_sys(err, -errno, "%s", path);
	return rc;
}

static int make_dir(const struct lab *lab, const char *name, struct err *err)
{
	mem_auto char *path = lab_path(lab, "%s", name);
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_sys(err, -errno, "%s", path);
	return 0;
}

/* DIR/NAME.key for its owner, and DIR/allowed/NAME.pub for vned where it has to know it. */
static int make_key(const struct lab *lab, const char *name, enum role role, const char *node, const char *key,
                    const char *pub, struct err *err)
{
	struct identity id;
	int rc = identity_make(name, role, node, &id, err);
	if (rc)
		return rc;
	mem_auto char *key_path = lab_path(lab, "%s", key);
	mem_auto char *pub_path = lab_path(lab, "%s", pub);
	rc = identity_save(&id, key_path, true, err);
	return rc ? rc : identity_save(&id, pub_path, false, err);
}

static int write_vned(const struct lab *lab, struct err *err)
{
	buf_auto struct buf config = BUF_INIT;
	buf_auto struct buf substrate = BUF_INIT, tenants = BUF_INIT;
	substrate_write(&lab->s, &substrate);
	int rc = write_file(lab, "substrate.yaml", &substrate, err);
	if (rc)
		return rc;
	buf_str(&tenants, "# What tenants may have, vne-config(5); after a change: vnctl reload\nkind: tenants\n");
	rc = write_file(lab, "tenants.yaml", &tenants, err);
	if (rc)
		return rc;
	buf_printf(&config, "kind: vned\nsubstrate: substrate.yaml\ntenants: tenants.yaml\n"
	                    "listen: [tcp://fd:3, tcp://198.18.0.1:%d]\nmetrics: fd:4\n"
	                    "key: vned.key\nallow: allowed\nstate: state\n", LAB_VNED_PORT);
	return write_file(lab, "vned.yaml", &config, err);
}

static int write_client(const struct lab *lab, struct err *err)
{
	buf_auto struct buf config = BUF_INIT;
	buf_printf(&config, "kind: vnctl\nserver: tcp://127.0.0.1:%u\nserver_key: vned.pub\nkey: admin.key\n",
	           lab->listen_port);
	return write_file(lab, "client.yaml", &config, err);
}

size_t lab_uplinks(const struct lab *lab, size_t node)
{
	const struct snode *n = &lab->s.nodes[node];
	return !n->agent ? 0 : n->uplinks.n < LAB_UPLINKS_MAX ? n->uplinks.n : LAB_UPLINKS_MAX;
}

/* The forwarding programs of the suite, as they were built or as they are installed. */
static void add_programs(struct buf *config)
{
	static const char *const names[] = { "ecmp", "firewall" }, *const places[] = { "planes", "../lib/vne/planes" };
	bool any = false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		for (size_t k = 0; k < ARRAY_LEN(places); k++) {
			mem_auto char *folder = child_sibling(places[k]), *path = mem_printf("%s/%s.o", folder, names[i]);
			if (folder[0] != '/' || access(path, R_OK))
				continue;
			buf_printf(config, "%s  %s: %s\n", any ? "" : "programs:\n", names[i], path);
			any = true;
			break;
		}
}

static int write_node(const struct lab *lab, size_t node, struct err *err)
{
	const struct substrate *s = &lab->s;
	const char *name = s->nodes[node].name;
	mem_auto char *dir = mem_printf("nodes/%s", name);
	mem_auto char *key = mem_printf("nodes/%s/agent.key", name);
	mem_auto char *pub = mem_printf("allowed/agent-%s.pub", name);
	mem_auto char *identity = mem_printf("agent-%.57s", name);
	mem_auto char *file = mem_printf("nodes/%s/vnagent.yaml", name);
	char text[UNITS_TEXT];

	int rc = make_dir(lab, dir, err);
	if (rc || !s->nodes[node].agent)
		return rc;
	rc = make_key(lab, identity, ROLE_AGENT, name, key, pub, err);
	if (rc)
		return rc;
	buf_auto struct buf config = BUF_INIT;
	buf_printf(&config, "kind: vnagent\nserver: tcp://198.18.0.1:%d\nserver_key: ../../vned.pub\nkey: agent.key\n"
	                    "state: state\ncgroup: %s-%zu\ncontrollers: [0.0.0.0/0, \"::/0\"]\n", LAB_VNED_PORT, lab->id, node);
	bool any = false;
	for (size_t i = 0; i < s->n_links; i++) {
		const struct slink *link = &s->links[i];
		if (link->a != node && link->b != node)
			continue;
		buf_printf(&config, "%s  - {device: %s, bandwidth: %s}\n", any ? "" : "underlay:\n",
		           lab->links[i].device[link->b == node], units_bandwidth_text(link->bw_kbps, text));
		any = true;
	}
	for (size_t i = 0; i < lab_uplinks(lab, node); i++)
		buf_printf(&config, "%s  %s: {device: " LAB_UPLINK_INNER "}\n", i ? "" : "uplinks:\n", s->nodes[node].uplinks.v[i], (unsigned)i);
	add_programs(&config);
	return write_file(lab, file, &config, err);
}

int lab_write_files(const struct lab *lab, struct err *err)
{
	static const char *const dirs[] = { "allowed", "nodes", "log", "state" };
	buf_auto struct buf id = BUF_INIT;
	buf_printf(&id, "%s\n", lab->id);
	int rc = write_file(lab, "id", &id, err); /* first: what clean_stale needs */
	for (size_t i = 0; !rc && i < ARRAY_LEN(dirs); i++)
		rc = make_dir(lab, dirs[i], err);
	if (!rc)
		rc = make_key(lab, "vned", ROLE_COORDINATOR, "", "vned.key", "vned.pub", err);
	if (!rc)
		rc = make_key(lab, "admin", ROLE_ADMIN, "", "admin.key", "allowed/admin.pub", err);
	if (!rc)
		rc = write_vned(lab, err);
	for (size_t i = 0; !rc && i < lab->s.n_nodes; i++)
		rc = write_node(lab, i, err);
	return rc ? rc : write_client(lab, err); /* last: with it, vnctl believes that there is a lab */
}

void lab_done(struct lab *lab)
{
	substrate_done(&lab->s);
	free(lab->nodes);
	free(lab->links);
	free(lab->dir);
}
