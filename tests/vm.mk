# SPDX-License-Identifier: MIT
# The tests again, in virtual machines with Debian's own kernels and unified cgroup v2.

# What the test programs need beside them, at the same paths.
VM_FILES = $(B)/cloche $(B)/cloched $(VM_LIVE) $(GUEST) $(HELPERS) $(wildcard policies tests/escape/guest/*.md)

# Not languages: guests have few of them, emulated they take minutes, and what of it is the kernel's is
# in the other tests. Nor those that read command lines and files, or are about what the daemon and its
# clients say to each other or what it has on its disk and who may have it: the kernel has no part in
# it. Of functions kept, forked, code and front_parts are there. What they take is minutes, too.
VM_LEFT_OUT = bad_input clients completion daemon_choices daemon_code daemon_flood daemon_functions \
              daemon_hostile daemon_images daemon_misbehaves daemon_own daemon_own_images daemon_packages \
              daemon_payloads daemon_repeat daemon_subordinates daemon_trace daemon_upgrade daemon_watch \
              dismissed examples front_hostile front_images front_kept functions_fair image image_broken \
              image_functions image_hostile image_import image_shown init invoke invoke_lost invoke_trace \
              languages learn learn_function ledger_cli ledger_disk ledger_run metrics output_limit \
              owner_ledger owner_proof policy_cli ps renewed report shown stream_names sudo trace_cli tune \
              tune_function
# held_streams: what it waits for is given up after seconds, which a slow guest takes.
VM_LIVE = $(filter-out $(VM_LEFT_OUT:%=$(B)/tests/live/%) $(B)/tests/escape/held_streams,$(LIVE))

# Where one kernel tells as much as the next, each runs half of them (VM_ALL=1: all).
VM_DEALT = $(filter $(VM_LIVE),$(addprefix $(B)/tests/,$(addprefix escape/,attributes bounds escape etc \
             output paths policy_walls reuse streams) fault/calls fault/cold $(addprefix live/,abuse bind \
               bind_owner closing code daemon daemon_binds daemon_killed daemon_load daemon_stays doctor etc \
               forked frozen front_killed front_parts front_sealed given idle image_cell image_run invoke_killed kept limits \
               listener loopback outcomes owners policy repeat run runtime runtimes share terminals \
               trace_kept trace_live warden warm)))
VM_EACH  = $(filter-out $(VM_DEALT),$(VM_LIVE)) $(GUEST)

VM_KERNEL = $(or $(KERNEL),$(shell awk 'NF && $$1 !~ /^\#/ { print $$1; exit }' vm-images/kernels))

.PHONY: check-boot check-vm vm-shell bench-vm soak-crowd-vm
check-boot: ## what check-vm relies on: how guests end, and that a snapshot is as a boot (KERNEL=6.1)
	@vm-images/check-boot.sh $(VM_KERNEL)

check-vm: tests ## run the live, escape and fault tests under the kernels of vm-images/kernels (VM_ALL=1: each under each)
	@CLOCHE=$(abspath $(B)/cloche) HELPERS=$(abspath $(B)/helpers) \
		vm-images/check.sh $(VM_FILES) -- $(abspath $(VM_EACH)) -- $(abspath $(VM_DEALT))

# 2,000 idle contexts and 960 functions, killed at once; they want memory.
CROWD ?= 1000
soak-crowd-vm: all $(HELPERS) $(B)/tests/escape/guest/crowd
	@VM_LIMIT=$${VM_LIMIT:-5400} VM_MEMORY=$${VM_MEMORY:-6144} vm-images/boot.sh --workdir '$(CURDIR)' \
		$(patsubst %,--add %,$(B)/cloche $(B)/cloched $(HELPERS) policies $(B)/tests/escape/guest/crowd) \
		$(VM_KERNEL) -- env $(LIVE_ENV) CLOCHE_MUST_RUN=1 CROWD=$(CROWD) $(abspath $(B)/tests/escape/guest/crowd)

vm-shell: tests ## a root shell in such a machine (KERNEL=6.1, the first of the list)
	@VM_LIMIT=$${VM_LIMIT:-86400} vm-images/boot.sh --tty --workdir '$(CURDIR)' \
		$(patsubst %,--add %,$(VM_FILES) $(VM_ADD)) \
		$(VM_KERNEL) -- bash -l

# On one CPU whose clock counts instructions, a nanosecond each: what emulation makes dearer than it
# is does not count, nor what else this machine does. VM_ICOUNT= (empty) takes the real clock.
# BENCH_QUICK, BENCH_ARGS as for bench.
VM_ICOUNT ?= 0
bench-vm: all $(BENCH) $(HELPERS) ## the bench on unified cgroup v2, in such a machine (KERNEL=6.1)
	@VM_LIMIT=$${VM_LIMIT:-1800} VM_ICOUNT='$(VM_ICOUNT)' vm-images/boot.sh --workdir '$(CURDIR)' \
		$(patsubst %,--add %,$(B)/cloche $(B)/cloched $(HELPERS) $(wildcard policies) $(BENCH)) \
		$(VM_KERNEL) -- \
		env CLOCHE='$(abspath $(B)/cloche)' BENCH_QUICK='$(BENCH_QUICK)' \
		$(BENCH) --helpers $(B)/helpers $(BENCH_ARGS)
