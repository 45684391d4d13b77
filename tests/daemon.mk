# SPDX-License-Identifier: MIT
# The live tests through a daemon, by a user without rights.

DAEMON_LIVE = $(patsubst %,$(B)/tests/live/%,run outcomes limits report stream_names terminals deadline bind loopback \
	repeat)

.PHONY: check-daemon
check-daemon: tests ## run live tests as a user without rights, through a daemon
	@$(SUDO) sh tests/daemon.sh $(abspath $(B)/cloche) $(abspath $(B)/helpers) \
		tests/live/daemon.except $(DAEMON_LIVE)
