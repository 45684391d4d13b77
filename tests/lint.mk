# SPDX-License-Identifier: MIT
# What a reader would mark: form, sizes, likely bugs, scripts, the direction of includes.

LINT_C   := $(LIB_SRC) $(CLI_SRC) cli/cloched.c $(UNIT_SRC) $(LIVE_SRC) $(GUEST_SRC) $(TLIB_SRC) $(HELP_SRC) \
	$(sort $(wildcard tests/helpers/*/*.c)) $(BENCH_SRC) $(FUZZ_SRC) $(CLIENTS_SRC) \
	vm-images/init.c
LINT_H   := $(sort $(wildcard sandbox/*/*.h cli/*.h bpf/*.h tests/*/*.h tests/*/*/*.h))
LINT_SH  := $(sort $(wildcard *.sh */*.sh */*/*.sh .ci/run))
LINT_BPF := $(sort $(wildcard bpf/*.c))
TIDY     := $(LINT_C:%=build/lint/%.tidy)
LINT_FLAGS = -std=gnu17 -D_GNU_SOURCE -DCLOCHE_VERSION='"$(VERSION)"' -DCLOCHE_PREFIX='"$(PREFIX)"' \
	-Isandbox -I. -Itests -Ibuild/gen -Ibuild/bpf -isystem /usr/include/libnl3

.PHONY: lint lint-form lint-cppcheck format
lint: lint-form lint-cppcheck lint-model $(TIDY) ## check form, sizes, likely bugs, scripts and the direction of includes

format: ## give all C files the form that lint asks for
	clang-format -i $(LINT_C) $(LINT_H) $(LINT_BPF)

lint-form:
	$(call say,FORM,all)
	$(Q)sh tests/lint-includes.sh --self-test
	$(Q)sh tests/lint-includes.sh
	$(Q)sh tests/lint-papers.sh --self-test
	$(Q)sh tests/lint-papers.sh
	$(Q)sh tests/lint-output.sh --self-test
	$(Q)sh tests/lint-output.sh
	$(Q)sh tests/lint-size.sh --self-test
	$(Q)sh tests/lint-size.sh
	$(Q)! git ls-files 2>/dev/null | grep -vE '/|^(Makefile|README\.md|LICENSE|\.gitignore|\.clang-(format|tidy))$$' || \
		{ echo "lint: the top folder holds nothing else" >&2; exit 1; }
	$(Q)clang-format --dry-run -Werror $(LINT_C) $(LINT_H) $(LINT_BPF) || \
		{ echo "lint: 'make format' mends the form" >&2; exit 1; }
	$(Q)$(if $(LINT_SH),shellcheck $(LINT_SH))

# resourceLeak, memleak: it does not see the cleanup attribute. uninitvar: an address is no use. readdir, fgetpwent and fgetgrent: no two threads call them (those of serve/closer.c do nothing but close).
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

# All but a hundredth of the time is the analyzer's, most of it in the few functions that it gives up
# after 225,000 states and 4 to 17 seconds. It gives up after 40,000, which is a fifth of the time; what
# was planted (a null pointer, a value that was not set, in the two slowest files) it found as well.
# Criterion's macros make each assertion a fork of all that follows: in tests it is half of that.
TIDY_STATES = -Xclang -analyzer-config -Xclang max-nodes=$(if $(filter tests/%,$<),20000,40000)

# A file is looked at again when it, a header or the rules have changed.
build/lint/%.tidy: % .clang-tidy $(LINT_H) | $(SKEL)
	$(call say,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(LINT_FLAGS) $(TIDY_STATES) >$@.log 2>&1 || { cat $@.log >&2; exit 1; }
	@touch $@
