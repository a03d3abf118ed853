/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The program, by hand: classic BPF cannot see segmentation sizes; see gso_guard.h.
 *
 * Dropped: segments below 512 bytes (or of sizes of their own, SCTP's) in a packet that would fit
 * into a frame. TCP's smallest usual segments, 524 bytes, pass; longer trains are taken apart later. */
#include "vnagent/gso_guard.h"

#include <linux/pkt_cls.h>
#include <stddef.h>

#include "base/mem.h"
#include "vnagent/bpf_insn.h"

enum { SEGMENT_MIN = 512, GSO_BY_FRAGMENTS = 0xffff, FRAME_EXTRA = 18 };

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
		/* 12 */ CALL(BPF_FUNC_check_mtu),
		/* 13 */ LOAD(1, 10, -8),
		/* 14 */ ADD(1, FRAME_EXTRA),
		/* 15 */ LOAD(2, 6, offsetof(struct __sk_buff, len)),
		/* 16 */ OP(BPF_JMP | BPF_JGT | BPF_X, 2, 1, 2, 0),
		/* 17 */ SET(0, TC_ACT_SHOT),
		/* 18 */ RETURN,
		/* 19 */ SET(0, TC_ACT_UNSPEC),
		/* 20 */ RETURN,
	};
	return bpf_insn_load(program, ARRAY_LEN(program), "vne_gso_guard");
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
