/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a machine the agent of a node. */
#pragma once

/* argv: "join", tcp://HOST:PORT, TOKEN, and perhaps --dir DIR. Prints; returns the exit code. Blocks for ten seconds at most. */
int join_main(int argc, char **argv);
