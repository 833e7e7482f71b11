"""The outcome of a training: its problem in words, the functions it fitted, and its result."""

import math
import time
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gdrun.config.parts.data import MemoryData
from gdrun.config.schema import RunConfig
from gdrun.data.preprocessing.standardize import Scaling
from gdrun.data.rows import Rows, spread, take
from gdrun.results.description import Description
from gdrun.results.events import Series, Status
from gdrun.results.fits import Fit, Regions
from gdrun.results.rows.history import History
from gdrun.results.run import RunResult, lane_result, overall_status
from gdrun.text import visible
from gdrun.training.device import device_name
from gdrun.training.evaluate import Losses, evaluate_all
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.ranks import Division
from gdrun.training.state import Plan, TrainState

GRID_POINTS = 200
GRID_SIDE, GRID_MARGIN = 120, 0.06  # points along each of two features, and the share beyond rows
MOST_PROBABILITIES = 2**22  # of all lanes together (16 MB)
FIT_ROWS = 10_000  # shown beside the fitted functions, at most
PATIENCE_SECONDS = 0.2  # that evaluating a stopped run may take


def describe(problem: Problem, config: RunConfig) -> Description:
    """What is trained on what, its names as a terminal or a picture can show them."""
    data = problem.data
    return Description(
        network=str(problem.model),
        parameters=problem.model.parameters,
        data=visible(data.title),
        rows=data.rows,
        val_rows=len(data.x_val),
        features=tuple(visible(name) for name in data.features),
        target=visible(data.target),
        loss=problem.loss.name,
        classes=tuple(visible(name) for name in data.classes),
        targets=tuple(visible(name) for name in data.targets),
        standardized=data.y_scaling is not None,
        device=device_name(data.x.device),
        optimizer=config.rule,
        is_given=isinstance(config.data, MemoryData),
    )


def run_result(
    problem: Problem,
    description: Description,
    series: Series,
    plan: Plan,
    state: TrainState,
    histories: Sequence[History],
    directory: Path | None,
    engines: tuple[str, ...],
    *,
    is_measured: bool = True,
) -> RunResult:
    """The result of a run that has ended, or was stopped, in a state.

    It has not ended before its last state `is_measured` by its probes, if it has any.
    """
    finished = state.is_over(plan, plan.updates_per_epoch(description.rows))
    ended: Status = "done" if finished and is_measured else "interrupted"
    # When a run is stopped on the way, its weights have not been evaluated yet.
    stopped_at: Sequence[Mapping[str, float] | None] = [None] * len(histories)
    if not finished:
        stopped_at = _current_losses(problem, state) or stopped_at
    lanes = []
    by_lane = zip(histories, state.diverged_at, state.ended_at, stopped_at, strict=True)
    for history, diverged_at, ended_at, losses in by_lane:
        updates = state.updates if ended_at is None else ended_at
        status: Status = ended if ended_at is None or not is_measured else "done"
        lanes.append(
            lane_result(
                history,
                status if diverged_at is None else "diverged",
                diverged_at,
                updates=updates,
                samples=plan.samples_after(updates, description.rows),
                seconds=state.seconds,
                stopped_at=losses if ended_at is None else None,
            )
        )
    return RunResult(
        series=series,
        status=overall_status([lane.status for lane in lanes]),
        description=description,
        histories=tuple(histories),
        lanes=tuple(lanes),
        fit=learned(problem, state.params, description),
        directory=directory,
        engines=engines,
    )


def _current_losses(problem: Problem, state: TrainState) -> list[dict[str, float]] | None:
    """Losses and metrics (NaN where there are no such rows) of each lane as it is now, by column.

    None if that would take long: somebody who stops a run doesn't want to wait.
    """
    division = Division(len(state.params[0]))
    deadline = time.monotonic() + PATIENCE_SECONDS
    evaluation = evaluate_all(problem, division, state.params, time.monotonic, PATIENCE_SECONDS / 2)
    while True:
        try:
            if next(evaluation) > deadline:
                return None
        except StopIteration as end:
            losses: Losses = end.value
            break
    columns = {"train_loss": losses.train, "val_loss": losses.val, **losses.metrics}
    return [
        {
            name: math.nan if number is None else number
            for name, number in zip(columns, lane, strict=True)
        }
        for lane in zip(*columns.values(), strict=True)
    ]


