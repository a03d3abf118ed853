/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `place` read from YAML: where a virtual node may be. */
#include <stdlib.h>
#include <string.h>

#include "model/parts.h"
#include "model/request.h"
#include "model/request_rules.h"

struct near_file {
	struct coords location, position;
	const struct yaml_node *within;
};

enum { NEAR_LOCATION, NEAR_POSITION, NEAR_WITHIN };
static const struct yaml_key near_keys[] = {
	{"location", read_location, offsetof(struct near_file, location), false, NULL, "[latitude, longitude] in degrees"},
	{"position", read_position, offsetof(struct near_file, position), false, NULL, "[x, y]"},
	{"within", read_node, offsetof(struct near_file, within), true, NULL,
	 "a distance such as 500km, or a bare number where \"near\" is a position"},
	{NULL, NULL, 0, false, NULL, NULL},
};

/* "500km" where a location is meant, a bare number where a position is. */
static void read_within(const struct yaml_node *node, enum coords_kind kind, double *ret, struct yaml_errors *errors)
{
	char number[64] = "";
	struct err err = {0};
	double value;

	if (node->refused)
		return;
	if (node->type != YAML_SCALAR) {
		yaml_error(errors, node->mark, "\"within\" is %s; expected a distance such as 500km", yaml_type_text(node));
		return;
	}
	size_t digits = strspn(node->text, "+-.0123456789eE");
	const char *unit = node->text + digits;

	if (digits < sizeof(number))
		memcpy(number, node->text, digits);
	if (units_number(number, &value, &err) < 0)
		yaml_error(errors, node->mark, "within \"%.40s\" is no distance; expected %s", node->text,
		           kind == COORDS_LOCATION ? "kilometres such as 500km" : "a number such as 15");
	else if (value < 0)
		yaml_error(errors, node->mark, "within \"%.40s\" is negative; expected 0 or more", node->text);
	else if (kind == COORDS_LOCATION && !*unit)
		yaml_error(errors, node->mark, "within \"%.40s\" has no unit, but \"near\" is a location; write %skm", node->text,
		           number);
	else if (kind == COORDS_POSITION && strcasecmp(unit, "km") == 0)
		yaml_error(errors, node->mark, "within \"%.40s\" is in kilometres, but \"near\" is a position on a plane; write %s",
		           node->text, number);
	else if (kind == COORDS_LOCATION ? strcasecmp(unit, "km") != 0 : *unit != '\0')
		yaml_error(errors, node->mark, "within \"%.40s\" has an unknown unit; expected %s%s", node->text, number,
		           kind == COORDS_LOCATION ? "km" : "");
	else
		*ret = value;
}

static void read_near(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct place *p = into;
	struct near_file f = {0};
	uint64_t given;

	(void)key;
	yaml_read_mapping(node, near_keys, &f, &given, errors);
	if (node->type != YAML_MAPPING)
		return;
	bool located = given >> NEAR_LOCATION & 1, placed = given >> NEAR_POSITION & 1;

	if (located == placed) {
		if (!node->cut)
			yaml_error(errors, node->mark, located ? "\"location\" and \"position\" both; expected one of them"
			                                       : "\"near\" what? Expected \"location\" or \"position\"");
		return;
	}
	p->has_near = true;
	p->near = located ? f.location : f.position;
	if (f.within)
		read_within(f.within, located ? COORDS_LOCATION : COORDS_POSITION, &p->within, errors);
}

static void read_some_names(const struct yaml_node *node, void *into, const struct yaml_key *key,
                            struct yaml_errors *errors)
{
	yaml_read_names(node, into, key, errors);
	if (node->type == YAML_SEQUENCE && !node->n && !node->cut)
		yaml_error(errors, node->mark, "\"%s\" is an empty list; expected names of substrate nodes, or no \"%s\"", key->name,
		           key->name);
}

struct place_file {
	struct place place;
	struct labels labels;
};

static const struct yaml_key place_keys[] = {
	{"on", read_some_names, offsetof(struct place_file, place.on), false, NULL, "a list of substrate nodes"},
	{"not_on", read_some_names, offsetof(struct place_file, place.not_on), false, NULL, "a list of substrate nodes"},
	{"near", read_near, offsetof(struct place_file, place), false, NULL, "{location: [latitude, longitude], within: 500km}"},
	{"labels", read_labels, offsetof(struct place_file, labels), false, NULL, "a mapping such as {site: south}"},
	{NULL, NULL, 0, false, NULL, NULL},
};

void read_place(const struct yaml_node *node, void *into, const struct yaml_key *key, struct yaml_errors *errors)
{
	struct place_file f = {0};

	(void)key;
	yaml_read_mapping(node, place_keys, &f, NULL, errors);
	f.place.labels = f.labels.v;
	f.place.n_labels = f.labels.n;
	*(struct place *)into = f.place;
}
