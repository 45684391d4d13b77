/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_ENVFILE_H
#define CLOCHE_CLI_RUN_ENVFILE_H

struct cloche_err;
struct envfile;
struct rights;

/*
 * An environment file (base/envfile.h), opened with the rights of caller (NULL: our own). Its text
 * is read by a confined process (host/confined.h).
 */
int run_envfile_load(const char *path, const struct rights *caller, struct envfile *ret,
		     struct cloche_err *err);

#endif
