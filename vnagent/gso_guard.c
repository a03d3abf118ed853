/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program, by hand: classic BPF cannot see segmentation sizes; see gso_guard.h.
 *
 * Dropped: segments below 512 bytes (or of sizes of their own, SCTP's) in a packet that would fit
 * into a frame. TCP's smallest usual segments, 524 bytes, pass; longer trains are taken apart later. */
#include "vnagent/gso_guard.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

enum { SEGMENT_MIN = 512, GSO_BY_FRAGMENTS = 0xffff, FRAME_EXTRA = 18 };

#define OP(code_, dst, src, off_, imm_) \
	(struct bpf_insn){ .code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_) }
#define LOAD(dst, src, off) OP(BPF_LDX | BPF_W | BPF_MEM, dst, src, off, 0)
#define SET(dst, imm) OP(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define COPY(dst, src) OP(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD(dst, imm) OP(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define JUMP_IF(how, dst, imm, by) OP(BPF_JMP | (how) | BPF_K, dst, 0, by, imm)
#define RETURN OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int load(void)
{
	const struct bpf_insn program[] = {
		/*  0 */ COPY(6, 1),
		/*  1 */ LOAD(2, 6, offsetof(struct __sk_buff, gso_size)),
		/*  2 */ JUMP_IF(BPF_JEQ, 2, 0, 16), /* to 19 */
		/*  3 */ JUMP_IF(BPF_JEQ, 2, GSO_BY_FRAGMENTS, 1),
		/*  4 */ JUMP_IF(BPF_JGE, 2, SEGMENT_MIN, 14),
		/*  5: the MTU of the device it entered by */
		OP(BPF_ST | BPF_W | BPF_MEM, 10, 0, -8, 0),
		/*  6 */ COPY(1, 6),
		/*  7 */ SET(2, 0),
		/*  8 */ COPY(3, 10),
		/*  9 */ ADD(3, -8),
		/* 10 */ SET(4, 0),
		/* 11 */ SET(5, 0),
		/* 12 */ OP(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_check_mtu),
		/* 13 */ LOAD(1, 10, -8),
		/* 14 */ ADD(1, FRAME_EXTRA),
		/* 15 */ LOAD(2, 6, offsetof(struct __sk_buff, len)),
		/* 16 */ OP(BPF_JMP | BPF_JGT | BPF_X, 2, 1, 2, 0),
		/* 17 */ SET(0, TC_ACT_SHOT),
		/* 18 */ RETURN,
		/* 19 */ SET(0, TC_ACT_UNSPEC),
		/* 20 */ RETURN,
	};
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = ARRAY_LEN(program);
	attr.license = (uint64_t)(uintptr_t)"GPL";
	memcpy(attr.prog_name, "vne_gso_guard", sizeof("vne_gso_guard"));
	return (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)); /* close-on-exec, as all of these */
}

int gso_guard_fd(void)
{
	static int fd = -2;
	if (fd == -2) {
		fd = load();
		if (fd < 0)
			fd = -1;
	}
	return fd;
}
