/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forwarding programs that the node's operator allows (`programs` in vnagent.yaml, `plane: {program: NAME}` in a request): each router
 * that asks for one has an instance with maps of its own, at the egress of the host-side devices of its ports, where frames
 * leave for the router. What a program is, bpf/program.h says.
 *
 * An instance is held by the filters that it stands in, so it outlives the agent, its tenant's entries included; the next agent finds
 * it by the number of the program that a filter has. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/units.h"
#include "model/view.h"
#include "model/yaml.h"
#include "proto/message.h"
#include "vnagent/router.h"

/* Whether an object of that name is here and this kernel takes it; names: NAME=PATH each. Tried in a process of its own, as those who
 * read objects may crash over a damaged one: to be called before there are threads. */
int program_probe(const struct yaml_names *objects, const char *name, struct err *err) VNE_MUST;

struct program; /* an instance */
/* From the object; -ENOENT: the operator has allowed none of that name. */
int program_open(const struct yaml_names *objects, const char *name, struct program **ret, struct err *err) VNE_MUST;
/* The one that a filter has; false: it is not there, or no such program. */
bool program_adopt(uint32_t program_id, const char *name, struct program **ret);
void program_close(struct program *p); /* filters keep what they have. NULL accepted */
int program_fd(const struct program *p);
uint32_t program_id(const struct program *p);

struct program_port {
	uint32_t number; /* N of ethN inside */
	uint32_t ifindex, mtu;
	uint8_t mac[6], peer[6]; /* peer: zeroes where it is not one known neighbour */
};
/* What the agent fills: these ports and no others, the router's own addresses. */
int program_fill(struct program *p, const struct program_port *ports, size_t n_ports, const struct addr *locals, size_t n_locals,
                 struct err *err) VNE_MUST;

/* The tenant's map: what the message asks, into ret (PLANE_DATA, code included; the caller's to free). */
void program_answer(struct program *p, const struct message *question, struct message *ret);
