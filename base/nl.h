/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Netlink in batches: many messages, one system call, one look at the answers.
 *
 * A message is begun, gets attributes, and is ended by the next one that begins or by
 * sending. The kernel works synchronously, so the acknowledgement of the last message of a
 * chunk tells that the others are done too; those that failed have reported by then, each
 * with its label in front of the kernel's own words. Only nl.c knows libmnl. */
#pragma once

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { NL_MESSAGE_MAX = 8192, NL_NEST_MAX = 8 };

struct nl;
/* A socket of `protocol` (NETLINK_ROUTE, NETLINK_NETFILTER) in the network namespace
 * netns_fd (-1: ours), which the calling thread visits for an instant. */
int nl_open(int protocol, int netns_fd, struct nl **ret, struct err *err) VNE_MUST;
/* The same messages over a connected stream socket whose far end hands them to a kernel and back (`vnguest --netlink`): for nl_ask
 * and nl_events_some only. fd: ours from now on, not blocking. */
struct nl *nl_open_stream(int fd);
void nl_close(struct nl *nl); /* NULL accepted */
int nl_fd(const struct nl *nl);

struct nl_batch;
struct nl_batch *nl_batch_new(void);
void nl_batch_free(struct nl_batch *b); /* NULL accepted */
size_t nl_batch_count(const struct nl_batch *b);
void nl_batch_clear(struct nl_batch *b);

/* head: the fixed part (struct ifinfomsg …). NLM_F_REQUEST is added. */
void nl_begin(struct nl_batch *b, uint16_t type, uint16_t flags, const void *head, size_t head_len);
/* For the message begun last: what it is about, in the reason of a failure. */
void nl_label(struct nl_batch *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For the message begun last: this negative errno is no failure (at most two of them). */
void nl_tolerate(struct nl_batch *b, int code);
void nl_put(struct nl_batch *b, uint16_t attr, const void *data, size_t len);
void nl_put_u8(struct nl_batch *b, uint16_t attr, uint8_t v);
void nl_put_u16(struct nl_batch *b, uint16_t attr, uint16_t v);
void nl_put_u32(struct nl_batch *b, uint16_t attr, uint32_t v);
void nl_put_u64(struct nl_batch *b, uint16_t attr, uint64_t v);
void nl_put_str(struct nl_batch *b, uint16_t attr, const char *s);
/* Raw bytes behind the head, padded to 4: the ifinfomsg inside VETH_INFO_PEER. */
void nl_put_raw(struct nl_batch *b, const void *data, size_t len);
void nl_nest(struct nl_batch *b, uint16_t attr);
void nl_nest_end(struct nl_batch *b);

/* Sends all and empties the batch. Every message is tried; the first failure that is not
 * tolerated is returned and *ret_failed (may be NULL) counts them. Blocks while the kernel works. */
int nl_send(struct nl *nl, struct nl_batch *b, size_t *ret_failed, struct err *err) VNE_MUST;

/* The same for a transaction of nftables: the batch is NFNL_MSG_BATCH_BEGIN, messages, NFNL_MSG_BATCH_END, goes
 * in one piece, and takes effect whole or not at all. */
int nl_send_transaction(struct nl *nl, struct nl_batch *b, struct err *err) VNE_MUST;

/* Sends the one message of the batch as a dump (or, without NLM_F_DUMP among its flags, as a
 * question with one answer) and hands each answer to `each`, which returns 0 or a negative
 * errno that ends it. A dump that the kernel says was interrupted is handed out as it is and
 * -EINTR returned at its end: the caller asks again. */
int nl_dump(struct nl *nl, struct nl_batch *b, int (*each)(void *arg, const struct nlmsghdr *m),
            void *arg, struct err *err) VNE_MUST;

/* Events: joins a multicast group; nl_events reads what is there without blocking. -ENOBUFS:
 * some were lost, list again. */
int nl_join(struct nl *nl, unsigned group, struct err *err) VNE_MUST;
int nl_events(struct nl *nl, int (*each)(void *arg, const struct nlmsghdr *m), void *arg,
              struct err *err) VNE_MUST;

/* The same, in pieces: ends once `most` messages were handed out (those of one datagram always are together). */
int nl_events_some(struct nl *nl, size_t most, int (*each)(void *arg, const struct nlmsghdr *m), void *arg,
                   struct err *err) VNE_MUST;

/* Sends a message that somebody else has made; answers come by nl_events. */
int nl_pass(struct nl *nl, const struct nlmsghdr *m, struct err *err) VNE_MUST;

/* Sends the one message of the batch, a question or a dump, and waits for nothing: answers come by nl_events, between
 * the news and in order with them, with the number *ret_sequence (may be NULL); a dump ends with NLMSG_DONE, what fails is NLMSG_ERROR. */
int nl_ask(struct nl *nl, struct nl_batch *b, uint32_t *ret_sequence, struct err *err) VNE_MUST;

/* Attributes behind a head of head_len bytes (or inside `nest`) into table[0..max]; unknown
 * ones are skipped, broken lengths end the walk. */
void nl_parse(const struct nlmsghdr *m, size_t head_len, const struct nlattr **table, unsigned max);
void nl_parse_nested(const struct nlattr *nest, const struct nlattr **table, unsigned max);
const void *nl_head(const struct nlmsghdr *m, size_t head_len); /* NULL where the message is too short */
/* Values; 0 or "" where the attribute is missing or too short. */
uint32_t nl_u32(const struct nlattr *a);
const char *nl_str(const struct nlattr *a); /* NUL-terminated, else "" */
const void *nl_data(const struct nlattr *a, size_t len); /* NULL where shorter than len */
