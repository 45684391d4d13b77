# SPDX-License-Identifier: MIT
# Each parser of text from outside, fed with what nobody writes.

# The library is built again by clang, instrumented; each tests/fuzz/fuzz_NAME.c is one target and
# tests/fuzz/corpus/NAME what it starts from. What it finds stays under build/fuzz/: inputs that break
# it, and, under found/, those that came further than others did, from which the next `make fuzz` goes on.
FUZZ_SECONDS ?= 10
FUZZ_FROM = build/fuzz/found/$*
FUZZ_HOW  = -max_total_time=$(FUZZ_SECONDS) -timeout=5
FUZZ_SAN  := fuzzer-no-link,address
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAME := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)
# What a target judges by, of the tests' library.
FUZZ_WITH_policy := tests/lib/bpf_sim.c
FUZZ_WITH_join := tests/lib/bpf_sim.c
FUZZ_WITH_report := tests/lib/page_form.c
FUZZ_WITH_oci := tests/lib/scratch.c
FUZZ_WITH_layer := tests/lib/scratch.c
FUZZ_WITH_code := tests/lib/scratch.c

.PHONY: fuzz check-fuzz fuzz-lib $(FUZZ_NAME:%=fuzz-%)
fuzz: $(FUZZ_NAME:%=fuzz-%) ## fuzz each parser for FUZZ_SECONDS (10)

# All of the corpus, then two seconds of what comes of it: from the same beginning each time, however
# long who builds here has fuzzed before. Most of its minute would be optimising, so nothing is.
check-fuzz: ## feed each parser its corpus, and two seconds of what comes of it
	@rm -rf build/fuzz/check
	@$(MAKE) --no-print-directory fuzz FUZZ_FROM='build/fuzz/check/$$*' \
		FUZZ_HOW='-max_total_time=2 -seed=1 -timeout=60'

fuzz-lib:
	@$(MAKE) -s --no-print-directory SAN=$(FUZZ_SAN) CC=$(CLANG) CFLAGS='-O0 -gline-tables-only' \
		build-$(FUZZ_SAN)/libcloche.a

$(FUZZ_NAME:%=fuzz-%): fuzz-%: fuzz-lib
	$(call say,FUZZ,tests/fuzz/fuzz_$*.c)
	@mkdir -p $(FUZZ_FROM) tests/fuzz/corpus/$*
	$(Q)$(CLANG) -std=gnu17 -D_GNU_SOURCE -Isandbox -I. $(WARN) -g -O1 \
		-fsanitize=fuzzer,address -o build/fuzz/fuzz_$* tests/fuzz/fuzz_$*.c \
		$(FUZZ_WITH_$*) build-$(FUZZ_SAN)/libcloche.a $(LIBS)
	$(Q)build/fuzz/fuzz_$* $(FUZZ_HOW) -rss_limit_mb=1024 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$*- \
		$(FUZZ_FROM) tests/fuzz/corpus/$* 2>build/fuzz/$*.log || \
		{ cat build/fuzz/$*.log >&2; exit 1; }
	@awk '/number_of_executed_units/ { print "          " $$2 " inputs, none broke it" }' build/fuzz/$*.log
