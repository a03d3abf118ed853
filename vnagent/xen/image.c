/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images and the ramdisk of a router; see image.h. */
#include "vnagent/xen/image.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/units.h"
#include "vnagent/guest_wire.h"

static bool good_name(const char *name, size_t len)
{
	if (!len || len > IMAGE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && (!i || !strchr("-_.", name[i])))
			return false;
	return true;
}

/* `about`: of its lines we want two. */
static int read_about(struct image *image, const char *dir, struct err *err)
{
	char line[IMAGE_CMDLINE_MAX + 16];
	int code = 0;
	mem_auto char *path = mem_printf("%s/%s", dir, GUEST_IMAGE_ABOUT);
	FILE *f = fopen(path, "re");
	if (!f)
		return err_sys(err, -errno, "%s", path);
	while (!code && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (!strncmp(line, "memory ", 7))
			code = units_memory(line + 7, &image->memory_kib, err);
		else if (!strncmp(line, "cmdline ", 8) && strlen(line + 8) >= sizeof(image->cmdline))
			code = err_set(err, -EINVAL, "the kernel's command line has more than %d characters", IMAGE_CMDLINE_MAX - 1);
		else if (!strncmp(line, "cmdline ", 8))
			snprintf(image->cmdline, sizeof(image->cmdline), "%.*s", IMAGE_CMDLINE_MAX - 1, line + 8);
	}
	fclose(f);
	return code ? err_add(err, code, "%s", path) : 0;
}

int images_add(struct images *images, const char *option, struct err *err)
{
	const char *eq = strchr(option, '=');
	struct image *image = &images->v[images->n];
	int code;
	if (!eq || !good_name(option, (size_t)(eq - option)) || !eq[1])
		return err_set(err, -EINVAL, "image %s; expected NAME=DIR", option);
	if (images->n == IMAGES_MAX)
		return err_set(err, -E2BIG, "more than %d images", IMAGES_MAX);
	*image = (struct image){ 0 };
	snprintf(image->name, sizeof(image->name), "%.*s", (int)(eq - option), option);
	for (size_t i = 0; i < images->n; i++)
		if (!strcmp(images->v[i].name, image->name))
			return err_set(err, -EINVAL, "two images have the name %s", image->name);
	if ((code = read_about(image, eq + 1, err)))
		return err_add(err, code, "image %s", image->name);
	image->kernel = mem_printf("%s/%s", eq + 1, GUEST_IMAGE_KERNEL);
	image->initrd = mem_printf("%s/%s", eq + 1, GUEST_IMAGE_INITRD);
	const char *missing = access(image->kernel, R_OK) ? image->kernel : access(image->initrd, R_OK) ? image->initrd : NULL;
	if (missing) {
		code = err_sys(err, -errno, "image %s: %s", image->name, missing);
		free(image->kernel);
		free(image->initrd);
		return code;
	}
	images->n++;
	return 0;
}

const struct image *images_find(const struct images *images, const char *name)
{
	for (size_t i = 0; i < images->n; i++)
		if (!strcmp(images->v[i].name, *name ? name : "default"))
			return &images->v[i];
	return !*name && images->n ? &images->v[0] : NULL;
}

void images_done(struct images *images)
{
	for (size_t i = 0; i < images->n; i++) {
		free(images->v[i].kernel);
		free(images->v[i].initrd);
	}
	images->n = 0;
}

/* ---- the ramdisk ----------------------------------------------------------------------------- */
static void pad(struct buf *out, size_t begin)
{
	while ((out->len - begin) % 4)
		buf_add(out, "", 1);
}

static void put_file(struct buf *out, size_t begin, const char *name, unsigned mode, const char *data, size_t len)
{
	/* magic, inode, mode, uid, gid, links, mtime, length, device ×4, length of the name, sum */
	buf_printf(out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", 0, mode, 0, 0, 1, 0, len, 0, 0, 0, 0,
	           strlen(name) + 1, 0);
	buf_add(out, name, strlen(name) + 1);
	pad(out, begin);
	buf_add(out, data, len);
	pad(out, begin);
}

void ramdisk_cpio(const char *setup, size_t len, struct buf *out)
{
	char path[] = GUEST_SETUP_FILE;
	size_t begin = out->len;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		put_file(out, begin, path + 1, 040755, NULL, 0);
		*slash = '/';
	}
	put_file(out, begin, path + 1, 0100600, setup, len);
	put_file(out, begin, "TRAILER!!!", 0, NULL, 0);
}

int image_ramdisk(const struct image *image, const char *setup, size_t len, struct buf *out, struct err *err)
{
	char chunk[64 << 10];
	size_t n, begin = out->len;
	FILE *f = fopen(image->initrd, "re");
	if (!f)
		return err_sys(err, -errno, "image %s: %s", image->name, image->initrd);
	while ((n = fread(chunk, 1, sizeof(chunk), f)) && out->len < IMAGE_INITRD_MAX)
		buf_add(out, chunk, n);
	bool broken = ferror(f);
	fclose(f);
	if (broken)
		return err_set(err, -EIO, "image %s: %s cannot be read", image->name, image->initrd);
	if (n)
		return err_set(err, -EFBIG, "image %s: %s has more than %d MiB", image->name, image->initrd, IMAGE_INITRD_MAX >> 20);
	pad(out, begin);
	ramdisk_cpio(setup, len, out);
	return 0;
}
