# SPDX-License-Identifier: MIT
# The tests again, of a program built with AddressSanitizer and UndefinedBehaviorSanitizer.

# Not there: tests that fail the program's calls (the sanitizer's own are among them), and that weigh
# its memory or time. Without the leak checker: trace_live, which stops and ends watchers at any
# moment (the checker at their exit would wait for the stopped ones by ptrace), image_shown, which traces
# the program itself, and the ledger_*,
# whose test library leaks.
SAN_LIVE = $(patsubst %,$(B)/tests/%,escape/escape $(addprefix live/,abuse bad_input code doctor \
	image image_broken image_cell image_hostile image_import image_run learn ledger_cli limits outcomes policy \
	policy_cli repeat report run shown trace_cli tune))
SAN_LIVE_LEAKY = $(patsubst %,$(B)/tests/live/%,image_shown ledger_disk ledger_run trace_kept trace_live)

# Two fifths of the time were compiling, which takes a third less at -O1; the sanitizers see no less
# there. What guests alone run is not built.
SAN_CFLAGS = -O1 -g

.PHONY: check-san san-build
ifeq ($(SAN),)
SAN_MAKE = $(MAKE) --no-print-directory SAN=address,undefined CFLAGS='$(SAN_CFLAGS)' GUEST=
check-san: ## run what can run under sanitizers (SAN=address,undefined)
	@$(SAN_MAKE) check-san

san-build:
	@$(SAN_MAKE) tests
else
check-san: check-unit
	@failed=; $(MAKE) --no-print-directory check-live LIVE='$(SAN_LIVE)' || failed=1; \
	ASAN_OPTIONS=detect_leaks=0 $(MAKE) --no-print-directory check-live \
		LIVE='$(SAN_LIVE_LEAKY)' || failed=1; \
	test -z "$$failed"
endif
