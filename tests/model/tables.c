/* SPDX-License-Identifier: MIT */
/*
 * Prints for the model (daemon.pml) what the code says: the kinds, the states, and what may be said
 * when. So the model has no table of its own that could differ.
 */
#include <ctype.h>
#include <stdio.h>

#include "launch/warden.h"
#include "pool/pool.h"
#include "serve/command.h"

static const char *const states[] = {
	[COMMAND_UNREADY] = "UNREADY",	     [COMMAND_ABSENT] = "ABSENT",
	[COMMAND_HANDED] = "HANDED",	     [COMMAND_COUNTING] = "COUNTING",
	[COMMAND_COUNTED] = "COUNTED",	     [COMMAND_PROVING] = "PROVING",
	[COMMAND_ENDING] = "ENDING",	     [COMMAND_MOUNTING] = "MOUNTING",
	[COMMAND_BUILDING] = "BUILDING",     [COMMAND_TRACING] = "TRACING",
	[COMMAND_CONCLUDING] = "CONCLUDING",
};
_Static_assert(sizeof(states) / sizeof(states[0]) == COMMAND_STATES, "each has its name");

/* As far as the launcher and a driver have to do with them; what is not here the model may not
 * have. */
static const char *const warden_states[] = {
	[WARDEN_SETTING_UP] = "SETTING_UP", [WARDEN_BLANK] = "BLANK",
	[WARDEN_READY] = "READY",	    [WARDEN_RENEWED] = "RENEWED",
	[WARDEN_RUNNING] = "RUNNING",	    [WARDEN_USED] = "USED",
	[WARDEN_DIRTY] = "DIRTY",	    [WARDEN_PAUSING] = "PAUSING",
	[WARDEN_FROZEN] = "FROZEN",
};
_Static_assert(sizeof(warden_states) / sizeof(warden_states[0]) == WARDEN_STATES,
	       "each has its name");

static const char *const pool_states[] = {
	[POOL_MAKING] = "MAKING",     [POOL_BUSY] = "BUSY", [POOL_VERIFYING] = "VERIFYING",
	[POOL_RESERVED] = "RESERVED", [POOL_IDLE] = "IDLE", [POOL_ENDING] = "ENDING",
};
_Static_assert(sizeof(pool_states) / sizeof(pool_states[0]) == POOL_STATES, "each has its name");

static void print_name(const char *name)
{
	for (; *name; name++)
		(void)putchar(toupper(*name));
}

static void print_warden(void)
{
	for (int type = 0; type < WARDEN_MESSAGES; type++)
		if (warden_message_name((enum warden_message)type)) {
			(void)printf("#define WARDEN_");
			print_name(warden_message_name((enum warden_message)type));
			(void)printf(" %d\n", type);
		}
	for (int state = 0; state < WARDEN_STATES; state++)
		(void)printf("#define %s %d\n", warden_states[state], state);
	(void)printf("#define WARDEN_GONE %d\n", WARDEN_STATES);
	(void)printf("#define WARDEN_NONE %d\n", WARDEN_STATES + 1);
	(void)printf("#define TELLS(type, state, by_driver) (false");
	for (int type = 0; type < WARDEN_MESSAGES; type++)
		for (int state = 0; state < WARDEN_STATES; state++)
			for (int by_driver = 0; by_driver < 2; by_driver++)
				if (warden_allowed((enum warden_message)type,
						   (enum warden_state)state, by_driver))
					(void)printf(" || ((type) == %d && (state) == %d && "
						     "(by_driver) == %d)",
						     type, state, by_driver);
	(void)printf(")\n");
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
	print_warden();
	for (int state = 0; state < POOL_STATES; state++)
		(void)printf("#define POOL_%s %d\n", pool_states[state], state);
	return 0;
}
