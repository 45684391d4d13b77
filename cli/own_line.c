/* SPDX-License-Identifier: MIT */
/* Our own lines apart from the function's: see own_line.h. */
#include "cli/own_line.h"

#include "base/file.h"

#include <unistd.h>

/* Of the process, as standard error is. */
static bool unfinished;

void own_line_after(bool mid_line)
{
	unfinished = unfinished || mid_line;
}

void own_line(void)
{
	if (unfinished)
		(void)file_write_all(STDERR_FILENO, "\n", 1);
	unfinished = false;
}
