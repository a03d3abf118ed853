/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What operators ask of people: who may connect, who did what, what they had and may have. */
#include "model/view_write.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "model/units.h"

enum { TEXT = 64 };

static const char *time_text(uint64_t wall_ms, char text[static TEXT])
{
	struct tm tm;
	time_t seconds = (time_t)(wall_ms / 1000);
	gmtime_r(&seconds, &tm);
	strftime(text, TEXT, "%Y-%m-%d %H:%M:%SZ", &tm);
	return text;
}

void write_key_views(struct writer *w, const char *key, const char *title, const struct key_view *v, size_t n)
{
	char text[TEXT];
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++) {
		write_object(w, NULL, "");
		write_string(w, "name", "name", v[i].name);
		write_string(w, "role", "role", v[i].role);
		write_string(w, "node", "node", v[i].node[0] ? v[i].node : NULL);
		write_string(w, "fingerprint", "fingerprint", v[i].fingerprint);
		if (v[i].expires_ms) {
			time_text(v[i].expires_ms, text);
			write_int(w, "expires_ms", NULL, (int64_t)v[i].expires_ms);
			write_string(w, NULL, "until", text);
		}
		write_end(w);
	}
	write_end(w);
}

void write_log_view(struct writer *w, const struct log_view *v)
{
	char text[TEXT];
	time_text(v->wall_ms, text);
	write_object(w, NULL, "");
	write_line(w, "%s  %s (%s%s%s) %s %s: %s%s%s", text, v->who, v->role, v->from[0] ? " from " : "", v->from, v->what, v->object,
	           v->code ? "refused" : "done", v->result[0] ? ": " : "", v->result);
	write_int(w, "sequence", NULL, (int64_t)v->sequence);
	write_int(w, "wall_ms", NULL, (int64_t)v->wall_ms);
	write_string(w, "who", NULL, v->who);
	write_string(w, "role", NULL, v->role);
	write_string(w, "from", NULL, v->from);
	write_string(w, "what", NULL, v->what);
	write_string(w, "object", NULL, v->object);
	write_int(w, "code", NULL, v->code);
	write_string(w, "result", NULL, v->result);
	write_end(w);
}

void write_usage_views(struct writer *w, const char *key, const char *title, const struct usage_view *v, size_t n)
{
	char text[TEXT];
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++) {
		write_object(w, NULL, "");
		write_string(w, "owner", "owner", v[i].owner);
		write_string(w, NULL, "from", time_text(v[i].from_ms, text));
		write_string(w, NULL, "to", time_text(v[i].to_ms, text));
		write_int(w, "from_ms", NULL, (int64_t)v[i].from_ms);
		write_int(w, "to_ms", NULL, (int64_t)v[i].to_ms);
		write_number(w, "core_hours", "core hours", v[i].core_hours, 3);
		write_number(w, "memory_gib_hours", "GiB hours", v[i].memory_gib_hours, 3);
		write_number(w, "mbit_hours", "mbit hours", v[i].mbit_hours, 3);
		write_int(w, "bytes", "bytes", v[i].bytes > INT64_MAX ? INT64_MAX : (int64_t)v[i].bytes);
		write_end(w);
	}
	write_end(w);
}

static const char *amount(size_t what, int64_t value, char text[static UNITS_TEXT])
{
	if (what == QUOTA_MEMORY)
		return units_memory_text(value, text);
	if (what == QUOTA_BANDWIDTH)
		return units_bandwidth_text(value, text);
	snprintf(text, UNITS_TEXT, "%.10g", what == QUOTA_CORES ? (double)value / 1000 : (double)value);
	return text;
}

void write_quota_views(struct writer *w, const char *key, const char *title, const struct quota_view *v, size_t n)
{
	static const char *const keys[QUOTA_COUNT][3] = {
		{ "networks", "networks_allowed", "networks" }, { "routers", "routers_allowed", "routers" }, { "cores", "cores_allowed", "cores" },
		{ "memory_kib", "memory_kib_allowed", "memory" }, { "mbit", "mbit_allowed", "bandwidth" }
	};
	write_list(w, key, title);
	for (size_t i = 0; i < n; i++) {
		write_object(w, NULL, "");
		write_string(w, "tenant", "tenant", v[i].tenant);
		for (size_t k = 0; k < QUOTA_COUNT; k++) {
			double scale = k == QUOTA_CORES || k == QUOTA_BANDWIDTH ? 1000 : 1;
			char used[UNITS_TEXT], may[UNITS_TEXT], text[2 * UNITS_TEXT + 8];
			snprintf(text, sizeof(text), "%s of %s", amount(k, v[i].used[k], used), v[i].limit[k] < 0 ? "any" : amount(k, v[i].limit[k], may));
			write_number(w, keys[k][0], NULL, (double)v[i].used[k] / scale, 3);
			if (v[i].limit[k] >= 0)
				write_number(w, keys[k][1], NULL, (double)v[i].limit[k] / scale, 3);
			write_string(w, NULL, keys[k][2], text);
		}
		write_end(w);
	}
	write_end(w);
}
