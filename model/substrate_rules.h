/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between substrate.c and substrate_yaml.c. */
#pragma once

#include "model/parts.h"
#include "model/substrate.h"

#define COUNT_MAX INT64_C(1000000000000)

/* Builds the indices and reports what is wrong between the parts; a name that is NULL and an end
 * that is NO_NODE were reported already. */
void substrate_faults(struct substrate *s, struct faults *faults);
