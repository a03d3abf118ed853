/* SPDX-License-Identifier: GPL-3.0-or-later */
/* base: what the headers promise of errors, buffers, arrays, maps, log, loop and children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/child.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/vec.h"

static void test_err(void **state)
{
	struct err err = {0};
	char longer[4 * ERR_TEXT_MAX];

	assert_int_equal(err_set(&err, -EINVAL, "no VNI left\nbut %d", 1), -EINVAL);
	assert_int_equal(err.code, -EINVAL);
	assert_string_equal(err.text, "no VNI left but 1");
	assert_int_equal(err_add(&err, -EIO, "tunnel %d", 12), -EINVAL);
	assert_string_equal(err.text, "tunnel 12: no VNI left but 1");
	assert_int_equal(err_sys(&err, -ENOENT, "open %s", err.text), -ENOENT);
	assert_string_equal(err.text, "open tunnel 12: no VNI left but 1: No such file or directory");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	assert_int_equal(err_add(NULL, -EIO, "x"), -EIO);

	/* two-byte characters, so that the cut would fall inside of one */
	for (size_t i = 0; i + 2 < sizeof(longer); i += 2)
		memcpy(longer + i, "ä", 3);
	for (int shift = 0; shift < 4; shift++) {
		err_set(&err, -EINVAL, "%.*s%s", shift, "abc", longer);
		size_t len = strlen(err.text);

		assert_true(len < ERR_TEXT_MAX && len > ERR_TEXT_MAX - 8);
		assert_string_equal(err.text + len - 5, "ä…");
	}
}

static void test_buf(void **state)
{
	struct buf b = BUF_INIT;

	assert_string_equal(buf_cstr(&b), "");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_int_equal(b.len, 10 * 2 + 90 * 3 + 900 * 4);
	assert_int_equal(strlen(b.data), b.len);
	buf_clear(&b);
	buf_printf(&b, "%0*d", 5000, 7);
	assert_int_equal(b.len, 5000);
	assert_int_equal(b.data[4999], '7');
	char *text = buf_take(&b);

	assert_int_equal(strlen(text), 5000);
	free(text);
	assert_null(b.data);
	text = buf_take(&b);
	assert_string_equal(text, "");
	free(text);
	buf_add(&b, "a\0b", 3);
	buf_char(&b, 'c');
	buf_str(&b, "d");
	assert_memory_equal(b.data, "a\0bcd", 6);
	buf_done(&b);
}

