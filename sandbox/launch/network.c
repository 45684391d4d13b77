/* SPDX-License-Identifier: MIT */
/* The context's network: an empty namespace, with loopback where asked for. */
#include "launch/network.h"

#include "base/err.h"
#include "base/file.h"

#include <errno.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdio.h>

static int bring_up(struct cloche_err *err)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct rtnl_link *lo = rtnl_link_alloc(), *change = rtnl_link_alloc();
	int r = sock && lo && change ? 0 : -NLE_NOMEM;

	if (r == 0)
		r = nl_connect(sock, NETLINK_ROUTE);
	if (r == 0) {
		rtnl_link_set_ifindex(lo, 1); /* the first device of a network namespace */
		rtnl_link_set_flags(change, IFF_UP);
		r = rtnl_link_change(sock, lo, change, 0);
	}
	rtnl_link_put(change);
	rtnl_link_put(lo);
	nl_socket_free(sock);
	return r < 0 ? cloche_err_set(err, EIO, "bring loopback up: %s", nl_geterror(r)) : 0;
}

/* Both are the namespace's own: what they give away is nobody else's. */
static int set_free(int proc, gid_t gid, struct cloche_err *err)
{
	char groups[32];
	int r;

	(void)snprintf(groups, sizeof(groups), "%u %u", gid, gid);
	r = file_write_text(proc, "sys/net/ipv4/ip_unprivileged_port_start", "0", err);
	return r < 0 ? r : file_write_text(proc, "sys/net/ipv4/ping_group_range", groups, err);
}

int network_loopback(int proc, gid_t gid, struct cloche_err *err)
{
	int r = bring_up(err);

	return r < 0 ? r : set_free(proc, gid, err);
}

void network_try_leave_no_ports(int proc)
{
	(void)file_write_text(proc, "sys/net/ipv4/tcp_max_tw_buckets", "0", NULL);
}
