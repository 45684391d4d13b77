# SPDX-License-Identifier: MIT
# The live tests on a kernel that seems to lack something: see tests/lib/features.h.

$(B)/helpers/without $(B)/tests/live/matrix: tests/lib/features.h

# Not the matrix, which is this of all features, nor what does not run the program; not the fault
# tests and image_shown, which are tracers themselves: a process can have one; not abuse, whose callers lack what the
# script in front of the program needs (a directory, streams, descriptors); not languages, which are long
# and need nothing that the others do not.
WITHOUT_LIVE = $(filter-out $(B)/tests/fault/% $(B)/tests/live/meter_% $(addprefix $(B)/tests/live/,matrix abuse image_shown languages),$(LIVE))
WITHOUT      = $(B)/without/$(FEATURE)

.PHONY: check-without
check-without: tests ## run the live tests without FEATURE=NAME[,NAME...]; without one: list them
ifeq ($(FEATURE),)
	@$(B)/helpers/without --list
else
	@mkdir -p $(WITHOUT)
	@printf '#!/bin/sh\nexec %s %s -- %s "$$@"\n' $(abspath $(B)/helpers/without) '$(FEATURE)' \
		$(abspath $(B)/cloche) >$(WITHOUT)/cloche && chmod +x $(WITHOUT)/cloche
	@$(SUDO) env $(LIVE_ENV) CLOCHE=$(abspath $(WITHOUT)/cloche) CLOCHE_WITHOUT='$(FEATURE)' \
		sh tests/run.sh without $(WITHOUT_LIVE)
endif
