/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Views as text or JSON, the same for vnctl and for every other way out. docs/schema describes the
 * JSON: network.json, node.json, slink.json, event.json, history.json, routes.json, series.json, key.json, log.json, usage.json, quota.json. Figures that are not known are left out. */
#pragma once

#include <stddef.h>

#include "model/view.h"
#include "model/writer.h"

/* One object, where an element of a list or the root may stand. A network's text is a page where it is
 * detailed: routers, links with their way, what was promised beside what was measured, drops. An
 * event's text is one line, so that events can be followed as they come. */
void write_network_view(struct writer *w, const struct network_view *v);
void write_node_view(struct writer *w, const struct node_view *v);
void write_slink_view(struct writer *w, const struct slink_view *v);
void write_event_view(struct writer *w, const struct event_view *v);
void write_series_view(struct writer *w, const struct series_view *v);

/* A list of them, text: a table. key, title as in writer.h; NULL, "" at the root. */
void write_network_views(struct writer *w, const char *key, const char *title, const struct network_view *v, size_t n);
void write_node_views(struct writer *w, const char *key, const char *title, const struct node_view *v, size_t n);
void write_slink_views(struct writer *w, const char *key, const char *title, const struct slink_view *v, size_t n);
void write_routes_views(struct writer *w, const char *key, const char *title, const struct routes_view *v, size_t n);
void write_history_views(struct writer *w, const char *key, const char *title, const struct history_view *v, size_t n);
void write_log_view(struct writer *w, const struct log_view *v); /* text: one line */
void write_usage_views(struct writer *w, const char *key, const char *title, const struct usage_view *v, size_t n);
void write_quota_views(struct writer *w, const char *key, const char *title, const struct quota_view *v, size_t n);
void write_key_views(struct writer *w, const char *key, const char *title, const struct key_view *v, size_t n);
void write_event_views(struct writer *w, const char *key, const char *title, const struct event_view *v, size_t n);
