/* SPDX-License-Identifier: MIT */
/* Sockets, what waits in them and what their options hold. */
#include "hoard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/rtnetlink.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int told(long r)
{
	return r < 0 ? -errno : 0;
}

static const char big[65536];

/* ---- AF_UNIX ---- */

static int unix_make(unsigned process, unsigned i)
{
	return told(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int unix_name(unsigned process, unsigned i, struct sockaddr_un *at)
{
	*at = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memset(at->sun_path + 1, 'x', sizeof(at->sun_path) - 1);
	return snprintf(at->sun_path + 1, 32, "%u-%u", process, i);
}

static int unix_bound_make(unsigned process, unsigned i)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un at;

	(void)unix_name(process, i, &at);
	return fd < 0 ? -errno : told(bind(fd, (struct sockaddr *)&at, sizeof(at)));
}

static int unix_queue_make(unsigned process, unsigned i)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	while (send(fds[0], big, sizeof(big), 0) > 0)
		;
	return 0;
}

/* Small ones: a buffer each. */
static int unix_small_make(unsigned process, unsigned i)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	while (send(fds[0], big, 1, 0) > 0)
		;
	return 0;
}

static int unix_in_flight_make(unsigned process, unsigned i)
{
	static int fds[2] = { -1, -1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(250 * sizeof(int))];
	} control = { .head = { .cmsg_len = CMSG_LEN(250 * sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { (void *)big, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	int *at = (int *)(void *)CMSG_DATA(&control.head);

	if (i % 16 == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	for (int k = 0; k < 250; k++)
		at[k] = fds[0];
	return told(sendmsg(fds[1], &m, 0));
}

/* Connections that nobody accepts and whose other end is gone. */
static int unix_backlog_make(unsigned process, unsigned i)
{
	static struct sockaddr_un at;
	static int listener = -1;
	int fd, r;

	if (i == 0) {
		(void)unix_name(process, 0, &at);
		listener = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
		    listen(listener, 1 << 30) < 0)
			return -errno;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = told(connect(fd, (struct sockaddr *)&at, sizeof(at)));
	(void)send(fd, big, sizeof(big), 0);
	(void)close(fd);
	return r;
}

/* ---- internet: kinds ---- */

static int inet_make(unsigned process, unsigned i)
{
	return told(socket(AF_INET, SOCK_STREAM, 0));
}

static int inet_udp_make(unsigned process, unsigned i)
{
	return told(socket(AF_INET, SOCK_DGRAM, 0));
}

static int inet6_make(unsigned process, unsigned i)
{
	return told(socket(AF_INET6, SOCK_STREAM, 0));
}

static int icmp_make(unsigned process, unsigned i)
{
	return told(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

static int netlink_make(unsigned process, unsigned i)
{
	return told(socket(AF_NETLINK, SOCK_RAW, 0));
}

/* As much as the kernel lets wait. */
static void queue_widen(int fd)
{
	int most = 1 << 30;

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof(most));
}

/* Answers that nobody reads. */
static int netlink_queue_make(unsigned process, unsigned i)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg about;
	} ask = { .head = { .nlmsg_len = sizeof(ask),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST },
		  .about = { .ifi_index = 1 } };
	int fd = socket(AF_NETLINK, SOCK_RAW, 0);

	if (fd < 0)
		return -errno;
	queue_widen(fd);
	for (int k = 0; k < 2000; k++)
		(void)send(fd, &ask, sizeof(ask), MSG_DONTWAIT);
	return 0;
}

static int icmp_queue_make(unsigned process, unsigned i)
{
	static struct {
		struct icmphdr head;
		char rest[30000];
	} echo = { .head = { .type = ICMP_ECHO } };
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);

	if (fd < 0)
		return -errno;
	queue_widen(fd);
	for (int k = 0; k < 200; k++)
		(void)sendto(fd, &echo, sizeof(echo), MSG_DONTWAIT, (struct sockaddr *)&at,
			     sizeof(at));
	return 0;
}

/* ---- internet: options ---- */

static int option(int family, int type, int level, int name, const void *value, socklen_t len)
{
	int fd = socket(family, type, 0);

	return fd < 0 ? -errno : told(setsockopt(fd, level, name, value, len));
}

static int ip_options_make(unsigned process, unsigned i)
{
	static const char nops[40] = { 1, 1, 1, 1 };

	return option(AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops));
}

static int sticky6_make(unsigned process, unsigned i)
{
	static struct {
		uint8_t next, len, pad[2046];
	} dst = { 0, 255, { 1, 252 } };
	enum { DSTOPTS = 59, RTHDRDSTOPTS = 55, HOPOPTS = 54, PKTOPTIONS_2292 = 6 };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_IPV6, HOPOPTS, &dst, sizeof(dst));
	(void)setsockopt(fd, IPPROTO_IPV6, RTHDRDSTOPTS, &dst, sizeof(dst));
	return told(setsockopt(fd, IPPROTO_IPV6, DSTOPTS, &dst, sizeof(dst)));
}

