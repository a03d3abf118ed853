/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See confine.h. vned needs no privilege: it reads its keys and the substrate, writes its store, and speaks over sockets. What it
 * may call is a list of what is allowed, since all of it is known: its own code, libzmq, SQLite, libmicrohttpd, and the solver that it
 * starts, which confines itself further (tools/vnembed/worker.c). */
#include "vned/confine.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/log.h"
#include "base/mem.h"

/* The folder that the socket file is in; NULL where there is none. */
static char *local_folder(const struct vned_config *c)
{
	const char *slash = c->local ? strrchr(c->local, '/') : NULL;
	return slash && slash > c->local ? mem_strn(c->local, (size_t)(slash - c->local)) : NULL;
}

/* For the user that vned is going to be, where it is new. */
static int make_folder(const struct vned_config *c, const char *path, mode_t mode, struct err *err)
{
	if (!path || mkdir(path, mode) < 0)
		return 0; /* it is there; or whoever needs it says why there can be none */
	const struct passwd *user = c->user && geteuid() == 0 ? getpwnam(c->user) : NULL;
	if (user && chown(path, user->pw_uid, user->pw_gid) < 0)
		return err_sys(err, -errno, "%s: giving it to user %s", path, c->user);
	return 0;
}

/* Told here, where it is known why: later it would be a file that cannot be opened. */
static int check_access(const struct vned_config *c, struct err *err)
{
	const struct { const char *key, *path; int mode; } needed[] = {
		{ "substrate", c->substrate, R_OK }, { "key", c->key, R_OK }, { "allow", c->allow, R_OK | X_OK }, { "state", c->state, R_OK | W_OK | X_OK },
	};
	for (size_t i = 0; i < ARRAY_LEN(needed); i++)
		if (needed[i].path && access(needed[i].path, needed[i].mode) < 0 && errno == EACCES)
			return err_set(err, -EACCES, "%s: %s is not for user %s to %s; give it to that user (chown), and let it into the folders above",
			               needed[i].key, needed[i].path, c->user, needed[i].mode & W_OK ? "write" : "read");
	return 0;
}

static int become(const struct vned_config *c, struct err *err)
{
	mem_auto char *local = local_folder(c);
	int code = make_folder(c, c->state, 0700, err);
	if (!code)
		code = make_folder(c, local, 0755, err);
	if (code)
		return code;
	if (!c->user) {
		if (geteuid() == 0)
			log_warn("vned runs as root, though with no capability; name a user of its own (`user` in its configuration, or --user)");
		return 0;
	}
	const struct passwd *user = getpwnam(c->user);
	if (geteuid() != 0 && user && user->pw_uid != geteuid())
		return err_set(err, -EINVAL, "only root may become user %s; start vned as that user, or as root", c->user);
	code = confine_user(c->user, err);
	return code ? code : check_access(c, err);
}

static int give_up_files(const struct vned_config *c, struct err *err)
{
	/* SQLite sorts what is too much for memory in the temporary folders. */
	mem_auto char *local = local_folder(c);
	const struct confine_path paths[] = { { "/", false },        { c->state, true },  { c->allow, true },   { local ? local : "/dev/null", true },
		                              { "/dev/null", true }, { "/tmp", true }, { "/var/tmp", true } };
	int code = confine_files(paths, ARRAY_LEN(paths), err);
	if (code == -EOPNOTSUPP) {
		log_info("files are guarded by their owners only: %s", err->text);
		*err = (struct err){ 0 };
		return 0;
	}
	return code;
}

int vned_confine(const struct vned_config *c, struct err *err)
{
	static const struct confine_call *const calls[] = { confine_ordinary, confine_network };
	int code = become(c, err);
	if (!code)
		code = confine_caps(NULL, 0, err);
	if (!code)
		code = give_up_files(c, err);
	if (!code)
		code = confine_calls_only(calls, ARRAY_LEN(calls), err);
	return code;
}
