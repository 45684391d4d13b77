/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_LAUNCH_TERMINAL_H
#define CLOCHE_LAUNCH_TERMINAL_H

#include <stdbool.h>

/*
 * The state of a terminal that whoever has it open may change, and the next one who uses it finds:
 * settings (tty_ioctl(4)), size of the window, line discipline, exclusive mode, stopped output. Not
 * set back: what was typed and not yet read, and what escape sequences did to the screen.
 */
struct terminal {
	bool is_one;
	bool exclusive;
	int discipline;
	unsigned short size[4];
	char settings[64]; /* a struct termios2 */
};

void terminal_keep(int fd, struct terminal *ret);
void terminal_restore(int fd, const struct terminal *was);

#endif
