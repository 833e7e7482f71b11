"""The choice of an engine for an experiment: updates one by one, or compiled programs; and why.

All runs of a group have one engine: their times are to be compared. The choice is made once, and
kept with the group and its runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from gdrun.compiler import program_cache
from gdrun.compiler.executor import COMPILED
from gdrun.compiler.lower import unknown_operation
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.experiment.cost.formulas import (
    build_seconds,
    compiled_seconds,
    eager_seconds,
    machine_pace,
)
from gdrun.experiment.cost.measure import alone
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.text import count, duration
from gdrun.training.batches import BLOCK_NUMBERS
from gdrun.training.eager import EAGER
from gdrun.training.problem import Problem
from gdrun.training.ranks import Division
from gdrun.training.state import Plan, initial_state

# What a process takes besides updates: mostly to load PyTorch, and to draw.
PROCESS_SECONDS = 1.5
# Multiply-adds of an update, about a second's work, during which a program can't be stopped.
LONG_WORK = 10_000_000_000
SAME = 1e-3  # the relative and absolute difference of two engines after one update, at most


@dataclass(frozen=True)
class Choice:
    """The engine of an experiment, and why it was chosen.

    Attributes:
        engine: which; None where nothing is left to train.
        why: in words.
        programs: those of the runs that are left, if they are compiled.
    """

    engine: Literal["eager", "compiled"] | None
    why: str = ""
    programs: tuple[ProgramSpec, ...] = ()

    @property
    def unbuilt(self) -> tuple[ProgramSpec, ...]:
        """The programs that still have to be built."""
        return tuple(spec for spec in self.programs if not program_cache.is_built(spec))

    @property
    def line(self) -> str:
        """The choice in words."""
        return f"engine: {self.engine} ({self.why})"


def choose_engine(experiment: ExperimentPlan) -> Choice:
    """The engine of an experiment: as requested or as it was begun with, or else the faster one.

    It depends on the command and the machine alone, not on which programs are built already.
    """
    if not experiment.left:
        return Choice(None)
    requested, why = experiment.config.engine, "as requested"
    if experiment.begun_with:
        requested = experiment.begun_with if requested == "auto" else requested
        why = "as it was begun" if requested == experiment.begun_with else why
    if requested == "eager":
        return Choice("eager", why)
    obstacles = _obstacles(experiment)
    if obstacle := next(obstacles, None):
        return Choice("eager", obstacle)
    specs = _specs(experiment)
    if requested == "compiled":
        return Choice("compiled", why, specs)
    return _faster(experiment, specs)


def _specs(experiment: ExperimentPlan) -> tuple[ProgramSpec, ...]:
    """The programs of the runs that are left; and of a sweep those by which one lane is timed."""
    specs = [spec_for(run.problem, experiment.own_plan(run)) for run in experiment.left]
    if experiment.is_timed:
        specs += [spec_for(run.problem, alone(run.plan)) for run in experiment.runs]
    return tuple(dict.fromkeys(specs))


def _faster(experiment: ExperimentPlan, specs: tuple[ProgramSpec, ...]) -> Choice:
    """The engine that at worst takes the fewest times what the other takes.

    At worst for eager: the programs are there already. At worst for compiled: they aren't.
    """
    pairs = [(run.problem, experiment.own_plan(run)) for run in experiment.runs]
    eager = PROCESS_SECONDS + sum(eager_seconds(*pair) for pair in pairs)
    compiled = PROCESS_SECONDS + sum(compiled_seconds(*pair, spec_for(*pair)) for pair in pairs)
    if compiled >= eager:
        return Choice("eager", "compiled updates would take longer")
    build, pace = build_seconds(specs), machine_pace()
    saves = pace * (eager - compiled)
    takes = f"takes {duration(pace * build)}"
    if len(specs) > 1:
        takes += f" for {count(len(specs), 'program')}"
    if (compiled + build) / eager < eager / compiled:
        choice = Choice("compiled", "", specs)
        there = "the program is" if len(specs) == 1 else "the programs are"
        cost = takes if choice.unbuilt else f"{there} there already"
        return replace(choice, why=f"compiling saves about {duration(saves)}, and {cost}")
    return Choice("eager", f"compiling would save about {duration(saves)}, and {takes}")


def _obstacles(experiment: ExperimentPlan) -> Iterator[str]:
    """Why the updates of the runs that are left can't be executed by a program."""
    runs = experiment.left
    if runs[0].problem.data.x.device.type != "cpu":
        yield "programs are compiled for the processor alone"
    for run in runs:
        problem, plan = run.problem, experiment.own_plan(run)
        if Division(len(run.plan.lanes), experiment.ranks).by_rows.size > 1:
            yield "the rows of each batch are divided among ranks"
        of_run = f"{run.name}: " if len(runs) > 1 else ""
        if unknown := unknown_operation(spec_for(problem, plan)):
            yield f"{of_run}the compiler doesn't know the operation {unknown}"
        if len(plan.lanes) * plan.batch_size * problem.model.parameters > LONG_WORK:
            yield f"{of_run}an update takes many seconds, and a program can't be stopped"
        if not _rows_fit(problem, plan):
            yield f"{of_run}a program would read too much of the file at a time"
    if obstacle := program_cache.obstacle():
        yield obstacle


