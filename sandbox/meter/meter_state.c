/* SPDX-License-Identifier: MIT */
/* What is pinned and how it fares, read by looking alone. */
#include "meter/meter_state.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "bpf/meter_abi.h"
#include "host/host.h"
#include "meter/meter.h"
#include "meter/meter_pins.h"

/* Adds up one pinned link's program; what is not a link is passed over. */
static void state_add_link(struct meter_state *s, const char *pin)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info prog = { 0 };
	cleanup_fd int fd = pin_get(s->path, pin);
	cleanup_fd int prog_fd = -1;
	uint32_t len = sizeof(link);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &link, &len) || !link.prog_id)
		return;
	prog_fd = bpf_prog_get_fd_by_id(link.prog_id);
	len = sizeof(prog);
	if (prog_fd < 0 || bpf_obj_get_info_by_fd(prog_fd, &prog, &len))
		return;
	s->programs++;
	s->runs += prog.run_cnt;
	s->run_ns += prog.run_time_ns;
	s->missed += prog.recursion_misses;
}

static void state_read_pins(struct meter_state *s, const char *name)
{
	const char *own = strrchr(s->path, '/') + 1;
	struct dirent *d;
	DIR *dir = opendir(HOST_BPFFS);

	while (dir && (d = readdir(dir)))
		s->others += version_is_of(d->d_name, name) && strcmp(d->d_name, own) != 0;
	if (dir)
		(void)closedir(dir);
	dir = opendir(s->path);
	s->loaded = dir;
	while (dir && (d = readdir(dir)))
		if (pin_is_link(d->d_name))
			state_add_link(s, d->d_name);
	if (dir)
		(void)closedir(dir);
}

int meter_state(struct meter_state *ret, const char *name, struct cloche_err *err)
{
	struct meter m = METER_INIT;
	struct meter_slot slot;
	cleanup_file FILE *f = NULL;
	int on = 0, r;

	*ret = (struct meter_state){ .slots = METER_SLOTS, .mounted = host_bpffs_is_mounted() };
	r = version_path(ret->path, sizeof(ret->path), name, err);
	if (r)
		return r;
	version_hash(ret->version);
	f = fopen("/proc/sys/kernel/bpf_stats_enabled", "re");
	ret->counting = f && fscanf(f, "%d", &on) == 1 && on;
	if (!ret->mounted)
		return 0;
	state_read_pins(ret, name);
	memcpy(m.path, ret->path, sizeof(m.path));
	if (!ret->loaded || pins_open(&m))
		return 0;
	for (uint32_t i = 0; i < METER_SLOTS; i++)
		if (!bpf_map_lookup_elem_flags(m.slots, &i, &slot, BPF_F_LOCK))
			ret->slots_armed += slot.gen != 0;
	meter_close(&m);
	return 0;
}
