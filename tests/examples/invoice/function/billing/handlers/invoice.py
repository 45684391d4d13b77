# SPDX-License-Identifier: MIT
"""Renders an invoice: the lines of an event, by a template and two libraries."""
import logging
import os
from decimal import Decimal
from importlib import metadata, resources
from string import Template

import moneta
from moneta.rounding import to_minor

from .. import templates

logging.getLogger().setLevel(logging.INFO)
log = logging.getLogger(__name__)

TEMPLATE = Template(resources.files(templates).joinpath("invoice.txt").read_text())
STYLES = {e.name: e.load() for e in metadata.entry_points(group="moneta.styles")}


def handler(event, context):
    currency = event.get("currency", os.environ["INVOICE_CURRENCY"])
    rows = [(what, str(n), moneta.show(Decimal(price) * n, currency))
            for what, n, price in event["lines"]]
    total = sum(Decimal(price) * n for _, n, price in event["lines"])
    log.info("%d lines for %s", len(rows), context.function_name)
    return {
        "text": TEMPLATE.substitute(to=event["to"], table=STYLES[os.environ["INVOICE_STYLE"]](rows),
                                    total=moneta.show(total, currency)),
        "minor": to_minor(total, currency),
        "by": {name: metadata.version(name) for name in ("moneta", "textable")},
    }
