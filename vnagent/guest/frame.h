/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames and words of vnagent/guest_wire.h, taken from bytes that came. Nothing is copied. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FRAME_WORDS_MAX = 1024, FRAME_WORDS_BYTES = 16 << 10 };

struct frame {
	char type;
	const char *data; /* in the bytes it was taken from */
	size_t len;
};

/* Length of the first frame with its head; 0: it is not whole yet; -EPROTO: longer than a frame may be. */
long frame_take(const void *data, size_t len, struct frame *ret);

/* Words, each ended by NUL, into argv, NULL-ended: their number, or -EINVAL: none, an empty first one, too many, an end that is missing. */
int frame_words(const char *words, size_t len, const char *argv[static FRAME_WORDS_MAX + 1]);
