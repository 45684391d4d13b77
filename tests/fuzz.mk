# SPDX-License-Identifier: MIT
# Each parser of text from outside, fed with what nobody writes.

# The library is built again by clang, instrumented; each tests/fuzz/fuzz_NAME.c is one target and
# tests/fuzz/corpus/NAME what it starts from. What it finds stays under build/fuzz/.
FUZZ_SECONDS ?= 10
FUZZ_HOW  = -max_total_time=$(FUZZ_SECONDS) -timeout=5
FUZZ_SAN  := fuzzer-no-link,address
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAME := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
# What a target judges by, of the tests' library.
FUZZ_WITH_policy := tests/lib/bpf_sim.c
FUZZ_WITH_join := tests/lib/bpf_sim.c
FUZZ_WITH_report := tests/lib/page_form.c

.PHONY: fuzz check-fuzz fuzz-lib $(FUZZ_NAME:%=fuzz-%)
fuzz: $(FUZZ_NAME:%=fuzz-%) ## fuzz each parser for FUZZ_SECONDS (10)

# The same inputs each time: whether it passes is no matter of chance.
check-fuzz: ## feed each parser the same 2000 inputs each time
	@$(MAKE) --no-print-directory fuzz FUZZ_HOW='-runs=2000 -seed=1 -timeout=60'

fuzz-lib:
	@$(MAKE) -s --no-print-directory SAN=$(FUZZ_SAN) CC=$(CLANG) build-$(FUZZ_SAN)/libcloche.a

$(FUZZ_NAME:%=fuzz-%): fuzz-%: fuzz-lib
	$(call say,FUZZ,tests/fuzz/fuzz_$*.c)
	@mkdir -p build/fuzz/found/$* tests/fuzz/corpus/$*
	$(Q)$(CLANG) -std=gnu17 -D_GNU_SOURCE -Isandbox -I. $(WARN) -g -O1 \
		-fsanitize=fuzzer,address -o build/fuzz/fuzz_$* tests/fuzz/fuzz_$*.c \
		$(FUZZ_WITH_$*) build-$(FUZZ_SAN)/libcloche.a $(LIBS)
	$(Q)build/fuzz/fuzz_$* $(FUZZ_HOW) -rss_limit_mb=1024 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$*- \
		build/fuzz/found/$* tests/fuzz/corpus/$* 2>build/fuzz/$*.log || \
		{ cat build/fuzz/$*.log >&2; exit 1; }
	@awk '/number_of_executed_units/ { print "          " $$2 " inputs, none broke it" }' build/fuzz/$*.log
