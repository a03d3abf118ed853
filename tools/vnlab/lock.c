/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One lab per directory. The watcher holds a POSIX lock as long as it lives, and the kernel
 * tells everybody who holds it: no pid file that could be stale. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tools/vnlab/lab.h"

int lock_take(const char *dir, int *ret_fd, struct err *err)
{
	mem_auto char *path = mem_printf("%s/lock", dir);
	for (int tries = 0; tries < 100; tries++) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		struct stat held, there;
		if (mkdir(dir, 0700) && errno != EEXIST)
			return err_sys(err, -errno, "%s", dir);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0 && errno == ENOENT)
			continue; /* a lab that ended just now took its directory along */
		if (fd < 0)
			return err_sys(err, -errno, "%s", path);
		if (fcntl(fd, F_SETLK, &lock)) {
			int code = errno;
			close(fd);
			if (code != EACCES && code != EAGAIN)
				return err_sys(err, -code, "%s", path);
			return err_set(err, -EBUSY, "a lab is running in %s; `vnlab down` ends it, VNE_LAB_DIR names another place",
			               dir);
		}
		if (!fstat(fd, &held) && !stat(path, &there) && held.st_ino == there.st_ino) {
			*ret_fd = fd;
			return 0;
		}
		close(fd); /* locked a file that its former holder has removed meanwhile */
	}
	return err_set(err, -EBUSY, "%s: comes and goes; try again", path);
}

pid_t lock_holder(const char *dir)
{
	mem_auto char *path = mem_printf("%s/lock", dir);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	int rc = fcntl(fd, F_GETLK, &lock);
	close(fd);
	return rc || lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}
