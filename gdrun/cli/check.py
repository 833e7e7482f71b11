"""`gdrun check`: the installed program against answers that are known."""

import time
from typing import Annotated, Any

import typer

from gdrun.cli.startup import end_without_cleanup, loading, require_current_directory
from gdrun.results.checked import CheckedAnswer
from gdrun.results.run import SCHEMA_VERSION
from gdrun.terminal.console import console, write_json

INTERRUPTED, FAILED = 130, 1


def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Check this installation: train what theory or papers have an answer to, by both engines.

    Takes some ten seconds, and writes no run. The exit code is 1 if an answer is another.
    """
    require_current_directory()
    try:
        answers, seconds, obstacle = _checked()
    except KeyboardInterrupt:  # Typer would call it a failure
        end_without_cleanup(INTERRUPTED)
        raise typer.Exit(INTERRUPTED) from None
    failed = any(answer.failed for answer in answers)
    if as_json:
        write_json(_facts(answers, seconds, obstacle))
    else:
        from gdrun.terminal.check_table import check_lines

        out = console()
        for line in check_lines(answers, seconds, obstacle):
            out.print(line, soft_wrap=True)
    raise typer.Exit(FAILED if failed else 0)


def _checked() -> tuple[list[CheckedAnswer], float, str]:
    """All answers; how long it took; why an engine is left out, if one is."""
    from gdrun.terminal.live import stages

    began = time.monotonic()
    with stages(console(stderr=True)) as on_progress:
        on_progress("loading PyTorch", 0.0)
        with loading():
            from gdrun.experiment.known.check import check_answers, engines_here
        engines, obstacle = engines_here()
        found = list(check_answers(engines, on_progress))
    return found, time.monotonic() - began, obstacle


def _facts(answers: list[CheckedAnswer], seconds: float, obstacle: str) -> dict[str, Any]:
    """The same for programs."""
    from gdrun.results.run import finite

    return {
        "schema": SCHEMA_VERSION,
        "passed": not any(answer.failed for answer in answers),
        "seconds": seconds,
        "compiled_left_out": obstacle or None,
        "answers": [
            {
                "what": answer.what,
                "source": answer.source,
                "expected": answer.expected,
                "tolerance": answer.tolerance,
                "tolerance_from": answer.why,
                "measured": {engine: finite(value) for engine, value in answer.measured.items()},
                "failed": list(answer.failed),
            }
            for answer in answers
        ],
    }
