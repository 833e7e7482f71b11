"""Paths of runs → the train loss on the plane that shows most of them, or on a random one.

Shapes: n points, P weights.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gdrun.diagnostics.derivatives import LaneLoss, finish
from gdrun.diagnostics.filters import random_plane
from gdrun.diagnostics.plane import principal_plane, random_share
from gdrun.diagnostics.spectrum import curvature
from gdrun.diagnostics.surface import as_params, losses_at, surface
from gdrun.errors import ConfigError, DataError
from gdrun.experiment.landscape.grid import grid_around, side_of
from gdrun.experiment.landscape.paths import Chosen, OnProgress, Trajectory, path_of
from gdrun.experiment.memory import memory_errors
from gdrun.results.landscape import Landscape, PathEnd, PlanePath

FRAME = 10  # times the untrained loss: beyond it, a path that diverges has left the picture
HESSIAN_WORK = 1e12  # of all eigenvalues, above which they aren't computed


@dataclass(frozen=True)
class Explored:
    """What was found, and what the user should know of it."""

    landscape: Landscape
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """The part of a path that is shown, with the losses on it."""

    chosen: Chosen
    path: Trajectory
    losses: list[float]
    is_cut: bool


def explore(runs: Sequence[Chosen], on_progress: OnProgress, stop: Callable[[], bool]) -> Explored:
    """The paths of runs on the plane through them, and the train loss there.

    Args:
        runs: the lanes, all of the same problem.
        on_progress: called with what is being done, and how much of it is.
        stop: asked while a program is built.

    Raises:
        GdrunError: a file is damaged or can't be read, networks differ, or there is no plane.
        KeyboardInterrupt: `stop` said so.
    """
    found = [_seen(chosen, on_progress, stop) for chosen in runs]
    _refuse_other_networks(found)
    if all(len(seen.losses) == 1 for seen in found):
        raise DataError(
            [f"{seen.chosen.run.path}: {_why_no_path(seen)}" for seen in found],
            "there is no path to draw, only where it starts",
        )
    problem, like = found[0].path.problem, found[0].path.like
    weights = [seen.path.weights for seen in found]
    try:
        plane, explained = principal_plane(torch.cat(weights))
    except ValueError as error:
        raise DataError(
            f"there is no plane to draw: {error}",
            "a path needs a network of two weights or more, which were trained",
        ) from None
    places = [plane.places(own) for own in weights]
    xs, ys = grid_around(torch.cat(places), side_of(problem))
    with memory_errors():
        doing = "evaluating the loss on the plane"
        losses = surface(problem, like, plane, xs, ys, lambda part: on_progress(doing, part))
        paths = [
            _path(seen, own, losses_at(problem, like, plane.weights(own)), on_progress)
            for seen, own in zip(found, places, strict=True)
        ]
    landscape = Landscape(
        xs, ys, losses, paths, plane.directions.shape[1], explained, random_share(weights)
    )
    return Explored(landscape, tuple(note for seen in found for note in seen.path.notes))


def explore_around(
    chosen: Chosen, seed: int, on_progress: OnProgress, stop: Callable[[], bool]
) -> Explored:
    """The train loss on a random plane through the last weights of a run.

    Raises:
        GdrunError: as `explore`; or the weights aren't finite, or are biases alone.
        KeyboardInterrupt: `stop` said so.
    """
    path = path_of(chosen, on_progress, stop, ends_alone=True)
    problem, last = path.problem, as_params(path.weights[-1:], path.like)
    with memory_errors():
        both = losses_at(problem, path.like, path.weights)
    if not math.isfinite(both[-1]):
        raise DataError(
            f"{chosen.run.path}: the last loss of lane {chosen.lane} isn't finite: it diverged",
            "--lane names another",
        )
    try:
        plane = random_plane(problem.model, tuple(tensor[0] for tensor in last), seed)
    except ValueError as error:
        raise DataError(f"{chosen.run.path}: there is no plane to draw: {error}") from None
    side = side_of(problem)
    axis = torch.linspace(-1, 1, side, dtype=torch.float64).tolist()
    with memory_errors():
        doing = "evaluating the loss on the plane"
        losses = surface(
            problem, path.like, plane, axis, axis, lambda part: on_progress(doing, part)
        )
        seen = _Seen(chosen, path, both, is_cut=False)
        whole = _path(seen, torch.zeros(len(both), 2), both, on_progress)
    point = replace(
        whole,
        epochs=whole.epochs[-1:], x=[0.0], y=[0.0], losses=both[-1:], plane_losses=both[-1:],
    )  # fmt: skip
    parameters = plane.directions.shape[1]
    return Explored(Landscape(axis, axis, losses, [point], parameters, seed=seed), path.notes)


def _seen(chosen: Chosen, on_progress: OnProgress, stop: Callable[[], bool]) -> _Seen:
    """A path with its losses, as far as these are finite.

    Of a lane that diverges, as far as they are below `FRAME` times the untrained one: a last point
    far off would leave no room for the others.

    Raises:
        DataError: not even the untrained loss is finite.
    """
    path = path_of(chosen, on_progress, stop)
    doing = f"evaluating the loss along the path of {chosen.name}"
    with memory_errors():
        losses = losses_at(
            path.problem, path.like, path.weights, lambda part: on_progress(doing, part)
        )
    diverged = chosen.result.lanes[chosen.lane].diverged_at is not None
    edge = FRAME * losses[0] if diverged and losses[0] > 0 else math.inf
    shown = 0
    for loss in losses:
        if not math.isfinite(loss) or loss > edge:
            break
        shown += 1
    if not shown:
        raise DataError(f"{chosen.run.path}: the loss of the untrained network is infinite")
    kept = replace(path, epochs=path.epochs[:shown], weights=path.weights[:shown])
    return _Seen(chosen, kept, losses[:shown], is_cut=diverged)


def _why_no_path(seen: _Seen) -> str:
    if seen.is_cut:
        return (
            f"lane {seen.chosen.lane} diverged: after the first of its epochs, the loss is above "
            f"{FRAME} times that of the untrained network"
        )
    return f"lane {seen.chosen.lane} has ended no epoch of training yet"


def _refuse_other_networks(found: Sequence[_Seen]) -> None:
    """Refuse weights of several shapes, which are on no plane together.

    Raises:
        ConfigError: there are.
    """
    shapes = [(seen.chosen.name, [(*tensor.shape,) for tensor in seen.path.like]) for seen in found]
    first, *others = shapes
    for name, own in others:
        if own != first[1]:
            raise ConfigError(
                f"the networks differ: weights of {first[1]} in {first[0]}, {own} in {name}",
                "name runs of the same network",
            )


def _path(
    seen: _Seen, places: Tensor, plane_losses: list[float], on_progress: OnProgress
) -> PlanePath:
    """What is said of a path, at places (n, 2) of a plane with some losses."""
    chosen, path = seen.chosen, seen.path
    lane = chosen.result.series.lanes[chosen.lane]
    on_progress(f"curvature at the end of {chosen.name}", 0.0)
    return PlanePath(
        name=chosen.name,
        lane=chosen.lane,
        lr=lane.lr,
        seed=lane.seed,
        epochs=path.epochs,
        x=places[:, 0].tolist(),
        y=places[:, 1].tolist(),
        losses=seen.losses,
        plane_losses=plane_losses,
        end=_end(path),
        is_cut=seen.is_cut,
    )


def _end(path: Trajectory) -> PathEnd:
    """The gradient and the curvature at the last of the weights, and the gradient at the first."""
    first, last = (
        LaneLoss(path.problem, tuple(tensor[0] for tensor in as_params(own, path.like)))
        for own in (path.weights[:1], path.weights[-1:])
    )
    parameters = len(last.weights)
    affordable = path.problem.data.rows * parameters**2 <= HESSIAN_WORK
    return PathEnd(
        gradient=float(finish(last.gradient()).norm()),
        first_gradient=float(finish(first.gradient()).norm()),
        curvature=curvature(last) if affordable else None,
    )
