/* SPDX-License-Identifier: MIT */
/* From the daemon's outcome to the client's: see run_own.h. */
#include "cli/run_own.h"

#include "base/err.h"
#include "cli/run_options.h"
#include "run/outcome.h"

#include <errno.h>
#include <stdio.h>

int run_own_begin(struct run_own *ret, const struct run_options *opt, struct cloche_err *err)
{
	*ret = (struct run_own){ .opt = opt,
				 .booking = { .dir = opt->ledger_own ? opt->ledger : NULL,
					      .as = opt->ledger_named ? opt->spec.caller : NULL,
					      .sync = opt->ledger_sync,
					      .go_on = opt->ledger_continue } };
	if (!ret->booking.dir && (opt->ledger_sync || opt->ledger_continue))
		return cloche_err_set(
			err, EINVAL,
			"%s: how the daemon keeps its own ledger is not yours to say; "
			"name one of your own by --ledger",
			opt->ledger_sync ? "--ledger-sync" : "--ledger-full");
	return 0;
}

int run_own_ready(struct run_own *own, struct ledger_repair *ret_found, struct cloche_err *err)
{
	return booking_ready(&own->booking, ret_found, err);
}

/* What the meter alone knows. The verdict, and how long it took, stay as they were found out: they
 * are what the daemon has written down. */
static void hide_metered(struct outcome *out)
{
	out->metered.known = false;
	(void)snprintf(out->metered.why, sizeof(out->metered.why), "--meter off");
	out->on_cpu_ns = out->usage.cpu_ns;
}

void run_own_settle(struct run_own *own, struct outcome *out, struct ledger_repair *ret_found)
{
	if (own->opt->meter == METERING_OFF && out->ran)
		hide_metered(out);
	if (own->opt->prices_said)
		booking_charge(&own->opt->prices, out);
	booking_enter(&own->booking, out, ret_found);
}

void run_own_end(struct run_own *own)
{
	booking_close(&own->booking);
}
