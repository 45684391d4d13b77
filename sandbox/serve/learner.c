/* SPDX-License-Identifier: MIT */
/* The child that counts an owner's system calls: see learner.h. */
#include "serve/learner.h"

#include "base/err.h"
#include "trace/calls.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* All but what it takes to read a map. */
static int drop_rights(struct cloche_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };

	caps[CAP_BPF / 32].permitted |= 1U << CAP_BPF % 32;
	caps[CAP_BPF / 32].effective |= 1U << CAP_BPF % 32;
	if (syscall(SYS_capset, &head, caps) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return cloche_err_sys(err, errno, "give rights up");
	return 0;
}

static int begin(const struct learner_task *t, struct calls *calls, struct cloche_err *err)
{
	const struct timeval patience = { .tv_sec = LEARNER_PATIENCE_S };
	uint8_t wanted[CALLS_NR];
	int r;

	(void)signal(SIGPIPE, SIG_IGN);
	if (setsockopt(t->socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(t->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return cloche_err_sys(err, errno, "wait for who learns");
	if (recv(t->socket, wanted, sizeof(wanted), MSG_WAITALL) != sizeof(wanted))
		return cloche_err_set(err, EPIPE, "who learns has gone");
	r = calls_open(calls, wanted, t->group, err);
	return r == 0 ? drop_rights(err) : r;
}

static void put(const struct calls_key *key, uint64_t count, void *arg)
{
	const struct learner_entry e = { .is = 1, .count = count, .key = *key };

	(void)fwrite(&e, sizeof(e), 1, arg);
}

static void tell(const struct learner_task *t, struct calls *calls)
{
	struct learner_entry last = { .is = 0 };
	FILE *f = fdopen(t->socket, "w");

	if (!f)
		return;
	last.count = calls_read(calls, put, f);
	(void)fwrite(&last, sizeof(last), 1, f);
	(void)fclose(f);
}

int learner_job(const void *arg, void *ret, struct cloche_err *err)
{
	const struct learner_task *t = arg;
	struct calls calls = { NULL };
	int32_t code = -begin(t, &calls, err);
	char enough;

	if (write(t->socket, &code, sizeof(code)) == sizeof(code) && code == 0 &&
	    recv(t->socket, &enough, 1, 0) == 1)
		tell(t, &calls);
	calls_close(&calls);
	return -code;
}
