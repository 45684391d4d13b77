/* SPDX-License-Identifier: MIT */
/*
 * Prints for the model (daemon.pml) what the code says: the kinds, the states, and what may be said
 * when. So the model has no table of its own that could differ.
 */
#include <ctype.h>
#include <stdio.h>

#include "serve/command.h"

static const char *const states[] = {
	[COMMAND_UNREADY] = "UNREADY",	 [COMMAND_ABSENT] = "ABSENT",
	[COMMAND_HANDED] = "HANDED",	 [COMMAND_COUNTING] = "COUNTING",
	[COMMAND_COUNTED] = "COUNTED",	 [COMMAND_PROVING] = "PROVING",
	[COMMAND_ENDING] = "ENDING",	 [COMMAND_MOUNTING] = "MOUNTING",
	[COMMAND_BUILDING] = "BUILDING",
};
_Static_assert(sizeof(states) / sizeof(states[0]) == COMMAND_STATES, "each has its name");

static void print_name(const char *name)
{
	for (; *name; name++)
		(void)putchar(toupper(*name));
}

int main(void)
{
	for (int kind = 0; kind < COMMAND_KINDS; kind++) {
		(void)printf("#define COMMAND_");
		print_name(command_name((enum command_kind)kind));
		(void)printf(" %d\n", kind);
	}
	for (int state = 0; state < COMMAND_STATES; state++)
		(void)printf("#define %s %d\n", states[state], state);
	(void)printf("#define ALLOWED(kind, state) (false");
	for (int kind = 0; kind < COMMAND_KINDS; kind++)
		for (int state = 0; state < COMMAND_STATES; state++)
			if (command_allowed((enum command_kind)kind, (enum command_state)state))
				(void)printf(" || ((kind) == %d && (state) == %d)", kind, state);
	(void)printf(")\n");
	return 0;
}
