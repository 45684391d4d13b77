# SPDX-License-Identifier: MIT
# Cloche: `make help` lists the targets. Objects live under build/; V=1 shows the commands;
# SAN=address,undefined builds everything again, under build-address,undefined/.

.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules
CC      := gcc
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX  ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
SAN     ?=
B       := build$(addprefix -,$(SAN))
Q       := $(if $(V),,@)
say      = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
           -Wno-unused-parameter -Werror=implicit-function-declaration -Werror=int-conversion
HARDEN  := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS  ?= -O2 -g
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DCLOCHE_VERSION='"$(VERSION)"' -DCLOCHE_PREFIX='"$(PREFIX)"' \
           -Isandbox -I. -I$(B)/gen -I$(B)/bpf -isystem /usr/include/libnl3 -MMD -MP $(WARN) $(HARDEN) $(CFLAGS) $(SANFLAGS)
ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer -U_FORTIFY_SOURCE
LINKFORM := -pie
else
# Starting up counts: a static program is loaded in half the time of a dynamic one, and the
# one-shot path is a new program at every run. Still position independent.
LINKFORM := -static-pie
endif
ALL_LDFLAGS = $(LINKFORM) -Wl,-z,relro,-z,now $(SANFLAGS) $(LDFLAGS)
LIBS    := -larchive -lzstd -llzma -lbz2 -lnettle -lseccomp -lcgroup -lnl-route-3 -lnl-3 -ljansson -lbpf -lelf -lz -lsodium -lsqlite3 \
           -lcyaml -lyaml -lm -lpthread

# ---- what is built -------------------------------------------------------------------------

