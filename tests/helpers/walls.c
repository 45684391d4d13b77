/* SPDX-License-Identifier: MIT */
/*
 * walls ATTACK: what a function would do to the host by calls that most programs make, with
 * arguments that none needs. Each prints a line for each of its ways, "got: WHAT" or "refused:
 * WHAT: ERRNO". Run on the host, where an attack must work, it is the proof that it is one; those
 * that would have the host's kernel run or load something are for the inside only. All is made in
 * the working directory, once, and let go at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/openat2.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#endif

static void say(long r, const char *what)
{
	if (r < 0)
		printf("refused: %s: %s\n", what, strerrorname_np(errno));
	else
		printf("got: %s\n", what);
}

/* ---- files with bits that change who runs them ---- */

#define FILE_NAME "cloche-walls-file"
#define SUID_MODE (S_ISUID | S_ISGID | 0755)

/* What was made, by what it is and not by what the call said. */
static void say_mode(long r, const char *what)
{
	struct stat st;
	int code = errno;

	if (lstat(FILE_NAME, &st) < 0 || !(st.st_mode & (S_ISUID | S_ISGID))) {
		errno = r < 0 ? code : 0;
		printf("refused: %s: %s\n", what, r < 0 ? strerrorname_np(code) : "no bits");
	} else {
		printf("got: %s\n", what);
	}
	(void)remove(FILE_NAME);
}

static int fresh(void)
{
	return open(FILE_NAME, O_CREAT | O_EXCL | O_RDWR, 0755);
}

static void by_chmod(void)
{
	int fd = fresh();

	say_mode(chmod(FILE_NAME, SUID_MODE), "chmod");
	(void)close(fd);
	(void)close(fresh());
	say_mode(chmod(FILE_NAME, S_ISGID | 0755), "chmod, S_ISGID alone");
	fd = fresh();
	say_mode(fchmod(fd, SUID_MODE), "fchmod");
	(void)close(fd);
	(void)close(fresh());
	say_mode(syscall(SYS_fchmodat, AT_FDCWD, FILE_NAME, SUID_MODE), "fchmodat");
	(void)close(fresh());
	say_mode(syscall(SYS_fchmodat2, AT_FDCWD, FILE_NAME, SUID_MODE, 0), "fchmodat2");
	/* The kernel looks at 16 bits of the mode. */
	(void)close(fresh());
	say_mode(syscall(SYS_chmod, FILE_NAME, 0xfffffff000000000UL | SUID_MODE),
		 "chmod, a dirty upper half");
}

static void by_open(void)
{
	struct open_how how = { .flags = O_CREAT | O_RDWR, .mode = SUID_MODE };
	int fd;

	say_mode(syscall(SYS_open, FILE_NAME, O_CREAT | O_RDWR, SUID_MODE), "open");
	say_mode(syscall(SYS_openat, AT_FDCWD, FILE_NAME, O_CREAT | O_RDWR, SUID_MODE), "openat");
	say_mode(syscall(SYS_creat, FILE_NAME, SUID_MODE), "creat");
	say_mode(syscall(SYS_openat2, AT_FDCWD, FILE_NAME, &how, sizeof(how)), "openat2");
	fd = (int)syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR, SUID_MODE);
	if (fd >= 0) {
		char self[64];

		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		say_mode(linkat(AT_FDCWD, self, AT_FDCWD, FILE_NAME, AT_SYMLINK_FOLLOW),
			 "O_TMPFILE");
	} else {
		say_mode(fd, "O_TMPFILE");
	}
	say_mode(syscall(SYS_mknod, FILE_NAME, S_IFREG | SUID_MODE, 0), "mknod");
	say_mode(syscall(SYS_mknodat, AT_FDCWD, FILE_NAME, S_IFREG | SUID_MODE, 0), "mknodat");
}

/* The kernel itself takes no such bits here; a kernel that did would be no help. */
static void by_mkdir(void)
{
	say_mode(mkdir(FILE_NAME, SUID_MODE), "mkdir");
	say_mode(syscall(SYS_mkdirat, AT_FDCWD, FILE_NAME, SUID_MODE), "mkdirat");
}

