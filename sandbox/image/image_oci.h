/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_IMAGE_IMAGE_OCI_H
#define CLOCHE_IMAGE_IMAGE_OCI_H

#include "image/image_make.h"

/* What to import: an OCI layout directory, or an archive of one or of `docker save`. */
struct oci_source {
	int fd;		  /* open for reading; stays the caller's */
	const char *path; /* for messages; NULL: they say what it is themselves */
	const char *ref;  /* which of several images; NULL: there is one only */
};

/* Has a directory lead nowhere by "..": it becomes a mount of its own that is mounted nowhere, and
 * is gone with its descriptor. For root, in the mount namespace that it is of. */
int oci_source_cut(struct oci_source *s, struct cloche_err *err);

/* Filler for image_make(): arg is a struct oci_source. */
int oci_fill(struct image_job *job, struct cloche_err *err);

#endif
