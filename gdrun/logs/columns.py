"""Lines split into columns, where that is fast: what they have in common is taken out first.

Rows of one lane begin with the same cells, and rows of one epoch have the same in their middle.
Without them there is half as much to split.
"""

from collections.abc import Sequence

from gdrun.results.rows.log_rows import LANE_COLUMNS

KEY = len(LANE_COLUMNS)  # cells that say whose a row is
MANY_LANES = 16  # from which on an epoch is worth looking at by itself


def columns_of_one_lane(lines: bytes, key: str, width: int) -> list[list[str]] | None:
    """The columns behind the key of lines that all begin with it; None if they don't."""
    text, start = b"\n" + lines[:-1], f"\n{key},".encode()
    rows, rest = lines.count(b"\n"), width - KEY
    if text.count(start) != rows:
        return None
    cells = text.replace(start, b",").decode().split(",")
    if len(cells) != rows * rest + 1:
        return None
    return [cells[1 + place :: rest] for place in range(rest)]


def columns_of_one_epoch(
    lines: bytes, keys: Sequence[str], shared: int
) -> tuple[list[list[str]], int] | None:
    """The columns behind the keys of the first lines, which are those of one epoch in their order.

    Each of the `shared` first of them has one cell, which all lines have. Returned with how many
    bytes the lines take; None if they aren't those of such an epoch.
    """
    head = lines[: lines.index(b"\n")].split(b",")
    once = head[KEY : KEY + shared]
    common = b"," + b",".join(once) + b","
    end = lines.index(b"\n", lines.rfind(common)) + 1
    # Key, losses, key, losses, and nothing behind the last line.
    parts = lines[:end].replace(common, b"\n").decode().split("\n")
    if parts[:-1:2] != keys:
        return None
    cells = ",".join(parts[1::2]).split(",")
    rest = len(head) - KEY - shared
    if len(cells) != len(keys) * rest:
        return None
    return [[cell.decode()] for cell in once] + [cells[place::rest] for place in range(rest)], end
