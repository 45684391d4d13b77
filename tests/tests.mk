# SPDX-License-Identifier: MIT
# Running what the Makefile builds: tests, fuzzing, lint.

# Objects that rules pass through are kept: the next build wants them again.
.SECONDARY:

