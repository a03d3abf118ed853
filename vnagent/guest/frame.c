/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See frame.h. */
#include "vnagent/guest/frame.h"

#include <errno.h>
#include <string.h>

#include "vnagent/guest_wire.h"

long frame_take(const void *data, size_t len, struct frame *ret)
{
	const uint8_t *head = data;
	if (len < GUEST_HEAD)
		return 0;
	size_t more = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (more > GUEST_FRAME_MAX)
		return -EPROTO;
	if (len < GUEST_HEAD + more)
		return 0;
	*ret = (struct frame){ (char)head[0], (const char *)head + GUEST_HEAD, more };
	return (long)(GUEST_HEAD + more);
}

int frame_words(const char *words, size_t len, const char *argv[static FRAME_WORDS_MAX + 1])
{
	int n = 0;
	if (!len || len > FRAME_WORDS_BYTES || words[len - 1] || !words[0])
		return -EINVAL;
	for (const char *at = words; at < words + len; at += strlen(at) + 1) {
		if (n == FRAME_WORDS_MAX)
			return -EINVAL;
		argv[n++] = at;
	}
	argv[n] = NULL;
	return n;
}
