/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XML as a small tree; xml.c is the only file that knows expat. A file with a document type is refused, so that
 * no entity can be defined; depth and size are bounded. Prefixes of namespaces are cut off. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct xml_attribute {
	char *key, *value;
};

struct xml {
	char *name, *text; /* text: all of its own, without blanks around; never NULL */
	struct xml_attribute *attributes;
	size_t n_attributes;
	struct xml *first, *next, *parent;
	struct xml *last;
	uint32_t line, column;
};

int xml_parse(const char *text, size_t len, const char *file, struct xml **ret, struct err *err) VNE_MUST;
void xml_free(struct xml *root);

const char *xml_attribute(const struct xml *e, const char *key); /* NULL where absent */
const struct xml *xml_child(const struct xml *e, const char *name); /* the first; NULL */
const struct xml *xml_next(const struct xml *e, const char *name);  /* the next sibling of this name */
int xml_fault(const struct xml *e, const char *file, struct err *err, const char *format, ...) VNE_PRINTF(4, 5);
