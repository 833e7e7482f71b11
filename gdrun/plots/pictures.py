"""The pictures of a run or group: which there are, where each is saved, and how it is drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import PlotConfig
from gdrun.plots.figures import compare_figure, fit_figure, loss_figure
from gdrun.results.compare import TIMES_DIFFER, engine_notes
from gdrun.results.run import RunResult
from gdrun.storage.atomic import replacing


@dataclass(frozen=True)
class Picture:
    """A picture to draw: where it is saved, and how it is drawn."""

    path: Path
    draw: Callable[[], Figure]

    def save(self, dpi: int) -> None:
        """Draw the picture and save it, in the place of an earlier one.

        Raises:
            OSError: it can't be written; the earlier one is kept.
        """
        figure = self.draw()
        with replacing(self.path, durable=False) as partial:
            figure.savefig(partial, dpi=dpi, format=self.path.suffix[1:])


def pictures(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    sweep: SweepResult | None = None,
) -> list[Picture]:
    """The pictures of a run, or of a group and its runs, the most important first."""
    found: list[tuple[Path, str, Callable[[], Figure]]] = []
    has_fit = all(result.fit for result in results)
    if sweep:
        from gdrun.plots.heatmap import heatmap_figure
        from gdrun.plots.scaling import scaling_figure

        found.append((directory, "heatmap", partial(heatmap_figure, sweep)))
        if sweep.target is not None:
            found.append((directory, "scaling", partial(scaling_figure, sweep)))
    elif any(result.directory != directory for result in results):
        note = TIMES_DIFFER if any(engine_notes(results)) else ""
        found.append((directory, "compare", partial(compare_figure, results, note=note)))
        if has_fit:
            found.append((directory, "fit", partial(fit_figure, results)))
    for result in results:
        if result.directory:
            found.append((result.directory, "loss", partial(loss_figure, result)))
            if has_fit:
                found.append((result.directory, "fit", partial(fit_figure, [result])))
    return [Picture(place / f"{name}.{config.format}", draw) for place, name, draw in found]