static void by_xattr(void)
{
	/* VFS_CAP_REVISION_2, cap_net_raw. */
	static const unsigned char caps[20] = { 1, 0, 0, 2, 0, 0x20 };
	/* Two entries of the owner, the group, all others: the least that there is. */
	static const unsigned char acl[] = { 2,	   0,	 0, 0, 1,    0,	   7,	 0,    0xff, 0xff,
					     0xff, 0xff, 4, 0, 5,    0,	   0xff, 0xff, 0xff, 0xff,
					     32,   0,	 5, 0, 0xff, 0xff, 0xff, 0xff };
	int fd = fresh();

	say(setxattr(FILE_NAME, "security.capability", caps, sizeof(caps), 0), "setxattr");
	say(lsetxattr(FILE_NAME, "security.capability", caps, sizeof(caps), 0), "lsetxattr");
	say(fsetxattr(fd, "system.posix_acl_access", acl, sizeof(acl), 0), "fsetxattr");
	(void)close(fd);
	(void)remove(FILE_NAME);
}

/* ---- filters and programs in the kernel ---- */

static struct sock_filter pass[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
static const struct sock_fprog pass_prog = { 1, pass };

static void filter_by(int how)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (how == 0)
			say(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &pass_prog),
			    "seccomp");
		else
			say(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &pass_prog), "prctl");
		(void)fflush(stdout);
		_exit(0);
	}
	(void)waitpid(pid, NULL, 0);
}

static void by_filter(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)fflush(stdout);
	filter_by(0);
	filter_by(1);
	say(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &pass_prog, sizeof(pass_prog)),
	    "SO_ATTACH_FILTER");
	(void)close(fd);
}

/* ---- what sockets keep ---- */

static void option(int family, int level, int name, const void *value, socklen_t len,
		   const char *what)
{
	int fd = socket(family, SOCK_DGRAM, 0);

	say(setsockopt(fd, level, name, value, len), what);
	(void)close(fd);
}

static void by_option(void)
{
	/* A segment routing header with one segment, and a header of options with a filler. */
	static const unsigned char route[24] = { 0, 2, 4 };
	static const unsigned char pad[16] = { 0, 1, 1, 12 };
	static const unsigned char cmsg[32] = { 32, 0, 0, 0, 0, 0, 0, 0, IPPROTO_IPV6, 0, 0, 0,
						4,  0, 0, 0, 0, 1, 1, 12 };
	struct ip_mreqn join = { .imr_multiaddr.s_addr = htonl(0xef010203), .imr_ifindex = 1 };
	struct ipv6_mreq join6 = { .ipv6mr_multiaddr.s6_addr = { 0xff, 2, [15] = 9 },
				   .ipv6mr_interface = 1 };
	struct group_req group = { .gr_interface = 1, .gr_group.ss_family = AF_INET };

	memcpy(&((struct sockaddr_in *)&group.gr_group)->sin_addr, &join.imr_multiaddr, 4);
	/* The one that asks for no capability. */
	option(AF_INET6, IPPROTO_IPV6, 57, route, sizeof(route), "IPV6_RTHDR");
	option(AF_INET6, IPPROTO_IPV6, 59, pad, sizeof(pad), "IPV6_DSTOPTS");
	option(AF_INET6, IPPROTO_IPV6, 55, pad, sizeof(pad), "IPV6_RTHDRDSTOPTS");
	option(AF_INET6, IPPROTO_IPV6, 6, cmsg, sizeof(cmsg), "IPV6_2292PKTOPTIONS");
	option(AF_INET6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join6, sizeof(join6), "IPV6_JOIN_GROUP");
	option(AF_INET, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof(join), "IP_ADD_MEMBERSHIP");
	option(AF_INET, IPPROTO_IP, MCAST_JOIN_GROUP, &group, sizeof(group), "MCAST_JOIN_GROUP");
}

