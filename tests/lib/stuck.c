/* SPDX-License-Identifier: MIT */
/* Holds locks by a page that does not come: see stuck.h. */
#include "tests/lib/stuck.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "tests/lib/env.h"

#define PAGE 4096

struct hold {
	enum stuck_how how;
	int fd;
	void *page;
};

static void *hold(void *arg)
{
	const struct hold *h = arg;
	ssize_t n;

	if (h->how == STUCK_READ)
		n = read(h->fd, h->page, PAGE);
	else if (h->how == STUCK_WRITE)
		n = write(h->fd, h->page, PAGE);
	else
		n = pwrite(h->fd, h->page, PAGE, 0);
	_exit(n < 0 ? 1 : 0);
}

/* The descriptor that tells of who waits for the page; -1: this kernel has none, or no right to it.
 */
static int make_page(void **ret)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register all = { .range.len = PAGE, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	*ret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	all.range.start = (uintptr_t)*ret;
	if (fd < 0 || *ret == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) < 0 ||
	    ioctl(fd, UFFDIO_REGISTER, &all) < 0)
		return -1;
	return fd;
}

static void be_stuck(struct hold *h, int said)
{
	struct pollfd waits = { .fd = make_page(&h->page), .events = POLLIN };
	pthread_t thread;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (waits.fd < 0) {
		(void)!write(said, "-", 1);
		_exit(1);
	}
	if (pthread_create(&thread, NULL, hold, h) != 0 || poll(&waits, 1, -1) != 1)
		_exit(1);
	(void)!write(said, "+", 1);
	for (;;)
		(void)pause();
}

struct stuck stuck_begin(enum stuck_how how, int fd, const int *others, size_t n)
{
	struct hold h = { .how = how, .fd = fd };
	struct stuck s;
	char what = 0;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	s.said = ends[0];
	s.pid = fork();
	if (s.pid == 0) {
		for (size_t i = 0; i < n; i++)
			(void)close(others[i]);
		be_stuck(&h, ends[1]);
	}
	(void)close(ends[1]);
	cr_assert_eq(read(s.said, &what, 1), 1, "nothing is held");
	if (what != '+')
		test_skip("needs userfaultfd(2)");
	return s;
}

void stuck_end(struct stuck *s)
{
	(void)kill(s->pid, SIGKILL);
	cr_expect_eq(waitpid(s->pid, NULL, 0), s->pid);
	fd_close(&s->said);
}
