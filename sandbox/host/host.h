/* SPDX-License-Identifier: MIT */
#ifndef CLOCHE_HOST_HOST_H
#define CLOCHE_HOST_HOST_H

#include <stdbool.h>

struct cloche_err;

/*
 * Where Cloche keeps what outlives a run on this host until the next boot: slots, the pinned root
 * template, compiled filters, where the cgroup hierarchies are. Root's alone (0700).
 */
#define HOST_RUN_DIR "/run/cloche"

/* Opens the directory, made when absent; refuses one that another user owns or may write to.
 * Returns an O_PATH-free directory fd. */
int host_run_dir(struct cloche_err *err);

/* An exclusive flock(2) on HOST_RUN_DIR/name, held until the fd is closed: for the rare work of
 * making what is shared. */
int host_lock(int run_fd, const char *name, struct cloche_err *err);

/* Makes a directory and mounts it on itself, private: what is mounted there shows up in no other
 * mount namespace. Under a lock. */
int host_private_dir(const char *path, struct cloche_err *err);

/*
 * Namespaces that are kept: bind mounts of them on files below HOST_RUN_DIR/ns. pin is a path
 * relative to HOST_RUN_DIR. open: the fd, -ENOENT when there is none. try_pin: for the runs after
 * this one, which make their own where there is no pin.
 */
int host_pin_open(int run_fd, const char *pin);
void host_try_pin(const char *ns, const char *pin);

/* Where BPF programs and maps are kept. lock: mounts it where it is not, and returns the directory,
 * locked: nobody else loads or removes meanwhile. */
#define HOST_BPFFS "/sys/fs/bpf"

bool host_bpffs_is_mounted(void);
int host_bpffs_lock(struct cloche_err *err);

#endif
