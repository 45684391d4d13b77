# SPDX-License-Identifier: MIT
# Function images: their recipes are part of the program.

RECIPES := $(sort $(wildcard vm-images/recipes/*))
$(B)/gen/recipes_builtin.c: vm-images/embed.sh vm-images/rootfs.sh $(RECIPES)
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)sh vm-images/embed.sh vm-images/rootfs.sh $(RECIPES) > $@.tmp && mv $@.tmp $@

# All of them, twice, take most of a minute; `make check` builds the one that is hardest to repeat.
IMAGES ?= $(notdir $(RECIPES))
check: export IMAGES := python3
.PHONY: check-images
check-images: all ## build each function image twice, compare, run in it (IMAGES="base python3")
	@$(SUDO) sh vm-images/check-images.sh $(abspath $(B)/cloche) $(IMAGES)
