# SPDX-License-Identifier: MIT
# The bench: one program of all of tests/bench/. It measures from outside; of libcloche it has no more than a
# client of the daemon needs.
# BENCH_QUICK=1 takes a minute instead of five; BENCH_ARGS goes to the program, as in
# make bench BENCH_ARGS='--only latency --json bench.json' or make bench-soak BENCH_ARGS='500 50'.

BENCH_SRC := $(sort $(wildcard tests/bench/*.c))
BENCH     := $(B)/tests/bench/bench
# These look at one part from inside: a program each, with the library.
INSIDE    := $(wildcard tests/bench/ledger.c tests/bench/bill.c tests/bench/meter.c)
INSIDE_BENCH := $(INSIDE:%.c=$(B)/%)
# What is measured by BPF programs of its own needs them first.
$(INSIDE_BENCH): | $(SKEL)
BENCH_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out $(INSIDE),$(BENCH_SRC)))
BENCH_RUN  = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=BENCH_QUICK) \
             env -u SUDO_UID -u SUDO_GID CLOCHE=$(abspath $(B)/cloche) $(BENCH) --helpers $(B)/helpers

$(BENCH_OBJ): $(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/bench -c -o $@ $<

$(BENCH): $(BENCH_OBJ) $(B)/libcloche.a
	$(call say,BENCH,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $^ $(LIBS)

$(INSIDE_BENCH): $(B)/%: %.c $(B)/libcloche.a
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(B)/libcloche.a $(LIBS)

.PHONY: bench bench-soak bench-kill bench-inside
bench: all $(BENCH) $(HELPERS) ## compare with peers, say which targets are met (BENCH_QUICK=1: in a minute)
	$(BENCH_RUN) $(BENCH_ARGS)

bench-soak: all $(BENCH) $(HELPERS) ## 10,000 runs, 100 at a time: does anything stay behind?
	$(BENCH_RUN) soak $(BENCH_ARGS)

bench-kill: all $(BENCH) $(HELPERS) ## kill 500 supervisors: does the next run clean up?
	$(BENCH_RUN) kill $(BENCH_ARGS)

bench-inside: $(INSIDE_BENCH) $(B)/tests/live/meter_exact ## what ledger, bill and meter cost, and how exact the meter is
	$(SUDO) $(B)/tests/bench/ledger
	$(SUDO) $(B)/tests/bench/bill $(if $(BENCH_QUICK),20000)
	$(SUDO) $(B)/tests/bench/meter $(if $(BENCH_QUICK),2)
	@echo "How exact the meter is$(if $(BENCH_QUICK),:,, 100 runs each (four minutes):)"
	$(SUDO) env $(if $(BENCH_QUICK),,CLOCHE_METER_BENCH=1) $(B)/tests/live/meter_exact -j1

-include $(BENCH_OBJ:.o=.d)