static void test_vec(void **state)
{
	VEC(int) v = {0};

	for (int i = 0; i < 1000; i++) {
		int *added = vec_add(&v);

		assert_int_equal(*added, 0);
		*added = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(v.v[i], i);
	vec_done(&v);
	assert_int_equal(v.n, 0);
	assert_null(v.v);
}

static void visit_remove_odd(void *value, void *arg)
{
	struct hash *h = arg;
	uint64_t number = (uint64_t)(uintptr_t)value;

	if (number % 2)
		assert_ptr_equal(hash_del_u64(h, number), value);
}

static void visit_ascending(void *value, void *arg)
{
	uintptr_t *last = arg;

	assert_true((uintptr_t)value > *last);
	*last = (uintptr_t)value;
}

static void test_hash(void **state)
{
	struct hash *h = hash_new();
	char name[32];
	uintptr_t last = 0;

	/* in step with an array that says what should be there */
	static bool there[5000];

	memset(there, 0, sizeof(there));
	srand(7);
	for (int i = 0; i < 100000; i++) {
		size_t k = (size_t)rand() % 5000;
		void *value = (void *)(k + 1);

		snprintf(name, sizeof(name), "n%zu", k);
		assert_ptr_equal(hash_get(h, name), there[k] ? value : NULL);
		if (rand() % 2)
			assert_ptr_equal(hash_put(h, name, value), there[k] ? value : NULL);
		else
			assert_ptr_equal(hash_del(h, name), there[k] ? value : NULL);
		there[k] = hash_get(h, name) != NULL;
	}
	size_t n = 0;

	for (size_t k = 0; k < 5000; k++)
		n += there[k];
	assert_int_equal(hash_count(h), n);
	hash_free(h, NULL);

	h = hash_new();
	for (uint64_t k = 1; k <= 1000; k++)
		assert_null(hash_put_u64(h, k, (void *)(uintptr_t)k));
	hash_each(h, visit_ascending, &last);
	assert_int_equal(last, 1000);
	hash_each(h, visit_remove_odd, h);
	assert_int_equal(hash_count(h), 500);
	assert_null(hash_get_u64(h, 7));
	assert_ptr_equal(hash_get_u64(h, 8), (void *)8);
	assert_ptr_equal(hash_put_u64(h, 8, (void *)9), (void *)8);
	hash_free(h, NULL);
	hash_free(NULL, NULL);

	h = hash_new();
	assert_true(hash_index_put(h, "a", 0));
	assert_true(hash_index_put(h, "b", 1));
	assert_false(hash_index_put(h, "a", 2));
	assert_int_equal(hash_index(h, "a"), 0);
	assert_int_equal(hash_index(h, "b"), 1);
	assert_true(hash_index(h, "c") == SIZE_MAX);
	assert_null(hash_put(h, "c", mem_str("owned")));
	hash_del(h, "a");
	hash_del(h, "b");
	hash_free(h, free);
}

/* ---- loop ---- */

struct play {
	struct loop *loop;
	struct loop_source *a, *b;
	int pipe[2];
	int count, others;
	int status;
	struct child child;
};

static void play_begin(struct play *p)
{
	struct err err = {0};

	*p = (struct play){0};
	assert_int_equal(loop_new(&p->loop, &err), 0);
	assert_int_equal(pipe(p->pipe), 0);
}

static void play_end(struct play *p)
{
	loop_free(p->loop);
	close(p->pipe[0]);
	close(p->pipe[1]);
}

static void on_stop(void *arg)
{
	struct play *p = arg;

	loop_stop(p->loop);
}

static void on_beat(void *arg)
{
	struct play *p = arg;

	if (++p->count == 5)
		loop_stop(p->loop);
}

static void test_loop_timers(void **state)
{
	struct play p;
	struct err err = {0};
	struct loop_source *off;

	play_begin(&p);
	int64_t start = clock_ms();

	assert_int_equal(loop_add_timer(p.loop, 10, 5, on_beat, &p, &p.a, &err), 0);
	assert_int_equal(loop_add_timer(p.loop, 60000, 0, on_stop, &p, &p.b, &err), 0);
	assert_int_equal(loop_add_timer(p.loop, 0, 0, on_stop, &p, &off, &err), 0);
	loop_set_timer(off, -1, 0);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 5);
	assert_true(clock_ms() - start >= 29);
	assert_true(clock_ms() - start < 30000);
	loop_remove(p.a);
	loop_set_timer(p.b, 0, 0); /* set anew, it fires at once, and again when set again */
	assert_int_equal(loop_run(p.loop, &err), 0);
	loop_set_timer(p.b, 1, 0);
	assert_int_equal(loop_run(p.loop, &err), 0);
	loop_stop(p.loop);
	assert_int_equal(loop_run(p.loop, &err), 0);
	play_end(&p);
}

struct ordered {
	struct play *play;
	int64_t delay;
};
static int64_t ordered_last;

static void on_ordered(void *arg)
{
	struct ordered *o = arg;

	assert_true(o->delay >= ordered_last);
	ordered_last = o->delay;
	if (++o->play->count == 100)
		loop_stop(o->play->loop);
}

static void test_loop_timer_order(void **state)
{
	struct play p;
	struct err err = {0};
	struct ordered o[200];
	struct loop_source *sources[200];

	play_begin(&p);
	srand(3);
	ordered_last = 0;
	for (int i = 0; i < 200; i++) {
		o[i] = (struct ordered){&p, 1 + rand() % 20};
		assert_int_equal(loop_add_timer(p.loop, o[i].delay, 0, on_ordered, &o[i], &sources[i], &err), 0);
	}
	for (int i = 0; i < 200; i += 2)
		loop_remove(sources[i]);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 100);
	play_end(&p);
}

static void on_ready_remove_both(void *arg, uint32_t events)
{
	struct play *p = arg;

	assert_true(events & EPOLLIN);
	p->count++;
	loop_remove(p->a); /* one of these is the source that is being called */
	loop_remove(p->b);
	loop_remove(NULL);
	loop_stop(p->loop);
}

