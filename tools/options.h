/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the programs' command lines have in common: exit codes, choices, and the environment. Each long
 * option is also an environment variable: VNE_ and the option, upper case, _ for -. Flags win over it. */
#pragma once

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

enum exit_code { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_INPUT = 2, EXIT_LIMIT = 4, EXIT_MACHINE = 70 };

/* The index of `value` among choices, NULL-ended; -EINVAL tells them. */
static inline int option_choice(const char *value, const char *const *choices, const char *what, int *ret,
                                struct err *err)
{
	for (int i = 0; choices[i]; i++)
		if (strcmp(choices[i], value) == 0) {
			*ret = i;
			return 0;
		}
	buf_auto struct buf all = BUF_INIT;
	for (int i = 0; choices[i]; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", choices[i]);
	return err_set(err, -EINVAL, "%s: '%s' is unknown; expected one of %s", what, value, buf_cstr(&all));
}

/* The long name of an option of the table. */
static inline const char *option_name(const struct argp_option *options, int key)
{
	while (options->key != key)
		options++;
	return options->name;
}

/* Hands each option of the table that stands in the environment to set(). */
static inline void options_from_environment(const struct argp_option *options, void *settings,
                                            int (*set)(void *settings, int key, const char *value, struct err *err))
{
	for (; options->name || options->key || options->doc; options++) {
		buf_auto struct buf name = BUF_INIT;
		struct err err = { 0 };
		if (!options->name)
			continue;
		buf_str(&name, "VNE_");
		for (const char *c = options->name; *c; c++)
			buf_char(&name, *c == '-' ? '_' : (char)toupper((unsigned char)*c));
		const char *value = getenv(buf_cstr(&name));
		if (value && *value && set(settings, options->key, value, &err) != 0) {
			fprintf(stderr, "%s: %s\n", buf_cstr(&name), err.text);
			exit(EXIT_INPUT);
		}
	}
}

/* What argp hands over: an option of the table, to set() (-ENOENT: not one of its), with what is wrong with its value said. */
static inline error_t option_parse(int key, const char *arg, struct argp_state *state,
                                   int (*set)(void *settings, int key, const char *value, struct err *err))
{
	struct err err = { 0 };

	if (!arg || key < 0 || key == ARGP_KEY_ARGS)
		return ARGP_ERR_UNKNOWN;
	int ret = set(state->input, key, arg, &err);
	if (ret == -ENOENT)
		return ARGP_ERR_UNKNOWN;
	if (ret != 0)
		argp_error(state, "%s", err.text);
	return 0;
}

/* Of several results the first of 70, 2, 4, 1 that applies. */
static inline int worse_exit(int code, int other)
{
	static const int order[] = { EXIT_MACHINE, EXIT_INPUT, EXIT_LIMIT, EXIT_REFUSED };

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		if (code == order[i] || other == order[i])
			return order[i];
	return EXIT_DONE;
}

/* What a file that cannot be had, or is wrong, exits with. */
static inline int exit_of_error(int code)
{
	return code == -EIO || code == -ENOMEM || code == -EMFILE || code == -ENFILE ? EXIT_MACHINE : EXIT_INPUT;
}
