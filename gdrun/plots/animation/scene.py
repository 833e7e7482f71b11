"""The picture of which an animation is made: what stands still is drawn once, the rest each time.

On the left the data and the fitted functions as they move; on the right the losses as they fall,
each over its whole curve in pale. The axes are the same in all frames.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.gridspec import SubplotSpec
from numpy.typing import NDArray

from gdrun.plots.animation.moving import (
    Functions,
    GrowingCurve,
    Moving,
    MovingFunction,
    MovingText,
    costs_at,
    updates_said,
)
from gdrun.plots.captions import caption
from gdrun.plots.curves import Array, Trace, lr_groups
from gdrun.plots.figures import cost_panel
from gdrun.plots.fits.functions import frame_rows, rows_of
from gdrun.plots.layout import BELOW, LEFT, RIGHT, draw_row, headed_figure, legend_of
from gdrun.plots.looks import looks_of, tells_rates_by_color
from gdrun.plots.scales import MARGIN, edge_of
from gdrun.plots.style import StyledFigure, styled
from gdrun.results.axes import Cost
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult

WIDTH, HEIGHT, DPI = 6.4, 3.6, 150  # in inches, so that text is as large as on a slide
MIN_PANEL = 1.6  # inches; many notes and runs make the picture higher
FIT_SHARE = 0.47  # of the width of both panels
GAP = 0.38  # below the head, where the titles of the panels are
PALE = 0.25
MAX_ROOM = 0.4  # for untrained functions above and below the rows, as a share of their height
Pixels = NDArray[np.uint8]  # (height, width, 3)


class Scene:
    """The frames of an animation, drawn as they are asked for."""

    def __init__(
        self,
        results: Sequence[RunResult],
        epochs: Sequence[int],
        functions: Mapping[str, Sequence[Functions]],
        x: Cost = "updates",
        note: str = "",
    ) -> None:
        """Draw what stands still.

        Args:
            results: what is shown, with fits where functions are shown.
            epochs: of the frames.
            functions: for each run, by name, those that are fitted in each frame; none to show
                the losses alone.
            x: what the losses are drawn against.
            note: an addition to the notes in the head.
        """
        self._results, self._epochs = results, epochs
        self._moving: list[Moving] = []
        with styled():
            self.figure, top, bottom = self._headed(note, with_rows=bool(functions))
            inner = self.figure.get_figwidth() - LEFT - RIGHT
            sides: Any = {"left": LEFT / WIDTH, "right": 1 - RIGHT / WIDTH}
            shares = [1.0]
            if functions:
                inner -= LEFT
                shares = [FIT_SHARE, 1 - FIT_SHARE]
                sides["wspace"] = LEFT / (inner / 2)
            grid = self.figure.add_gridspec(
                1, len(shares), **sides, top=top, bottom=bottom, width_ratios=shares
            )
            said = [f"epoch {epoch:,} of {epochs[-1]:,}" for epoch in epochs]
            if functions:
                self._title(self._draw_functions(grid[0], functions), "left", said, "bold")
            losses = self._draw_losses(grid[len(shares) - 1], x)
            if not functions:
                self._title(losses, "right", said, "bold")
            if tells_rates_by_color(results):  # so that no entry of the legend says it
                said = [f"train loss after {each}" for each in updates_said(results[0], epochs)]
                self._title(losses, "left", said)
            self._canvas: Any = FigureCanvasAgg(self.figure)  # whose methods have no types
            self._background = self._draw_background()

    def __len__(self) -> int:
        """The number of frames."""
        return len(self._epochs)

    def frame(self, number: int) -> Pixels:
        """A frame."""
        self._canvas.restore_region(self._background)
        with styled():
            for moving in self._moving:
                moving.show(number)
                for artist in moving.artists:
                    self.figure.draw_artist(artist)
        return np.array(self._canvas.buffer_rgba())[..., :3]

    def _headed(self, note: str, *, with_rows: bool) -> tuple[StyledFigure, float, float]:
        """The figure with its head, and the top and bottom of what is left for panels.

        The legend has room for the longest that is said of each run.
        """
        results = self._results
        title, notes = caption(results, note, curves_end=True)
        handles, said = legend_of(results, of_one=False), []
        if not tells_rates_by_color(results):
            for handle, result in zip(handles, results, strict=False):
                start = handle.get_label()
                said.append([f"{start}: {each}" for each in updates_said(result, self._epochs)])
                handle.set_label(max(said[-1], key=len))
        if with_rows:
            handles += [
                row for fit in (results[0].fit,) if isinstance(fit, Fit) for row in rows_of(fit)
            ]

        def headed(height: float) -> tuple[StyledFigure, float, float]:
            sizes: Any = {"width": WIDTH, "height": height, "scale": "paper", "gap": GAP}
            return headed_figure(title, notes, handles, **sizes)

        head = headed(1.0)[0].get_figheight() - 1.0
        figure, top, bottom = headed(max(HEIGHT - head, MIN_PANEL + BELOW))
        figure.set_dpi(DPI)
        texts = figure.legends[0].get_texts() if figure.legends else []
        for each in said:
            text = next(text for text in texts if text.get_text() == max(each, key=len))
            self._moving.append(MovingText(text, each))
        return figure, top, bottom

    def _draw_functions(
        self, cell: SubplotSpec, functions: Mapping[str, Sequence[Functions]]
    ) -> Axes:
        """The rows, and the functions that are fitted to them."""
        axes, looks = self.figure.add_subplot(cell), looks_of(self._results)
        for result in self._results:
            if not isinstance(result.fit, Fit):
                continue
            if not axes.get_lines():
                for points in rows_of(result.fit):
                    axes.add_line(points)
                frame_rows(axes, result, result.fit)
            grid = np.asarray(result.fit.grid)
            for k, (look, _) in enumerate(lr_groups(result, looks)):
                values = [each[k] for each in functions[result.series.name]]
                (line,) = axes.plot(grid, values[0], color=look.color, linestyle=look.style)
                self._moving.append(MovingFunction(line, values))
        _make_room(axes, [values for each in functions.values() for values in each[0]])
        return axes

    def _draw_losses(self, cell: SubplotSpec, x: Cost) -> Axes:
        """The whole loss curves in pale, with the marks where they diverge, and what moves."""
        results = self._results
        panel = cost_panel(results, "train_loss", x, "train loss", x != "epoch")
        traces: list[Trace] = []

        def draw(axes: Axes) -> Sequence[Trace]:
            traces.extend(panel.draw(axes))
            for trace in traces:
                for line in trace.lines:
                    line.set_alpha(PALE)
            return traces

        draw_row(self.figure, [cell], [replace(panel, draw=draw)], edge_of(results))
        axes = self.figure.axes[-1]
        looks, left = looks_of(results), iter(traces)
        for result in results:
            for _, lanes in lr_groups(result, looks):
                (whole,) = next(left).lines
                histories = [result.histories[lane] for lane in lanes]
                shown: Any = {"color": whole.get_color(), "zorder": 3, "scalex": False}
                (line,) = axes.plot([], [], linestyle=whole.get_linestyle(), **shown, scaley=False)
                shown["zorder"] = 4
                dot: Any = {"marker": "o", "markersize": 7, "markeredgecolor": "white"}
                (head,) = axes.plot([], [], **dot, **shown, scaley=False)
                at, losses = (np.asarray(part, dtype=float) for part in whole.get_data())
                reached = costs_at(histories, self._epochs, x)
                self._moving.append(GrowingCurve(line, head, at, losses, reached))
        return axes

    def _title(self, axes: Axes, side: Any, said: Sequence[str], weight: str = "normal") -> None:
        """Give a panel a title that changes."""
        title = axes.set_title(said[-1], loc=side, y=1.0, pad=7.0, fontweight=weight)
        self._moving.append(MovingText(title, said))

    def _draw_background(self) -> Any:
        """What stands still, drawn."""
        artists: list[Artist] = [each for moving in self._moving for each in moving.artists]
        for artist in artists:
            artist.set_visible(False)
        self._canvas.draw()
        for artist in artists:
            artist.set_visible(True)
        return self._canvas.copy_from_bbox(self.figure.bbox)


def _make_room(axes: Axes, functions: Sequence[Array]) -> None:
    """Let a panel show some functions, too, unless they are far from what it shows."""
    low, high = axes.get_ylim()
    values = np.concatenate(functions)
    values = values[np.isfinite(values)]
    if not len(values):
        return
    margin, most = MARGIN * (high - low), MAX_ROOM * (high - low)
    lowest, highest = values.min() - margin, values.max() + margin
    axes.set_ylim(max(min(low, lowest), low - most), min(max(high, highest), high + most))
