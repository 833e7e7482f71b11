"""The growth of cost as one picture of five panels, readable in a paper.

`python -m tests.benchmarks.peers.picture DIR` draws it anew from the `growth.csv` there.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gdrun.text import short
from tests.benchmarks.peers.growth import AXES, EPOCHS, Costs, read

# Okabe and Ito's colours, told apart by all common forms of colour vision, and a marker each.
LOOKS: Mapping[str, tuple[str, str, str]] = {
    "article's loop": ("#0072B2", "-", "o"),
    "DataLoader": ("#56B4E9", "-", "s"),
    "scikit-learn": ("#E69F00", "-", "^"),
    "skorch": ("#CC79A7", "-", "v"),
    "Lightning": ("#CC79A7", "--", "D"),
    "Keras on PyTorch": ("#009E73", "-", "<"),
    "Keras on JAX": ("#009E73", "--", ">"),
    "JAX scan": ("#000000", "-", "X"),
}
GDRUN = "#D55E00"
GDRUN_LOOKS = (("-", "P"), ("--", "*"), (":", "h"))
STYLE: dict[Any, Any] = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}


def save_picture(costs: Costs, path: Path) -> None:
    """Draw and save it."""
    with mpl.rc_context(STYLE):
        growth_figure(costs).savefig(path, dpi=200)


def growth_figure(costs: Costs) -> Figure:
    """Five panels and, in the place of a sixth, the legend."""
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).flat
    own = iter(GDRUN_LOOKS)
    looks = {name: LOOKS.get(name) or (GDRUN, *next(own)) for name in costs}
    lines: list[Any] = []
    for letter, axes, (axis, along) in zip(
        "abcde", panels, {**AXES, "epochs": EPOCHS}.items(), strict=False
    ):
        lines = []
        for name, found in costs.items():
            color, style, marker = looks[name]
            points = found.get(axis, {})
            lines += axes.plot(
                [*points],
                [*points.values()],
                color=color,
                linestyle=style,
                marker=marker,
                markersize=3.5,
                linewidth=1.8 if color == GDRUN else 1.1,
                zorder=3 if color == GDRUN else 2,
            )
        axes.set(xscale="log", yscale="log", xlabel=along.label)
        axes.set_ylabel("seconds of the process" if axis == "epochs" else "µs an update")
        axes.set_title(letter, loc="left", fontweight="bold")
        axes.minorticks_off()
        axes.set_xticks(
            [*along.jobs], [f"{at:,}" if at < 10_000 else short(at) for at in along.jobs]
        )
        axes.grid(alpha=0.25, linewidth=0.5)
    *_, last = figure.axes
    last.set_axis_off()
    last.legend(lines, [*costs], loc="center left", frameon=False, handlelength=3.2)
    return figure


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    save_picture(read(directory / "growth.csv"), directory / "growth.png")