static void usual_options(void)
{
	static const int one = 1;
	static const struct {
		int family, type, level, name;
		const char *what;
	} usual[] = {
		{ AF_UNIX, SOCK_STREAM, SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED" },
		{ AF_UNIX, SOCK_STREAM, SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF" },
		{ AF_INET, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR" },
		{ AF_INET, SOCK_STREAM, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
		{ AF_INET, SOCK_STREAM, IPPROTO_TCP, 1, "TCP_NODELAY" },
		{ AF_INET, SOCK_STREAM, IPPROTO_TCP, 4, "TCP_KEEPIDLE" },
		{ AF_INET, SOCK_STREAM, IPPROTO_TCP, 18, "TCP_USER_TIMEOUT" },
		{ AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_BROADCAST, "SO_BROADCAST" },
		{ AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_TTL, "IP_TTL" },
		{ AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_RECVERR, "IP_RECVERR" },
		{ AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_MULTICAST_LOOP, "IP_MULTICAST_LOOP" },
		{ AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY" },
		{ AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_RECVPKTINFO, "IPV6_RECVPKTINFO" },
	};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		int fd = socket(usual[i].family, usual[i].type, 0);

		say(setsockopt(fd, usual[i].level, usual[i].name, &one, sizeof(one)),
		    usual[i].what);
		(void)close(fd);
	}
}

/* ---- the host's huge pages ---- */

static void by_hugetlb(void)
{
	void *p = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	long fd, id;

	say(p == MAP_FAILED ? -1 : 0, "MAP_HUGETLB");
	if (p != MAP_FAILED)
		(void)munmap(p, 2 << 20);
	fd = syscall(SYS_memfd_create, "walls", 4U /* MFD_HUGETLB */);
	say(fd, "MFD_HUGETLB");
	id = shmget(IPC_PRIVATE, 2 << 20, IPC_CREAT | SHM_HUGETLB | 0600);
	say(id, "SHM_HUGETLB");
	if (id >= 0)
		(void)shmctl((int)id, IPC_RMID, NULL);
}

/* Pages that a kernel thread compares with those of everybody. */
static void by_merge(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	say(madvise(p, 4096, MADV_MERGEABLE), "MADV_MERGEABLE");
	say(prctl(67 /* PR_SET_MEMORY_MERGE, since 6.4 */, 1, 0, 0, 0), "PR_SET_MEMORY_MERGE");
}

/* ---- files that the host uses, too ---- */

static void by_lease(void)
{
	int fd, dir = open(".", O_RDONLY | O_DIRECTORY);

	(void)close(fresh());
	fd = open(FILE_NAME, O_RDONLY);
	say(fcntl(fd, F_SETLEASE, F_RDLCK), "F_SETLEASE");
	say(fcntl(dir, F_NOTIFY, DN_CREATE), "F_NOTIFY");
	(void)close(fd);
	(void)close(dir);
	(void)remove(FILE_NAME);
}

/* ---- doors past the filter ---- */

static void by_ring(void)
{
	char params[256] = { 0 };
	aio_context_t ctx = 0;

	say(syscall(SYS_io_uring_setup, 1, params), "io_uring_setup");
	say(syscall(SYS_io_setup, 1, &ctx), "io_setup");
}

/* ---- what runs root's programs: for the inside only ---- */

static void by_ioctl(void)
{
	static const unsigned long commands[] = { 0x8940, 0x8941, 0x8982, 0x8983,
						  0x89a0, 0x89a1, 0x5423 };
	char arg[64] = "lo", what[32];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		(void)snprintf(what, sizeof(what), "ioctl %#lx", commands[i]);
		say(ioctl(fd, commands[i], arg), what);
	}
	(void)close(fd);
}

/* Families, types and protocols that a kernel may have to load; what it says of each. */
static void by_socket(void)
{
	static const int odd[][3] = {
		{ 3, 5, 0 },   { 9, 5, 0 },   { 17, 3, 0 },  { 21, 5, 0 },  { 29, 3, 1 },
		{ 30, 1, 0 },  { 38, 5, 0 },  { 40, 1, 0 },  { 44, 3, 0 },  { 2, 5, 132 },
		{ 2, 1, 132 }, { 2, 6, 33 },  { 2, 2, 136 }, { 2, 10, 3 },  { 10, 1, 132 },
		{ 10, 4, 0 },  { 16, 3, 12 }, { 16, 3, 16 }, { 16, 3, 21 }, { 2, 1, 262 },
	};
	char what[48];

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		int fd = socket(odd[i][0], odd[i][1], odd[i][2]);

		(void)snprintf(what, sizeof(what), "socket(%d,%d,%d)", odd[i][0], odd[i][1],
			       odd[i][2]);
		say(fd, what);
		if (fd >= 0)
			(void)close(fd);
	}
	say(syscall(SYS_request_key, "user", "cloche-walls", "x", 0), "request_key");
}

static void by_inet(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };

	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_INET, types[i], 0);

		say(fd, "AF_INET");
		(void)close(fd);
		fd = socket(AF_INET6, types[i], 0);
		say(fd, "AF_INET6");
		(void)close(fd);
	}
}

/* ---- more of the kernel ---- */

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const struct {
	unsigned flag;
	const char *name;
} kinds[] = {
	{ CLONE_NEWUSER, "user" },     { CLONE_NEWNS, "mount" }, { CLONE_NEWPID, "pid" },
	{ CLONE_NEWNET, "net" },       { CLONE_NEWIPC, "ipc" },	 { CLONE_NEWUTS, "uts" },
	{ CLONE_NEWCGROUP, "cgroup" },
};

