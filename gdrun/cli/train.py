"""One training command from its options to its report: what `gdrun compare` does, step by step."""

import time
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.cli.drawing import draw, load_early
from gdrun.cli.options import TrainingOptions
from gdrun.cli.preview import extent, how, jobs_of, oddities, print_plan, tracks_of
from gdrun.cli.request import make_request, with_run_found
from gdrun.cli.startup import loading
from gdrun.errors import OutputError
from gdrun.experiment.signals import stop_on_signals
from gdrun.results.compare import compare_results
from gdrun.results.events import Status
from gdrun.results.file_names import SWEEP
from gdrun.results.history import KEPT_ROWS
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult, group_status
from gdrun.storage.lock import locked
from gdrun.storage.manifest import read_manifest, root_of
from gdrun.storage.run_dir import make_directory, to_json
from gdrun.terminal.console import complain, console, table_console, write
from gdrun.terminal.live import make_view
from gdrun.terminal.sweep_tables import sweep_report, sweep_result_as_json
from gdrun.terminal.tables import result_notes, result_table, results_as_json, written
from gdrun.text import visible


@dataclass
class Outcome:
    """What a command has come to so far."""

    results: list[RunResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    answer: SweepResult | None = None
    drawn: list[Path] = field(default_factory=list)


def train_and_report(command: str, options: TrainingOptions, command_line: str) -> Status:
    """Train what a command asks for, draw it, and print what came of it.

    Results go to stdout, progress and messages to stderr.

    Raises:
        GdrunError: nothing was begun, or what was begun couldn't be written.
    """
    messages = console(stderr=True)
    # The same console otherwise, so that a live view makes room for what is printed meanwhile.
    progress = Console(quiet=True) if options.quiet else messages
    options = with_run_found(options)
    if options.dry_run:
        print_plan(command, options)
        return "done"
    jobs = jobs_of(options)
    outcome = Outcome()
    directory = None
    with stop_on_signals() as stop, ExitStack() as stack:
        try:
            with make_view(progress) as view:
                if options.resume:  # before anything is read that another process may change
                    read_manifest(options.resume)  # no lock is left where no run is
                    stack.enter_context(locked(root_of(options.resume)))
                request = make_request(command, options)
                view.say("loading PyTorch")
                with loading():
                    from gdrun.experiment.backends import settle
                    from gdrun.experiment.estimate import estimate_seconds, timed
                    from gdrun.experiment.execute import execute, take_up
                    from gdrun.experiment.plan import prepare

                if stop():
                    raise KeyboardInterrupt
                stop.at_once = True
                experiment = prepare(command, request.config, view.say)
                if request.resumes:
                    view.say("reading what was logged")
                    experiment = take_up(experiment, request.directory, KEPT_ROWS)
                remarks = oddities(experiment)
                experiment, engines = settle(experiment, view.say, stop)
                remarks += [Text(visible(line), style="dim") for line in engines]
                if command == "sweep":
                    view.say("timing a moment of each run")
                    experiment = timed(experiment)
                    remarks.append(extent(experiment, estimate_seconds(experiment, jobs), jobs))
                stop.at_once = False
                for remark in remarks:
                    progress.print(remark, soft_wrap=True)
                if not request.resumes:
                    made = make_directory(request.directory, exact=options.name is not None)
                    request = replace(request, directory=made)
                    stack.enter_context(locked(root_of(made)))
                directory = request.directory
                plot, began = request.config.plot, time.monotonic()
                view.begin(experiment.description, how(experiment), tracks_of(experiment))
                events = execute(experiment, directory, command_line, stop, KEPT_ROWS, jobs)
                with closing(events):
                    for event in events:
                        match event:
                            case RunResult():
                                outcome.results.append(event)
                            case Failure():
                                outcome.failures.append(event)
                            case SweepResult():
                                outcome.answer = event
                            case RunProgress():
                                view.show(event)
                            case _:
                                view.update(event.series, event.segment)
                        load_early(plot, began)
                outcome.results = experiment.in_order(outcome.results)
                found = outcome.results, outcome.answer
                outcome.drawn.extend(draw(*found, directory, plot, view, messages, stop))
        except KeyboardInterrupt:
            stop.ask()
        except OutputError as error:
            if directory is None:
                raise
            hint = f"what was written before is kept; to go on: {request.to_go_on}"
            raise OutputError(error.problems, *error.hints, hint) from error
    if directory is None:
        messages.print(Text("interrupted: nothing was begun", style="yellow"))
        return "interrupted"
    status = group_status(outcome.results, len(experiment.members), outcome.failures)
    _print_results(options, directory, status, outcome, interrupted=stop())
    if outcome.failures:
        hints = [hint for failure in outcome.failures for hint in failure.hints]
        go_on = f"what was written is kept; to go on: {request.to_go_on}"
        complain(
            [line for failure in outcome.failures for line in failure.lines],
            dict.fromkeys([*hints, go_on]),
        )
    if not stop():
        return status
    if not options.quiet:
        line = "interrupted: what was finished is saved"
        if status == "interrupted":
            line += f"; to go on: {request.to_go_on}"
        messages.print(Text(visible(line), style="yellow"), soft_wrap=True)
    return "interrupted"


def _print_results(
    options: TrainingOptions,
    directory: Path,
    status: Status,
    outcome: Outcome,
    *,
    interrupted: bool,
) -> None:
    results, answer = outcome.results, outcome.answer
    comparison = compare_results(results, answer.target if answer else None)
    if options.json:
        content = results_as_json(
            directory, status, comparison, results, outcome.drawn, interrupted=interrupted
        )
        extra = {"answer": sweep_result_as_json(answer, directory)} if answer else {}
        failures = [asdict(failure) for failure in outcome.failures]
        write(to_json({**content, **extra, "failures": failures}))
    elif options.quiet:
        write(f"{directory}\n")
    else:
        out = table_console()
        if answer:
            for part in sweep_report(answer, directory, out):
                out.print(part, crop=False)  # a command line is to be copied in one piece
        elif results:
            out.print()
            out.print(result_table(comparison, out))
            notes = result_notes(comparison, results)
            out.print(*(Text(note, style="dim") for note in notes), sep="\n")
        lines = written(directory, results, outcome.drawn, [SWEEP] if answer else [])
        out.print(*(Text(visible(line)) for line in lines), sep="\n", soft_wrap=True)
