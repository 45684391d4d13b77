# SPDX-License-Identifier: MIT
# What comes before building (packages, the machine) and what comes after it (tests, fuzzing, lint).

# Objects that rules pass through are kept: the next build wants them again.
.SECONDARY:

# ---- what the machine must have --------------------------------------------------------------

# Packages are looked up once per build folder and list, not at every make: each group is a small
# makefile that is remade, and thereby installed, before make looks at anything else.
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out clean help deps %.mk,$(GOALS)),)
DEPS := build
DEPS += $(if $(filter tests check check-% fuzz lint,$(GOALS)),test)
DEPS += $(if $(filter lint format,$(GOALS)),lint)
DEPS += $(if $(filter bench bench-%,$(GOALS)),bench)
DEPS += $(if $(filter check check-boot check-vm bench-vm vm-shell,$(GOALS)),vm)
include $(patsubst %,build/deps/%.mk,$(strip $(DEPS)))
# The browser may be missing: its tier says so. It is installed after the others, as apt has one lock.
build/deps/browser.mk: | $(patsubst %,build/deps/%.mk,$(strip $(DEPS)))
-include $(if $(filter check check-browser,$(GOALS)),build/deps/browser.mk)
endif

build/deps/%.mk: tests/deps.sh
	@sh tests/deps.sh $*
	@mkdir -p $(@D) && touch $@

# Goals that run contexts: refuse before an hour of building, not after it. Once, not in sub-makes.
ifneq ($(and $(filter 0,$(MAKELEVEL)),$(filter demo check check-live check-browser bench bench-%,$(GOALS))),)
ifneq ($(shell sh tests/deps.sh --host >&2 || echo no),)
$(error this machine cannot run contexts; nothing was built)
endif
endif

.PHONY: deps
deps: ## install the Debian packages that are missing (all groups)
	@sh tests/deps.sh build test lint bench vm browser

# ---- tests -----------------------------------------------------------------------------------

# Contexts need root; the build does not. Not for the user whom sudo acts for: the tests' folders are
# root's.
unexport SUDO_UID SUDO_GID
SUDO = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=COUNTS,TEST_LIMIT,CLOCHE_MUST_RUN \
	env -u SUDO_UID -u SUDO_GID)
LIVE_ENV = CLOCHE=$(abspath $(B)/cloche) HELPERS=$(abspath $(B)/helpers)
VM_TIER = $(if $(shell grep -ls '^check-vm:' vm-images/*.mk tests/*.mk),check-boot check-vm)

.PHONY: check check-unit check-live check-languages
check: tests ## build and run all tests that this machine can run
	@rm -f $(B)/counts; failed=; \
	for tier in check-unit check-live check-images check-browser $(VM_TIER); do \
		COUNTS=$(abspath $(B)/counts) $(MAKE) --no-print-directory $$tier || failed=1; \
	done; \
	sh tests/run.sh --total $(B)/counts; test -z "$$failed"

check-unit: $(UNIT) ## run the tests that need no privilege
	@TEST_LIMIT=$${TEST_LIMIT:-60} sh tests/run.sh unit $(UNIT)

check-live: tests ## run the tests that make real contexts, as root
	@$(SUDO) env $(LIVE_ENV) sh tests/run.sh live $(LIVE)

# What `check` runs of it is the few that this installs; all others that are here take minutes.
check-languages: tests ## run programs in all languages that are here (LANGUAGES="go rust": in these)
	@$(SUDO) env $(LIVE_ENV) LANGUAGES='$(or $(LANGUAGES),all)' TEST_LIMIT=3600 \
		sh tests/run.sh languages $(B)/tests/live/languages

# With SAN: what runs under sanitizers. Not there: tests that fail the program's calls (the sanitizer's
# own are among them), and that weigh its memory or time. Without the leak checker: trace_live, which
# stops and ends watchers at any moment (the checker at their exit would wait for the stopped ones by
# ptrace), and the ledger_*, whose test library leaks.
SAN_LIVE = $(patsubst %,$(B)/tests/%,escape/escape $(addprefix live/,abuse bad_input code doctor \
	image image_import image_run learn ledger_cli limits outcomes policy policy_cli repeat report run shown \
	trace_cli tune))
SAN_LIVE_LEAKY = $(patsubst %,$(B)/tests/live/%,ledger_disk ledger_run trace_live)

.PHONY: check-san
check-san: check-unit ## with SAN=address,undefined: the tests that can run under sanitizers
	@failed=; $(MAKE) --no-print-directory check-live LIVE='$(SAN_LIVE)' || failed=1; \
	ASAN_OPTIONS=detect_leaks=0 $(MAKE) --no-print-directory check-live \
		LIVE='$(SAN_LIVE_LEAKY)' || failed=1; \
	test -z "$$failed"

# ---- fuzzing ---------------------------------------------------------------------------------

# The library is built again by clang, instrumented; each tests/fuzz/fuzz_NAME.c is one target and
# tests/fuzz/corpus/NAME what it starts from. What it finds stays under build/fuzz/.
FUZZ_SECONDS ?= 10
FUZZ_HOW  = -max_total_time=$(FUZZ_SECONDS) -timeout=5
FUZZ_SAN  := fuzzer-no-link,address
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_NAME := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=%)

.PHONY: fuzz check-fuzz fuzz-lib $(FUZZ_NAME:%=fuzz-%)
fuzz: $(FUZZ_NAME:%=fuzz-%) ## fuzz each parser for FUZZ_SECONDS (10)

# The same inputs each time: whether it passes is no matter of chance.
check-fuzz: ## feed each parser the same 2000 inputs each time
	@$(MAKE) --no-print-directory fuzz FUZZ_HOW='-runs=2000 -seed=1 -timeout=60'

fuzz-lib:
	@$(MAKE) --no-print-directory SAN=$(FUZZ_SAN) CC=$(CLANG) build-$(FUZZ_SAN)/libcloche.a

$(FUZZ_NAME:%=fuzz-%): fuzz-%: fuzz-lib
	$(call say,FUZZ,tests/fuzz/fuzz_$*.c)
	@mkdir -p build/fuzz/found/$* tests/fuzz/corpus/$*
	$(Q)$(CLANG) -std=gnu17 -D_GNU_SOURCE -Isandbox -I. $(WARN) -g -O1 \
		-fsanitize=fuzzer,address -o build/fuzz/fuzz_$* tests/fuzz/fuzz_$*.c \
		$(if $(filter policy,$*),tests/lib/bpf_sim.c) build-$(FUZZ_SAN)/libcloche.a $(LIBS)
	$(Q)build/fuzz/fuzz_$* $(FUZZ_HOW) -rss_limit_mb=1024 \
		-verbosity=0 -print_final_stats=1 -artifact_prefix=build/fuzz/$*- \
		build/fuzz/found/$* tests/fuzz/corpus/$* 2>build/fuzz/$*.log || \
		{ cat build/fuzz/$*.log >&2; exit 1; }
	@awk '/number_of_executed_units/ { print "          " $$2 " inputs, none broke it" }' build/fuzz/$*.log

# ---- lint ------------------------------------------------------------------------------------

LINT_C   := $(LIB_SRC) $(CLI_SRC) $(UNIT_SRC) $(LIVE_SRC) $(GUEST_SRC) $(TLIB_SRC) $(HELP_SRC) \
	$(sort $(wildcard tests/helpers/*/*.c)) $(BENCH_SRC) $(FUZZ_SRC) \
	vm-images/init.c
