/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Router to domain; see domain_config.h. */
#include "vnagent/xen/domain_config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vnagent/device.h"
#include "vnagent/guest_wire.h"

enum { WEIGHT_OF_CORE = 256, WEIGHT_LEAST = 8, WEIGHT_MAX = 65535, MTU_LEAST = 68, MTU_MAX = 65517, NET_MAX = 0xffffff };
enum { MEM_MAX_KIB = 1 << 30 };

static bool ended(const char *s, size_t size)
{
	return memchr(s, 0, size) != NULL;
}

int domain_request_read(const char *text, size_t len, struct domain_request *ret, struct err *err)
{
	struct xen_spec *s = &ret->spec;
	size_t ports_len;
	*ret = (struct domain_request){ 0 };
	if (len < sizeof(*s))
		return err_set(err, -EINVAL, "a request that is cut short");
	memcpy(s, text, sizeof(*s));
	if (s->n_ports > XEN_PORTS_MAX || !ended(s->name, sizeof(s->name)) || !ended(s->image, sizeof(s->image)))
		return err_set(err, -EINVAL, "a request with %u ports or names without end; at most %d ports", s->n_ports, XEN_PORTS_MAX);
	ports_len = s->n_ports * sizeof(ret->ports[0]);
	if (len - sizeof(*s) < ports_len)
		return err_set(err, -EINVAL, "a request with fewer ports than it says");
	if (s->cpu_milli < 0 || s->cpu_milli > DOMAIN_VCPUS_MAX * 1000 || s->mem_kib < 0 || s->mem_kib > MEM_MAX_KIB)
		return err_set(err, -EINVAL, "cpu %.3f, memory %" PRId64 " KiB: out of any machine's range", (double)s->cpu_milli / 1000,
		               s->mem_kib);
	if (ports_len)
		memcpy(ret->ports, text + sizeof(*s), ports_len);
	for (uint32_t i = 0; i < s->n_ports; i++) {
		if (!device_port_valid(ret->ports[i].id) || ret->ports[i].mtu < MTU_LEAST || ret->ports[i].mtu > MTU_MAX)
			return err_set(err, -EINVAL, "port %u with mtu %u; the mtu may be %d to %d", ret->ports[i].id, ret->ports[i].mtu,
			               MTU_LEAST, MTU_MAX);
		for (uint32_t k = 0; k < i; k++)
			if (ret->ports[k].id == ret->ports[i].id)
				return err_set(err, -EINVAL, "port %u is there twice", ret->ports[i].id);
	}
	for (char *at = s->name; *at; at++) /* it is shown to people */
		if (!isprint((unsigned char)*at))
			*at = '?';
	ret->setup = text + sizeof(*s) + ports_len;
	ret->setup_len = len - sizeof(*s) - ports_len;
	return 0;
}

void domain_name(uint32_t net, uint32_t router, char name[static DOMAIN_NAME])
{
	snprintf(name, DOMAIN_NAME, "vne-%x-%x", net, router);
}

uint32_t domain_vcpus(int64_t cpu_milli)
{
	return cpu_milli <= 1000 ? 1 : (uint32_t)((cpu_milli + 999) / 1000);
}

int domain_weight(int64_t cpu_milli)
{
	int64_t weight = cpu_milli * WEIGHT_OF_CORE / 1000;
	return (int)(weight < WEIGHT_LEAST ? WEIGHT_LEAST : weight > WEIGHT_MAX ? WEIGHT_MAX : weight);
}

int domain_cap(int64_t cpu_milli)
{
	return (int)((cpu_milli + 9) / 10);
}

static int64_t memory_of(const struct xen_spec *spec, const struct image *image)
{
	if (spec->mem_kib)
		return spec->mem_kib;
	return image->memory_kib > DOMAIN_MEM_KIB ? image->memory_kib : DOMAIN_MEM_KIB;
}

int domain_check(const struct xen_spec *spec, const struct image *image, uint32_t cores, bool rtds, struct err *err)
{
	uint32_t vcpus = domain_vcpus(spec->cpu_milli);
	if (vcpus > cores)
		return err_set(err, -EINVAL, "%u cpus are asked for, the machine has %u cores for guests", vcpus, cores);
	if (spec->mem_kib && image && spec->mem_kib < image->memory_kib)
		return err_set(err, -EINVAL, "memory %" PRId64 " KiB: image %s needs at least %" PRId64 " KiB", spec->mem_kib, image->name,
		               image->memory_kib);
	if (!spec->rt_period_us && !spec->rt_budget_us)
		return 0;
	if (!rtds)
		return err_set(err, -EOPNOTSUPP, "real-time: this hypervisor does not run the RTDS scheduler");
	if (spec->rt_budget_us <= 0 || spec->rt_budget_us > spec->rt_period_us || spec->rt_period_us > INT32_MAX)
		return err_set(err, -EINVAL, "real-time: budget %" PRId64 " µs of a period of %" PRId64 " µs", spec->rt_budget_us,
		               spec->rt_period_us);
	return 0;
}

