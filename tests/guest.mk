# SPDX-License-Identifier: MIT
# What is tried in guests only.

$(B)/helpers/hoard: $(wildcard tests/helpers/hoard/*)