static void test_loop_remove_inside(void **state)
{
	struct play p;
	struct err err = {0};
	int second;

	play_begin(&p);
	second = dup(p.pipe[0]);
	assert_int_equal(write(p.pipe[1], "x", 1), 1);
	assert_int_equal(loop_add_fd(p.loop, p.pipe[0], EPOLLIN, on_ready_remove_both, &p, &p.a, &err), 0);
	assert_int_equal(loop_add_fd(p.loop, second, EPOLLIN, on_ready_remove_both, &p, &p.b, &err), 0);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 1);
	close(second);
	play_end(&p);
}

static void on_ready_write(void *arg, uint32_t events)
{
	struct play *p = arg;

	if (events & EPOLLOUT)
		loop_stop(p->loop);
	p->count++;
}

static void test_loop_events(void **state)
{
	struct play p;
	struct err err = {0};
	struct loop_source *never;

	play_begin(&p);
	assert_int_equal(loop_add_fd(p.loop, p.pipe[1], 0, on_ready_write, &p, &p.a, &err), 0);
	assert_int_equal(loop_set_events(p.a, EPOLLOUT, &err), 0);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 1);
	assert_int_equal(loop_add_fd(p.loop, 1 << 20, EPOLLIN, on_ready_write, &p, &never, &err), -EBADF);
	assert_non_null(strstr(err.text, "descriptor 1048576"));
	play_end(&p);
}

static bool on_prepare(void *arg)
{
	struct play *p = arg;

	if (++p->count < 3)
		return true;
	loop_remove(p->a);
	loop_stop(p->loop);
	return false;
}

static bool on_prepare_other(void *arg)
{
	struct play *p = arg;

	p->others++;
	return false;
}

static void test_loop_prepare(void **state)
{
	struct play p;
	struct err err = {0};

	play_begin(&p);
	assert_int_equal(loop_add_prepare(p.loop, on_prepare_other, &p, NULL, &err), 0);
	assert_int_equal(loop_add_prepare(p.loop, on_prepare, &p, &p.a, &err), 0);
	assert_int_equal(loop_add_prepare(p.loop, on_prepare_other, &p, NULL, &err), 0);
	assert_int_equal(loop_run(p.loop, &err), 0); /* with nothing to wait for, it would never end */
	assert_int_equal(p.count, 3);
	assert_int_equal(p.others, 6);
	play_end(&p);
}

static void test_loop_signal(void **state)
{
	struct play p;
	struct err err = {0};

	play_begin(&p);
	assert_int_equal(loop_add_signal(p.loop, SIGUSR1, on_beat, &p, &p.a, &err), 0);
	p.count = 4;
	kill(getpid(), SIGUSR1);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 5);
	play_end(&p);
}

static void on_ended(void *arg, int status)
{
	struct play *p = arg;

	p->status = status;
	p->count++;
	loop_remove(p->a);
	loop_stop(p->loop);
}

static void test_loop_child(void **state)
{
	static const char *const argv[] = {"sh", "-c", "exit 7", NULL};
	struct play p;
	struct err err = {0};

	play_begin(&p);
	assert_int_equal(child_spawn(&p.child, argv, NULL, 0, &err), 0);
	assert_int_equal(loop_add_child(p.loop, p.child.pid, on_ended, &p, &p.a, &err), 0);
	assert_int_equal(loop_run(p.loop, &err), 0);
	assert_int_equal(p.count, 1);
	assert_true(WIFEXITED(p.status) && WEXITSTATUS(p.status) == 7);
	assert_int_equal(waitpid(p.child.pid, NULL, WNOHANG), -1);
	play_end(&p);
}

/* ---- children ---- */