/* ---- vifs --------------------------------------------------------------------------------------- */
static void put_nic(libxl_device_nic *nic, int devid, const uint8_t mac[6], const char *ifname, uint32_t mtu, const char *script)
{
	nic->devid = devid;
	nic->nictype = LIBXL_NIC_TYPE_VIF;
	nic->mtu = (int)mtu;
	memcpy(nic->mac, mac, 6);
	nic->ifname = mem_str(ifname);
	nic->script = mem_str(script);
	nic->bridge = mem_str("none"); /* libxl would write a default one */
}

void domain_nic(uint32_t net, const struct xen_port *port, int devid, const char *script, libxl_device_nic *ret)
{
	char name[DEVICE_NAME];
	device_port_name(net, port->id, name);
	put_nic(ret, devid, port->mac, name, port->mtu, script);
}

void domain_control_nic(const char *script, libxl_device_nic *ret)
{
	put_nic(ret, 0, (const uint8_t *)GUEST_CONTROL_MAC, DOMAIN_CONTROL_IFNAME, 1500, script);
}

/* ---- the whole ------------------------------------------------------------------------------------ */
static void put_identity(const struct domain_request *r, const struct domain_place *place, libxl_domain_create_info *c)
{
	const char *const keys[] = { "net", "router", "name", "cookie" };
	char *const values[] = { mem_printf("%x", place->net), mem_printf("%x", place->router), mem_str(r->spec.name),
		                 mem_printf("%" PRIx64, place->cookie) };
	c->xsdata = mem_array(2 * ARRAY_LEN(keys) + 1, sizeof(char *));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		c->xsdata[2 * i] = mem_printf(DOMAIN_ENTRY "/%s", keys[i]);
		c->xsdata[2 * i + 1] = values[i];
	}
}

static void put_build(const struct domain_request *r, const struct image *image, const struct domain_place *place,
                      libxl_domain_build_info *b)
{
	b->max_vcpus = (int)domain_vcpus(r->spec.cpu_milli);
	b->max_memkb = b->target_memkb = (uint64_t)memory_of(&r->spec, image);
	b->kernel = mem_str(image->kernel);
	b->ramdisk = mem_str(place->ramdisk);
	b->cmdline = mem_printf("console=hvc0 %s", image->cmdline);
	if (!place->rtds) { /* the cap comes when it has booted */
		b->sched_params.sched = LIBXL_SCHEDULER_CREDIT2;
		b->sched_params.weight = domain_weight(r->spec.cpu_milli);
	}
}

int domain_configure(const struct domain_request *r, const struct image *image, const struct domain_place *place,
                     libxl_domain_config *ret, struct err *err)
{
	char name[DOMAIN_NAME];
	libxl_domain_config_init(ret);
	int code = domain_check(&r->spec, image, place->cores, place->rtds, err);
	if (code)
		return code;
	if (place->net > NET_MAX)
		return err_set(err, -EINVAL, "network number %u", place->net);
	domain_name(place->net, place->router, name);
	ret->c_info.type = place->pvh ? LIBXL_DOMAIN_TYPE_PVH : LIBXL_DOMAIN_TYPE_PV;
	ret->c_info.name = mem_str(name);
	libxl_uuid_generate(&ret->c_info.uuid);
	libxl_defbool_set(&ret->c_info.run_hotplug_scripts, true);
	put_identity(r, place, &ret->c_info);
	libxl_domain_build_info_init_type(&ret->b_info, ret->c_info.type);
	put_build(r, image, place, &ret->b_info);
	ret->on_poweroff = ret->on_reboot = ret->on_watchdog = ret->on_crash = LIBXL_ACTION_ON_SHUTDOWN_DESTROY;
	ret->num_nics = (int)r->spec.n_ports + 1;
	ret->nics = mem_array((size_t)ret->num_nics, sizeof(*ret->nics));
	for (int i = 0; i < ret->num_nics; i++) {
		libxl_device_nic_init(&ret->nics[i]);
		if (i)
			domain_nic(place->net, &r->ports[i - 1], i, place->script, &ret->nics[i]);
		else
			domain_control_nic(place->script, &ret->nics[i]);
	}
	return 0;
}
