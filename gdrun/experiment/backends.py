"""Whether updates are executed one by one or as a compiled program, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from gdrun.compiler import build, program_cache
from gdrun.compiler.executor import compiled
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.config.schema import Engine
from gdrun.errors import OutputError
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.text import duration
from gdrun.training.backend import Execute
from gdrun.training.batches import BLOCK_NUMBERS
from gdrun.training.eager import eagerly
from gdrun.training.models import Problem
from gdrun.training.state import Plan

# What PyTorch spends in an update, and a program hardly: between the operations of a layer, and for
# each number that goes through the network in passing it from operation to operation.
LAYER_SECONDS, NUMBER_SECONDS = 25e-6, 2e-9
# What it takes to build a program, and to load one.
BUILD_SECONDS, LOAD_SECONDS = 0.4, 0.01
MARGIN = 1.5  # how many times as much is to be saved as it takes
# Multiply-adds of an update, about a second's work, in which a program listens to nobody.
LONG_WORK = 10_000_000_000


@dataclass(frozen=True)
class Choice:
    """How the updates of a run are to be executed, and why.

    Attributes:
        engine: by which.
        why: in words, or what of compiling is weighed against what it saves.
        saves: the seconds that a program saves, where that was weighed.
        builds: whether its program is to be built first.
    """

    engine: Literal["eager", "compiled"]
    why: str
    saves: float | None = None
    builds: bool = False


def executor(problem: Problem, plan: Plan, engine: Engine) -> Execute:
    """How updates are executed by an engine that was settled on.

    Raises:
        OutputError: the program that was built is gone.
    """
    if engine != "compiled":
        return eagerly
    program = program_cache.find(spec_for(problem, plan))
    if program is None:
        raise OutputError(
            f"engine: the compiled program is gone from {program_cache.cache_directory()}",
            "run the command again, which builds it anew, or use engine: eager",
        )
    return compiled(program)


def _possible(experiment: ExperimentPlan, member: RunPlan) -> Choice:
    """How the updates of a run can be executed; whether that pays is still to be weighed."""
    problem, plan, asked = experiment.problem, member.plan, member.config.engine
    if asked == "eager":
        return Choice("eager", "as asked for")
    standing = (experiment.standings or {}).get(member.series.name)
    done = standing.state.updates if standing else 0
    updates = plan.epochs * plan.updates_per_epoch(problem.data.rows) - done
    sizes = problem.network.sizes
    numbers = len(plan.lanes) * plan.batch_size * sum(sizes)
    saved = updates * (LAYER_SECONDS * (len(sizes) - 1) + NUMBER_SECONDS * numbers)
    if problem.data.x.device.type != "cpu":
        return Choice("eager", "programs are compiled for the processor alone")
    if len(plan.lanes) * plan.batch_size * problem.network.parameters > LONG_WORK:
        return Choice("eager", "an update is work for many seconds, and a program can't be stopped")
    if not _fits(problem, plan):
        return Choice("eager", "a program would read too much of the file at a time")
    built = program_cache.find(spec_for(problem, plan)) is not None
    if not built and (obstacle := build.obstacle()):
        return Choice("eager", obstacle)
    if asked == "compiled":
        return Choice("compiled", "as asked for", builds=not built)
    return Choice("compiled", "", saved, builds=not built)


def _fits(problem: Problem, plan: Plan) -> bool:
    """Whether rows are in memory, or those of an update of all lanes may well be."""
    data = problem.data
    if isinstance(data.x, Tensor):
        return True
    index_lanes = 1 if plan.sampling == "sequential" else len(plan.lanes)
    return index_lanes * plan.batch_size * (data.x.shape[1] + data.y.shape[1]) <= BLOCK_NUMBERS


def choices(experiment: ExperimentPlan) -> dict[str, Choice]:
    """How the updates of each run that is left are to be executed, by name.

    What is weighed is weighed for all runs together: their times are to be compared.
    """
    chosen = {member.series.name: _possible(experiment, member) for member in experiment.left}
    weighed = {name: choice for name, choice in chosen.items() if choice.saves is not None}
    saved = sum(choice.saves or 0.0 for choice in weighed.values())
    building = any(choice.builds for choice in weighed.values())
    takes = sum(BUILD_SECONDS if choice.builds else LOAD_SECONDS for choice in weighed.values())
    why = f"takes {duration(BUILD_SECONDS)} a program" if building else "was done before"
    for name, choice in weighed.items():
        if saved > MARGIN * takes:
            chosen[name] = replace(choice, why=why)
        else:
            chosen[name] = Choice("eager", why, choice.saves)
    return chosen


def settle(
    experiment: ExperimentPlan,
    say: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[ExperimentPlan, list[str]]:
    """The experiment with an engine for each run that is left, programs built; and why, in words.

    What can't be compiled is executed eagerly.

    Args:
        experiment: what is to be trained.
        say: told what is waited for.
        stop: asked meanwhile.

    Raises:
        KeyboardInterrupt: `stop` said so.
    """
    chosen = choices(experiment)
    wanted = {
        member.series.name: spec_for(experiment.problem, member.plan)
        for member in experiment.left
        if chosen[member.series.name].builds
    }
    failed: dict[ProgramSpec, str] = {}
    if wanted:
        what = "a program" if len(wanted) == 1 else f"{len(wanted)} programs"
        say(f"building {what} for {', '.join(wanted)}")
        failed = program_cache.build(wanted.values(), stop)
    for name, program in wanted.items():
        if program in failed:
            chosen[name] = Choice("eager", f"no program could be built: {failed[program]}")
    settled = with_engines(experiment, {name: each.engine for name, each in chosen.items()})
    return settled, in_words(chosen)


def as_far_as_built(experiment: ExperimentPlan) -> tuple[ExperimentPlan, float]:
    """The experiment by what was chosen for it, eagerly where a program would have to be built.

    And how many seconds more it takes with those programs; less, below 0.
    """
    chosen = choices(experiment)
    engines: dict[str, Engine] = {
        name: "eager" if choice.builds else choice.engine for name, choice in chosen.items()
    }
    building = [choice for choice in chosen.values() if choice.builds]
    more = sum(BUILD_SECONDS - (choice.saves or 0.0) for choice in building)
    return with_engines(experiment, engines), more


def with_engines(experiment: ExperimentPlan, engines: Mapping[str, Engine]) -> ExperimentPlan:
    """The same experiment, the updates of runs executed by engines, by name; others stay."""
    members = []
    for member in experiment.members:
        engine = engines.get(member.series.name, member.config.engine)
        config = member.config.model_copy(update={"engine": engine})
        members.append(replace(member, config=config))
    return replace(experiment, members=tuple(members))


def in_words(chosen: Mapping[str, Choice]) -> list[str]:
    """What was chosen and why: a line, or one for each choice where they differ."""
    alike: dict[tuple[str, str, bool], list[str]] = {}
    for name, choice in chosen.items():
        alike.setdefault((choice.engine, choice.why, choice.saves is None), []).append(name)
    lines = []
    for (engine, why, plain), names in alike.items():
        runs = f" for {', '.join(names)}" if len(alike) > 1 else ""
        saves = sum(chosen[name].saves or 0.0 for name in names)
        weighed = "" if plain else f"compiling saves about {duration(saves)}, and "
        lines.append(f"engine: {engine}{runs} ({weighed}{why})")
    return lines
