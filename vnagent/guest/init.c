/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See init.h. */
#include "vnagent/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { AGAIN_MS = 1000 };

static void mount_one(const char *type, const char *at, unsigned long flags, const char *options)
{
	mkdir(at, 0755);
	if (mount(type, at, type, flags, options) < 0 && errno != EBUSY)
		log_warn("mounting %s: %s", at, strerror(errno));
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		log_warn("%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && errno != ENODEV))
		log_warn("module %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void load_modules(void)
{
	char line[256];
	FILE *f = fopen(INIT_MODULES, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0])
			load_module(line);
	}
	if (f)
		fclose(f);
}

/* The kernel opens /dev/console for us only where the cpio has it; devtmpfs has it always. */
static void open_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY);
	for (int i = 0; i < 3 && fd >= 0; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
}

void init_machine(void)
{
	mount_one("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
	open_console();
	mount_one("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_one("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_one("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755,size=8m");
	mount_one("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=1777,size=8m");
	mount_one("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "xterm", 1);
	load_modules();
	if (access("/lib/modules/modules.dep", F_OK) < 0) /* else the kernel starts modprobe for each family that it does not know, for nothing */
		write_text("/proc/sys/kernel/modprobe", "\n");
	mkdir("/run/bird", 0755); /* where Debian's birdc looks */
	(void)symlink("../bird.ctl", "/run/bird/bird.ctl");
	(void)reboot(RB_DISABLE_CAD); /* ctrl-alt-del is a signal to us */
}

/* ---- the console ------------------------------------------------------------------------------ */
struct console {
	struct loop *loop;
	struct reaper *reaper;
	struct loop_source *timer;
	int64_t started_ms;
};

/* The terminal behind /dev/console, which can be nobody's controlling one itself. */
static void console_path(char path[static 64])
{
	char names[64] = "";
	int fd = open("/sys/class/tty/console/active", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, names, sizeof(names) - 1);
	if (fd >= 0)
		close(fd);
	names[n > 0 ? n : 0] = 0;
	names[strcspn(names, "\n")] = 0;
	const char *last = strrchr(names, ' ');
	snprintf(path, 64, "/dev/%.50s", last ? last + 1 : names[0] ? names : "console");
}

static _Noreturn void become_shell(const char *path)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	int fd = open(path, O_RDWR);
	if (fd < 0)
		_exit(127);
	(void)ioctl(fd, TIOCSCTTY, 1);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	if (fd > 2)
		close(fd);
	(void)chdir("/root");
	execl("/bin/sh", "-sh", (char *)NULL);
	_exit(127);
}

static void start_shell(void *arg);

static void shell_ended(void *arg, int status)
{
	struct console *c = arg;
	loop_set_timer(c->timer, clock_ms() - c->started_ms < AGAIN_MS ? AGAIN_MS : 0, 0);
}

static void start_shell(void *arg)
{
	struct console *c = arg;
	char path[64];
	console_path(path);
	c->started_ms = clock_ms();
	pid_t pid = fork();
	if (pid == 0)
		become_shell(path);
	if (pid < 0)
		loop_set_timer(c->timer, AGAIN_MS, 0);
	else
		reaper_watch(c->reaper, pid, shell_ended, c);
}

int init_console(struct loop *loop, struct reaper *reaper, struct err *err)
{
	struct console *c = mem_alloc(sizeof(*c)); /* lives as long as the machine */
	*c = (struct console){ .loop = loop, .reaper = reaper };
	int code = loop_add_timer(loop, 0, 0, start_shell, c, &c->timer, err);
	if (code)
		free(c);
	return code;
}

/* ---- the end ------------------------------------------------------------------------------------ */
static void end_machine(int how)
{
	kill(-1, SIGTERM);
	sync();
	(void)reboot(how);
}

static void power_off(void *arg)
{
	end_machine(RB_POWER_OFF);
}

static void start_again(void *arg)
{
	end_machine(RB_AUTOBOOT);
}

int init_signals(struct loop *loop, struct err *err)
{
	static const struct {
		int signo;
		void (*caught)(void *arg);
	} table[] = { { SIGUSR1, power_off }, { SIGUSR2, power_off }, { SIGTERM, start_again }, { SIGINT, start_again } };
	int code = 0;
	for (size_t i = 0; !code && i < ARRAY_LEN(table); i++)
		code = loop_add_signal(loop, table[i].signo, table[i].caught, NULL, NULL, err);
	return code;
}
