"""One training command from its options to its report: what `gdrun compare` does, step by step."""

import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.explain import Explanation, explain
from gdrun.cli.drawing import draw, load_plots
from gdrun.cli.options import TrainingOptions
from gdrun.cli.preview import (
    extent,
    how,
    jobs_of,
    notes_of,
    preview,
    processes_of,
    progress_of_runs,
    watched_for,
)
from gdrun.cli.request import Request, make_request, with_run_found
from gdrun.cli.startup import loading, require_current_directory
from gdrun.config import timing
from gdrun.errors import DataError, OutputError, RankError
from gdrun.experiment.signals import StopRequest, stop_on_signals
from gdrun.results.compare import as_shown, compare_results, engine_notes
from gdrun.results.events import Status
from gdrun.results.file_names import SWEEP
from gdrun.results.progress import RunProgress
from gdrun.results.rows.history import KEPT_ROWS
from gdrun.results.run import Failure, RunResult, group_status
from gdrun.storage.manifest import read_manifest
from gdrun.storage.run_dir import locked, make_directory, remove_pictures, root_of
from gdrun.terminal.as_json import results_as_json, sweep_result_as_json
from gdrun.terminal.console import complain, console, table_console, write, write_json
from gdrun.terminal.explanation import explanation_lines
from gdrun.terminal.live import View, make_view
from gdrun.terminal.sweep_tables import sweep_report
from gdrun.terminal.tables import end_notes, result_notes, result_table, written
from gdrun.text import visible

EARLY_SECONDS = 2.0  # of training, after which drawing is prepared for

if TYPE_CHECKING:
    from gdrun.experiment.distributed.group import Group
    from gdrun.experiment.prepare import PreparedCommand


