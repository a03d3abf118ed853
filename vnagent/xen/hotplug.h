/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vnagent-xen as the program that libxl runs when a vif appears on the host (it would be a shell script else).
 *
 * Its contract, as libxl and the kernel's netback have it: called as `PROGRAM online|offline type_if=vif` with XENBUS_PATH (the
 * backend's directory in xenstore) and `vif` (the device's name) in the environment; when done it writes `connected` to
 * hotplug-status there, which lets netback connect, or a reason to hotplug-error, which makes libxl give up. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool hotplug_called(int argc, char **argv);
int hotplug_run(char **argv); /* exit code */

/* What a backend's directory says is ours: `vifname` as domain_config.c wrote it. false: not ours. *control: the control vif. */
bool hotplug_name(const char *vifname, bool *control, uint32_t *net, uint32_t *port);
