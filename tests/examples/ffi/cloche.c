/* SPDX-License-Identifier: MIT */
/* cloche_serve(), cloche_respond() and cloche_fail(), to be linked with what is not C. */
#define CLOCHE_HANDLER_FN extern
#include <cloche_handler.h>
