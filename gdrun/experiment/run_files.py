"""The files of a run while it is trained: its logs, its weights on the way, its checkpoints."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gdrun.compiler import program_cache
from gdrun.compiler.spec import spec_for
from gdrun.config.identity import fingerprint
from gdrun.config.timing import Timing
from gdrun.diagnostics.surface import as_vectors
from gdrun.experiment.checkpoint import Checkpoint, CheckpointSchedule, save_checkpoint
from gdrun.experiment.landscape.layout import layout_for
from gdrun.experiment.landscape.trajectory_file import TrajectoryFile
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan, RunStart
from gdrun.results.events import Segment, Status
from gdrun.results.file_names import TRAJECTORY
from gdrun.results.run import LaneResult
from gdrun.storage.manifest import RunManifest
from gdrun.storage.row_file import FileDigest
from gdrun.storage.run_log import ManifestWriter, RunLog, log_facts
from gdrun.training.outcome import describe
from gdrun.training.state import TrainState


def engines_of(run: RunPlan) -> tuple[str, ...]:
    """The engines that execute the updates of a run, one after the other if it is resumed."""
    manifest = run.resumed and run.resumed.manifest
    before = manifest.trained_by if isinstance(manifest, RunManifest) else ()
    now = "compiled" if run.config.engine == "compiled" else "eager"
    return before if run.is_complete else tuple(dict.fromkeys([*before, now]))


class RunFiles:
    """The logs and checkpoints of a run while it is trained; none without a directory."""

    def __init__(
        self,
        experiment: ExperimentPlan,
        run: RunPlan,
        start: RunStart,
        directory: Path | None,
        facts: Mapping[str, Any],
        timing: Timing,
    ) -> None:
        data, plan = experiment.problem.data, run.plan
        self._directory, self._start = directory, start
        self._config = fingerprint(run.config, run.series.method)
        self._data = data
        self._total = plan.epochs * plan.updates_per_epoch(data.rows)
        self._schedule = CheckpointSchedule(
            run.config.checkpoint_every, timing, start.state.seconds
        )
        self._keep_last = not start.fell_back  # a damaged one isn't worth keeping
        self._run = run
        self._trajectory: TrajectoryFile | None = None
        self._log: RunLog | None = None
        if directory:
            directory.mkdir(exist_ok=True)
            own = {"problem": asdict(describe(run.problem, run.config)), "engines": engines_of(run)}
            about = {**log_facts(facts, run.series, run.config), **own}
            if run.problem.own_code:
                about["code"] = {key: code.sha256 for key, code in run.problem.own_code.items()}
            if run.config.engine == "compiled":
                about["program"] = program_cache.key(spec_for(run.problem, plan))
            manifest = ManifestWriter(directory, about, start.manifest, start.state.updates)
            self._log = RunLog(
                directory,
                run.series,
                run.config,
                manifest,
                start.digests,
                timing.flush,
                data.preprocessing.content,
            )

    def __enter__(self) -> "RunFiles":
        if self._start.is_outdated:  # before config.yaml and run.json say what they say now
            for _ in range(2):  # the one before it, too
                self._save(self._start.state, lambda: self._start.digests)
        with ExitStack() as stack:
            if self._log:
                stack.enter_context(self._log)
                self._trajectory = self._opened_trajectory(self._log.directory)
                if self._trajectory:
                    stack.enter_context(closing(self._trajectory))
            self._exit = stack.pop_all().__exit__
        return self

    def __exit__(self, *error: Any) -> None:
        self._exit(*error)

    def _opened_trajectory(self, directory: Path) -> TrajectoryFile | None:
        """The file of weights, if they are kept: a run that is resumed without it goes on so."""
        run, state = self._run, self._start.state
        begun_at = state.epoch if state.begun else None
        is_lost = begun_at is not None and not (directory / TRAJECTORY).exists()
        if not run.config.trajectory or is_lost:
            return None
        layout = layout_for(run.plan.epochs, len(run.plan.lanes), run.problem.model.parameters)
        return TrajectoryFile(directory, layout, begun_at)

    def add(self, segment: Segment) -> None:
        """Log a segment."""
        if self._log:
            self._log.add(segment)

    def ends_with(self, segment: Segment) -> bool:
        """Whether a segment is that of the last update, after which a run is saved."""
        return segment.updates == self._total and bool(segment.losses) and not segment.ends

    def is_due(self, segment: Segment) -> bool:
        """Whether it is time to save, before the last update."""
        if not self._log or segment.updates == self._total:
            return False
        return self._schedule.is_due(segment)

    def keeps_weights(self, segment: Segment, state: TrainState) -> bool:
        """Whether the weights at the end of an epoch are kept: if they are due, or the last."""
        run = self._run
        if not (run.config.trajectory and segment.ends):
            return False
        layout = layout_for(run.plan.epochs, len(run.plan.lanes), run.problem.model.parameters)
        per_epoch = run.plan.updates_per_epoch(self._data.rows)
        return segment.ends.epochs[-1] % layout.every == 0 or state.is_over(run.plan, per_epoch)

    def keep_weights(self, state: TrainState) -> None:
        """Keep the weights of a state, the end of an epoch."""
        if self._trajectory:
            self._trajectory.add(state.epoch, as_vectors(state.params).cpu().numpy())

    def leave(self, state: TrainState) -> None:
        """Save a run that is stopped; one that has ended was saved after its last update."""
        if state.updates < self._total:
            self.save(state)

    def save(self, state: TrainState) -> None:
        """Save a state, and put the rows logged so far on the disk."""
        if self._log:
            self._save(state, self._log.digests)

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        """Record how the run and its lanes ended."""
        if self._log:
            self._log.finish(status, lanes)

    def _save(self, state: TrainState, digests: Callable[[], Mapping[str, FileDigest]]) -> None:
        """Write a checkpoint.

        `digests` puts the rows that it counts on on the disk, and returns what the files hold.
        """
        if self._directory is None:
            return
        with self._schedule.measured():
            if self._trajectory:
                self._trajectory.flush()
            checkpoint = Checkpoint(state, self._config, self._data.fingerprint, digests())
            save_checkpoint(self._directory, checkpoint, keep_last=self._keep_last)
        self._keep_last = True
