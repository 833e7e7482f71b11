"""The progress of runs as text."""

from hypothesis import given
from hypothesis import strategies as st

from gdrun.terminal.progress_table import sparkline


@given(st.lists(st.floats(min_value=1e-30, max_value=1e30), max_size=60), st.integers(1, 40))
def test_sparkline_is_bounded(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set("▁▂▃▄▅▆▇█")


def test_sparkline_is_logarithmic_and_keeps_both_ends() -> None:
    assert sparkline([10.0**-k for k in range(8)], 8) == "█▇▆▅▄▃▂▁"
    assert sparkline([float("nan"), 1.0, float("inf"), 1.0], 8) == "▁▁"
    long = sparkline([1.0] * 99 + [1e-3], 10)
    assert (long[0], long[-1]) == ("█", "▁")
