/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `vnguest --routes`: what the kernel of this router says of its links, addresses, neighbours and routes, to whoever reads standard
 * output: first all, then each change at once. A host that forwards for the router (plane `split`) runs it inside as any
 * command. The stream is netlink's own messages of NETLINK_ROUTE, one behind the other, each padded to 4 bytes; NLMSG_NOOP
 * tells that all is about to be told anew (at the beginning, and when changes were lost), NLMSG_DONE that it has been. */
#pragma once

#include "base/err.h"

int follow_routes(int out, struct err *err) VNE_MUST; /* ends with an error only, or when nobody reads (-EPIPE) */