static int pktoptions6_make(unsigned process, unsigned i)
{
	static char control[60000];
	struct cmsghdr *c = (void *)control;
	enum { PKTOPTIONS_2292 = 6, DSTOPTS = 59 };
	unsigned char *data = CMSG_DATA(c);

	c->cmsg_len = CMSG_LEN(2048);
	c->cmsg_level = IPPROTO_IPV6;
	c->cmsg_type = DSTOPTS;
	data[1] = 255;
	data[2] = 1;
	data[3] = 252;
	return option(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, PKTOPTIONS_2292, control,
		      CMSG_SPACE(2048));
}

/* Of an option that takes many values each socket takes all that it may. */
static int multicast_make(unsigned process, unsigned i)
{
	struct ipv6_mreq m = { .ipv6mr_interface = 1 };
	static int fd = -1;
	int r;

	/* The kernel walks a list of all of them for each. */
	if (i >= 100)
		return -E2BIG;
	m.ipv6mr_multiaddr.s6_addr[0] = 0xff;
	m.ipv6mr_multiaddr.s6_addr[1] = 1;
	memcpy(m.ipv6mr_multiaddr.s6_addr + 8, &i, sizeof(i));
	memcpy(m.ipv6mr_multiaddr.s6_addr + 4, &process, sizeof(i));
	if (fd < 0)
		fd = socket(AF_INET6, SOCK_DGRAM, 0);
	r = told(setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)));
	if (r == -ENOBUFS || r == -ENOMEM) {
		fd = socket(AF_INET6, SOCK_DGRAM, 0);
		r = told(setsockopt(fd, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &m, sizeof(m)));
	}
	return r;
}

static int multicast4_make(unsigned process, unsigned i)
{
	struct ip_mreqn m = { .imr_ifindex = 1 };
	static int fd = -1;

	if (i >= 100)
		return -E2BIG;
	m.imr_multiaddr.s_addr = htonl(0xe1000000 + (process << 18) + i);
	if (i % 20 == 0)
		fd = socket(AF_INET, SOCK_DGRAM, 0);
	return fd < 0 ? -errno : told(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
}

static int md5_make(unsigned process, unsigned i)
{
	struct tcp_md5sig key = { .tcpm_keylen = 16 };
	struct sockaddr_in *at = (void *)&key.tcpm_addr;
	static int fd = -1;
	int r;

	if (i >= 4000)
		return -E2BIG;
	at->sin_family = AF_INET;
	at->sin_addr.s_addr = htonl(0x0a000000 + i);
	if (fd < 0)
		fd = socket(AF_INET, SOCK_STREAM, 0);
	r = told(setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)));
	if (r == -ENOMEM) {
		fd = socket(AF_INET, SOCK_STREAM, 0);
		r = told(setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)));
	}
	return r;
}

static int filter_make(unsigned process, unsigned i)
{
	static struct sock_filter insns[1000];
	struct sock_fprog prog = { .len = 1000, .filter = insns };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	for (int k = 0; k < 999; k++)
		insns[k] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 0x1234567);
	insns[999] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0xffff);
	return fd < 0 ? -errno
		      : told(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

static int reuseport_make(unsigned process, unsigned i)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(1024 + i)) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	at.sin_addr.s_addr = htonl(0x7f000001 + process);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
		return -errno;
	return told(bind(fd, (struct sockaddr *)&at, sizeof(at)));
}

