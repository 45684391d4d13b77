/* SPDX-License-Identifier: MIT */
/* Our own lines apart from the function's: see own_line.h. */
#include "cli/own_line.h"

#include <stdio.h>

/* Of the process, as standard error is. */
static bool unfinished;

void own_line_after(bool mid_line)
{
	unfinished = unfinished || mid_line;
}

void own_line(void)
{
	if (unfinished)
		(void)fputc('\n', stderr);
	unfinished = false;
}
