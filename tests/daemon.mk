# SPDX-License-Identifier: MIT
# The live tests through a daemon, by a user without rights.

DAEMON_LIVE = $(patsubst %,$(B)/tests/live/%,run outcomes limits report stream_names terminals deadline bind loopback \
	repeat ledger_run memory runtimes bad_input trace_kept) \
	$(patsubst %,$(B)/tests/escape/%,attributes foreign output paths policy_walls reuse streams)

.PHONY: check-daemon
check-daemon: tests ## run live tests as a user without rights, through a daemon
	@$(SUDO) sh tests/daemon.sh $(abspath $(B)/cloche) $(abspath $(B)/helpers) \
		tests/live/daemon.except $(DAEMON_LIVE)

# By itself, so that its figures are seen. In a machine of its own what eats memory eats nobody else's.
LOAD_SECONDS ?= 600
LOAD_ENV      = LOAD_SECONDS=$(LOAD_SECONDS) LOAD_SEED=$(LOAD_SEED) CLOCHE_MUST_RUN=1

.PHONY: soak-daemon soak-daemon-vm
soak-daemon: tests ## ten minutes of crashing functions, and kills of all that the daemon is (LOAD_SECONDS, LOAD_SEED)
	@$(SUDO) env $(LIVE_ENV) $(LOAD_ENV) $(B)/tests/live/daemon_load

soak-daemon-vm: tests ## the same in a virtual machine (KERNEL=6.1)
	@VM_LIMIT=$${VM_LIMIT:-$$(($(LOAD_SECONDS) + 1800))} vm-images/boot.sh --workdir '$(CURDIR)' \
		$(patsubst %,--add %,$(B)/cloche $(B)/cloched $(B)/helpers policies $(B)/tests/live/daemon_load) \
		$(VM_KERNEL) -- env $(LIVE_ENV) $(LOAD_ENV) $(abspath $(B)/tests/live/daemon_load)
