# SPDX-License-Identifier: MIT
# The bench: one program of all of tests/bench/, free of libcloche: it measures from outside.
# BENCH_QUICK=1 takes a minute instead of five; BENCH_ARGS goes to the program, as in
# make bench BENCH_ARGS='--only latency --json bench.json'.

BENCH     := $(B)/tests/bench/bench
# These look at one part from inside: a program each, with the library.
INSIDE    := $(wildcard tests/bench/ledger.c tests/bench/bill.c tests/bench/meter.c)
INSIDE_BENCH := $(INSIDE:%.c=$(B)/%)
# What is measured by BPF programs of its own needs them first.
$(INSIDE_BENCH): | $(SKEL)
BENCH_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out $(INSIDE),$(BENCH_SRC)))
BENCH_RUN  = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=BENCH_QUICK) \
             env -u SUDO_UID -u SUDO_GID CLOCHE=$(abspath $(B)/cloche) $(BENCH) --helpers $(B)/helpers $(BENCH_ARGS)

$(BENCH_OBJ): $(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/bench -c -o $@ $<

$(BENCH): $(BENCH_OBJ) $(addprefix $(B)/sandbox/base/,err.o utf8.o)
	$(call say,BENCH,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(TEST_LDFLAGS) -o $@ $^ -ljansson -lseccomp

.PHONY: bench bench-soak bench-kill bench-inside
bench: all $(BENCH) $(HELPERS) ## compare with peers, say which targets are met
	$(BENCH_RUN)

bench-inside: $(INSIDE_BENCH) $(B)/tests/live/meter_exact ## what ledger, bill and meter cost, and how exact the meter is
	@for b in $(INSIDE_BENCH); do echo "$$b:"; $$b || exit 1; done
	@echo "How exact the meter is, 100 runs each (four minutes):"
	@$(SUDO) env CLOCHE_METER_BENCH=1 $(B)/tests/live/meter_exact -j1

bench-soak: all $(BENCH) $(HELPERS) ## 10,000 runs, 100 at a time: does anything stay behind?
	$(BENCH_RUN) soak

bench-kill: all $(BENCH) $(HELPERS) ## kill 500 supervisors: does the next run clean up?
	$(BENCH_RUN) kill

-include $(BENCH_OBJ:.o=.d)
