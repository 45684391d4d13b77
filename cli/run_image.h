/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_CLI_RUN_IMAGE_H
#define CLOCHE_CLI_RUN_IMAGE_H

struct cloche_err;
struct run_options;

/*
 * Completes the options of a run in an image with what that says of environment, working directory
 * and command, as `docker run` does: what the caller says himself comes first. An image that is not
 * there or damaged is left to the launch, which says so in the report, unless the command was to
 * come from it.
 */
int run_image_apply(struct run_options *options, struct cloche_err *err);

#endif
