/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every field of every message, with its bounds: the plain struct's name, the wire's name. */
#include "proto/message_tables.h"

#include <errno.h>

enum {
	NAME_BYTES = 63,
	LABEL_BYTES = 255,   /* names that were made of two names, states, kinds */
	REASON_BYTES = 4096,
	TEXT_BYTES = 1 << 20, /* what goes to a person: lists of errors */
	FILE_BYTES = 64 << 20,
	PARTS_MAX = 1 << 20, /* routers, links … of one message */
	ARGV_MAX = 1024
};

/* ---- plan -------------------------------------------------------------------------------- */

#define PLAIN struct plan_route
#define GENERATED Vne__PlanRoute
static const struct field plan_route_fields[] = { ADDR(to), ADDR(via), U32(port) };
SHAPE(plan_route_shape, vne__plan_route__descriptor, plan_route_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct plan_router
#define GENERATED Vne__PlanRouter
static const struct field plan_router_fields[] = {
	U32(id), NAME(name), NAME_CHARS(kind), INTEGER(cpu_milli, 0, CPU_MAX_MILLI), INTEGER(mem_kib, 0, MEM_MAX_KIB),
	INTEGER(routing, ROUTING_STATIC, ROUTING_NONE), ARRAY_(FIELD_ADDRS, loopbacks, n_loopbacks, loopbacks, 2, NULL),
	LIST(routes, PARTS_MAX, plan_route_shape), U32(n_reachable), TEXT_OR_NULL(image, NAME_BYTES),
	INTEGER(rt_period_us, 0, RT_PERIOD_MAX_US), INTEGER(rt_budget_us, 0, RT_PERIOD_MAX_US),
	INTEGER(plane, PLANE_DEFAULT, PLANE_PROGRAM), TEXT_OR_NULL(program, NAME_BYTES), TEXT_OR_NULL(controller, CONTROLLER_TEXT)
};
SHAPE(plan_router_shape, vne__plan_router__descriptor, plan_router_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct plan_port
#define GENERATED Vne__PlanPort
static const struct field plan_port_fields[] = {
	U32(id), U32(router), CHARS(ifname), RAW(mac), INTEGER(mtu, 0, 65535), ADDR(address), ADDR(peer),
	TEXT_OR_NULL(link, LABEL_BYTES), TEXT_OR_NULL(peer_router, NAME_BYTES), INTEGER(bw_kbps, 0, BW_MAX_KBPS),
	TEXT_OR_NULL(uplink, NAME_BYTES), ADDR(gateway), BOOLEAN(nat), BOOLEAN(lan)
};
SHAPE(plan_port_shape, vne__plan_port__descriptor, plan_port_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct plan_segment
#define GENERATED Vne__PlanSegment
static const struct field plan_segment_fields[] = {
	INTEGER(vni, 1, VNI_MAX), U32(link), ADDR(local), ADDR(remote), TEXT(slink, LABEL_BYTES),
	INTEGER(mtu, 0, 65535), BOOLEAN(best_effort)
};
SHAPE(plan_segment_shape, vne__plan_segment__descriptor, plan_segment_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct plan_cross
#define GENERATED Vne__PlanCross
static const struct field plan_cross_fields[] = {
	INTEGER_(a.kind, a_kind, ENDPOINT_PORT, ENDPOINT_SEGMENT), INTEGER_(a.id, a_id, 0, UINT32_MAX),
	INTEGER_(b.kind, b_kind, ENDPOINT_PORT, ENDPOINT_SEGMENT), INTEGER_(b.id, b_id, 0, UINT32_MAX),
	INTEGER(bw_kbps, 0, BW_MAX_KBPS), INTEGER(overhead, 0, 1024), INTEGER(role, CROSS_PRIMARY, CROSS_BACKUP),
	U32(path)
};
SHAPE(plan_cross_shape, vne__plan_cross__descriptor, plan_cross_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct node_plan
#define GENERATED Vne__NodePlan
static const struct field node_plan_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(generation), NAME(owner), NAME(name),
	LIST(routers, PARTS_MAX, plan_router_shape), LIST(ports, PARTS_MAX, plan_port_shape),
	LIST(segments, PARTS_MAX, plan_segment_shape), LIST(crosses, PARTS_MAX, plan_cross_shape)
};
SHAPE(node_plan_shape_, vne__node_plan__descriptor, node_plan_fields, NULL);
const struct shape *const node_plan_shape = &node_plan_shape_;
#undef PLAIN
#undef GENERATED

/* ---- probe, load -------------------------------------------------------------------------- */

#define PLAIN struct probe_kind
#define GENERATED Vne__ProbeKind
static const struct field probe_kind_fields[] = {
	NAME_CHARS(kind), BOOLEAN(usable), CHARS(why), INTEGER(mem_kib, 0, MEM_MAX_KIB), U32(routers), U32(ports), U32(cores)
};
SHAPE(probe_kind_shape, vne__probe_kind__descriptor, probe_kind_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct probe_feature
#define GENERATED Vne__ProbeFeature
static const struct field probe_feature_fields[] = { NAME_CHARS(name), BOOLEAN(present), CHARS(used_for) };
SHAPE(probe_feature_shape, vne__probe_feature__descriptor, probe_feature_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct probe_mtu
#define GENERATED Vne__ProbeMtu
static const struct field probe_mtu_fields[] = { CHARS(address), U32(mtu) };
SHAPE(probe_mtu_shape, vne__probe_mtu__descriptor, probe_mtu_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct probe_uplink
#define GENERATED Vne__ProbeUplink
static const struct field probe_uplink_fields[] = {
	NAME(name), TEXTS_(users, n_users, users, 1024), BOOLEAN(usable), CHARS(why)
};
SHAPE(probe_uplink_shape, vne__probe_uplink__descriptor, probe_uplink_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct node_probe
#define GENERATED Vne__Probe
static const struct field node_probe_fields[] = {
	CHARS(version), CHARS(kernel), U32(cores), INTEGER(mem_kib, -1, INT64_MAX),
	LIST(kinds, 64, probe_kind_shape), LIST(features, 256, probe_feature_shape), LIST(mtus, 4096, probe_mtu_shape),
	TEXTS_(images, n_images, images, 256), TEXTS_(programs, n_programs, programs, 256),
	LIST(uplinks, 256, probe_uplink_shape)
};
SHAPE(node_probe_shape, vne__probe__descriptor, node_probe_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct held_net
#define GENERATED Vne__Held
static const struct field held_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(generation), BOOLEAN(committed), U32(prepared), U64(digest)
};
SHAPE(held_shape, vne__held__descriptor, held_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct router_load
#define GENERATED Vne__RouterLoad
static const struct field router_load_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(router), INTEGER(state, ROUTER_ABSENT, ROUTER_FAILED), U64(cpu_us),
	INTEGER(mem_kib, -1, INT64_MAX), CHARS(reason),
	INTEGER(routing, ROUTER_ROUTING_NONE, ROUTER_ROUTING_CONVERGED), CHARS(routing_reason)
};
SHAPE(router_load_shape, vne__router_load__descriptor, router_load_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct port_load
#define GENERATED Vne__PortLoad
static const struct field port_load_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(port), U64(tx_frames), U64(tx_bytes), U64(tx_drops), U64(rx_frames),
	U64(rx_bytes), U64(rx_drops)
};
SHAPE(port_load_shape, vne__port_load__descriptor, port_load_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct link_heard
#define GENERATED Vne__LinkHeard
static const struct field link_heard_fields[] = {
	TEXT(slink, LABEL_BYTES), INTEGER(state, HEARD_UNKNOWN, HEARD_DOWN), TEXT(why, REASON_BYTES)
};
SHAPE(link_heard_shape, vne__link_heard__descriptor, link_heard_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct guard_heard
#define GENERATED Vne__GuardHeard
static const struct field guard_heard_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(port), BOOLEAN(on_backup), INTEGER(primary, HEARD_UNKNOWN, HEARD_DOWN),
	INTEGER(backup, HEARD_UNKNOWN, HEARD_DOWN), U32(switches), TEXT(why, REASON_BYTES)
};
SHAPE(guard_heard_shape, vne__guard_heard__descriptor, guard_heard_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct segment_load
#define GENERATED Vne__SegmentLoad
static const struct field segment_load_fields[] = {
	INTEGER(net, 1, NET_ID_MAX), U32(vni), U64(tx_frames), U64(tx_bytes), U64(rx_frames), U64(rx_bytes), U64(drops)
};
SHAPE(segment_load_shape, vne__segment_load__descriptor, segment_load_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- views -------------------------------------------------------------------------------- */

#define PLAIN struct router_view
#define GENERATED Vne__Router
static const struct field router_view_fields[] = {
	TEXT(name, LABEL_BYTES), TEXT(node, LABEL_BYTES), TEXT(kind, LABEL_BYTES), TEXT(state, LABEL_BYTES),
	TEXT_OR_NULL(reason, REASON_BYTES), TEXT(loopback, LABEL_BYTES), INTEGER(cpu_milli, 0, INT64_MAX),
	INTEGER(mem_kib, 0, INT64_MAX), REAL(cpu_used), INTEGER(mem_used_kib, -1, INT64_MAX), TEXT_OR_NULL(image, NAME_BYTES),
	INTEGER(rt_period_us, 0, RT_PERIOD_MAX_US), INTEGER(rt_budget_us, 0, RT_PERIOD_MAX_US), TEXT_OR_NULL(plane, LABEL_BYTES),
	TEXT_OR_NULL(program, NAME_BYTES), TEXT_OR_NULL(controller, LABEL_BYTES), TEXT(uplinks, REASON_BYTES)
};
SHAPE(router_view_shape, vne__router__descriptor, router_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct path_view
#define GENERATED Vne__Path
static const struct field path_view_fields[] = {
	TEXT(via, TEXT_BYTES), TEXT(links, TEXT_BYTES), REAL(mbit), BOOLEAN(backup)
};
SHAPE(path_view_shape, vne__path__descriptor, path_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct vlink_view
#define GENERATED Vne__VLink
static const struct field vlink_view_fields[] = {
	TEXT(name, LABEL_BYTES), TEXT(a, LABEL_BYTES), TEXT(b, LABEL_BYTES), TEXT(address_a, LABEL_BYTES),
	TEXT(address_b, LABEL_BYTES), REAL(mbit), INTEGER(max_delay_us, -1, INT64_MAX), INTEGER(delay_us, -1, INT64_MAX),
	U32(mtu), LIST(paths, 64, path_view_shape), FIXED_REAL(mbit_now, 2), FIXED(frames, 2), FIXED(bytes, 2),
	FIXED(drops, 2), TEXT_OR_NULL(in_use, LABEL_BYTES)
};
SHAPE(vlink_view_shape, vne__vlink__descriptor, vlink_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct uplink_view
#define GENERATED Vne__Uplink
static const struct field uplink_view_fields[] = {
	TEXT(router, LABEL_BYTES), TEXT(port, LABEL_BYTES), TEXT(address, LABEL_BYTES), TEXT(gateway, LABEL_BYTES), BOOLEAN(nat),
	FIXED_REAL(mbit_now, 2), FIXED(frames, 2), FIXED(bytes, 2), FIXED(drops, 2)
};
SHAPE(uplink_view_shape, vne__uplink__descriptor, uplink_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct change_view
#define GENERATED Vne__Change
static const struct field change_view_fields[] = { BOOLEAN(of_link), TEXT(name, LABEL_BYTES), TEXT(what, REASON_BYTES), BOOLEAN(interrupted) };
SHAPE(change_view_shape, vne__change__descriptor, change_view_fields, NULL);
#undef PLAIN
#undef GENERATED

static int network_view_check(const void *plain, struct err *err)
{
	const struct network_view *v = plain;
	if (v->detailed && ((v->n_routers && !v->routers) || (v->n_links && !v->links)))
		return err_set(err, -EINVAL, "detailed, but its routers or links are missing");
	return 0;
}

#define PLAIN struct network_view
#define GENERATED Vne__Network
static const struct field network_view_fields[] = {
	TEXT(owner, LABEL_BYTES), TEXT(name, LABEL_BYTES), U32(id), U32(generation),
	INTEGER(state, NET_PLANNED, NET_STATES - 1), TEXT_OR_NULL(reason, REASON_BYTES), U64(submitted_ms),
	U64(changed_ms), INTEGER(lifetime_us, -1, INT64_MAX), REAL(cost), REAL(bound), REAL(revenue),
	REAL(solve_seconds), TEXT(solver, LABEL_BYTES), TEXT(status, LABEL_BYTES), BOOLEAN(detailed),
	LIST(routers, PARTS_MAX, router_view_shape), LIST(links, PARTS_MAX, vlink_view_shape),
	LIST(uplinks, PARTS_MAX, uplink_view_shape), LIST(changes, PARTS_MAX, change_view_shape),
	{ .kind = FIELD_COUNT, .pb_size = PB_SIZE_OF(router_count), .count_at = AT(n_routers),
	  .pb_at = PB_AT(router_count), .max = PARTS_MAX, .name = "router_count" },
	{ .kind = FIELD_COUNT, .pb_size = PB_SIZE_OF(link_count), .count_at = AT(n_links),
	  .pb_at = PB_AT(link_count), .max = PARTS_MAX, .name = "link_count" }
};
SHAPE(network_view_shape, vne__network__descriptor, network_view_fields, network_view_check);
#undef PLAIN
#undef GENERATED

#define PLAIN struct node_view
#define GENERATED Vne__Node
static const struct field node_view_fields[] = {
	TEXT(name, LABEL_BYTES), TEXT(state, LABEL_BYTES), TEXT(kinds, REASON_BYTES), TEXT(address, LABEL_BYTES),
	INTEGER(cpu_milli, 0, INT64_MAX), INTEGER(cpu_reserved_milli, 0, INT64_MAX), INTEGER(mem_kib, 0, INT64_MAX),
	INTEGER(mem_reserved_kib, 0, INT64_MAX), REAL(cpu_used_ratio), INTEGER(mem_total_kib, -1, INT64_MAX),
	INTEGER(mem_used_kib, -1, INT64_MAX), INTEGER(routers, 0, INT64_MAX), INTEGER(segments, 0, INT64_MAX),
	INTEGER(seen_ms_ago, -1, INT64_MAX), BOOLEAN(has_location), REAL(latitude), REAL(longitude),
	TEXT(lacks, TEXT_BYTES), BOOLEAN(hosts_guests), INTEGER(guests, 0, INT64_MAX), INTEGER(guests_max, 0, INT64_MAX),
	INTEGER(guest_kib, 0, INT64_MAX), INTEGER(guest_reserved_kib, 0, INT64_MAX), INTEGER(realtime_milli, 0, INT64_MAX),
	INTEGER(realtime_reserved_milli, 0, INT64_MAX), TEXT(images, TEXT_BYTES), TEXT(uplinks, TEXT_BYTES), TEXT(programs, TEXT_BYTES), BOOLEAN(drained),
	BOOLEAN(leaves)
};
SHAPE(node_view_shape, vne__node__descriptor, node_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct slink_view
#define GENERATED Vne__Link
static const struct field slink_view_fields[] = {
	TEXT(name, LABEL_BYTES), TEXT(a, LABEL_BYTES), TEXT(b, LABEL_BYTES), REAL(mbit), REAL(reserved_mbit),
	INTEGER(delay_us, 0, INT64_MAX), INTEGER(segments, 0, INT64_MAX), FIXED_REAL(mbit_now, 2),
	TEXT_OR_NULL(lost, REASON_BYTES)
};
SHAPE(slink_view_shape, vne__link__descriptor, slink_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct event_view
#define GENERATED Vne__Event
static const struct field event_view_fields[] = {
	U64(sequence), U64(wall_ms), TEXT(kind, LABEL_BYTES), TEXT(object, LABEL_BYTES), TEXT(what, REASON_BYTES)
};
SHAPE(event_view_shape, vne__event__descriptor, event_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct history_view
#define GENERATED Vne__History
static const struct field history_view_fields[] = {
	U64(wall_ms), TEXT(network, LABEL_BYTES), INTEGER(id, 0, NET_ID_MAX), U32(generation),
	INTEGER(state, 0, NET_STATES - 1), TEXT(who, LABEL_BYTES), TEXT(why, REASON_BYTES)
};
SHAPE(history_view_shape, vne__history__descriptor, history_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct neighbour_view
#define GENERATED Vne__Neighbour
static const struct field neighbour_view_fields[] = {
	TEXT(router, NAME_BYTES), TEXT(device, LABEL_BYTES), TEXT(state, LABEL_BYTES), INTEGER(family, 4, 6)
};
SHAPE(neighbour_view_shape, vne__neighbour__descriptor, neighbour_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct route_view
#define GENERATED Vne__Route
static const struct field route_view_fields[] = {
	TEXT(to, LABEL_BYTES), TEXT(via, LABEL_BYTES), TEXT(device, LABEL_BYTES), TEXT(protocol, LABEL_BYTES), U32(metric)
};
SHAPE(route_view_shape, vne__route__descriptor, route_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct routes_view
#define GENERATED Vne__RouterRoutes
static const struct field routes_view_fields[] = {
	U32(id), TEXT(router, NAME_BYTES), TEXT(node, LABEL_BYTES), TEXT(why, REASON_BYTES),
	LIST(neighbours, PARTS_MAX, neighbour_view_shape), LIST(routes, ROUTES_SHOWN_MAX, route_view_shape), U64(left_out)
};
SHAPE(routes_view_shape, vne__router_routes__descriptor, routes_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct plane_entry
#define GENERATED Vne__PlaneEntry
static const struct field plane_entry_fields[] = {
	BLOB_(key, key_len, key, PLANE_BYTES_MAX), BLOB_(value, value_len, value, PLANE_BYTES_MAX)
};
SHAPE(plane_entry_shape, vne__plane_entry__descriptor, plane_entry_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct key_view
#define GENERATED Vne__Key
static const struct field key_view_fields[] = {
	TEXT(name, NAME_BYTES), TEXT(role, NAME_BYTES), TEXT(node, NAME_BYTES), TEXT(fingerprint, LABEL_BYTES), U64(expires_ms)
};
SHAPE(key_view_shape, vne__key__descriptor, key_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct log_view
#define GENERATED Vne__LogEntry
static const struct field log_view_fields[] = {
	U64(sequence), U64(wall_ms), TEXT(who, LABEL_BYTES), TEXT(role, LABEL_BYTES), TEXT(from, LABEL_BYTES), TEXT(what, LABEL_BYTES),
	TEXT(object, REASON_BYTES), INTEGER(code, INT32_MIN, INT32_MAX), TEXT(result, REASON_BYTES)
};
SHAPE(log_view_shape, vne__log_entry__descriptor, log_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct usage_view
#define GENERATED Vne__Usage
static const struct field usage_view_fields[] = {
	TEXT(owner, LABEL_BYTES), U64(from_ms), U64(to_ms), REAL(core_hours), REAL(memory_gib_hours), REAL(mbit_hours), U64(bytes)
};
SHAPE(usage_view_shape, vne__usage__descriptor, usage_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct quota_view
#define GENERATED Vne__Quota
static const struct field quota_view_fields[] = { TEXT(tenant, LABEL_BYTES), FIXED(used, QUOTA_COUNT), FIXED(limit, QUOTA_COUNT) };
SHAPE(quota_view_shape, vne__quota__descriptor, quota_view_fields, NULL);
#undef PLAIN
#undef GENERATED

#define PLAIN struct series_point
#define GENERATED Vne__SeriesPoint
static const struct field series_point_fields[] = { U64(at_ms), FIXED_REAL(mean, SERIES_COLUMNS), FIXED_REAL(max, SERIES_COLUMNS) };
SHAPE(series_point_shape, vne__series_point__descriptor, series_point_fields, NULL);
#undef PLAIN
#undef GENERATED

/* ---- bodies: all of struct message, with the body's part of the union ----------------------- */

#define PLAIN struct message

#define GENERATED Vne__Reply
static const struct field reply_fields[] = { INTEGER_(u.reply.code, code, INT32_MIN, INT32_MAX),
	                                         SIMPLE_(FIELD_TEXT, u.reply.text, text, TEXT_BYTES) };
SHAPE(reply_shape, vne__reply__descriptor, reply_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Hello
static const struct field hello_fields[] = {
	MSG_(u.hello.probe, probe, node_probe_shape), SIMPLE_(FIELD_U64, u.hello.term, term, 0),
	LIST_(u.hello.held, u.hello.n_held, held, PARTS_MAX, held_shape)
};
SHAPE(hello_shape, vne__hello__descriptor, hello_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Progress
static const struct field progress_fields[] = { INTEGER_(u.progress.ready, ready, 0, UINT32_MAX),
	                                            INTEGER_(u.progress.all, all, 0, UINT32_MAX),
	                                            SIMPLE_(FIELD_TEXT, u.progress.stage, stage, LABEL_BYTES),
	                                            SIMPLE_(FIELD_TEXT, u.progress.network, network, LABEL_BYTES) };
SHAPE(progress_shape, vne__progress__descriptor, progress_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Report
static const struct field report_fields[] = {
	SIMPLE_(FIELD_U64, u.report.wall_ms, wall_ms, 0), INTEGER_(u.report.cpu_permille, cpu_permille, 0, 1000000),
	INTEGER_(u.report.cores, cores, 0, UINT32_MAX), INTEGER_(u.report.mem_total_kib, mem_total_kib, -1, INT64_MAX),
	INTEGER_(u.report.mem_used_kib, mem_used_kib, -1, INT64_MAX),
	LIST_(u.report.routers, u.report.n_routers, routers, PARTS_MAX, router_load_shape),
	LIST_(u.report.ports, u.report.n_ports, ports, PARTS_MAX, port_load_shape),
	LIST_(u.report.segments, u.report.n_segments, segments, PARTS_MAX, segment_load_shape),
	LIST_(u.report.uplinks, u.report.n_uplinks, uplinks, 256, probe_uplink_shape),
	TEXTS_(u.report.down, u.report.n_down, down, 4096)
};
SHAPE(report_shape, vne__report__descriptor, report_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Watch
static const struct field watch_fields[] = {
	INTEGER_(u.watch.all, all, 0, 1), LIST_(u.watch.links, u.watch.n_links, links, PARTS_MAX, link_heard_shape),
	LIST_(u.watch.guards, u.watch.n_guards, guards, PARTS_MAX, guard_heard_shape)
};
SHAPE(watch_shape, vne__watch__descriptor, watch_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Notice
static const struct field notice_fields[] = { SIMPLE_(FIELD_TEXT, u.notice.object, object, LABEL_BYTES),
	                                          SIMPLE_(FIELD_TEXT, u.notice.what, what, REASON_BYTES) };
SHAPE(notice_shape, vne__notice__descriptor, notice_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Welcome
static const struct field welcome_fields[] = { SIMPLE_(FIELD_NAME, u.welcome.node, node, 0),
	                                           INTEGER_(u.welcome.heartbeat_ms, heartbeat_ms, 1, 3600000),
	                                           INTEGER_(u.welcome.report_ms, report_ms, 1, 3600000) };
SHAPE(welcome_shape, vne__welcome__descriptor, welcome_fields, NULL);
#undef GENERATED

#define GENERATED Vne__NodePlan
static const struct field plan_fields[] = {
	INTEGER_(u.plan.net, net, 1, NET_ID_MAX), INTEGER_(u.plan.generation, generation, 0, UINT32_MAX),
	SIMPLE_(FIELD_NAME, u.plan.owner, owner, 0), SIMPLE_(FIELD_NAME, u.plan.name, name, 0),
	LIST_(u.plan.routers, u.plan.n_routers, routers, PARTS_MAX, plan_router_shape),
	LIST_(u.plan.ports, u.plan.n_ports, ports, PARTS_MAX, plan_port_shape),
	LIST_(u.plan.segments, u.plan.n_segments, segments, PARTS_MAX, plan_segment_shape),
	LIST_(u.plan.crosses, u.plan.n_crosses, crosses, PARTS_MAX, plan_cross_shape)
};
SHAPE(plan_shape, vne__node_plan__descriptor, plan_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Submit
static const struct field submit_fields[] = {
	BLOB_(u.submit.text, u.submit.len, text, FILE_BYTES),
	INTEGER_(u.submit.wait_active, wait_active, 0, 1),
	SIMPLE_(FIELD_TEXT, u.submit.file, file, REASON_BYTES),
	SIMPLE_(FIELD_TEXT, u.submit.network, network, LABEL_BYTES)
};
SHAPE(submit_shape, vne__submit__descriptor, submit_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Drain
static const struct field drain_fields[] = {
	SIMPLE_(FIELD_TEXT, u.drain.node, node, LABEL_BYTES),
	INTEGER_(u.drain.undrain, undrain, 0, 1)
};
SHAPE(drain_shape, vne__drain__descriptor, drain_fields, NULL);
#undef GENERATED

#define GENERATED Vne__NetworkName
static const struct field name_fields[] = { SIMPLE_(FIELD_TEXT, u.name.name, name, LABEL_BYTES) };
SHAPE(name_shape, vne__network_name__descriptor, name_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Events
static const struct field events_fields[] = { SIMPLE_(FIELD_U64, u.events.since, since, 0),
	                                          INTEGER_(u.events.follow, follow, 0, 1) };
SHAPE(events_shape, vne__events__descriptor, events_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Networks
static const struct field networks_fields[] = {
	LIST_(u.networks.v, u.networks.n, v, PARTS_MAX, network_view_shape)
};
SHAPE(networks_shape, vne__networks__descriptor, networks_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Nodes
static const struct field nodes_fields[] = { LIST_(u.nodes.v, u.nodes.n, v, PARTS_MAX, node_view_shape) };
SHAPE(nodes_shape, vne__nodes__descriptor, nodes_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Links
static const struct field links_fields[] = { LIST_(u.links.v, u.links.n, v, PARTS_MAX, slink_view_shape) };
SHAPE(links_shape, vne__links__descriptor, links_fields, NULL);
#undef GENERATED

#define GENERATED Vne__EventList
static const struct field event_list_fields[] = {
	LIST_(u.events_list.v, u.events_list.n, v, PARTS_MAX, event_view_shape)
};
SHAPE(event_list_shape, vne__event_list__descriptor, event_list_fields, NULL);
#undef GENERATED

static int exec_check(const void *plain, struct err *err)
{
	const struct message *m = plain;
	if (m->u.exec.console)
		return m->u.exec.argc == 0 ? 0 : err_set(err, -EINVAL, "exec: a command for a console");
	return m->u.exec.argc > 0 ? 0 : err_set(err, -EINVAL, "exec: no command");
}

#define GENERATED Vne__Exec
static const struct field exec_fields[] = {
	SIMPLE_(FIELD_U64, u.exec.id, id, 0), SIMPLE_(FIELD_TEXT, u.exec.network, network, LABEL_BYTES),
	SIMPLE_(FIELD_TEXT, u.exec.router, router, LABEL_BYTES),
	INTEGER_(u.exec.router_id, router_id, 0, UINT32_MAX),
	TEXTS_(u.exec.argv, u.exec.argc, argv, ARGV_MAX), INTEGER_(u.exec.console, console, 0, 1)
};
SHAPE(exec_shape, vne__exec__descriptor, exec_fields, exec_check);
#undef GENERATED

#define GENERATED Vne__ExecData
static const struct field exec_data_fields[] = {
	SIMPLE_(FIELD_U64, u.exec_data.id, id, 0), INTEGER_(u.exec_data.stream, stream, 0, 2),
	BLOB_(u.exec_data.data, u.exec_data.len, data, TEXT_BYTES)
};
SHAPE(exec_data_shape, vne__exec_data__descriptor, exec_data_fields, NULL);
#undef GENERATED

#define GENERATED Vne__ExecExit
static const struct field exec_exit_fields[] = {
	SIMPLE_(FIELD_U64, u.exec_exit.id, id, 0), INTEGER_(u.exec_exit.code, code, -1, 255),
	SIMPLE_(FIELD_TEXT_OR_NULL, u.exec_exit.reason, reason, REASON_BYTES)
};
SHAPE(exec_exit_shape, vne__exec_exit__descriptor, exec_exit_fields, NULL);
#undef GENERATED

#define GENERATED Vne__HistoryList
static const struct field history_list_fields[] = {
	LIST_(u.history.v, u.history.n, v, PARTS_MAX, history_view_shape)
};
SHAPE(history_list_shape, vne__history_list__descriptor, history_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__RouteList
static const struct field route_list_fields[] = {
	LIST_(u.routes.v, u.routes.n, v, PARTS_MAX, routes_view_shape)
};
SHAPE(route_list_shape, vne__route_list__descriptor, route_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Plane
static const struct field plane_fields[] = {
	SIMPLE_(FIELD_TEXT, u.plane.network, network, LABEL_BYTES), SIMPLE_(FIELD_TEXT, u.plane.router, router, LABEL_BYTES),
	INTEGER_(u.plane.router_id, router_id, 0, UINT32_MAX), INTEGER_(u.plane.op, op, PLANE_GET, PLANE_DELETE),
	BLOB_(u.plane.key, u.plane.key_len, key, PLANE_BYTES_MAX), BLOB_(u.plane.value, u.plane.value_len, value, PLANE_BYTES_MAX)
};
SHAPE(plane_shape, vne__plane__descriptor, plane_fields, NULL);
#undef GENERATED

#define GENERATED Vne__PlaneData
static const struct field plane_data_fields[] = {
	INTEGER_(u.plane_data.code, code, INT32_MIN, INT32_MAX), SIMPLE_(FIELD_TEXT, u.plane_data.why, why, REASON_BYTES),
	SIMPLE_(FIELD_TEXT, u.plane_data.program, program, LABEL_BYTES), INTEGER_(u.plane_data.key_len, key_len, 0, PLANE_BYTES_MAX),
	INTEGER_(u.plane_data.value_len, value_len, 0, PLANE_BYTES_MAX),
	LIST_(u.plane_data.v, u.plane_data.n, v, PLANE_ENTRIES_MAX, plane_entry_shape), SIMPLE_(FIELD_U64, u.plane_data.left_out, left_out, 0)
};
SHAPE(plane_data_shape, vne__plane_data__descriptor, plane_data_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Backup
static const struct field backup_fields[] = { SIMPLE_(FIELD_U64, u.backup.offset, offset, 0) };
SHAPE(backup_shape, vne__backup__descriptor, backup_fields, NULL);
#undef GENERATED

#define GENERATED Vne__BackupData
static const struct field backup_data_fields[] = {
	SIMPLE_(FIELD_U64, u.backup_data.size, size, 0), SIMPLE_(FIELD_U64, u.backup_data.offset, offset, 0),
	BLOB_(u.backup_data.data, u.backup_data.len, data, TEXT_BYTES)
};
SHAPE(backup_data_shape, vne__backup_data__descriptor, backup_data_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Keys
static const struct field keys_fields[] = {
	INTEGER_(u.keys.op, op, KEYS_LIST, KEYS_INVITE), SIMPLE_(FIELD_TEXT, u.keys.name, name, LABEL_BYTES),
	SIMPLE_(FIELD_TEXT, u.keys.text, text, REASON_BYTES), INTEGER_(u.keys.expires_us, expires_us, 0, INT64_MAX)
};
SHAPE(keys_shape, vne__keys__descriptor, keys_fields, NULL);
#undef GENERATED

#define GENERATED Vne__KeyList
static const struct field key_list_fields[] = { LIST_(u.keys_list.v, u.keys_list.n, v, PARTS_MAX, key_view_shape) };
SHAPE(key_list_shape, vne__key_list__descriptor, key_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Join
static const struct field join_fields[] = { SIMPLE_(FIELD_RAW, u.join.key, key, 32) };
SHAPE(join_shape, vne__join__descriptor, join_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Journal
static const struct field journal_fields[] = {
	SIMPLE_(FIELD_U64, u.journal.since_ms, since_ms, 0), SIMPLE_(FIELD_U64, u.journal.until_ms, until_ms, 0),
	SIMPLE_(FIELD_U64, u.journal.offset, offset, 0), SIMPLE_(FIELD_TEXT, u.journal.who, who, LABEL_BYTES)
};
SHAPE(journal_shape, vne__journal__descriptor, journal_fields, NULL);
#undef GENERATED

#define GENERATED Vne__LogList
static const struct field log_list_fields[] = { LIST_(u.log.v, u.log.n, v, PARTS_MAX, log_view_shape), SIMPLE_(FIELD_U64, u.log.next, next, 0) };
SHAPE(log_list_shape, vne__log_list__descriptor, log_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__UsageList
static const struct field usage_list_fields[] = { LIST_(u.usage.v, u.usage.n, v, PARTS_MAX, usage_view_shape),
	                                              SIMPLE_(FIELD_U64, u.usage.next, next, 0) };
SHAPE(usage_list_shape, vne__usage_list__descriptor, usage_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__QuotaList
static const struct field quota_list_fields[] = { LIST_(u.quotas.v, u.quotas.n, v, PARTS_MAX, quota_view_shape) };
SHAPE(quota_list_shape, vne__quota_list__descriptor, quota_list_fields, NULL);
#undef GENERATED

#define GENERATED Vne__Series
static const struct field series_fields[] = { SIMPLE_(FIELD_TEXT, u.series.of, of, 4 * LABEL_BYTES),
	                                          INTEGER_(u.series.span_us, span_us, 0, INT64_MAX) };
SHAPE(series_shape, vne__series__descriptor, series_fields, NULL);
#undef GENERATED

#define GENERATED Vne__SeriesData
static const struct field series_data_fields[] = {
	SIMPLE_(FIELD_TEXT, u.series_data.of, of, 4 * LABEL_BYTES), INTEGER_(u.series_data.step_ms, step_ms, 0, UINT32_MAX),
	TEXTS_(u.series_data.columns, u.series_data.n_columns, columns, SERIES_COLUMNS),
	LIST_(u.series_data.points, u.series_data.n_points, points, 4096, series_point_shape)
};
SHAPE(series_data_shape, vne__series_data__descriptor, series_data_fields, NULL);
#undef GENERATED

static const struct shape empty_shape = { .descriptor = &vne__empty__descriptor, .size = sizeof(struct message) };

const struct message_body message_bodies[MSG_TYPES] = {
	[MSG_REPLY] = { "reply", &reply_shape },
	[MSG_HEARTBEAT] = { "heartbeat", &empty_shape },
	[MSG_HELLO] = { "hello", &hello_shape },
	[MSG_DONE] = { "done", &reply_shape },
	[MSG_PROGRESS] = { "progress", &progress_shape },
	[MSG_REPORT] = { "report", &report_shape },
	[MSG_NOTICE] = { "notice", &notice_shape },
	[MSG_WELCOME] = { "welcome", &welcome_shape },
	[MSG_PREPARE] = { "prepare", &plan_shape },
	[MSG_COMMIT] = { "commit", &empty_shape },
	[MSG_ABORT] = { "abort", &empty_shape },
	[MSG_ENSURE] = { "ensure", &plan_shape },
	[MSG_SUBMIT] = { "submit", &submit_shape },
	[MSG_PLAN] = { "plan", &submit_shape },
	[MSG_RELEASE] = { "release", &name_shape },
	[MSG_LIST] = { "list", &empty_shape },
	[MSG_SHOW] = { "show", &name_shape },
	[MSG_NODES] = { "nodes", &empty_shape },
	[MSG_LINKS] = { "links", &empty_shape },
	[MSG_EVENTS] = { "events", &events_shape },
	[MSG_NETWORKS] = { "networks", &networks_shape },
	[MSG_NODE_LIST] = { "node_list", &nodes_shape },
	[MSG_LINK_LIST] = { "link_list", &links_shape },
	[MSG_EVENT_LIST] = { "event_list", &event_list_shape },
	[MSG_EXEC] = { "exec", &exec_shape },
	[MSG_EXEC_INPUT] = { "exec_input", &exec_data_shape },
	[MSG_EXEC_OUTPUT] = { "exec_output", &exec_data_shape },
	[MSG_EXEC_EXIT] = { "exec_exit", &exec_exit_shape },
	[MSG_ROUTES] = { "routes", &name_shape },
	[MSG_ROUTE_LIST] = { "route_list", &route_list_shape },
	[MSG_BACKUP] = { "backup", &backup_shape },
	[MSG_BACKUP_DATA] = { "backup_data", &backup_data_shape },
	[MSG_HISTORY] = { "history", &name_shape },
	[MSG_HISTORY_LIST] = { "history_list", &history_list_shape },
	[MSG_PLANE] = { "plane", &plane_shape },
	[MSG_PLANE_DATA] = { "plane_data", &plane_data_shape },
	[MSG_UPDATE] = { "update", &submit_shape },
	[MSG_DRAIN] = { "drain", &drain_shape },
	[MSG_WATCH] = { "watch", &watch_shape },
	[MSG_RELOAD] = { "reload", &empty_shape },
	[MSG_KEYS] = { "keys", &keys_shape },
	[MSG_KEY_LIST] = { "key_list", &key_list_shape },
	[MSG_JOIN] = { "join", &join_shape },
	[MSG_LOG] = { "log", &journal_shape },
	[MSG_LOG_LIST] = { "log_list", &log_list_shape },
	[MSG_USAGE] = { "usage", &journal_shape },
	[MSG_USAGE_LIST] = { "usage_list", &usage_list_shape },
	[MSG_QUOTAS] = { "quotas", &empty_shape },
	[MSG_QUOTA_LIST] = { "quota_list", &quota_list_shape },
	[MSG_SERIES] = { "series", &series_shape },
	[MSG_SERIES_DATA] = { "series_data", &series_data_shape },
};
