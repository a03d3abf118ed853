/* SPDX-License-Identifier: GPL-3.0-or-later */
/* eBPF by hand, for programs of a few instructions that need no compiler: how to write one, how to load it. */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>

#define OP(code_, dst, src, off_, imm_) \
	(struct bpf_insn){ .code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_) }
#define LOAD(dst, src, off) OP(BPF_LDX | BPF_W | BPF_MEM, dst, src, off, 0)
#define SET(dst, imm) OP(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define COPY(dst, src) OP(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD(dst, imm) OP(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define AND(dst, imm) OP(BPF_ALU64 | BPF_AND | BPF_K, dst, 0, 0, imm)
#define JUMP_IF(how, dst, imm, by) OP(BPF_JMP | (how) | BPF_K, dst, 0, by, imm)
#define CALL(function) OP(BPF_JMP | BPF_CALL, 0, 0, 0, function)
#define RETURN OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* For the classifier bpf of tc: a descriptor, or -1. name: at most 15 letters. */
int bpf_insn_load(const struct bpf_insn *program, size_t n, const char *name);
