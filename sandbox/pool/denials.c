/* SPDX-License-Identifier: MIT */
/* Answers and counts what the policy denies: see denials.h. */
#include "pool/denials.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

static void count(struct denials *d, const struct seccomp_data *call)
{
	d->total++;
	for (size_t i = 0; i < d->n; i++) {
		struct denial *k = &d->kinds[i];

		if (k->nr == call->nr && k->arch == call->arch &&
		    memcmp(k->args, call->args, sizeof(k->args)) == 0) {
			k->count++;
			return;
		}
	}
	if (d->n == DENIALS_KINDS) {
		d->unnamed++;
		return;
	}
	d->kinds[d->n] = (struct denial){ .arch = call->arch, .nr = call->nr, .count = 1 };
	memcpy(d->kinds[d->n].args, call->args, sizeof(call->args));
	d->n++;
}

uint64_t denials_all(const struct denials *d)
{
	return d->total + d->overtaken;
}

int denials_take(struct denials *denials, int listener)
{
	/* The kernel wants it zeroed. Its structures may grow; these ioctls carry their size. */
	struct seccomp_notif call = { 0 };
	struct seccomp_notif_resp answer = { .error = -EPERM };

	/* ENOENT: who called has died meanwhile, or a signal came. */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return errno == EINTR || errno == ENOENT ? 0 : -errno;
	/* Handed out in their order: a number left out was taken back. */
	if (denials->next_id && call.id > denials->next_id)
		denials->overtaken += call.id - denials->next_id;
	denials->next_id = call.id + 1;
	count(denials, &call.data);
	answer.id = call.id;
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}
