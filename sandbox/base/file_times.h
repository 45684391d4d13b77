/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_BASE_FILE_TIMES_H
#define CLOCHE_BASE_FILE_TIMES_H

/* What the times of a file are worth as a sign that it did not change. */
enum file_times {
	FILE_TIMES_UNKNOWN, /* somebody else makes them up: network, FUSE */
	FILE_TIMES_FIXED,   /* of a file system for reading only: as its author set them */
	FILE_TIMES_KERNEL,  /* ctime is this kernel's, at each change, and nobody can set it */
};

/* Of the file system that a descriptor's file is on. */
enum file_times file_times_of(int fd);

#endif
