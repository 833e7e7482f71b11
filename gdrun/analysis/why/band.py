"""A number that several seeds have, as a band; and as text, with no more digits than it is sure of.

Fewer than three seeds say little about others: their band is twice as wide to both sides, by a
factor. A decision that rests on a band holds for all of it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from gdrun.results.lanes import MIN_BAND_SEEDS, band_positions

FEW_SEEDS_FACTOR = 2.0
SAME = 0.15  # ends of a band that differ by no larger share are said as one number


@dataclass(frozen=True)
class Band:
    """Positive numbers of some seeds: their median, and the band about it.

    Attributes:
        middle: the median.
        low, high: of three seeds or more the 20th and 80th percentile, of fewer twice what they
            span.
        seeds: how many there are.
    """

    middle: float
    low: float
    high: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Band | None":
        """The band of the values that are known; None without any."""
        known = sorted(value for value in values if not math.isnan(value))
        if not known:
            return None
        if len(known) < MIN_BAND_SEEDS:
            low, high = known[0] / FEW_SEEDS_FACTOR, known[-1] * FEW_SEEDS_FACTOR
            return cls(median(known), min(low, known[0]), max(high, known[-1]), len(known))
        low, high = (known[position] for position in band_positions(len(known)))
        return cls(median(known), low, high, len(known))

    def over(self, number: float) -> "Band":
        """All divided by a positive number."""
        return Band(self.middle / number, self.low / number, self.high / number, self.seeds)

    def words(self, show: Callable[[float], str] | None = None) -> str:
        """`16 (10 to 26)`; `about 16` of too few seeds for a band, or of a narrow one."""
        show = show or two_digits
        if self.seeds < MIN_BAND_SEEDS or self._is_narrow or show(self.low) == show(self.high):
            return f"about {show(self.middle)}"
        return f"{show(self.middle)} ({show(self.low)} to {show(self.high)})"

    @property
    def _is_narrow(self) -> bool:
        return abs(self.high - self.low) <= SAME * abs(self.middle)


def two_digits(value: float) -> str:
    """Two significant digits: 16, 0.053, 1,300, ∞."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:g}"


def one_digit(value: float) -> str:
    """One significant digit: 0.2, 8, 20."""
    rounded = float(f"{value:.1g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1 else f"{rounded:g}"


def in_percent(share: float) -> str:
    """A share in whole per cent: 5 %; but of a share that isn't 0, not 0 %."""
    return "less than 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"
