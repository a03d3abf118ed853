/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A new coordinator's files. */
#pragma once

/* argv: "init", tcp://HOST:PORT, NODE=ADDRESS …, and perhaps --dir DIR. Prints; returns the exit code. */
int init_main(int argc, char **argv);
