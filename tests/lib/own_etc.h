/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_TESTS_LIB_OWN_ETC_H
#define CLOCHE_TESTS_LIB_OWN_ETC_H

#include <sys/types.h>

/*
 * A host whose configuration is the test's: from here on this process and the programs that it
 * starts have an /etc and a /var/cache of their own, with nothing in them but /etc/passwd and
 * /etc/group. It ends with the process. What others run sees nothing of it.
 */
void own_etc(void);

/* A file with this text and mode, its folders made; a directory; a link. A failure ends the test.
 */
void etc_file(const char *path, const char *text, mode_t mode);
void etc_dir(const char *path, mode_t mode);
void etc_link(const char *to, const char *path);

#endif
