/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What SNDlib's two formats have in common. */
#pragma once

#include "origin/net.h"

int64_t sndlib_bandwidth(double capacity, const char *unit); /* MBITPERSEC unless BITSPERSEC */
/* Positions (x, y) as (longitude, latitude) where they can be: nodes have {COORDS_POSITION, y, x}. */
void sndlib_coordinates(struct net *net);
void sndlib_directions(struct net *net); /* joined where each link has its opposite */
