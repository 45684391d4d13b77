/* SPDX-License-Identifier: MIT */
/* From a spec to a message and back: see request.h. */
#include "serve/request.h"

#include "base/fd.h"
#include "base/file.h"
#include "base/hash.h"
#include "function/function.h"
#include "image/image.h"
#include "launch/given.h"
#include "policy/policy.h"
#include "policy/policy_join.h"
#include "serve/stores.h"
#include "trace/trace_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void request_version(char ret[static 16])
{
	(void)snprintf(ret, 16, "%.9s %zx", CLOCHE_VERSION, sizeof(struct answer));
}

static int write_order(const struct order_block *block, int *ret, struct cloche_err *err)
{
	cleanup_fd int fd = memfd_create("order", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : file_write_all(fd, block->bytes, block->len);

	if (r < 0)
		return cloche_err_sys(err, -r, "hand the command's arguments over (memfd)");
	*ret = TAKE_FD(fd);
	return 0;
}

static int take_insns(const struct policy_bare *bare, struct request *r,
		      struct sock_filter **ret_insns, struct cloche_err *err)
{
	size_t size = bare->n * sizeof(bare->insns[0]);
	struct sock_filter *insns = malloc(size);

	if (!insns)
		return cloche_err_sys(err, ENOMEM, "policy");
	memcpy(insns, bare->insns, size);
	r->bare_n = bare->n;
	r->bare_flags = bare->flags;
	*ret_insns = insns;
	return 0;
}

/* What is built in goes by its name; all else is this process's own to read and compile. */
static int make_policy(const struct spec *spec, struct request *r, struct sock_filter **ret_insns,
		       struct cloche_err *err)
{
	cleanup_free struct policy_bare *bare = malloc(sizeof(*bare));
	struct policy_text text;
	size_t size;
	int code;

	if (!bare)
		return cloche_err_sys(err, ENOMEM, "policy");
	code = policy_text_load(&policy_dirs_default, spec->policy, &text, err);
	if (code < 0)
		return code;
	(void)snprintf(r->policy, sizeof(r->policy), "%s", text.name);
	if (text.owned)
		code = policy_bare_make(&text, bare, &size, err);
	if (code == 0 && text.owned)
		code = take_insns(bare, r, ret_insns, err);
	policy_text_free(&text);
	return code;
}

int request_make(const struct spec *spec, const char *function, struct request *ret,
		 struct sock_filter **ret_insns, int *ret_order, struct cloche_err *err)
{
	struct order_block block;
	int r;

	*ret = (struct request){ .kind = REQUEST_RUN,
				 .memory_bytes = spec->memory_bytes,
				 .cpu_mode = spec->cpu_mode,
				 .cpu_milli = spec->cpu_milli,
				 .pids = spec->pids,
				 .nofile = spec->nofile,
				 .fsize_bytes = spec->fsize_bytes,
				 .tmp_bytes = spec->tmp_bytes,
				 .shm_bytes = spec->shm_bytes,
				 .read_locks = spec->read_locks,
				 .output_bytes = spec->output_bytes,
				 .timeout_ns = spec->timeout_ns,
				 .cpu_time_ns = spec->cpu_time_ns };
	/* As it would have them by root. Where there are more than these bits it is not known. */
	if (sched_getaffinity(0, sizeof(ret->cpus), (cpu_set_t *)ret->cpus) < 0)
		memset(ret->cpus, 0, sizeof(ret->cpus));
	ret->binds = given_count(spec);
	if (spec->image) {
		(void)snprintf(ret->image_name, sizeof(ret->image_name), "%s", spec->rootfs);
		ret->image = *spec->image;
	}
	ret->net = spec->net;
	request_version(ret->version);
	*ret_insns = NULL;
	r = make_policy(spec, ret, ret_insns, err);
	if (r < 0)
		return r;
	(void)snprintf(ret->function, sizeof(ret->function), "%s", function ? function : "");
	r = order_pack(spec, &block, err);
	if (r < 0)
		return r;
	ret->order_len = (uint32_t)block.len;
	r = write_order(&block, ret_order, err);
	order_free(&block);
	return r;
}

static bool is_text(const char *s, size_t room)
{
	return memchr(s, '\0', room) != NULL;
}

/* As the launcher has it, for which anything else would be the front's breach; what functions keep
 * is not for commands. */
static bool image_is(const struct request *r)
{
	return r->kind != REQUEST_RUN || !r->image_name[0] ||
	       (r->image.own <= 1 && hash_is_hex(r->image.sha256));
}

/* So, too: nothing behind its end either. */
static bool is_trace_id(const char id[static UUID_LEN])
{
	size_t len = strnlen(id, UUID_LEN);

	for (size_t i = len; i < UUID_LEN; i++)
		if (id[i])
			return false;
	return len == 0 || (len < UUID_LEN && len >= TRACE_STORE_PREFIX && trace_store_is_id(id));
}

int request_check(const struct request *r, struct cloche_err *err)
{
	char version[sizeof(r->version)];

	request_version(version);
	if (strncmp(version, r->version, sizeof(version)) != 0)
		return cloche_err_set(err, EPROTO,
				      "the daemon is of another version than this program: "
				      "start it anew");
	if (r->kind >= REQUEST_KINDS || r->cpu_mode > CPU_FIXED ||
	    r->order_len > (r->kind == REQUEST_DEPLOY ? REQUEST_DEPLOY_MAX : ORDER_MAX) ||
	    r->binds > GIVEN_MAX || r->net > NET_LOOPBACK || r->hold > 1 || r->stays > 1 ||
	    r->metered > 1 || r->own_terminals >= 1U << REQUEST_STREAMS || r->tail > 1 ||
	    r->learn > 1 || r->trace > 1 || r->keep_trace > 1 || r->bare_n > BPF_MAXINSNS ||
	    r->image_form >= IMAGE_FORMS || !is_text(r->image_ref, sizeof(r->image_ref)) ||
	    (r->kind == REQUEST_TRACES && !is_trace_id(r->trace_id)) ||
	    !is_text(r->image_name, sizeof(r->image_name)) ||
	    !is_text(r->image.sha256, sizeof(r->image.sha256)) || !image_is(r) ||
	    !is_text(r->policy, sizeof(r->policy)) || !is_text(r->function, sizeof(r->function)))
		return cloche_err_set(err, EBADMSG, "the daemon was asked for what there is not");
	if ((r->kind == REQUEST_ROLLBACK || r->kind == REQUEST_FORGET) &&
	    function_name_check(r->function, err) < 0)
		return -err->code;
	if (r->kind == REQUEST_BUILD && r->image_form >= IMAGE_OF_CODE &&
	    !hash_is_hex(r->image_name))
		return cloche_err_set(err, EBADMSG, "the daemon was sent code without its hash");
	if (r->kind == REQUEST_BUILD && r->image_form == IMAGE_OF_IMAGE &&
	    image_name_check(r->image_ref, err) < 0)
		return -err->code;
	return r->kind == REQUEST_BUILD || r->kind == REQUEST_REMOVE || r->image_name[0]
		       ? image_name_check(r->image_name, err)
		       : 0;
}

/* What is in memory can be held up by nobody. It is the client's and may change: what is read is
 * what counts. */
int request_read_text(int fd, size_t len, char **ret)
{
	cleanup_free char *bytes = malloc(len + 1);
	size_t done = 0;
	ssize_t n = 1;

	if (!bytes)
		return -ENOMEM;
	if (fcntl(fd, F_GET_SEALS) < 0)
		n = 0;
	while (done < len && n > 0) {
		n = pread(fd, bytes + done, len - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done < len)
		return -EBADMSG;
	bytes[len] = '\0';
	*ret = TAKE_PTR(bytes);
	return 0;
}

int request_read_event(const struct request *r, int fd, char **ret, struct cloche_err *err)
{
	int code = r->event_len > REQUEST_EVENT_MAX ? -EMSGSIZE
						    : request_read_text(fd, r->event_len, ret);

	if (code == -EMSGSIZE)
		return cloche_err_set(err, EMSGSIZE,
				      "an event of %" PRIu64 " bytes; at most %u (6 MiB and 100 "
				      "bytes) can be given to a function",
				      r->event_len, REQUEST_EVENT_MAX);
	return code < 0 ? cloche_err_sys(err, -code, "read the event") : 0;
}

int request_read(const struct request *r, const struct policy_bare *bare, int order,
		 struct order_block *ret_block, struct order *ret_order, struct spec *ret,
		 struct cloche_err *err)
{
	struct order_block block = { .len = r->order_len };
	int code = request_read_text(order, r->order_len, &block.bytes);

	if (code == 0) {
		code = order_read(block.bytes, block.len, ret_order);
		if (code < 0)
			order_free(&block);
	}
	if (code < 0)
		return cloche_err_sys(err, -code, "read the command's arguments");
	spec_defaults(ret);
	ret->argv = ret_order->argv;
	ret->env = ret_order->env;
	ret->workdir = ret_order->workdir;
	ret->policy = r->policy;
	ret->bare = bare;
	ret->bare_size =
		bare ? offsetof(struct policy_bare, insns) + r->bare_n * sizeof(bare->insns[0]) : 0;
	ret->memory_bytes = r->memory_bytes;
	ret->timeout_ns = r->timeout_ns;
	ret->cpu_time_ns = r->cpu_time_ns;
	ret->cpu_mode = (enum cpu_mode)r->cpu_mode;
	ret->cpu_milli = r->cpu_milli;
	memcpy(ret->cpus, r->cpus, sizeof(ret->cpus));
	ret->net = (enum net_mode)r->net;
	ret->pids = r->pids;
	ret->nofile = r->nofile;
	ret->fsize_bytes = r->fsize_bytes;
	ret->tmp_bytes = r->tmp_bytes;
	ret->shm_bytes = r->shm_bytes;
	ret->read_locks = r->read_locks;
	ret->output_bytes = r->output_bytes;
	ret->own_terminals = r->own_terminals;
	ret->rootfs = r->image_name[0] ? r->image_name : NULL;
	ret->image = r->image_name[0] ? &r->image : NULL;
	*ret_block = block;
	return 0;
}
