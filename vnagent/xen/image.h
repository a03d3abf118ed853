/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest images that the node's operator allows: a name each, and a directory as guest_wire.h and tools/vnimage say. A
 * request can only name one of them; no name ever becomes part of a path. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { IMAGES_MAX = 32, IMAGE_NAME_MAX = 63, IMAGE_CMDLINE_MAX = 512, IMAGE_INITRD_MAX = 64 << 20 };

struct image {
	char name[IMAGE_NAME_MAX + 1];
	char *kernel, *initrd;             /* paths */
	char cmdline[IMAGE_CMDLINE_MAX];   /* beside console=hvc0 */
	int64_t memory_kib;                /* the least that it runs in; 0: it does not say */
};
struct images {
	struct image v[IMAGES_MAX];
	size_t n;
};

/* "NAME=DIR". -EINVAL: not that, or a name that is no name; -ENOENT and such: the directory is no image. */
int images_add(struct images *images, const char *option, struct err *err) VNE_MUST;
/* "": the one named `default`, or else the first. NULL: none. */
const struct image *images_find(const struct images *images, const char *name);
void images_done(struct images *images);

/* The image's ramdisk with the router's own cpio behind it, ready to be a file. */
int image_ramdisk(const struct image *image, const char *setup, size_t len, struct buf *out, struct err *err) VNE_MUST;
/* Just the cpio: GUEST_SETUP_FILE with its directories, newc, a multiple of four bytes. */
void ramdisk_cpio(const char *setup, size_t len, struct buf *out);
