# SPDX-License-Identifier: MIT
from decimal import ROUND_HALF_EVEN, Decimal


def quantize(amount, digits):
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN)


def to_minor(amount, currency):
    from . import CURRENCIES

    digits = CURRENCIES[currency]["digits"]
    return int(quantize(amount, digits).scaleb(digits))
