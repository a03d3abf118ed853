/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The split plane's program and its maps in the kernel (split_map.h, bpf/split.bpf.c). Only split_bpf.c knows libbpf.
 *
 * Nothing is pinned anywhere: filters hold the program, and the program its maps; what the last filter leaves goes. So a
 * killed agent leaves a plane that goes on, and the next one brings a program and maps of its own, fills them, and
 * replaces the filters: from one packet to the next, and never half. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/units.h"
#include "vnagent/split_map.h"

struct split_bpf;
/* Loads it. -EPERM: not allowed here (a user namespace); -EOPNOTSUPP: this kernel has not what it needs. */
int split_bpf_open(struct split_bpf **ret, struct err *err) VNE_MUST;
void split_bpf_close(struct split_bpf *b); /* NULL accepted */
int split_bpf_program(const struct split_bpf *b); /* its descriptor, for a filter */
uint32_t split_bpf_program_id(const struct split_bpf *b);

int split_bpf_port(struct split_bpf *b, uint32_t slot, const struct split_port *port) VNE_MUST;
/* via: 16 bytes, of IPv4 the first 4; slot 0: into the router. -ENOSPC: the node's tables are full. */
int split_bpf_route(struct split_bpf *b, uint32_t router, const struct addr *to, uint32_t slot, const uint8_t *via) VNE_MUST;
void split_bpf_unroute(struct split_bpf *b, uint32_t router, const struct addr *to);
int split_bpf_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address, const uint8_t *mac) VNE_MUST;
void split_bpf_forget_neighbour(struct split_bpf *b, uint32_t slot, const struct addr *address);
/* Whether a packet went to it since this was last asked. */
bool split_bpf_neighbour_used(struct split_bpf *b, uint32_t slot, const struct addr *address);

void split_bpf_count(struct split_bpf *b, uint32_t slot, struct split_count *ret);
void split_bpf_clear_count(struct split_bpf *b, uint32_t slot);
/* The same of an earlier agent's program that stands at a port, by the number of that; false: it is none of ours. */
bool split_bpf_old_count(uint32_t program_id, uint32_t slot, struct split_count *ret);
