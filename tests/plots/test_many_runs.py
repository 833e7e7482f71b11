"""Many runs in one picture."""

from dataclasses import replace
from pathlib import Path

import pytest

from gdrun.loading import load
from gdrun.plots.figures import compare_figure


def test_many_runs_get_larger_axes_and_tell_their_rates(outputs: Path) -> None:
    one = load(outputs / "one").results[0]
    many = [
        replace(one, series=replace(one.series, name=f"run {k}, of a long name")) for k in range(9)
    ]
    figure = compare_figure(many)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    colors = {line.get_color() for line in figure.axes[0].get_lines()}
    assert len(colors) == 9
    other = load(outputs / "grid/batch-2").results[0]
    with pytest.raises(ValueError, match="different problems"):
        compare_figure([one, replace(other, description=replace(one.description, rows=8))])
    styles = compare_figure([one, other], mixed=True, note="a note")
    assert [text.get_text() for text in styles.legends[0].get_texts()][-3:] == [
        "lr 0.2",
        "lr 0.05",
        "lr 0.1",
    ]
    assert "a note" in "\n".join(text.get_text() for text in styles.texts)
