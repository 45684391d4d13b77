/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_INTERPRETER_H
#define CLOCHE_CLI_INTERPRETER_H

#include <stdbool.h>

/* What really runs a function: a runtime's name, python3.11, is but that of a family. */
struct interpreter {
	char path[256];	   /* without links; where there is none: what was looked for */
	char version[128]; /* as it says itself, "Python 3.11.2"; "": it does not */
	bool is_there;
};

/* False: a runtime of that name has none that is known here (provided, native, exec, an image). The
 * files are this host's, as contexts show them; the interpreter is run for its version, with this
 * process's rights. */
bool interpreter_find(const char *runtime, struct interpreter *ret);

#endif
