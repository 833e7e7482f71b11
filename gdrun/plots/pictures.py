"""The pictures of a run or group: which there are, where each is saved, and how it is drawn."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.parts.groups import PlotConfig
from gdrun.plots.figures import compare_figure, loss_figure, panels_of
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.style import StyledFigure
from gdrun.plots.why import why_figure, why_panels
from gdrun.results.axes import BATCH, TRAIN
from gdrun.results.compare import TIMES_DIFFER, at_best_rate, at_rate, engine_notes
from gdrun.results.run import RunResult
from gdrun.storage.atomic import replacing


@dataclass(frozen=True)
class Picture:
    """A picture to draw.

    Attributes:
        path: where it is saved.
        draw: draws it, or of several panels only the one that is named by `panel`.
        panels: their names.
    """

    path: Path
    draw: Callable[..., StyledFigure]
    panels: Sequence[str] = ()

    def of_panel(self, name: str, path: Path | None = None) -> "Picture":
        """The picture of one of the panels alone, beside this one unless a path is given."""
        own = self.path.with_stem(f"{self.path.stem}-{name.replace('/', '-')}")
        return Picture(path or own, partial(self.draw, panel=name))

    def save(self, dpi: int) -> None:
        """Draw the picture and save it, in the place of an earlier one.

        Raises:
            OSError: it can't be written; the earlier one is kept.
        """
        figure = self.draw()
        with replacing(self.path, durable=False) as partial:
            figure.savefig(partial, dpi=dpi * figure.enlarged, format=self.path.suffix[1:])


def pictures(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    sweep: SweepResult | None = None,
) -> list[Picture]:
    """The pictures of a run, or of a group and its runs, the most important first."""
    found: list[Picture] = []

    def add(
        place: Path, name: str, draw: Callable[..., StyledFigure], panels: Iterable[str]
    ) -> None:
        path = place / f"{name}.{config.format}"
        found.append(Picture(path, partial(draw, scale=config.scale), tuple(panels)))

    has_fit = all(result.fit for result in results)
    if sweep:
        from gdrun.plots.sweeps.heatmap import heatmap_figure, heatmap_panels
        from gdrun.plots.sweeps.scaling import scaling_figure, scaling_panels

        add(directory, "heatmap", partial(heatmap_figure, sweep), heatmap_panels(sweep))
        if sweep.target is not None:
            add(directory, "scaling", partial(scaling_figure, sweep), scaling_panels(sweep))
    elif any(result.directory != directory for result in results):
        note = TIMES_DIFFER if any(engine_notes(results)) else ""
        draw = partial(compare_figure, results, note=note)
        add(directory, "compare", draw, panels_of(results))
        if has_fit:
            add(directory, "fit", partial(fit_figure, results), ())
    for result in results:
        if result.directory:
            add(result.directory, "loss", partial(loss_figure, result), (BATCH, TRAIN))
            if has_fit:
                add(result.directory, "fit", partial(fit_figure, [result]), ())
    for place, shown in _probed(results, directory, sweep):
        add(place, "why", partial(why_figure, shown), why_panels(shown))
    return found


def _probed(
    results: Sequence[RunResult], directory: Path, sweep: SweepResult | None
) -> Iterator[tuple[Path, list[RunResult]]]:
    """Which pictures of probes there are: for each directory, the runs that it shows."""
    probed = [result for result in results if result.series.probe_columns]
    if any(result.directory != directory for result in probed):
        yield directory, shown_probes(probed, sweep)
    for result in probed:
        if result.directory:
            yield result.directory, shown_probes([result], sweep)


def shown_probes(results: Sequence[RunResult], sweep: SweepResult | None) -> list[RunResult]:
    """The runs at the learning rates that `why` shows: of several runs the best ones.

    Those of a sweep are the ones that reach the target first.
    """
    if sweep:
        best = {cell.run: cell.lr for cell in sweep.best_of_batch}
        return [at_rate(result, best[result.series.name]) for result in results]
    return [at_best_rate(result) for result in results] if len(results) > 1 else [*results]
