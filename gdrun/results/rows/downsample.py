"""Rows of a long history reduced to those that can be seen: of each block the extremes."""

from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OCTAVES = 40  # doublings of the number of rows for which logarithmic axes stay filled


def downsample(
    lanes: Sequence[Mapping[str, "array[float]"]],
    by: str,
    losses: Sequence[str],
    keep: int,
    *,
    widest: int = 1,
    own_rows: bool = True,
) -> int:
    """Keep at most about `keep` rows of each lane's table, in place, and the same rows of each.

    Rows fall into blocks of consecutive numbers in the column `by`. Of each block the rows with the
    lowest and the highest of the `losses` among the lanes stay; so do the first and the last row
    of all. Blocks grow with their numbers up to some width, so that logarithmic axes are filled as
    well as linear ones. What stays depends on all rows there ever were and on that width alone, not
    on when they were downsampled before.

    Args:
        lanes: the tables.
        by: the column that counts.
        losses: the columns whose extremes stay.
        keep: how many rows.
        widest: the width that earlier rows were downsampled to; 1 if they weren't.
        own_rows: whether each lane's last rows stay, too, and those with its lowest losses. These
            are up to seven per lane, which many lanes have no room for.

    Returns:
        The width of the widest blocks.
    """
    import numpy as np

    # Copies throughout: an array can't be shortened while numpy looks at its memory.
    numbers = np.array(max((lane[by] for lane in lanes), key=len))
    always = np.zeros(len(numbers), bool)
    always[[0, -1]] = True
    if own_rows:
        always[[len(lane[by]) - 1 for lane in lanes if lane[by]]] = True
    extremes = []
    for name in losses:
        lowest, highest = np.full((2, len(numbers)), np.nan)
        for lane in lanes:
            values = np.array(lane[name])
            values[np.isinf(values)] = np.nan
            rows = np.flatnonzero(~np.isnan(values))
            if own_rows and len(rows):
                always[[rows[-1], np.nanargmin(values)]] = True
            low, high = lowest[: len(values)], highest[: len(values)]
            np.fmin(low, values, out=low)
            np.fmax(high, values, out=high)
        extremes += [lowest, -highest]
    stays, widest = _extremes_of_blocks(numbers, extremes, always, keep, widest)
    for lane in lanes:
        own = stays[: len(lane[by])]
        for column in lane.values():
            column[:] = array(column.typecode, np.array(column)[own].tobytes())
    return widest


def _extremes_of_blocks(
    numbers: "NDArray[np.int64]",
    extremes: "Sequence[NDArray[np.float64]]",
    always: "NDArray[np.bool_]",
    keep: int,
    widest: int,
) -> "tuple[NDArray[np.bool_], int]":
    """Which rows stay: those of `always`, and in each block the lowest of each of the `extremes`.

    Blocks are the narrowest that leave at most `keep` rows, and no narrower than they were before.
    Returned with their width.
    """
    import numpy as np

    known = ~np.isnan(extremes).all(axis=0)
    # Powers of two: blocks are made of whole blocks when a history is downsampled again.
    per_octave = max(1, keep // (2 * OCTAVES * len(extremes)))
    octaves = 2 ** np.log2(np.maximum(numbers // per_octave, 1)).astype(np.int64)
    widest = max(widest, 2)
    while True:
        is_last = widest > numbers[-1]
        widths = np.minimum(octaves, widest)
        begins = np.diff(numbers // widths, prepend=-1) + np.diff(widths, prepend=0) != 0
        starts = np.flatnonzero(begins)
        # Each block with a known loss leaves at least one row: that rules out most widths.
        if not is_last and np.count_nonzero(np.logical_or.reduceat(known, starts)) > keep:
            widest *= 2
            continue
        stays = always.copy()
        for values in extremes:
            stays[lowest_of_blocks(values, starts)] = True
        if is_last or np.count_nonzero(stays) <= keep:
            return stays, widest
        widest *= 2


def lowest_of_blocks(
    values: "NDArray[np.float64]", starts: "NDArray[np.intp]"
) -> "NDArray[np.intp]":
    """The position of the first lowest value of each block; none of a block that is all NaN.

    Blocks of consecutive values begin at `starts`, the first of which is 0.
    """
    import numpy as np

    lengths = np.diff(starts, append=len(values))
    blocks = np.repeat(np.arange(len(starts)), lengths)
    rows = np.flatnonzero(values == np.fmin.reduceat(values, starts)[blocks])
    first: NDArray[np.intp] = rows[np.diff(blocks[rows], prepend=-1) != 0]
    return first