LINT_H   := $(sort $(wildcard sandbox/*/*.h cli/*.h bpf/*.h tests/*/*.h tests/*/*/*.h))
LINT_SH  := $(sort $(wildcard *.sh */*.sh */*/*.sh .ci/run))
LINT_BPF := $(sort $(wildcard bpf/*.c))
TIDY     := $(LINT_C:%=build/lint/%.tidy)
LINT_FLAGS = -std=gnu17 -D_GNU_SOURCE -DCLOCHE_VERSION='"$(VERSION)"' -DCLOCHE_PREFIX='"$(PREFIX)"' \
	-Isandbox -I. -Itests -Ibuild/gen -Ibuild/bpf -isystem /usr/include/libnl3

.PHONY: lint lint-form lint-cppcheck format
lint: lint-form lint-cppcheck $(TIDY) ## check form, likely bugs, scripts and the direction of includes

format: ## give all C files the form that lint asks for
	clang-format -i $(LINT_C) $(LINT_H) $(LINT_BPF)

lint-form:
	$(call say,FORM,all)
	$(Q)sh tests/lint-includes.sh --self-test
	$(Q)sh tests/lint-includes.sh
	$(Q)sh tests/lint-output.sh --self-test
	$(Q)sh tests/lint-output.sh
	$(Q)! git ls-files 2>/dev/null | grep -vE '/|^(Makefile|README\.md|LICENSE|\.gitignore|\.clang-(format|tidy))$$' || \
		{ echo "lint: the top folder holds nothing else" >&2; exit 1; }
	$(Q)clang-format --dry-run -Werror $(LINT_C) $(LINT_H) $(LINT_BPF) || \
		{ echo "lint: 'make format' mends the form" >&2; exit 1; }
	$(Q)$(if $(LINT_SH),shellcheck $(LINT_SH))

# resourceLeak, memleak: it does not see the cleanup attribute. uninitvar: an address is no use. readdir, fgetpwent and fgetgrent: nothing here has threads.
# invalidFunctionArgBool: a status of 0 or 1 is what _exit is for. invalidFunctionArg: its model of mmap(2) knows no descriptor of -1, which MAP_ANONYMOUS has.
lint-cppcheck: | $(SKEL)
	$(call say,CPPCHK,all)
	@mkdir -p build/lint/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --cppcheck-build-dir=build/lint/cppcheck --library=posix \
		--suppress='*:build/*' --suppress=missingIncludeSystem --suppress=unknownMacro \
		--suppress=preprocessorErrorDirective --suppress=invalidFunctionArg \
		--suppress=resourceLeak --suppress=memleak --suppress=uninitvar --suppress=readdirCalled --suppress=fgetpwentCalled --suppress=fgetgrentCalled \
		--suppress=invalidFunctionArgBool \
		-D__x86_64__ -D_GNU_SOURCE -Isandbox -I. $(LIB_SRC) $(CLI_SRC) $(TLIB_SRC) $(HELP_SRC) \
		vm-images/init.c

# Criterion's macros make each assertion a fork of all that follows, at which the analyzer spends nine
# tenths of its time: in tests it gives a function up after a tenth of its usual number of states.
TIDY_TESTS = -Xclang -analyzer-config -Xclang max-nodes=20000

# A file is looked at again when it, a header or the rules have changed.
build/lint/%.tidy: % .clang-tidy $(LINT_H) | $(SKEL)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(LINT_FLAGS) $(if $(filter tests/%,$<),$(TIDY_TESTS)) >$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@touch $@

# ---- install ---------------------------------------------------------------------------------

.PHONY: install
install: all ## install the program under DESTDIR and PREFIX (/usr/local)
	install -D -m 0755 $(B)/cloche $(DESTDIR)$(PREFIX)/bin/cloche