static int flow_label_make(unsigned process, unsigned i)
{
	struct in6_flowlabel_req req = { .flr_action = IPV6_FL_A_GET,
					 .flr_share = IPV6_FL_S_EXCL,
					 .flr_flags = IPV6_FL_F_CREATE,
					 .flr_linger = 6 };
	static int fd = -1;

	if (i % 30 == 0)
		fd = socket(AF_INET6, SOCK_DGRAM, 0);
	req.flr_dst.s6_addr[15] = 1;
	return fd < 0 ? -errno
		      : told(setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &req, sizeof(req)));
}

/* ---- internet: what waits ---- */

static int listener_make(struct sockaddr_in *at, unsigned process, unsigned i)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(*at);

	*at = (struct sockaddr_in){ .sin_family = AF_INET };
	at->sin_addr.s_addr = htonl(0x7f000001 + process);
	if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof(*at)) < 0 || listen(fd, 1 << 20) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &len) < 0)
		return -errno;
	return fd;
}

static int tcp_accepted_make(unsigned process, unsigned i)
{
	static struct sockaddr_in at;
	static int listener = -1;
	int fd;

	if (i == 0)
		listener = listener_make(&at, process, i);
	if (listener < 0)
		return listener;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return told(accept(listener, NULL, NULL));
}

/* Nobody accepts them, and who connected is gone. */
static int tcp_backlog_make(unsigned process, unsigned i)
{
	static struct sockaddr_in at;
	static int listener = -1;
	int fd, r;

	if (i % 4000 == 0)
		listener = listener_make(&at, process, i);
	if (listener < 0)
		return listener;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return -errno;
	r = told(connect(fd, (struct sockaddr *)&at, sizeof(at)));
	(void)close(fd);
	return r;
}

static int tcp_queue_make(unsigned process, unsigned i)
{
	static struct sockaddr_in at;
	static int listener = -1;
	int fd;

	if (i == 0)
		listener = listener_make(&at, process, i);
	if (listener < 0)
		return listener;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	while (send(fd, big, sizeof(big), MSG_DONTWAIT) > 0)
		;
	return 0;
}

/* Closed by the side that then waits a minute. */
static int tcp_time_wait_make(unsigned process, unsigned i)
{
	static struct sockaddr_in at;
	static int listener = -1;
	int fd, other;

	if (i == 0)
		listener = listener_make(&at, process, i);
	if (listener < 0)
		return listener;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	other = accept(listener, NULL, NULL);
	(void)close(fd);
	return told(close(other));
}

static int udp_pair(unsigned process, unsigned i, int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | type, 0);
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(0x7f000001 + process);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return fd;
}

static int udp_queue_make(unsigned process, unsigned i)
{
	int fd = udp_pair(process, i, SOCK_NONBLOCK);

	if (fd < 0)
		return fd;
	for (int k = 0; k < 200; k++)
		(void)send(fd, big, 1, 0);
	return 0;
}

/* What a datagram is made of before it is sent. */
static int udp_cork_make(unsigned process, unsigned i)
{
	int fd = udp_pair(process, i, SOCK_NONBLOCK);

	return fd < 0 ? fd : told(send(fd, big, 65000, MSG_MORE));
}

const struct hoard_object hoard_sockets[] = {
	{ "unix", unix_make },
	{ "unix-bound", unix_bound_make },
	{ "unix-queue", unix_queue_make },
	{ "unix-queue-small", unix_small_make },
	{ "unix-in-flight", unix_in_flight_make },
	{ "unix-backlog", unix_backlog_make },
	{ "tcp", inet_make },
	{ "udp", inet_udp_make },
	{ "tcp6", inet6_make },
	{ "icmp", icmp_make },
	{ "netlink", netlink_make },
	{ "icmp-queue", icmp_queue_make },
	{ "netlink-queue", netlink_queue_make },
	{ "ip-options", ip_options_make },
	{ "ip6-sticky", sticky6_make },
	{ "ip6-pktoptions", pktoptions6_make },
	{ "ip-multicast", multicast4_make },
	{ "ip6-multicast", multicast_make },
	{ "tcp-md5", md5_make },
	{ "socket-filter", filter_make },
	{ "udp-reuseport", reuseport_make },
	{ "ip6-flow-label", flow_label_make },
	{ "tcp-accepted", tcp_accepted_make },
	{ "tcp-backlog", tcp_backlog_make },
	{ "tcp-queue", tcp_queue_make },
	{ "tcp-time-wait", tcp_time_wait_make },
	{ "udp-queue", udp_queue_make },
	{ "udp-cork", udp_cork_make },
	{ .name = NULL },
};
