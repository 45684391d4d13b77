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
LIBS    := -larchive -lzstd -lseccomp -lcgroup -lnl-route-3 -lnl-3 -ljansson -lbpf -lelf -lz -lsodium -lsqlite3 \
           -lcyaml -lyaml -lm -lpthread

# ---- what is built -------------------------------------------------------------------------

LIB_SRC  := $(sort $(wildcard sandbox/*/*.c))
CLI_SRC  := $(sort $(wildcard cli/*.c))
GEN_SRC  := $(B)/gen/policies_builtin.c $(B)/gen/recipes_builtin.c
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(GEN_SRC:%.c=%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(B)/%.o)
BPF_SRC  := $(sort $(wildcard bpf/*.bpf.c))
SKEL     := $(BPF_SRC:bpf/%.bpf.c=$(B)/bpf/%.skel.h)
UNIT_SRC := $(sort $(wildcard tests/unit/*/*.c))
UNIT     := $(UNIT_SRC:%.c=$(B)/%)
# Tests that need root: each file of live/, escape/ and fault/ is one Criterion program.
LIVE_SRC := $(sort $(wildcard tests/live/*.c tests/escape/*.c tests/fault/*.c))
LIVE     := $(LIVE_SRC:%.c=$(B)/%)
# Those that may take the kernel they run on with them: in guests only, by check-vm.
GUEST_SRC := $(sort $(wildcard tests/escape/guest/*.c))
GUEST    := $(GUEST_SRC:%.c=$(B)/%)
TLIB_SRC := $(sort $(wildcard tests/lib/*.c))
TLIB_OBJ := $(TLIB_SRC:%.c=$(B)/%.o)
# What runs inside contexts: small static programs, one a file.
HELP_SRC := $(sort $(wildcard tests/helpers/*.c))
HELPERS  := $(HELP_SRC:tests/helpers/%.c=$(B)/helpers/%)
BENCH_SRC := $(sort $(wildcard tests/bench/*.c))


.PHONY: all tests
all: $(B)/cloche ## build the program (default)
tests: all $(UNIT) $(LIVE) $(GUEST) $(HELPERS)

$(B)/cloche: $(CLI_OBJ) $(B)/libcloche.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(CLI_OBJ) $(B)/libcloche.a $(LIBS) 2>$@.log || \
		{ cat $@.log >&2; exit 1; }

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

# ---- tests ---------------------------------------------------------------------------------

# Test programs are dynamic (Criterion is a shared library); the helpers are static.
TEST_LDFLAGS = -pie -Wl,-z,relro,-z,now $(SANFLAGS)
$(B)/tests/unit/%: tests/unit/%.c $(TLIB_OBJ) $(B)/libcloche.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(TLIB_OBJ) $(B)/libcloche.a $(LIBS) -lcriterion

$(B)/tests/live/% $(B)/tests/escape/% $(B)/tests/fault/%: $(TLIB_OBJ) $(B)/libcloche.a
	$(call say,TEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $(@:$(B)/%=%).c $(TLIB_OBJ) $(B)/libcloche.a $(LIBS) -lcriterion
$(foreach t,$(LIVE_SRC) $(GUEST_SRC),$(eval $(t:%.c=$(B)/%): $(t)))

$(B)/helpers/hoard: $(wildcard tests/helpers/hoard/*)
$(B)/helpers/%: tests/helpers/%.c
	$(call say,HELPER,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(WARN) -static -o $@ $(filter %.c,$^) -lpthread

$(B)/tests/bench/%: tests/bench/%.c $(B)/libcloche.a
	$(call say,BENCH,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests $(TEST_LDFLAGS) -o $@ $< $(B)/libcloche.a $(LIBS)

include $(wildcard tests/*.mk vm-images/*.mk)

.PHONY: clean help
clean: ## remove what was built
	rm -rf build build-*

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

-include $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(TLIB_OBJ:.o=.d)
