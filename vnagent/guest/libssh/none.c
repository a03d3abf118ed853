/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A libssh with nothing in it, for our BIRDs only. BIRD can fetch RPKI tables over ssh, and for that is linked with libssh, which brings
 * gcrypt, Kerberos and more: 3.6 MB of memory in each guest, 200 kB in each router that shares the host's, for what our configurations never use.
 * Here every session fails to begin, as with a server that is not there. */
#include <stddef.h>

void *ssh_new(void);
void *ssh_new(void)
{
	return NULL;
}

void *ssh_channel_new(void *session);
void *ssh_channel_new(void *session)
{
	return NULL;
}

const char *ssh_get_error(void *session);
const char *ssh_get_error(void *session)
{
	return "this BIRD is built without ssh";
}

/* All the others return an int and are never reached without a session: SSH_ERROR. */
#define FAILS(name) \
	int name(void); \
	int name(void) \
	{ \
		return -1; \
	}

FAILS(ssh_channel_close)
FAILS(ssh_channel_free)
FAILS(ssh_channel_is_eof)
FAILS(ssh_channel_is_open)
FAILS(ssh_channel_open_session)
FAILS(ssh_channel_read_nonblocking)
FAILS(ssh_channel_request_subsystem)
FAILS(ssh_channel_select)
FAILS(ssh_channel_write)
FAILS(ssh_connect)
FAILS(ssh_disconnect)
FAILS(ssh_free)
FAILS(ssh_get_error_code)
FAILS(ssh_get_fd)
FAILS(ssh_is_server_known)
FAILS(ssh_options_set)
FAILS(ssh_set_blocking)
FAILS(ssh_userauth_publickey_auto)
