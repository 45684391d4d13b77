# SPDX-License-Identifier: MIT
"""The demo's function: statistics of a text. tests/helpers/wordstat.c is the same in C, and the
two must give the same answer to the byte; a word is a run of ASCII letters, in lower case."""

import collections
import json
import re
import sys


def handler(event, context):
    """event: the text, as bytes."""
    counts = collections.Counter(w.decode().lower() for w in re.findall(rb"[A-Za-z]+", event))
    by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {
        "bytes": len(event),
        "lines": event.count(b"\n"),
        "words": sum(counts.values()),
        "distinct": len(counts),
        "longest": min(counts, key=lambda word: (-len(word), word), default=""),
        "top": by_count[:5],
    }


if __name__ == "__main__":
    print(json.dumps(handler(sys.stdin.buffer.read(), None)))
