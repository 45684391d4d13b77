# SPDX-License-Identifier: MIT
# What a person looks at, looked at by a real browser. Where there is none the tier is skipped.

.PHONY: check-browser
check-browser: all ## look at the report's page and the exported trace in Chromium, as root
	@$(SUDO) sh tests/browser/check.sh $(abspath $(B)/cloche) $(abspath $(B)/browser)
