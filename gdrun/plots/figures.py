"""Figures of results, drawn with Agg: without pyplot, and so without global state."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from matplotlib.axes import Axes

from gdrun.config.parts.groups import Scale
from gdrun.errors import excerpt
from gdrun.plots.captions import literal
from gdrun.plots.curves import Trace, draw_epochs, draw_rates_below
from gdrun.plots.layout import Panel, chosen, rows_figure
from gdrun.plots.looks import Looks, for_validation, has_bands, looks_of
from gdrun.plots.style import StyledFigure, styled
from gdrun.plots.updates import draw_updates, measured, window_of
from gdrun.results.axes import AXES, BATCH, COSTS, TRAIN, VALIDATION, Cost
from gdrun.results.colors import kind_of, run_colors, says_size
from gdrun.results.events import Series
from gdrun.results.rows.log_rows import SCHEDULED_LR
from gdrun.results.run import RunResult
from gdrun.text import METHOD_NAMES

MAX_RUN_PANELS = 4  # with more runs, none has a panel of its own
SINGLE = (6.4, 2.7)  # inches that one panel alone has


@styled()
def compare_figure(
    results: RunResult | Sequence[RunResult],
    *,
    note: str = "",
    mixed: bool = False,
    panel: str | None = None,
    scale: Scale = "paper",
) -> StyledFigure:
    """The loss of every update, one panel per run; below, the train loss of all against each cost.

    More than `MAX_RUN_PANELS` runs are shown by the panels below alone.

    Args:
        results: what to draw.
        note: an addition to the notes in the head.
        mixed: whether the results may be of different problems.
        panel: the only panel to draw: the name of a run, `epoch`, `updates`, `samples`, `seconds`
            or `validation`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: there are no results, they are of different problems, or there is no such panel.
    """
    results = _listed(results) if mixed else comparable(results)
    runs, costs = _run_panels(results), _cost_panels(results)
    if panel is not None:
        only = chosen({each.name: each for each in (*costs, *runs)}, panel)
        steps_note = _steps_note(results) if only in runs else ""
        width, height = SINGLE
        rows = [[only]]
    else:
        steps_note = f"top: {_steps_note(results)}" if runs else ""
        width, height = 11, 2.2 if runs else 2.6
        half = -(-len(costs) // 2)
        rows = [runs, costs] if runs else [costs[:half], costs[half:]]
    notes = "; ".join(part for part in (steps_note, note) if part)
    return rows_figure(
        results,
        rows,
        width=width,
        height=height,
        note=notes,
        scale=scale,
        of_one=len(rows) == 1 and rows[0][0] in runs,
    )


def panels_of(results: Sequence[RunResult]) -> list[str]:
    """The names of the panels of `compare_figure`."""
    return [panel.name for panel in (*_run_panels(results), *_cost_panels(results))]


@styled()
def loss_figure(
    result: RunResult, *, panel: str | None = None, scale: Scale = "paper"
) -> StyledFigure:
    """The loss of every update; beside it, train and validation loss at the ends of epochs.

    Below these are the learning rates, if they change.

    Args:
        result: what to draw.
        panel: the only panel to draw: `batch` or `train`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: there is no such panel.
    """
    looks = looks_of([result])
    titles = ["train loss"]
    if result.description.val_rows > 0:
        look = "grey" if len(looks) == 1 else "dashed"
        titles = [f"train loss, validation loss ({look})", f"train, validation ({look})"]
    left = Panel(
        BATCH,
        ["batch loss"],
        "update",
        "loss",
        partial(draw_updates, result=result, looks=looks),
        measured=measured(result),
    )
    draw_both = partial(_draw_both, result=result, looks=looks)
    has_rates = panel is None and SCHEDULED_LR in result.series.columns
    if has_rates:
        draw_both = partial(_draw_with_rates, result=result, looks=looks)
    right = Panel(TRAIN, titles, "" if has_rates else "epoch", "loss", draw_both)
    steps_note = _steps_note([result])
    if panel is not None:
        width, height = SINGLE
        rows = [[chosen({left.name: left, right.name: right}, panel)]]
        note = steps_note if panel == left.name else ""
    else:
        width, height = 8.6, 3.1 if has_rates else 2.5
        rows, note = [[left, right]], f"left: {steps_note}"
    return rows_figure(
        [result], rows, width=width, height=height, note=note, scale=scale, shared=False
    )


def _draw_both(axes: Axes, result: RunResult, looks: Looks) -> Sequence[Trace]:
    """Train and validation loss of one run at the ends of epochs."""
    traces = []
    if result.description.val_rows > 0:
        traces += draw_epochs(axes, result, for_validation(looks), "val_loss", "epoch")
    own = draw_epochs(axes, result, looks, "train_loss", "epoch")
    # Where the train loss diverges, so does the other one.
    return [*(replace(trace, diverges_at=None) for trace in traces), *own]


def _draw_with_rates(axes: Axes, result: RunResult, looks: Looks) -> Sequence[Trace]:
    """The same, with the learning rates below."""
    draw_rates_below(axes, result, looks)
    return _draw_both(axes, result, looks)


@styled()
def curves_figure(
    results: RunResult | Sequence[RunResult],
    x: Cost = "updates",
    log_x: bool | None = None,
    *,
    scale: Scale = "paper",
) -> StyledFigure:
    """The train loss of all runs, and their validation loss if there is one, against one cost.

    Args:
        results: what to draw.
        x: `epoch`, `updates`, `samples` or `seconds`.
        log_x: whether that axis is logarithmic; if not given, every axis but that of epochs is.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: there are no results, or there is no such cost.
    """
    results = _listed(results)
    if x not in COSTS:
        raise ValueError(f"x must be one of {', '.join(COSTS)}, got {x!r}")
    log_x = x != "epoch" if log_x is None else log_x
    panels = [cost_panel(results, "train_loss", x, "train loss", log_x)]
    if _have_validation(results):
        panels.append(cost_panel(results, "val_loss", x, "validation loss", log_x))
    width, height = SINGLE if len(panels) == 1 else (9.6, SINGLE[1])
    return rows_figure(results, [panels], width=width, height=height, scale=scale)


def _run_panels(results: Sequence[RunResult]) -> list[Panel]:
    """The loss of every update, one panel per run; none if there are many."""
    if len(results) > MAX_RUN_PANELS:
        return []
    looks, color_of = looks_of(results), run_colors([result.series for result in results])
    return [
        Panel(
            result.series.name,
            titles_of(result.series),
            "update",
            "batch loss",
            partial(draw_updates, result=result, looks=looks),
            color=color_of[result.series.name],
            measured=measured(result),
        )
        for result in results
    ]


def _cost_panels(results: Sequence[RunResult]) -> list[Panel]:
    """The train loss of all runs against each cost, and their validation loss if there is one."""
    panels = [
        cost_panel(results, "train_loss", cost, f"… against {axis.quantity}", cost != "epoch")
        for cost, axis in AXES.items()
    ]
    panels[0] = cost_panel(results, "train_loss", "epoch", "train loss against epochs", False)
    if _have_validation(results):
        validation = cost_panel(results, "val_loss", "epoch", "validation loss", False)
        panels.append(replace(validation, name=VALIDATION))
    return panels


def cost_panel(
    results: Sequence[RunResult], loss: str, cost: Cost, title: str, log_x: bool
) -> Panel:
    """The losses of all runs at the ends of epochs against one cost."""
    looks = looks_of(results)

    def draw(axes: Axes) -> Sequence[Trace]:
        return [
            trace
            for result in results
            for trace in draw_epochs(axes, result, looks, loss, cost, log_x=log_x)
        ]

    brief = title.removesuffix(" against epochs").replace("training ", "")
    titles = [title, brief, brief.replace("against ", "")]
    x = AXES[cost].title_with_unit
    return Panel(cost, titles, x, "loss over all rows", draw, log_x=log_x, whole=cost != "seconds")


def _have_validation(results: Sequence[RunResult]) -> bool:
    return any(result.description.val_rows for result in results)


def titles_of(series: Series) -> list[str]:
    """Titles of the panel of one run, the first of which fits best."""
    size = f"{series.batch_size:,}"
    if kind_of([series]) == "method":
        name = METHOD_NAMES[series.method]
        return [f"{name}, batch size {size}", f"{name}, B = {size}", f"{series.name}, B = {size}"]
    names = [literal(excerpt(series.name, length)) for length in (30, 20, 12)]
    if series.name == f"batch-{series.batch_size}":
        return [f"batch size {size}", f"B = {size}"]
    if says_size(series):
        return names
    return [f"{names[0]}, batch size {size}", *(f"{name}, B = {size}" for name in names)]


def _listed(results: RunResult | Sequence[RunResult]) -> Sequence[RunResult]:
    """The results as a sequence."""
    results = [results] if isinstance(results, RunResult) else results
    if not results:
        raise ValueError("there are no results to draw")
    return results


def comparable(results: RunResult | Sequence[RunResult]) -> Sequence[RunResult]:
    """The results as a sequence, all of the same problem."""
    results = _listed(results)
    first = results[0].description
    for result in results[1:]:
        other = result.description
        if (first.data, first.rows, first.loss_name) != (other.data, other.rows, other.loss_name):
            raise ValueError(
                f"results of different problems: {first.loss_name} on {first.data}, "
                f"{other.loss_name} on {other.data}"
            )
    return results


def _steps_note(results: Sequence[RunResult]) -> str:
    """How to read the batch losses."""
    histories = [history for result in results for history in result.histories]
    if all(result.series.batch_size >= result.description.rows for result in results):
        return "one update per epoch"
    shown = "update"
    if max(result.seeds for result in results) > 1:
        shown = "update's band" if has_bands(results) else "update's median"
    every = max((h.steps["update"][0] for h in histories if h.steps["update"]), default=1)
    if every > 1:
        return f"every {every}th {shown} faint, mean of each epoch bold"
    if not all(history.has_every_update for history in histories):
        return "lowest and highest updates faint, mean of each epoch bold"
    note = f"each {shown} faint, running mean over an epoch bold"
    seeds = {result.series.lanes[0].seed for result in results if window_of(result)}
    alone = len(seeds) == 1 and max(result.seeds for result in results) > 1
    return f"{note}, beside them seed {seeds.pop()} alone" if alone else note
