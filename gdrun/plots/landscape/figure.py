"""The picture of the loss around runs: a map of the plane, and the losses along the paths."""

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gdrun.analysis.landscape import explained, far_from_plane, share, shows_nothing
from gdrun.config.parts.groups import Scale
from gdrun.errors import excerpt
from gdrun.plots.captions import literal, loss_note, title_of
from gdrun.plots.landscape.along import PLANE, draw_along
from gdrun.plots.landscape.bands import BEYOND, MOST_RATIO, bands_of
from gdrun.plots.landscape.ground import END, POINT, START, draw_colorbar, draw_ground, draw_paths
from gdrun.plots.layout import BELOW, LEFT, RIGHT, SHRINK, headed_figure
from gdrun.plots.scales import fitting, points_up
from gdrun.plots.style import TITLE, StyledFigure, styled
from gdrun.results.colors import run_colors
from gdrun.results.landscape import ASPECT, Landscape
from gdrun.results.run import RunResult

HEIGHT = 3.6  # inches of a panel
BAR, BESIDE_MAP, BAR_TEXT = 0.13, 0.12, 0.68  # inches: the colour bar, before it and behind it
ALONG = 3.1  # inches of the panel of losses
ABOVE = 0.38  # inches above panels, for their titles
BAR_TITLES = (
    *("train loss: of the plane, and of the points themselves", "train loss of plane and points"),
    "train loss",
)
ONE_SCALE = 1.05  # axes whose scales differ by less have one


@styled()
def landscape_figure(
    landscape: Landscape, results: Sequence[RunResult], *, scale: Scale = "paper"
) -> StyledFigure:
    """The train loss on a plane, the paths of runs above it, and their own losses.

    Args:
        landscape: what to draw.
        results: of the runs, with the lane alone whose path it is, in the same order.
        scale: `slides` makes the text large enough to project.
    """
    across, up = SHRINK[scale]
    is_random = landscape.explained is None
    height = HEIGHT * up
    wide = height * (1.0 if is_random else ASPECT)
    beside = 0.0 if is_random else LEFT + ALONG * across
    full = LEFT + wide + BESIDE_MAP + BAR + BAR_TEXT + beside + RIGHT
    figure, top, bottom = headed_figure(
        title_of(results),
        [loss_note(results), *_notes(landscape)],
        _legend(landscape, results),
        width=full / across,
        height=HEIGHT + BELOW / up,
        scale=scale,
        gap=ABOVE,
    )

    def panel(left: float, width: float) -> Axes:
        return figure.add_axes((left / full, bottom, width / full, top - bottom))

    colors = run_colors([result.series for result in results])
    ground = [loss for row in landscape.losses for loss in row]
    own = [loss for path in landscape.paths for loss in path.losses]
    bands = bands_of(ground, own, MOST_RATIO if is_random else BEYOND)
    plane = panel(LEFT, wide)
    draw_ground(plane, landscape, bands)
    draw_paths(plane, landscape, bands, colors)
    _name_axes(plane, landscape)
    bar = panel(LEFT + wide + BESIDE_MAP, BAR)
    titles = ["train loss"] if is_random else BAR_TITLES
    draw_colorbar(bar, bands, fitting(titles, points_up(bar), 8.5))
    if not is_random:
        along = panel(full - RIGHT - ALONG * across, ALONG * across)
        draw_along(along, landscape, bands, colors)
        along.set_title("loss along the paths", **TITLE)
    plane.set_title("around the last weights" if is_random else "the plane", **TITLE)
    return figure


def _name_axes(axes: Axes, landscape: Landscape) -> None:
    names = ["direction 1", "direction 2"]
    if landscape.explained is not None:
        names = [
            f"{name} ({share(part)})" for name, part in zip(names, landscape.explained, strict=True)
        ]
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    axes.locator_params(nbins=6)


def _notes(landscape: Landscape) -> list[str]:
    """How to read the picture, and how far to trust it."""
    if landscape.explained is None:
        return [
            f"random directions (seed {landscape.seed}), each as long in every filter as the "
            "weights, which are in the middle",
        ]
    notes = [explained(landscape)]
    if shows_nothing(landscape):
        notes.append("that is about as much, so the shapes of the paths mean nothing")
    notes.append("points are off the plane: each is filled by its own loss, the ground by that of "
                 "the plane")  # fmt: skip
    if far_from_plane(landscape):
        notes.append("here these differ a lot")
    ratio = _stretch(landscape)
    if not 1 / ONE_SCALE < ratio < ONE_SCALE:
        which, times = ("2", ratio) if ratio > 1 else ("1", 1 / ratio)
        notes.append(f"direction {which} is drawn {times:.3g} times as large")
    return notes


def _stretch(landscape: Landscape) -> float:
    """How many times as large as the first direction the second one is drawn."""
    across = landscape.xs[-1] - landscape.xs[0]
    up = landscape.ys[-1] - landscape.ys[0]
    return across / up / ASPECT


def _legend(landscape: Landscape, results: Sequence[RunResult]) -> list[Artist]:
    """The runs, and what markers and lines are."""
    colors = run_colors([result.series for result in results])
    grey: Any = {"color": "0.35", "markerfacecolor": "white", "markeredgewidth": 1.2}
    if landscape.explained is None:
        (path,) = landscape.paths
        point: Any = {**grey, **END, "linestyle": "none", "color": colors[path.name]}
        name = f"last weights of {excerpt(path.name)}"
        return [Line2D([], [], **point, label=literal(name))]
    rates = {path.lr for path in landscape.paths}
    handles: list[Artist] = []
    for path in landscape.paths:
        facts = [f"lr {path.lr:g}"] if len(rates) > 1 else []
        facts += ["cut: diverged"] if path.is_cut else []
        name = excerpt(path.name) + (f" ({', '.join(facts)})" if facts else "")
        handles.append(Line2D([], [], color=colors[path.name], label=literal(name)))
    marks = (("start", START), ("end of an epoch", POINT), ("end", END))
    handles += [
        Line2D([], [], **grey, **look, linestyle="none", label=text) for text, look in marks
    ]
    handles.append(Line2D([], [], color="0.35", linewidth=1.4, label="own loss"))
    handles.append(Line2D([], [], color="0.35", linestyle=PLANE, label="loss of the plane"))
    return handles
