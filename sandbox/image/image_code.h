/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_CODE_H
#define CLOCHE_IMAGE_IMAGE_CODE_H

#include "image/image_make.h"

/* A filler for what is no root but a part of one: a function's code, or a layer, as an archive that
 * can be read in any order: a zip, or else a tar. arg: how many bytes it may come to unpacked
 * (uint64_t); -EFBIG: it is more. */
int code_fill(struct image_job *job, struct cloche_err *err);

#endif