@dataclass
class Outcome:
    """What a command has done so far.

    Attributes:
        request: what it was asked to do, with the directory that it writes to; None before there
            is one.
        runs: how many runs it trains.
        results, failures: of the runs that have ended or were stopped.
        sweep: the result of a sweep.
        pictures: those drawn.
    """

    request: Request | None = None
    runs: int = 0
    results: list[RunResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    sweep: SweepResult | None = None
    pictures: list[Path] = field(default_factory=list)


def train_and_report(
    command: str, options: TrainingOptions, command_line: str, group: "Group | None" = None
) -> Status:
    """Train what a command requests, draw it, and print the results.

    Results go to stdout, progress and messages to stderr. Of a `group` of ranks, this is rank 0.

    Raises:
        GdrunError: nothing was begun, or what was begun couldn't be written.
    """
    began = time.monotonic()
    require_current_directory()
    messages = console(stderr=True)
    # The same console otherwise, so that a live view makes room for what is printed meanwhile.
    progress = Console(quiet=True) if options.quiet else messages
    options = with_run_found(options)
    if options.dry_run:
        preview(command, options, group)
        return "done"
    outcome = Outcome()
    with stop_on_signals() as stop, ExitStack() as locks:
        try:
            with make_view(progress) as view:
                request, prepared = _prepare(command, options, view, stop, locks, group)
                experiment = prepared.experiment
                remarks = _notes(prepared, request.directory, jobs_of(options, group), began)
                runs = progress_of_runs(experiment)
                view.begin(experiment.description, how(experiment), runs, remarks)
                if not request.resumes:
                    made = make_directory(request.directory, exact=options.name is not None)
                    request = replace(request, directory=made)
                    locks.enter_context(locked(root_of(made)))
                outcome.request, outcome.runs = request, len(prepared.experiment.runs)
                outdated = remove_pictures(_redrawn(request, prepared))
                _train(request, prepared, command_line, options, view, stop, outcome, group)
                plot, found = request.config.plot, (outcome.results, outcome.sweep)
                outcome.pictures += draw(*found, request.directory, plot, view, messages, stop)
                for path in outdated:
                    if path not in outcome.pictures:
                        said = f"note: {path} was removed, since it no longer fits the run"
                        messages.print(Text(visible(said), "dim"), soft_wrap=True)
        except KeyboardInterrupt:
            stop.ask()
        except (DataError, OutputError, RankError) as error:
            if outcome.request is None:
                raise
            hint = f"what was written before is kept; to resume: {outcome.request.resume_command}"
            raise type(error)(error.problems, *error.hints, hint) from error
    if outcome.request is None:
        messages.print(Text("interrupted: nothing was begun", style="yellow"))
        return "interrupted"
    return _report(outcome.request, outcome, options, messages, interrupted=stop())


def _prepare(
    command: str,
    options: TrainingOptions,
    view: View,
    stop: StopRequest,
    locks: ExitStack,
    group: "Group | None",
) -> "tuple[Request, PreparedCommand]":
    """Read the request and prepare what it trains, with the lock of what it resumes held."""
    if options.resume:  # before anything is read that another process may change
        read_manifest(options.resume)  # no lock is left where no run is
        locks.enter_context(locked(root_of(options.resume)))
    request = make_request(command, options)
    if stop():
        raise KeyboardInterrupt
    with stop.heeded_at_once():
        view.say("loading PyTorch")
        try:
            with loading():
                from gdrun.experiment.execute import execute  # noqa: F401 (all that is needed later)
                from gdrun.experiment.prepare import prepare_command
        except Exception:
            if stop.interrupted:
                raise KeyboardInterrupt from None
            raise
        prepared = prepare_command(
            command,
            request.config,
            resume=request.directory if request.resumes else None,
            keep_rows=KEPT_ROWS,
            processes=processes_of(options, group),
            force=options.force,
            on_progress=view.say,
            stop=stop,
            meanwhile=lambda: load_plots(request.config.plot),
        )
    if group and not prepared.experiment.is_group:
        from gdrun.experiment.distributed.one_run import share_run

        prepared = replace(prepared, experiment=share_run(prepared.experiment, group))
    return request, prepared


def _redrawn(request: Request, prepared: "PreparedCommand") -> list[Path]:
    """The directories whose pictures will no longer fit once runs are trained further.

    A sweep of which nothing is left to train may have another target.
    """
    experiment = prepared.experiment
    if not request.resumes or not (experiment.left or experiment.command == "sweep"):
        return []
    places = (experiment.directory_of(run, request.directory) for run in experiment.left)
    return list(dict.fromkeys([request.directory, *places]))


def _notes(prepared: "PreparedCommand", directory: Path, jobs: int, began: float) -> list[Text]:
    """What is printed before the training begins."""
    notes = notes_of(prepared, directory, jobs)
    return [*notes, *extent(prepared, began, jobs)]


def _train(
    request: Request,
    prepared: "PreparedCommand",
    command_line: str,
    options: TrainingOptions,
    view: View,
    stop: StopRequest,
    outcome: Outcome,
    group: "Group | None",
) -> None:
    """Train, show the progress, and note results in the outcome as they come."""
    from gdrun.experiment.execute import execute

    experiment = prepared.experiment
    began = time.monotonic()
    jobs, pace = jobs_of(options, group), replace(timing.DEFAULT, watch=watched_for(options))
    events = execute(
        experiment, request.directory, command_line, stop, KEPT_ROWS, jobs, pace, group
    )
    with closing(events):
        for event in events:
            match event:
                case RunResult():
                    outcome.results.append(event)
                case Failure():
                    outcome.failures.append(event)
                case SweepResult():
                    outcome.sweep = event
                case RunProgress():
                    view.show(event)
            if time.monotonic() - began > EARLY_SECONDS:
                load_plots(request.config.plot)
    outcome.results = experiment.in_order(outcome.results)
    ended = group_status(outcome.results, outcome.runs, outcome.failures)
    if group and ended == "interrupted":  # it may be another rank that was asked to stop
        stop.ask()


def _report(
    request: Request,
    outcome: Outcome,
    options: TrainingOptions,
    messages: Console,
    *,
    interrupted: bool,
) -> Status:
    """Print results, failures and how to resume; the status that the command ends with."""
    status = group_status(outcome.results, outcome.runs, outcome.failures)
    _print_results(request, outcome, options, status, interrupted=interrupted)
    if outcome.failures:
        hints = [hint for failure in outcome.failures for hint in failure.hints]
        resume = f"what was written is kept; to resume: {request.resume_command}"
        lines = [line for failure in outcome.failures for line in failure.lines]
        complain(lines, dict.fromkeys([*hints, resume]))
    if not interrupted:
        return status
    if not options.quiet:
        line = "interrupted: what was finished is saved"
        if status == "interrupted":
            line += f"; to resume: {request.resume_command}"
        messages.print(Text(visible(line), style="yellow"), soft_wrap=True)
    return "interrupted"


def _print_results(
    request: Request,
    outcome: Outcome,
    options: TrainingOptions,
    status: Status,
    *,
    interrupted: bool,
) -> None:
    directory, results, sweep = request.directory, outcome.results, outcome.sweep
    given = request.config.sweep.target
    comparison = compare_results(results, sweep.target if sweep else given)
    why = _explained(request, results, sweep)
    if options.json:
        content = results_as_json(
            directory, status, comparison, results, outcome.pictures, interrupted=interrupted
        )
        extra: dict[str, Any] = {"cautions": list(end_notes(results))}
        if sweep:  # whose answer has cautions of its own
            extra = {"answer": sweep_result_as_json(sweep, directory)}
        if why:
            extra["explanation"] = why.as_json()
        failures = [asdict(failure) for failure in outcome.failures]
        write_json({**content, **extra, "failures": failures})
    elif options.quiet:
        write(f"{directory}\n")
    else:
        out = table_console()
        notes = [*engine_notes(results)]
        if sweep:
            for part in sweep_report(sweep, directory, out):
                out.print(part, crop=False)  # a command line is to be copied in one piece
        elif results:
            out.print()
            comparison = as_shown(comparison, given)
            out.print(result_table(comparison, out))
            notes = [*result_notes(comparison, results), *notes]
        if notes:
            out.print(*(Text(visible(note), style="dim") for note in notes), sep="\n")
        for part in ("", *explanation_lines(why, out), "") if why else ():
            out.print(part, crop=False)
        lines = written(directory, results, outcome.pictures, [SWEEP] if sweep else [])
        out.print(*(Text(visible(line)) for line in lines), sep="\n", soft_wrap=True)


def _explained(
    request: Request, results: list[RunResult], sweep: SweepResult | None
) -> Explanation | None:
    """Why it went so, where that was measured."""
    if not (request.config.probes and results):
        return None
    places = {result.series.name: result.directory or request.directory for result in results}
    target = request.config.sweep.target
    return explain(request.command, results, sweep, request.directory, places, target)
