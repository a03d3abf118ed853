/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Other people's files of networks: told by their content, read into a struct net. Everything is bounded and
 * nothing in a file is believed; an error says file:line:column. */
#pragma once

#include "origin/net.h"

struct import_format {
	const char *name, *about;
	/* Whether a file may be one of these, by its beginning; NULL: has to be asked for. */
	bool (*is)(const char *text, size_t len);
	int (*read)(const char *text, size_t len, const char *file, struct net *net, struct err *err);
};
extern const struct import_format import_formats[]; /* ended by a NULL name */
const struct import_format *import_format_find(const char *name);

/* Reads a text; `file` names it in errors and, where the text has no name of its own, the network. format
 * NULL: by content. -EINVAL with the first fault. Linear in the text; net_done() in either case. */
int import_read(const struct import_format *format, const char *text, size_t len, const char *file, struct net *ret,
                struct err *err) VNE_MUST;

/* The readers, each in a file of its own: import_NAME.c. */
int import_gml(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_sndlib(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_sndlib_xml(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_rspec(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_latencies(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_weights(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
int import_containerlab(const char *text, size_t len, const char *file, struct net *net, struct err *err) VNE_MUST;
