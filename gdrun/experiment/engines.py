"""The choice of a backend for each run: updates one by one, or as a compiled program; and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from gdrun.compiler import build, program_cache
from gdrun.compiler.executor import COMPILED
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.config.schema import Engine
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.text import duration
from gdrun.training.backend import Backend
from gdrun.training.batches import BLOCK_NUMBERS
from gdrun.training.eager import EAGER
from gdrun.training.models import Problem
from gdrun.training.state import Plan

# What PyTorch takes in an update that a program hardly does: between the operations of a layer, and
# for each activation that it passes from operation to operation.
LAYER_SECONDS, ACTIVATION_SECONDS = 25e-6, 2e-9
# What it takes to build a program, and to load one.
BUILD_SECONDS, LOAD_SECONDS = 0.4, 0.01
MARGIN = 1.5  # compiling has to save this many times what it takes
# Multiply-adds of an update, about a second's work, during which a program can't be stopped.
LONG_WORK = 10_000_000_000

# `auto` is chosen before a run is trained; where nobody has chosen, updates go one by one.
BACKENDS: dict[Engine, Backend] = {"auto": EAGER, "eager": EAGER, "compiled": COMPILED}


@dataclass(frozen=True)
class Choice:
    """The engine of a run, and why it was chosen.

    Attributes:
        engine: which.
        why: in words.
        saves: the seconds that a program saves, where that was weighed.
        builds: the program that has to be built first, if any.
    """

    engine: Literal["eager", "compiled"]
    why: str
    saves: float | None = None
    builds: ProgramSpec | None = None


def choose_engines(experiment: ExperimentPlan) -> dict[str, Choice]:
    """The engine of each run that isn't complete, by name.

    What compiling saves is weighed for all runs together: their times are to be compared.
    """
    chosen = {run.name: _possible(experiment.problem, run) for run in experiment.left}
    weighed = {name: choice for name, choice in chosen.items() if choice.saves is not None}
    saved = sum(choice.saves or 0.0 for choice in weighed.values())
    new = sum(choice.builds is not None for choice in weighed.values())
    takes = new * BUILD_SECONDS + (len(weighed) - new) * LOAD_SECONDS
    programs = f"{duration(new * BUILD_SECONDS)}{f' for {new} programs' if new > 1 else ''}"
    if saved > MARGIN * takes:
        cost = f"takes {programs}" if new else "the program is there already"
        why = f"compiling saves about {duration(saved)}, and {cost}"
        return chosen | {name: replace(choice, why=why) for name, choice in weighed.items()}
    cost = f"and take {programs}" if new else "less than loading the program takes"
    why = f"compiling would save about {duration(saved)}, {cost}"
    return chosen | {name: Choice("eager", why, choice.saves) for name, choice in weighed.items()}


def _possible(problem: Problem, run: RunPlan) -> Choice:
    """How the updates of a run can be executed; whether compiling pays is still to be weighed."""
    plan, requested = run.plan, run.config.engine
    if requested == "eager":
        return Choice("eager", "as requested")
    if problem.data.x.device.type != "cpu":
        return Choice("eager", "programs are compiled for the processor alone")
    if len(plan.lanes) * plan.batch_size * problem.network.parameters > LONG_WORK:
        return Choice("eager", "an update takes many seconds, and a program can't be stopped")
    if not _rows_fit(problem, plan):
        return Choice("eager", "a program would read too much of the file at a time")
    spec = spec_for(problem, plan)
    builds = None if program_cache.find(spec) else spec
    if builds and (obstacle := build.obstacle()):
        return Choice("eager", obstacle)
    if requested == "compiled":
        return Choice("compiled", "as requested", builds=builds)
    return Choice("compiled", "", _seconds_saved(problem, run), builds)


def _seconds_saved(problem: Problem, run: RunPlan) -> float:
    """What a program saves in the updates that a run has left."""
    plan, sizes = run.plan, problem.network.sizes
    done = run.resumed.state.updates if run.resumed else 0
    updates = plan.epochs * plan.updates_per_epoch(problem.data.rows) - done
    activations = len(plan.lanes) * plan.batch_size * sum(sizes)
    return updates * (LAYER_SECONDS * (len(sizes) - 1) + ACTIVATION_SECONDS * activations)


def _rows_fit(problem: Problem, plan: Plan) -> bool:
    """Whether rows are in memory, or those of an update of all lanes may well be."""
    data = problem.data
    if isinstance(data.x, Tensor):
        return True
    index_lanes = 1 if plan.sampling == "sequential" else len(plan.lanes)
    return index_lanes * plan.batch_size * (data.x.shape[1] + data.y.shape[1]) <= BLOCK_NUMBERS


def build_programs(
    chosen: Mapping[str, Choice],
    on_progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Choice]:
    """The same choices once their programs are built: eager where one can't be.

    Args:
        chosen: the engine of each run, by name.
        on_progress: called with what is being done.
        stop: asked meanwhile.

    Raises:
        KeyboardInterrupt: `stop` said so.
    """
    specs = {name: choice.builds for name, choice in chosen.items() if choice.builds}
    if not specs:
        return dict(chosen)
    what = "a program" if len(specs) == 1 else f"{len(specs)} programs"
    on_progress(f"building {what} for {', '.join(specs)}")
    failed = program_cache.build(specs.values(), stop)
    without = {
        name: Choice("eager", f"no program could be built: {failed[spec]}")
        for name, spec in specs.items()
        if spec in failed
    }
    return {**chosen, **without}


def engine_lines(chosen: Mapping[str, Choice]) -> list[str]:
    """What was chosen and why: one line, or one per choice where they differ."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, choice in chosen.items():
        alike.setdefault((choice.engine, choice.why), []).append(name)
    lines = []
    for (engine, why), names in alike.items():
        runs = f" for {', '.join(names)}" if len(alike) > 1 else ""
        lines.append(f"engine: {engine}{runs} ({why})")
    return lines