def _rows_fit(problem: Problem, plan: Plan) -> bool:
    """Whether rows are in memory, or those of an update of all lanes may well be."""
    if isinstance(problem.data.x, Tensor):
        return True
    index_lanes = 1 if plan.sampling == "sequential" else len(plan.lanes)
    return problem.numbers_in(index_lanes, plan.batch_size) <= BLOCK_NUMBERS


def build_programs(
    choice: Choice,
    on_progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Choice:
    """The same choice once its programs are built: eager if one can't be.

    Args:
        choice: the engine.
        on_progress: called with what is being done.
        stop: asked meanwhile.
        meanwhile: called once while compilers are at work, if they are.

    Raises:
        KeyboardInterrupt: `stop` said so.
    """
    missing = [spec for spec in choice.programs if program_cache.find(spec) is None]
    if not missing:
        return choice
    on_progress(f"building {count(len(missing), 'program')}")
    failures = program_cache.build(missing, stop, meanwhile)
    if failures:
        return Choice("eager", f"no program could be built: {next(iter(failures.values()))}")
    return choice


def built_as_chosen(experiment: ExperimentPlan) -> Choice:
    """The choice of compiled programs, made elsewhere, once they are built here: eager if not."""
    return build_programs(Choice("compiled", "", _specs(experiment)))


def without_wrong_programs(choice: Choice, experiment: ExperimentPlan) -> Choice:
    """The same choice if programs with code of the user's do what PyTorch does; eager if not.

    Any operation may be in such code, with options that were never tried: so the first update of
    each program is compared.
    """
    for run in experiment.left:
        problem, plan = run.problem, experiment.own_plan(run)
        if choice.engine != "compiled" or not spec_for(problem, plan).has_own_code:
            continue
        found = []
        for backend in (EAGER, COMPILED):
            state = initial_state(problem, plan)
            updates = next(
                u for u in backend.execute(problem, plan, state, 0.0) if u.losses.numel()
            )
            params = [tensor[0] for tensor in updates.params] or state.params
            found.append([updates.losses.flatten()[: len(plan.lanes)], *params])
        one_by_one, together = found
        if not all(
            torch.allclose(a, b, rtol=SAME, atol=SAME, equal_nan=True)
            for a, b in zip(one_by_one, together, strict=True)
        ):
            return Choice("eager", f"{run.name}: a program gives other numbers than PyTorch")
    return choice


def engine_changes(experiment: ExperimentPlan) -> Iterator[str]:
    """What the user should know of runs that go on, or went, with another engine."""
    engine = experiment.config.engine
    before = {
        run.name: begun
        for run in experiment.runs
        if run.resumed and (begun := run.resumed.engine) not in (None, engine)
    }
    going_on = [run.name for run in experiment.left if run.name in before]
    if going_on:
        runs = f" {', '.join(going_on)}" if experiment.is_group else ""
        yield (
            f"resumed{runs} with engine {engine}, not {before[going_on[0]]}: last digits may "
            "differ from those of a run never stopped, and times can't be compared"
        )
    elif experiment.left and before:
        yield (
            f"engine {engine}, not {next(iter(before.values()))} as in {', '.join(before)}: "
            "times can't be compared"
        )
    if engine != "compiled":
        return
    for run in experiment.left:
        if run.resumed is None or run.resumed.engine != engine:
            continue
        if run.resumed.program != program_cache.key(
            spec_for(run.problem, experiment.own_plan(run))
        ):
            yield (
                f"{run.name}: resumed with another program (gdrun, PyTorch, the compiler or the "
                "processor is another): last digits may differ from those of a run never stopped"
            )