LIB_SRC  := $(sort $(wildcard sandbox/*/*.c))
DAEMON_SRC := cli/cloched.c cli/show.c
CLI_SRC  := $(sort $(filter-out cli/cloched.c,$(wildcard cli/*.c)))
GEN_SRC  := $(B)/gen/policies_builtin.c $(B)/gen/recipes_builtin.c $(B)/gen/bootstraps_builtin.c
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(GEN_SRC:%.c=%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(B)/%.o)
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(B)/%.o)
BPF_SRC  := $(sort $(wildcard bpf/*.bpf.c))
SKEL     := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.skel.h)
# Tests: each file is one Criterion program. unit/ needs no privilege, live/, escape/ and fault/ need
# root; what may take its kernel with it is in escape/guest/, and runs in guests only, by check-vm.
UNIT_SRC  := $(sort $(wildcard tests/unit/*/*.c))
LIVE_SRC  := $(sort $(wildcard tests/live/*.c tests/escape/*.c tests/fault/*.c))
GUEST_SRC := $(sort $(wildcard tests/escape/guest/*.c))
UNIT     := $(UNIT_SRC:%.c=$(B)/%)
LIVE     := $(LIVE_SRC:%.c=$(B)/%)
GUEST    := $(GUEST_SRC:%.c=$(B)/%)
TLIB_SRC := $(sort $(wildcard tests/lib/*.c))
TLIB_OBJ := $(TLIB_SRC:%.c=$(B)/%.o)
# What runs inside contexts: small static programs, one a file.
HELP_SRC := $(sort $(wildcard tests/helpers/*.c))
HELPERS  := $(HELP_SRC:tests/helpers/%.c=$(B)/helpers/%)

# Objects that rules pass through are kept: the next build wants them again.
.SECONDARY:

.PHONY: all tests
all: $(B)/cloche $(B)/cloched ## build the programs (default)
tests: all $(UNIT) $(LIVE) $(GUEST) $(HELPERS) ## build the test programs as well

$(B)/cloche: $(CLI_OBJ) $(B)/libcloche.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CLI_OBJ) $(B)/libcloche.a $(LIBS) 2>$@.log || \
		{ cat $@.log >&2; exit 1; }

# The front. Dynamic: no static libsystemd or libmicrohttpd is to be had, and it is started once.
$(B)/cloched: $(DAEMON_OBJ) $(B)/libcloche.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie -Wl,-z,relro,-z,now $(SANFLAGS) $(LDFLAGS) -o $@ $(DAEMON_OBJ) $(B)/libcloche.a $(LIBS) -lsystemd -lmicrohttpd

$(B)/libcloche.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/%.o: %.c | $(SKEL)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

$(B)/gen/%.o: $(B)/gen/%.c
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The shipped profiles are part of the program: their names always resolve, their hash is known.
POLICIES := $(sort $(wildcard policies/*.json))
$(B)/gen/policies_builtin.c: policies/embed.sh $(POLICIES) $(POLICIES:.json=.table)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sh policies/embed.sh $(POLICIES) > $@.tmp && mv $@.tmp $@

# So are the recipes of function images.
RECIPES := $(sort $(wildcard vm-images/recipes/*))
$(B)/gen/recipes_builtin.c: vm-images/embed.sh vm-images/rootfs.sh $(RECIPES)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sh vm-images/embed.sh vm-images/rootfs.sh $(RECIPES) > $@.tmp && mv $@.tmp $@

# So are the programs that run functions of a language.
BOOTSTRAPS := $(sort $(wildcard vm-images/bootstraps/*))
$(B)/gen/bootstraps_builtin.c: vm-images/embed_bootstraps.sh $(BOOTSTRAPS)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sh vm-images/embed_bootstraps.sh $(BOOTSTRAPS) > $@.tmp && mv $@.tmp $@

# ---- BPF -----------------------------------------------------------------------------------

$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) $(B)/bpf/vmlinux.h
	$(call say,BPF,$<)
	$(Q)$(CLANG) -g -O2 -target bpf -D__TARGET_ARCH_x86 -I$(B)/bpf -Ibpf -Wall -c -o $@ $<

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen object $@.o $< && \
		$(BPFTOOL) gen skeleton $@.o name $*_bpf > $@.tmp && \
		sha256sum $< | awk '{ printf "#define BPF_HASH \"%.16s\"\n", $$1 }' >> $@.tmp && mv $@.tmp $@

$(B)/bpf/vmlinux.h:
	$(call say,BTF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c > $@.tmp && mv $@.tmp $@

# ---- check ---------------------------------------------------------------------------------

# Test programs are dynamic (Criterion is a shared library); the helpers are static.
TEST_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SANFLAGS)
$(UNIT) $(LIVE) $(GUEST): $(B)/%: %.c $(TLIB_OBJ) $(B)/libcloche.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(TLIB_OBJ) $(B)/libcloche.a $(LIBS) -lcriterion

# What looks into serve/ needs the event loop, what speaks HTTP its library.
$(B)/tests/unit/serve/held: LIBS += -lsystemd -lmicrohttpd
$(B)/tests/live/runtime $(B)/tests/unit/runtime/runtime_http $(B)/tests/unit/runtime/clients $(B)/tests/unit/runtime/python3 $(B)/tests/unit/runtime/nodejs: LIBS += -lmicrohttpd

$(B)/helpers/hoard: $(wildcard tests/helpers/hoard/*)
$(B)/helpers/%: tests/helpers/%.c
	$(call say,HELPER,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARN) -Isandbox -static -o $@ $(filter %.c,$^) -lpthread

# Contexts need root; the build does not. Not for the user whom sudo acts for: the tests' folders are
# root's.
unexport SUDO_UID SUDO_GID
SUDO = $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=COUNTS,TEST_LIMIT,CLOCHE_MUST_RUN \
	env -u SUDO_UID -u SUDO_GID)
LIVE_ENV = CLOCHE=$(abspath $(B)/cloche) HELPERS=$(abspath $(B)/helpers)

.PHONY: check check-unit check-live
check: tests ## build and run all tests that this machine can run
	@rm -f $(B)/counts; failed=; \
	for tier in check-unit check-live check-daemon check-images check-browser check-boot check-vm; do \
		COUNTS=$(abspath $(B)/counts) $(MAKE) --no-print-directory $$tier || failed=1; \
	done; \
	sh tests/run.sh --total $(B)/counts; test -z "$$failed"

check-unit: $(UNIT) ## run the tests that need no privilege
	@TEST_LIMIT=$${TEST_LIMIT:-60} sh tests/run.sh unit $(UNIT)

check-live: tests ## run the tests that make real contexts, as root
	@$(SUDO) env $(LIVE_ENV) sh tests/run.sh live $(LIVE)

# ---- install, and the rest -----------------------------------------------------------------

.PHONY: install clean help
install: all ## install the programs under DESTDIR and PREFIX (/usr/local)
	install -D -m 0755 $(B)/cloche $(DESTDIR)$(PREFIX)/bin/cloche
	install -D -m 0755 $(B)/cloched $(DESTDIR)$(PREFIX)/libexec/cloched
	install -D -m 0644 sandbox/runtime/cloche_handler.h $(DESTDIR)$(PREFIX)/include/cloche_handler.h

clean: ## remove what was built
	rm -rf build build-*

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Each by its subject: what the machine must have (deps), further tiers of tests, bench, lint.
include $(sort $(wildcard tests/*.mk cli/*.mk))

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(TLIB_OBJ:.o=.d)
