"""Ranges of numbers as a user writes them: `log:0.001:1:7` is seven from 0.001 to 1."""

import math

MAX_NUMBERS = 1000  # in a range
EXPECTED = "a range such as log:0.001:1:7 or lin:0.1:0.5:5 (from, to, how many)"


def is_range(text: str) -> bool:
    """Whether a text has the form of a range."""
    return ":" in text


def expand(text: str) -> tuple[float, ...]:
    """The numbers of a range, evenly spaced (`lin`) or with a constant ratio (`log`).

    Those between the two ends are rounded to three digits.

    >>> expand("log:0.001:1:7")
    (0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0)

    Raises:
        ValueError: it isn't a range.
    """
    try:
        scale, *parts = text.split(":")
        first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
        sound = len(parts) == 3 and math.isfinite(first) and math.isfinite(last)
        sound &= scale == "lin" or (scale == "log" and min(first, last) > 0)
    except (ValueError, IndexError):
        sound = False
    if not sound:
        raise ValueError(f"Input should be {EXPECTED}") from None
    if not 2 <= count <= MAX_NUMBERS:
        raise ValueError(
            f"Input should be a range of 2 to {MAX_NUMBERS:,} numbers, got {count:,} of them"
        )
    shares = [k / (count - 1) for k in range(1, count - 1)]
    if scale == "log":
        low, high = math.log(first), math.log(last)
        between = [math.exp(low + (high - low) * share) for share in shares]
    else:
        between = [first * (1 - share) + last * share for share in shares]
    numbers = (first, *(float(f"{number:.3g}") for number in between), last)
    if not all(map(math.isfinite, numbers)):  # one was rounded up beyond the largest float
        raise ValueError(f"Input should be {EXPECTED}")
    return numbers
