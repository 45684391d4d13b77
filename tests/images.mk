# SPDX-License-Identifier: MIT
# Function images, made from their recipes twice.

# All of them, twice, take most of a minute; `make check` builds the one that is hardest to repeat.
IMAGES ?= $(notdir $(RECIPES))
check: export IMAGES := python3
.PHONY: check-images
check-images: all ## build each function image twice, compare, run in it (IMAGES="base python3")
	@$(SUDO) sh vm-images/check-images.sh $(abspath $(B)/cloche) $(IMAGES)
