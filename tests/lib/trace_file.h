/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_TRACE_FILE_H
#define CLOCHE_TESTS_LIB_TRACE_FILE_H

#include "trace/trace.h"

/* A trace that `cloche` wrote; the caller's to free. Fails the test when it is none. */
struct trace trace_file_read(const char *path);

#endif
