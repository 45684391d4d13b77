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

static void add_kind(struct denials *d, const struct denial *one)
{
	d->total += one->count;
	for (size_t i = 0; i < d->n; i++) {
		struct denial *k = &d->kinds[i];

		if (k->nr == one->nr && k->arch == one->arch &&
		    memcmp(k->args, one->args, sizeof(k->args)) == 0) {
			k->count += one->count;
			return;
		}
	}
	if (d->n == DENIALS_KINDS)
		d->unnamed += one->count;
	else
		d->kinds[d->n++] = *one;
}

void denials_add(struct denials *d, const struct seccomp_data *call)
{
	struct denial one = { .arch = call->arch, .nr = call->nr, .count = 1 };

	memcpy(one.args, call->args, sizeof(one.args));
	add_kind(d, &one);
}

void denials_join(struct denials *d, const struct denials *before)
{
	struct denials after = *d;

	*d = *before;
	for (size_t i = 0; i < after.n; i++)
		add_kind(d, &after.kinds[i]);
	d->total += after.unnamed;
	d->unnamed += after.unnamed;
	d->overtaken += after.overtaken;
	d->made += after.made;
}

uint64_t denials_all(const struct denials *d)
{
	return d->total + d->overtaken;
}
