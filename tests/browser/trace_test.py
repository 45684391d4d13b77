# SPDX-License-Identifier: MIT
browser = folder = out = None
