/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Faults on demand; see fault.h. In normal builds this file is empty. */
#include "base/fault.h"

#ifdef VNE_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { LEAVE_MS = 20 }; /* for libzmq's thread to bring a message onto the socket */

static struct fault_file *file;
static pid_t owner; /* children that a daemon forks have no points */

void fault_open(const char *name)
{
	const char *dir = getenv("VNE_FAKE_POINTS");
	struct stat st;
	if (!dir)
		return;
	mem_auto char *path = mem_printf("%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *at = fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(*file) ?
	               mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (at == MAP_FAILED)
		return;
	owner = getpid();
	file = at;
}

static bool due(const char *what)
{
	if (!file || getpid() != owner)
		return false;
	uint64_t now = __atomic_add_fetch(&file->passed, 1, __ATOMIC_SEQ_CST);
	uint64_t when = __atomic_load_n(&file->die_at, __ATOMIC_SEQ_CST);
	if (!when || now != when)
		return false;
	strncpy(file->at, what, sizeof(file->at) - 1);
	return true;
}

static _Noreturn void die(void)
{
	kill(getpid(), SIGKILL);
	_exit(137); /* the first process of a pid namespace cannot be killed from inside */
}

void fault_point(const char *what)
{
	if (due(what))
		die();
}

void fault_point_sent(const char *what)
{
	struct timespec wait = { .tv_nsec = LEAVE_MS * 1000000 };
	if (!due(what))
		return;
	nanosleep(&wait, NULL);
	die();
}

int fault_write(void)
{
	return file && getpid() == owner ? -(int)__atomic_load_n(&file->write_code, __ATOMIC_SEQ_CST) : 0;
}

int64_t fault_wall_ms(void)
{
	return file ? __atomic_load_n(&file->wall_ms, __ATOMIC_SEQ_CST) : 0;
}

/* splitmix64: the n-th chance of a seed, whoever asked for the ones before. */
static uint64_t chance(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + n * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

enum fault_fate fault_message(void)
{
	if (!file || !(file->lose | file->twice | file->hold))
		return FAULT_FATE_SENT;
	uint64_t dice = chance(file->seed, __atomic_add_fetch(&file->messages, 1, __ATOMIC_SEQ_CST)) % 1000;
	if (dice < file->lose)
		return FAULT_FATE_LOST;
	if (dice < file->lose + file->twice)
		return FAULT_FATE_TWICE;
	return dice < file->lose + file->twice + file->hold ? FAULT_FATE_HELD : FAULT_FATE_SENT;
}
#endif
