"""Curves against any cost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gdrun.loading import load
from gdrun.plots.figures import curves_figure


def test_curves_are_drawn_against_any_cost(outputs: Path) -> None:
    results = load(outputs / "both").results
    for x, log in (("epoch", False), ("updates", True), ("samples", True), ("seconds", True)):
        figure = curves_figure(results, x)  # type: ignore[arg-type]
        figure.canvas.draw()
        train, validation = figure.axes
        assert train.get_xscale() == validation.get_xscale() == ("log" if log else "linear")
        drawn = [line for line in train.get_lines() if line.get_gid() != "cross"]
        history = results[0].histories[0].epochs
        known = list(history[x])[1 if log else 0 :]
        assert list(np.asarray(drawn[0].get_xdata())) == known
    linear = curves_figure(results[0], "seconds", log_x=False)
    assert linear.axes[0].get_xscale() == "linear"
    assert linear.axes[0].get_xlim()[1] < 1
    with pytest.raises(ValueError, match="x must be one of"):
        curves_figure(results, "speed")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no results"):
        curves_figure([])


def test_bands_that_would_cover_each_other_are_left_out(outputs: Path) -> None:
    grid = load(outputs / "grid").results
    few, many = (
        curves_figure(
            [
                replace(run, series=replace(run.series, name=f"{k}"))
                for k in range(n)
                for run in grid
            ]
        )
        for n in (1, 3)
    )
    for figure, drawn in ((few, True), (many, False)):
        assert bool(figure.axes[0].collections) == drawn
        note = "\n".join(text.get_text() for text in figure.texts)
        assert ("band" in note) == drawn
        assert "median of 2 seeds" in note
