/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Addresses of sockets as configurations write them: checked where they are read, so that a slip
 * is told with its place and not by whoever fails to bind or connect later. */
#pragma once

#include "base/err.h"
#include "model/yaml.h"

int endpoint_check_server(const char *text, struct err *err) VNE_MUST; /* tcp://HOST:PORT, what a client connects to */
int endpoint_check_listen(const char *text, struct err *err) VNE_MUST; /* tcp://ADDRESS:PORT (either may be *), tcp://fd:NUMBER */
int endpoint_check_http(const char *text, struct err *err) VNE_MUST;   /* ADDRESS:PORT, fd:NUMBER */

/* The same as readers for tables of keys; key->expected is told behind the reason. */
yaml_read_fn endpoint_read_server; /* char * */
yaml_read_fn endpoint_read_listen; /* struct yaml_names: at least one */
yaml_read_fn endpoint_read_http;   /* char * */
