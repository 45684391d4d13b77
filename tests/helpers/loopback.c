/* SPDX-License-Identifier: MIT */
/*
 * What a program does with a network of its own, a line each: what it tried, and what came of it.
 *
 *	loopback all          ports below 1024, pings of itself, lists of interfaces
 *	loopback hold WHAT    sockets of one kind until there is none, and why; then another kind
 *	loopback again N      makes and closes one of netlink, N times
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void say(const char *what, bool ok)
{
	(void)printf("%s: %s\n", what, ok ? "ok" : strerrorname_np(errno));
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t own_address(int family, int port, union address *ret)
{
	*ret = (union address){ .any.sa_family = (sa_family_t)family };
	if (family == AF_INET) {
		ret->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		ret->v4.sin_port = htons((uint16_t)port);
		return sizeof(ret->v4);
	}
	ret->v6.sin6_addr = in6addr_loopback;
	ret->v6.sin6_port = htons((uint16_t)port);
	return sizeof(ret->v6);
}

static bool binds(int family, int type)
{
	int fd = socket(family, type, 0);
	union address at;
	socklen_t len = own_address(family, 80, &at);
	bool ok = fd >= 0 && bind(fd, &at.any, len) == 0;

	(void)close(fd);
	return ok;
}

static bool pings(int family)
{
	int fd = socket(family, SOCK_DGRAM, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	struct icmphdr echo = {
		.type = family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
		.un.echo.sequence = htons(7),
	};
	struct timeval patience = { .tv_sec = 20 };
	union address at;
	socklen_t len = own_address(family, 0, &at);
	struct icmphdr back;
	bool ok = fd >= 0 &&
		  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
		  sendto(fd, &echo, sizeof(echo), 0, &at.any, len) == sizeof(echo) &&
		  recv(fd, &back, sizeof(back), 0) == sizeof(back) &&
		  back.un.echo.sequence == echo.un.echo.sequence;

	(void)close(fd);
	return ok;
}

static void interfaces(void)
{
	struct if_nameindex *names = if_nameindex();
	struct ifaddrs *all = NULL;
	bool four = false, six = false, ok = getifaddrs(&all) == 0;

	say("getifaddrs", ok);
	for (struct ifaddrs *a = all; a; a = a->ifa_next) {
		four |= a->ifa_addr && a->ifa_addr->sa_family == AF_INET;
		six |= a->ifa_addr && a->ifa_addr->sa_family == AF_INET6;
	}
	if (ok)
		(void)printf("addresses:%s%s\n", four ? " 4" : "", six ? " 6" : "");
	say("if_nameindex", names);
	for (struct if_nameindex *n = names; n && n->if_name; n++)
		(void)printf("interface: %s\n", n->if_name);
	freeifaddrs(all);
}

static int all(void)
{
	say("tcp port 80", binds(AF_INET, SOCK_STREAM));
	say("tcp6 port 80", binds(AF_INET6, SOCK_STREAM));
	say("udp port 80", binds(AF_INET, SOCK_DGRAM));
	say("udp6 port 80", binds(AF_INET6, SOCK_DGRAM));
	say("ping 127.0.0.1", pings(AF_INET));
	say("ping ::1", pings(AF_INET6));
	interfaces();
	return 0;
}

static int one(const char *what)
{
	if (strcmp(what, "tcp") == 0)
		return socket(AF_INET, SOCK_STREAM, 0);
	if (strcmp(what, "ping") == 0)
		return socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
	if (strcmp(what, "ping6") == 0)
		return socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

/* For as long as this program runs. */
static bool keep(const char *what)
{
	int fd = one(what);

	return fd >= 0 && dup2(fd, fd) == fd;
}

static int hold(const char *what)
{
	int n = 0;

	while (keep(what))
		n++;
	(void)printf("%d %s\n", n, strerrorname_np(errno));
	say("netlink", keep("netlink"));
	say("tcp", keep("tcp"));
	return 0;
}

static int again(int n)
{
	for (int i = 0; i < n; i++) {
		int fd = one("netlink");

		if (fd < 0) {
			say("netlink", false);
			return 1;
		}
		(void)close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "all") == 0)
		return all();
	if (argc == 3 && strcmp(argv[1], "hold") == 0)
		return hold(argv[2]);
	if (argc == 3 && strcmp(argv[1], "again") == 0)
		return again(atoi(argv[2]));
	return 96;
}
