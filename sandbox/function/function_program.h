/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_FUNCTION_FUNCTION_PROGRAM_H
#define CLOCHE_FUNCTION_FUNCTION_PROGRAM_H

struct cloche_err;
struct function_config;

/*
 * Whether the program that a function begins with (of 'provided' the bootstrap, of 'native' its
 * handler) is in its code or, the former, in a layer, and can be executed: found out where the code
 * still is its owner's, by his rights, before it is packed. -EINVAL: it plainly cannot; *err begins
 * with the key that is wrong and ends with the mend. What a link leads to, or an archive that
 * cannot be read, is not judged here: it fails when it is packed or invoked.
 */
int function_program_check(const struct function_config *c, struct cloche_err *err);

#endif
