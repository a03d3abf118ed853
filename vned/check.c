/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each thing is tried as the start would try it: whether a directory can be written is asked of the
 * file system, not guessed from its mode. */
#include "vned/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/substrate.h"
#include "proto/keys.h"

static size_t check_substrate(const char *path, struct buf *faults, struct buf *summary)
{
	struct err err = { 0 };
	struct yaml_errors errors = { 0 };
	struct substrate s = { 0 };
	int r = substrate_load(path, &errors, &s, &err);
	if (r == 0)
		buf_printf(summary, "%s: %zu nodes, %zu links\n", s.name, s.n_nodes, s.n_links);
	else if (errors.n)
		buf_str(faults, buf_cstr(&errors.text));
	else
		buf_printf(faults, "substrate: %s\n", err.text);
	yaml_errors_done(&errors);
	substrate_done(&s);
	return r < 0;
}

static size_t check_key(const char *path, struct buf *faults)
{
	struct err err = { 0 };
	struct identity self = { 0 };
	int r = identity_load(path, &self, &err);
	if (r == 0 && self.role != ROLE_COORDINATOR)
		r = err_set(&err, -EINVAL, "%s: its role is %s", path, role_names[self.role]);
	if (r == 0 && !self.has_secret)
		r = err_set(&err, -EINVAL, "%s: it has no secret part", path);
	if (r < 0)
		buf_printf(faults, "key: %s; expected a .key file of role coordinator, made with: vnctl keys new NAME coordinator\n",
		           err.text);
	explicit_bzero(&self, sizeof(self));
	return r < 0;
}

static size_t check_allow(const char *path, struct buf *faults)
{
	struct err err = { 0 };
	struct allow_list *allow = NULL;
	int r = allow_list_load(path, NULL, &allow, &err);
	if (r < 0)
		buf_printf(faults, "allow: %s\n", err.text);
	allow_list_free(allow);
	return r < 0;
}

/* Whether a program of the operator's own can be run; other names are vnembed's to know. */
static size_t check_solver(const char *solver, struct buf *faults)
{
	if (!solver || strncmp(solver, "exec:", 5) != 0 || access(solver + 5, X_OK) == 0)
		return 0;
	buf_printf(faults, "solver: %s: %s\n", solver + 5, strerror(errno));
	return 1;
}

static size_t check_state(const char *path, struct buf *faults)
{
	bool made = mkdir(path, 0700) == 0;
	if (!made && errno != EEXIST) {
		buf_printf(faults, "state: %s: cannot be made: %s; make its parent, where vned may write\n", path, strerror(errno));
		return 1;
	}
	int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600); /* a file without a name: gone when closed */
	int code = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	if (code == EOPNOTSUPP) /* not of every file system */
		code = access(path, W_OK | X_OK) < 0 ? errno : 0;
	if (made)
		(void)rmdir(path);
	if (code)
		buf_printf(faults, "state: %s: cannot be written: %s; expected a directory that belongs to vned\n", path, strerror(code));
	return code != 0;
}

size_t vned_check(const struct vned_config *c, struct buf *faults, struct buf *summary)
{
	size_t n = check_substrate(c->substrate, faults, summary);
	n += check_key(c->key, faults);
	n += check_allow(c->allow, faults);
	n += check_solver(c->solver, faults);
	return n + check_state(c->state, faults);
}
