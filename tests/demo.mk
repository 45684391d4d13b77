# SPDX-License-Identifier: MIT
# The main job, shown: two functions on a real input, then four that misbehave.

DEMO_HELPERS := $(patsubst %,$(B)/helpers/%,wordstat burn forkbomb try-syscall)

.PHONY: demo
demo: all $(DEMO_HELPERS) ## build, then run real functions on a real input (DEMO_INPUT=FILE)
	@CLOCHE=$(B)/cloche HELPERS=$(B)/helpers DEMO_INPUT='$(DEMO_INPUT)' sh tests/e2e/demo.sh
