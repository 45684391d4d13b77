# SPDX-License-Identifier: MIT
# The main program of each language that is here: see tests/live/languages/README.md.

# What `check` runs of it is the few that this installs; all others that are here take minutes.
.PHONY: check-languages
check-languages: tests ## run programs in all languages that are here (LANGUAGES="go rust": in these)
	@$(SUDO) env $(LIVE_ENV) LANGUAGES='$(or $(LANGUAGES),all)' TEST_LIMIT=3600 \
		sh tests/run.sh languages $(B)/tests/live/languages
