/* SPDX-License-Identifier: MIT */
/* What a function changes of a terminal is set back: see terminal.h. */
#include "launch/terminal.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(sizeof(struct termios2) <= sizeof(((struct terminal *)0)->settings), "too small");
_Static_assert(sizeof(struct winsize) == sizeof(((struct terminal *)0)->size), "not a winsize");

void terminal_keep(int fd, struct terminal *ret)
{
	int exclusive = 0;

	*ret = (struct terminal){ .discipline = -1 };
	ret->is_one = ioctl(fd, TCGETS2, ret->settings) == 0;
	if (!ret->is_one)
		return;
	(void)ioctl(fd, TIOCGWINSZ, ret->size);
	(void)ioctl(fd, TIOCGETD, &ret->discipline);
	ret->exclusive = ioctl(fd, TIOCGEXCL, &exclusive) == 0 && exclusive;
}

static void set_back(int fd, const struct terminal *was)
{
	struct terminal now;

	terminal_keep(fd, &now);
	if (!now.is_one)
		return;
	if (now.exclusive && !was->exclusive)
		(void)ioctl(fd, TIOCNXCL);
	/* Before the settings: a discipline has its own view of them. */
	if (now.discipline != was->discipline && was->discipline >= 0)
		(void)ioctl(fd, TIOCSETD, &was->discipline);
	if (memcmp(now.settings, was->settings, sizeof(now.settings)) != 0)
		(void)ioctl(fd, TCSETS2, was->settings);
	if (memcmp(now.size, was->size, sizeof(now.size)) != 0)
		(void)ioctl(fd, TIOCSWINSZ, was->size);
	/* It undoes tcflow(3)'s TCOOFF and not what was typed (Ctrl-S). */
	(void)ioctl(fd, TCXONC, TCOON);
}

void terminal_restore(int fd, const struct terminal *was)
{
	sigset_t stop, old;

	if (!was->is_one)
		return;
	/* Whoever is in the background would be stopped for setting anything. */
	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &stop, &old);
	set_back(fd, was);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
}