static void test_child_run(void **state)
{
	static const char *const cat[] = {"cat", NULL};
	static const char *const missing[] = {"no-such-program-here", NULL};
	static const char *const hang[] = {"sleep", "1000", NULL};
	static const char *const deaf[] = {"true", NULL};
	static const char *const chatty[] = {"sh", "-c", "while :; do echo yes; done", NULL};
	struct err err = {0};
	mem_auto char *out = NULL, *text = NULL;
	int status = -1;

	assert_int_equal(child_run(cat, "hello", 60000, 100, &out, &status, &err), 0);
	assert_string_equal(out, "hello");
	assert_int_equal(status, 0);
	free(out);

	/* more than both pipes hold: feeding and reading must take turns */
	text = mem_alloc(1 << 20);
	memset(text, 'x', (1 << 20) - 1);
	assert_int_equal(child_run(cat, text, 60000, 1 << 20, &out, &status, &err), 0);
	assert_string_equal(out, text);
	free(out);
	out = NULL;
	assert_int_equal(child_run(deaf, text, 60000, 100, &out, &status, &err), 0);
	assert_string_equal(out, "");

	char *untouched = (char *)state;

	assert_int_equal(child_run(missing, NULL, 60000, 100, &untouched, &status, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no-such-program-here"));
	assert_int_equal(child_run(hang, NULL, 50, 100, &untouched, &status, &err), -ETIMEDOUT);
	assert_int_equal(child_run(chatty, NULL, 60000, 1000, &untouched, &status, &err), -E2BIG);
	assert_ptr_equal(untouched, (char *)state);
}

static void test_child_low_descriptors(void **state)
{
	/* a program that was started without stdin and stdout gets these very numbers for its pipes */
	static const char *const cat[] = {"cat", NULL};
	struct err err = {0};
	mem_auto char *out = NULL;
	int kept[2] = {dup(0), dup(1)}, status, r;

	fflush(stdout);
	close(0);
	close(1);
	r = child_run(cat, "hello", 60000, 100, &out, &status, &err);
	dup2(kept[0], 0);
	dup2(kept[1], 1);
	close(kept[0]);
	close(kept[1]);
	assert_int_equal(r, 0);
	assert_int_equal(status, 0);
	assert_string_equal(out, "hello");
}

static void test_child_clean(void **state)
{
	/* neither blocked or ignored signals nor descriptors are handed on */
	static const char *const argv[] = {"sh", "-c", "ls /proc/self/fd; grep -E 'SigBlk|SigIgn' /proc/self/status",
	                                   NULL};
	struct err err = {0};
	mem_auto char *out = NULL;
	sigset_t set, before;
	int status;

	/* what whoever started us left open is not ours to judge */
	assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &before);
	void (*old)(int) = signal(SIGUSR2, SIG_IGN);

	assert_int_equal(child_run(argv, "x", 60000, 4096, &out, &status, &err), 0);
	signal(SIGUSR2, old);
	sigprocmask(SIG_SETMASK, &before, NULL);
	/* the fourth is the folder that ls reads */
	assert_non_null(strstr(out, "0\n1\n2\n3\nSig"));
	assert_non_null(strstr(out, "SigBlk:\t0000000000000000\n"));
	unsigned long long ignored = strtoull(strstr(out, "SigIgn:\t") + 8, NULL, 16);

	assert_false(ignored & 1ULL << (SIGUSR2 - 1));
}

static void test_child_sibling(void **state)
{
	mem_auto char *self = child_sibling("test_base"), *none = child_sibling("no-such-sibling");

	assert_int_equal(access(self, X_OK), 0);
	assert_non_null(strchr(self, '/'));
	assert_string_equal(none, "no-such-sibling");
}

static void test_log(void **state)
{
	char line[512] = "";
	int pipe_fds[2], before = dup(STDERR_FILENO);

	assert_int_equal(pipe(pipe_fds), 0);
	dup2(pipe_fds[1], STDERR_FILENO);
	unsetenv("JOURNAL_STREAM");
	log_open("test", LOG_LEVEL_INFO);
	log_debug("not seen");
	log_warn("a name like %s", "x\n<0>fake\x1b[2J\xc2\x9b");
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_open("test", LOG_LEVEL_INFO);
	log_error("ä");
	dup2(before, STDERR_FILENO);
	close(before);
	close(pipe_fds[1]);
	assert_true(read(pipe_fds[0], line, sizeof(line) - 1) > 0);
	close(pipe_fds[0]);
	assert_non_null(strstr(line, "warning: a name like x\\x0a<0>fake\\x1b[2J\\u009b\n<3>ä\n"));
	assert_null(strstr(line, "not seen"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err), cmocka_unit_test(test_buf), cmocka_unit_test(test_vec),
		cmocka_unit_test(test_hash), cmocka_unit_test(test_loop_timers),
		cmocka_unit_test(test_loop_timer_order), cmocka_unit_test(test_loop_remove_inside),
		cmocka_unit_test(test_loop_events), cmocka_unit_test(test_loop_prepare),
		cmocka_unit_test(test_loop_signal), cmocka_unit_test(test_loop_child),
		cmocka_unit_test(test_child_run), cmocka_unit_test(test_child_low_descriptors),
		cmocka_unit_test(test_child_clean),
		cmocka_unit_test(test_child_sibling), cmocka_unit_test(test_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
