# SPDX-License-Identifier: MIT
"""Amounts of money, as people write them."""
import json
import pkgutil

from .rounding import quantize

CURRENCIES = json.loads(pkgutil.get_data(__name__, "data/currencies.json"))


def show(amount, currency):
    return f"{CURRENCIES[currency]['sign']}{quantize(amount, CURRENCIES[currency]['digits'])}"
