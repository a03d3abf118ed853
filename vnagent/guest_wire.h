/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control connection into a guest: what the host says to vnguest and hears from it.
 *
 * The guest's first interface is its control interface, joined to nothing but one device of the host that stands in a network
 * namespace of its own, without addresses but fe80::1, without forwarding: a guest's root reaches nobody through it. vnguest
 * listens on TCP port GUEST_PORT of fe80::2 there. Each connection carries one request; the host speaks first; closing ends it. A host
 * that gives a command up closes with a reset (SO_LINGER, 0 s): behind input that the command does not read, an orderly end would wait.
 *
 * A frame: type (1 byte), length of the payload (3 bytes, big endian, at most GUEST_FRAME_MAX), payload.
 *
 *   host → guest
 *     'e'  exec: words, each ended by NUL (1 … 1024 words, 16 KiB)
 *     'i'  input of it; empty: its end
 *     'a'  apply: a setup (setup.h), in one or more frames; an empty one ends it. Applied whole or not at all
 *     'd'  dial: path of a socket file; after the guest's 'x' with code 0 the connection carries bytes, no frames
 *     'v'  version: answered by 'x' 0 with a line of text (name and version); shows that the guest is up
 *   guest → host
 *     'o'  'r'  output, error output of exec; empty: its end
 *     'x'  the end: code (4 bytes, big endian), then text: exec: as a shell shows it; else 0 or an errno, and the reason
 *
 * Everything that comes from a guest is a tenant's word: bounded, never believed, never shown without being cleaned. */
#pragma once

enum { GUEST_PORT = 7411, GUEST_FRAME_MAX = 64 << 10, GUEST_SETUP_MAX = 4 << 20, GUEST_HEAD = 4 };
#define GUEST_CONTROL_MAC "\x0a\x56\x4e\x45\x00\x00" /* the same in each: no two ever meet */
#define GUEST_SETUP_FILE "/etc/vne/setup" /* in the cpio that is appended to the image's for each router */

/* An image is a directory: the kernel as libxl takes it, a cpio in a compression that the kernel knows, and lines of text about
 * it (`version`, `kernel`, `memory 64MiB`: the least that it runs in, `cmdline …`: what the kernel is told beside console=hvc0, sizes). The cpio's length is a multiple of 4, so that the one with
 * GUEST_SETUP_FILE (newc, not compressed) can stand behind it. It is not gzip: libxl would unpack that in the memory of the guest, and
 * takes the last four bytes, which are the appended cpio's, for its length. */
#define GUEST_IMAGE_KERNEL "vmlinuz"
#define GUEST_IMAGE_INITRD "initrd"
#define GUEST_IMAGE_ABOUT "about"
