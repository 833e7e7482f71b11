"""The report of a sweep, whatever came of it and however narrow the terminal."""

import math
import re
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gdrun.analysis.advice import advice, command
from gdrun.analysis.analyze import to_csv
from gdrun.analysis.cautions import cautions
from gdrun.analysis.recommend import recommended
from gdrun.analysis.sweep_result import SweepResult
from gdrun.terminal.sweep_tables import sweep_report
from tests.sweep_results import HERE, answer_of, answers, fast


@pytest.mark.parametrize("width", [20, 80])
def test_command_lines_are_printed_in_one_piece_however_narrow_the_terminal(width: int) -> None:
    pairs = ((4, 0.1, 20), (8, 0.1, None), (4, 0.2, None), (8, 0.2, None))
    answer = answer_of([each for pair in pairs for each in fast(*pair)])
    place = Path("outputs") / ("a long name" * 20)
    lines = [command(answer, place)]
    lines += [text.partition("\n")[2].strip() for text in cautions(answer, place)]
    lines = [line for line in lines if line]
    assert len(lines) == 3  # one to train with, one that widens the grid, one for more epochs
    console = Console(file=StringIO(), width=width, force_terminal=True)
    for part in sweep_report(answer, place, console):
        console.print(part, crop=False)
    assert isinstance(console.file, StringIO)
    printed = console.file.getvalue()
    assert [f"  {line}" for line in lines] == re.findall(r"\x1b\[1m(  gdrun [^\x1b]*)\x1b", printed)


@given(answers(), st.integers(20, 200))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
def test_whatever_a_sweep_came_to_it_is_told(answer: SweepResult, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    console.print(*sweep_report(answer, HERE, console), sep="\n")
    assert advice(answer)
    told = [*cautions(answer, HERE), advice(answer), command(answer, HERE) or ""]
    for text in told:
        assert not re.search(r"\b(nan|inf|None)\b", text)
    best = recommended(answer)
    if best:
        assert math.isfinite(best.val_loss if answer.best_validated else best.train_loss) or (
            best == answer.fastest("seconds") or best == answer.fastest("updates")
        )
    summary = answer.summary()
    assert [cell["batch_size"] for cell in summary["best_of_batch"]] == answer.batch_sizes
    assert to_csv(answer).count("\n") == 1 + sum(len(cell.trials) for cell in answer.cells)
