"""The table of results."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from gdrun.results.compare import Comparison, Row
from gdrun.terminal.console import table_console
from gdrun.terminal.tables import result_table
from tests.terminal.consoles import text


@pytest.mark.parametrize("width", [34, 40, 60, 80, 120])
def test_results_lose_columns_not_digits(width: int) -> None:
    row = Row(
        "minibatch", "minibatch", 16, 0.05, 8, 1, 0.0123, 0.0112, 0.0345, 123_456, 71.5, 1200, 0.25
    )
    comparison = Comparison(0.0135, (row, replace(row, lr=0.1, train_loss=None)))
    out = Console(file=io.StringIO(), width=width)
    out.print(result_table(comparison, out))
    assert "…" not in text(out)
    assert "0.0123" in text(out)
    assert "diverged" in text(out)
    assert ("123,456" in text(out)) == (width >= 60)
    assert max(map(len, text(out).splitlines())) <= width


@pytest.mark.parametrize(("columns", "width"), [("", 120), ("0", 120), ("90", 90), ("300", 300)])
def test_in_a_pipe_tables_are_wide_or_as_wide_as_requested(
    columns: str, width: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert table_console().width == width
    assert not capfd.readouterr().out
