/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vned's solver process gives up, and with it a program of the operator's own that it runs. It gets problems that tenants have
 * written and hands them to large libraries: nothing that goes wrong in there may reach vned's keys, its store or the network. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/confine.h"
#include "base/mem.h"
#include "embed/program.h"
#include "tools/vnembed/vnembed.h"

enum { FILES = 256, PROCESSES = 1024 };

static void limit(int what, rlim_t most)
{
	struct rlimit l;
	if (getrlimit(what, &l) == 0 && (l.rlim_max == RLIM_INFINITY || l.rlim_max > most)) {
		l = (struct rlimit){ most, most };
		(void)setrlimit(what, &l);
	}
}

static void limit_all(void)
{
	limit(RLIMIT_CORE, 0); /* what it worked on is tenants' */
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, FILES);
	limit(RLIMIT_NPROC, PROCESSES);
#ifndef __SANITIZE_ADDRESS__ /* whose shadow is terabytes */
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	if (pages > 0 && size > 0)
		limit(RLIMIT_DATA, (rlim_t)pages * (rlim_t)size / 2);
#endif
	/* Where memory ends all the same, this goes before vned does. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "500", 3);
		close(fd);
	}
}

int worker_confine(const char *solver, struct err *err)
{
	static const struct confine_call *const calls[] = { confine_ordinary };
	size_t prefix = strlen(PROGRAM_PREFIX);
	const char *program = solver && !strncmp(solver, PROGRAM_PREFIX, prefix) ? solver + prefix : "";
	const char *slash = strrchr(program, '/');
	mem_auto char *folder = slash ? mem_strn(program, (size_t)(slash - program) + 1) : mem_str("/usr");
	const struct confine_path paths[] = {
		{ folder, false },          { "/usr", false },         { "/bin", false },  { "/sbin", false }, { "/lib", false }, { "/lib64", false },
		{ "/opt", false },          { "/etc/ld.so.cache", false }, { "/etc/localtime", false }, { "/proc", false },
		{ "/sys", false },          { "/dev", false },         { "/dev/null", true },
	};
	limit_all();
	int code = confine_caps(NULL, 0, err);
	if (!code)
		code = confine_files(paths, ARRAY_LEN(paths), err);
	if (code == -EOPNOTSUPP)
		code = 0; /* then the user's rights are all that guards files, as vned has said */
	return code ? code : confine_calls_only(calls, ARRAY_LEN(calls), err);
}