def learned(problem: Problem, params: Params, description: Description) -> Fit | Regions | None:
    """What the lanes have learned, as far as a picture can show it."""
    if description.has_fit:
        return fit(problem, params)
    return regions(problem, params) if description.has_regions else None


def fit(problem: Problem, params: Params) -> Fit:
    """The functions that the lanes have learned of their one feature, in original units.

    Of many rows an even sample is shown.
    """
    data, grid = problem.data, fit_grid(problem)
    x, x_val, y, y_val = map(_shown, (data.x, data.x_val, data.y, data.y_val))
    return Fit(
        x=_original(x, data.x_scaling),
        y=_original(y, data.y_scaling),
        x_val=_original(x_val, data.x_scaling),
        y_val=_original(y_val, data.y_scaling),
        grid=_original(grid, data.x_scaling),
        curves=fitted(problem, params, grid),
    )


def fit_grid(problem: Problem) -> Tensor:
    """Values of the one feature, (G, 1), from the lowest to the highest of the rows shown."""
    both = torch.cat([_shown(problem.data.x), _shown(problem.data.x_val)])
    return torch.linspace(both.min().item(), both.max().item(), GRID_POINTS).to(both).unsqueeze(1)


@torch.no_grad()
def fitted(problem: Problem, params: Params, grid: Tensor) -> list[list[float]]:
    """The outputs of the lanes at some values of the feature, (G, 1), in original units.

    Of two classes, the probabilities of the second.
    """
    outputs = problem.model(params, grid.expand(len(params[0]), -1, -1))
    probabilities = problem.loss.probabilities(outputs)
    if probabilities is not None:
        outputs = probabilities[..., 1:]
    curves: list[list[float]] = _original(outputs, problem.data.y_scaling)
    return curves


@torch.no_grad()
def regions(problem: Problem, params: Params) -> Regions:
    """The probabilities of classes that the lanes have learned of their two features.

    Of many rows an even sample is shown, and of many lanes a coarser grid.
    """
    data, lanes = problem.data, len(params[0])
    x, x_val, y, y_val = map(_shown, (data.x, data.x_val, data.y, data.y_val))
    side = math.isqrt(MOST_PROBABILITIES // (lanes * len(data.classes)))
    axes = []
    for values in torch.cat([x, x_val]).unbind(dim=1):
        low, high = values.min().item(), values.max().item()
        margin = GRID_MARGIN * (high - low)
        count = max(2, min(GRID_SIDE, side))
        axes.append(torch.linspace(low - margin, high + margin, count).to(x))
    second, first = torch.meshgrid(axes[1], axes[0], indexing="ij")
    grid = torch.stack([first.flatten(), second.flatten()], dim=1)
    probabilities = []
    for lane in range(lanes):  # one by one: all of them at all points may not fit
        own = tuple(tensor[lane : lane + 1] for tensor in params)
        found = problem.loss.probabilities(problem.model(own, grid.unsqueeze(0)))
        assert found is not None  # there are classes
        probabilities.append(array("f", found.cpu().flatten().tolist()))
    points = torch.stack(axes, dim=1).cpu().double()
    in_units = data.x_scaling.invert(points) if data.x_scaling else points
    return Regions(
        x=_pairs(x, data.x_scaling),
        labels=y.flatten().int().tolist(),
        x_val=_pairs(x_val, data.x_scaling),
        labels_val=y_val.flatten().int().tolist(),
        classes=tuple(visible(name) for name in data.classes),
        grid_x=in_units[:, 0].tolist(),
        grid_y=in_units[:, 1].tolist(),
        probabilities=probabilities,
    )


def _pairs(values: Tensor, scaling: Scaling | None) -> list[tuple[float, float]]:
    """Rows of two features in original units."""
    rows = values.cpu().double()
    return list(map(tuple, (scaling.invert(rows) if scaling else rows).tolist()))


def _shown(rows: Rows) -> Tensor:
    """An even sample of rows."""
    return take(rows, spread(len(rows), FIT_ROWS))


def _original(values: Tensor, scaling: Scaling | None) -> Any:
    """Scaled numbers, (…, 1), as lists in original units."""
    values = values.cpu().double()
    return (scaling.invert(values) if scaling else values).squeeze(-1).tolist()
