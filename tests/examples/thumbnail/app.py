# SPDX-License-Identifier: MIT
"""Makes a grey picture smaller: a thumbnail of a PGM image, in and out as base64."""
import base64


def read_pgm(data):
    """A binary PGM: its width, its height and its pixels."""
    fields, at = [], 0
    while len(fields) < 4:
        end = at
        while data[end:end + 1] not in (b" ", b"\n", b"\t"):
            end += 1
        if end > at:
            fields.append(data[at:end])
        at = end + 1
    if fields[0] != b"P5" or int(fields[3]) > 255:
        raise ValueError("not a binary PGM with one byte a pixel")
    return int(fields[1]), int(fields[2]), data[at:]


def shrink(width, height, pixels, to):
    """Each pixel is the mean of those that it stands for."""
    step = max(1, width // to)
    rows = []
    for y in range(0, height - step + 1, step):
        row = bytearray()
        for x in range(0, width - step + 1, step):
            total = sum(sum(pixels[(y + dy) * width + x:(y + dy) * width + x + step])
                        for dy in range(step))
            row.append(total // (step * step))
        rows.append(bytes(row))
    return len(rows[0]), len(rows), b"".join(rows)


def handler(event, context):
    width, height, pixels = read_pgm(base64.b64decode(event["image"]))
    small = shrink(width, height, pixels, event.get("width", 16))
    print(f"{width}x{height} to {small[0]}x{small[1]}, "
          f"{context.get_remaining_time_in_millis()} ms left")
    head = b"P5 %d %d 255\n" % small[:2]
    return {"width": small[0], "height": small[1],
            "image": base64.b64encode(head + small[2]).decode()}
