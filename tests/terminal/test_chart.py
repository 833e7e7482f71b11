"""Curves in the terminal."""

import math

import pytest

from gdrun.terminal.chart import Curve, chart


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "y",
    [[1.0], [1.0, 0.1, 0.01], [1.0, math.inf], [math.inf, 1.0, 0.0], [1e-30, 1e30], [2.0] * 300],
)
def test_charts_fit_their_width_and_encoding(y: list[float], encoding: str) -> None:
    curves = [Curve(label, "#0072B2", range(len(y)), y) for label in ("a", "b\x1b")]
    for width in (10, 60, 120):
        lines = [line.plain for line in chart(curves, "epoch", width, encoding=encoding)]
        assert len(lines) >= 15
        assert max(map(len, lines[:12])) <= max(width, 20)
        "\n".join(lines).encode(encoding)
        assert "\x1b" not in "".join(lines)
    assert list(chart([Curve("a", "red", [0.0], [math.inf])], "epoch", 80)) == []
