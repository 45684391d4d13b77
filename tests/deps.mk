# SPDX-License-Identifier: MIT
# What comes before building: the packages, and what the machine must have.

# Packages are looked up once per build folder and list, not at every make: each group is a small
# makefile that is remade, and thereby installed, before make looks at anything else.
GOALS := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out clean help deps %.mk,$(GOALS)),)
DEPS := build
DEPS += $(if $(filter tests check check-% fuzz fuzz-% lint bench-inside vm-shell,$(GOALS)),test)
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
CONTEXTS := live images browser languages san without
ifneq ($(and $(filter 0,$(MAKELEVEL)),$(filter demo $(CONTEXTS:%=check-%) check bench bench-%,$(GOALS))),)
ifneq ($(shell sh tests/deps.sh --host >&2 || echo no),)
$(error this machine cannot run contexts; nothing was built)
endif
endif

.PHONY: deps
deps: ## install the Debian packages that are missing (all groups)
	@sh tests/deps.sh build test lint bench vm browser
