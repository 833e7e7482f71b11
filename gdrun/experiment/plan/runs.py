"""The plan of a command: one problem, the runs to train on it, and where each starts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from gdrun.config.schema import METHODS, Engine, RunConfig
from gdrun.results.description import Description
from gdrun.results.events import Series
from gdrun.results.rows.history import Recorder
from gdrun.results.run import RunResult
from gdrun.storage.manifest import Manifest
from gdrun.storage.row_file import FileDigest
from gdrun.training.device import device_name
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Ranks
from gdrun.training.state import Plan, TrainState


@dataclass(frozen=True)
class RunStart:
    """Where a run starts: at its beginning, or where an earlier process left it.

    Attributes:
        state: of the training.
        recorder: the records so far.
        digests: what the CSV files hold of them, by name; empty for files that are begun.
        manifest: the `run.json` of a run that is resumed.
        is_complete: whether nothing is left to do but the closing evaluation, if that.
        fell_back: whether the last checkpoint was damaged, and the one before it taken.
        is_outdated: whether the checkpoint is an older gdrun's, and is to be written anew first.
        notes: what the user should know of it.
        engine: how its last updates were executed; None of a run that is begun.
        program: the key of the program, if it was compiled.
    """

    state: TrainState
    recorder: Recorder
    digests: Mapping[str, FileDigest]
    manifest: Manifest | None = None
    is_complete: bool = False
    fell_back: bool = False
    is_outdated: bool = False
    notes: tuple[str, ...] = ()
    engine: Engine | None = None
    program: str | None = None


@dataclass(frozen=True)
class RunPlan:
    """One run of an experiment.

    Attributes:
        series: its name and lanes.
        problem: what is minimised.
        plan: how to train.
        config: the config that gives this run alone.
        resumed: where an earlier process left it; None of a run that is still to begin.
    """

    series: Series
    problem: Problem
    plan: Plan
    config: RunConfig
    resumed: RunStart | None = None

    @property
    def name(self) -> str:
        """What it is called among the runs of its experiment."""
        return self.series.name

    def with_evaluations(self, growth: float | None) -> "RunPlan":
        """The same with losses within epochs evaluated at this `eval_growth`."""
        config = self.config.model_copy(update={"eval_growth": growth})
        return replace(self, config=config, plan=replace(self.plan, eval_growth=growth or 0.0))

    def is_probed(self, epoch: int) -> bool:
        """Whether its lanes are measured at the end of an epoch."""
        every = self.config.probe_every
        return bool(self.config.probes) and (epoch % every == 0 or epoch == self.plan.epochs)

    def count_probes(self, after: int = -1) -> int:
        """At the ends of how many epochs that is, later than some."""
        if not self.config.probes:
            return 0
        every, epochs = self.config.probe_every, self.plan.epochs
        multiples = epochs // every - after // every
        return max(0, multiples + (epochs % every > 0 and after < epochs))

    @property
    def is_complete(self) -> bool:
        """Whether an earlier process has trained it to its end."""
        return self.resumed is not None and self.resumed.is_complete


@dataclass(frozen=True)
class ExperimentPlan:
    """What a command is about to do: some data, and the runs to train on it.

    Attributes:
        command: `compare`, `sweep`, or the method of its one run.
        config: as requested.
        description: what is minimised, in words.
        runs: in their order, the first to be trained first.
        manifest: the `run.json` of an experiment that is resumed.
        notes: what the user should know of the plan, and of what is resumed.
        seconds_per_update: of one lane alone, by batch size, where that was measured.
        ranks: the processes that train each of its runs together.
    """

    command: str
    config: RunConfig
    description: Description
    runs: tuple[RunPlan, ...]
    manifest: Manifest | None = None
    notes: tuple[str, ...] = ()
    seconds_per_update: Mapping[int, float] = field(default_factory=dict)
    ranks: Ranks = ALONE

    @property
    def problem(self) -> Problem:
        """What its first run minimises; its data are those of all."""
        return self.runs[0].problem

    @property
    def is_group(self) -> bool:
        """Whether its runs get directories of their own below the experiment's."""
        return self.command not in METHODS

    @property
    def batch_sizes(self) -> list[int]:
        """Those of its runs, in their order."""
        return [run.plan.batch_size for run in self.runs]

    @property
    def left(self) -> list[RunPlan]:
        """Its runs that aren't complete."""
        return [run for run in self.runs if not run.is_complete]

    @property
    def is_timed(self) -> bool:
        """Whether an update of one lane alone is timed for each batch size.

        By batch size, what an update takes of several optimizers can't be told. What was timed when
        an earlier process began it stands.
        """
        timed = self.manifest and self.manifest.seconds_an_update_alone is not None
        several = len({run.plan.optimizer for run in self.runs}) > 1
        return self.command == "sweep" and not several and not timed

    def own_plan(self, run: RunPlan) -> Plan:
        """What of the training of a run is this rank's, if lanes are divided among ranks."""
        own = replace(run.plan, ranks=self.ranks).own_lanes
        return replace(run.plan, lanes=own)

    def in_order(self, results: Iterable[RunResult]) -> list[RunResult]:
        """Results of its runs, in the order of the runs."""
        names = [run.name for run in self.runs]
        return sorted(results, key=lambda result: names.index(result.series.name))

    def directory_of(self, run: RunPlan, directory: Path) -> Path:
        """The directory of one of its runs, where the experiment has a directory."""
        return directory / run.name if self.is_group else directory

    @property
    def begun_with(self) -> Engine | None:
        """The engine of a group or run that is resumed, if an earlier process chose one.

        An older gdrun chose one for each run of a group: that of a run that isn't complete counts.
        """
        config = self.manifest and self.manifest.settings
        if config and config.engine != "auto":
            return config.engine
        begun = [run.resumed.engine for run in (*self.left, *self.runs) if run.resumed]
        return next((engine for engine in begun if engine), None)

    def with_engine(self, engine: Engine) -> "ExperimentPlan":
        """The same with an engine for all that is left to train."""
        update = {"engine": engine}
        runs = tuple(
            run if run.is_complete else replace(run, config=run.config.model_copy(update=update))
            for run in self.runs
        )
        return replace(self, config=self.config.model_copy(update=update), runs=runs)

    def with_device(self, device: torch.device) -> "ExperimentPlan":
        """The same with the rows of all runs, which are those of the first, on a device."""
        if self.problem.data.x.device == device:
            return self
        data = self.problem.to(device).data
        runs = tuple(replace(run, problem=replace(run.problem, data=data)) for run in self.runs)
        description = replace(self.description, device=device_name(device))
        return replace(self, description=description, runs=runs)
