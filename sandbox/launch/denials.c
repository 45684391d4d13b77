/* SPDX-License-Identifier: MIT */
/* Counts what the policy denies, by kind: see denials.h. */
#include "launch/denials.h"

#include <linux/seccomp.h>
#include <string.h>

void denials_clear(struct denials *d)
{
	d->n = 0;
	d->total = d->unnamed = d->overtaken = d->made = 0;
}

void denials_add(struct denials *d, const struct seccomp_data *call)
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