/* A child's answer is its status: 0, or the errno. */
static long ended(pid_t pid)
{
	int status = 0;

	if (pid < 0)
		return -1;
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		status = EIO << 8;
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/* With a user namespace each, by which anybody could make the others. */
static void by_namespace(void)
{
	char what[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		unsigned flags = kinds[i].flag | CLONE_NEWUSER;
		struct clone_args args = { .flags = flags, .exit_signal = SIGCHLD };
		pid_t pid = fork();

		if (pid == 0)
			_exit(unshare((int)flags) < 0 ? errno : 0);
		(void)snprintf(what, sizeof(what), "unshare, %s", kinds[i].name);
		say(ended(pid), what);
		pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			_exit(0);
		(void)snprintf(what, sizeof(what), "clone, %s", kinds[i].name);
		say(ended(pid), what);
		pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
		if (pid == 0)
			_exit(0);
		(void)snprintf(what, sizeof(what), "clone3, %s", kinds[i].name);
		say(ended(pid), what);
	}
}

static void by_mount_inner(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	int fs, tree;

	(void)unshare(CLONE_NEWNS);
	(void)syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	say(mount("none", ".", "tmpfs", 0, NULL), "mount");
	say(umount2(".", MNT_DETACH), "umount2");
	fs = (int)syscall(SYS_fsopen, "tmpfs", 0);
	say(fs, "fsopen");
	say(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig");
	tree = (int)syscall(SYS_fsmount, fs, 0, 0);
	say(tree, "fsmount");
	say(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)),
	    "mount_setattr");
	say(syscall(SYS_move_mount, tree, "", AT_FDCWD, ".", MOVE_MOUNT_F_EMPTY_PATH),
	    "move_mount");
	say(syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE), "open_tree");
}

static void by_mount(void)
{
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		by_mount_inner();
		(void)fflush(stdout);
		_exit(0);
	}
	(void)ended(pid);
}

static void by_key(void)
{
	long key = syscall(SYS_add_key, "user", "cloche-walls", "x", 1, KEY_SPEC_PROCESS_KEYRING);

	say(key, "add_key");
	say(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1), "keyctl");
}

/* For the inside only: some of it harms a host that lets it. Of each what a kernel lets anybody do,
 * where there is such a thing. */
static void by_kernel(void)
{
	struct perf_event_attr perf = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(perf),
					.config = PERF_COUNT_SW_TASK_CLOCK,
					.exclude_kernel = 1,
					.exclude_hv = 1 };
	const uint64_t map[] = {
		4ULL << 32 | BPF_MAP_TYPE_ARRAY, 1ULL << 32 | 4, 0, 0, 0, 0, 0, 0
	};
	int root = open("/", O_RDONLY | O_DIRECTORY);

	say(syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY), "userfaultfd");
	say(syscall(SYS_perf_event_open, &perf, 0, -1, -1, 0), "perf_event_open");
	say(syscall(SYS_bpf, BPF_MAP_CREATE, map, sizeof(map)), "bpf");
	say(syscall(SYS_setns, root, 0), "setns");
	say(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	say(syscall(SYS_fspick, AT_FDCWD, "/", 0), "fspick");
	say(syscall(SYS_init_module, "", 0, ""), "init_module");
	say(syscall(SYS_finit_module, root, "", 0), "finit_module");
	say(syscall(SYS_delete_module, "cloche-walls", O_NONBLOCK), "delete_module");
	say(syscall(SYS_kexec_load, 0, 0, NULL, 0xffff), "kexec_load");
	say(syscall(SYS_kexec_file_load, root, root, 0, NULL, ~0UL), "kexec_file_load");
	say(syscall(SYS_reboot, 0, 0, 0, NULL), "reboot, with no magic");
	say(syscall(SYS_open_by_handle_at, root, NULL, O_RDONLY), "open_by_handle_at");
}

static const struct {
	const char *name;
	void (*run)(void);
} attacks[] = {
	{ "namespace", by_namespace }, { "mount", by_mount },	   { "key", by_key },
	{ "kernel", by_kernel },       { "chmod", by_chmod },	   { "open", by_open },
	{ "mkdir", by_mkdir },	       { "xattr", by_xattr },	   { "filter", by_filter },
	{ "option", by_option },       { "hugetlb", by_hugetlb },  { "lease", by_lease },
	{ "ring", by_ring },	       { "ioctl", by_ioctl },	   { "socket", by_socket },
	{ "inet", by_inet },	       { "usual", usual_options }, { "merge", by_merge },
};

int main(int argc, char **argv)
{
	(void)umask(0);
	for (size_t i = 0; argc > 1 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(argv[1], attacks[i].name) == 0) {
			attacks[i].run();
			return 0;
		}
	(void)fprintf(stderr, "usage: walls ATTACK\n");
	return 96;
}
