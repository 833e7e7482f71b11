"""The table of `gdrun list`."""

from pathlib import Path

from gdrun.loading import load
from tests.command_line import Invoke, listed_names


def test_list_shows_a_line_a_run_the_latest_first(outputs: Path, invoke: Invoke) -> None:
    (outputs / "notes").mkdir()
    (outputs / "file").write_text("")
    outcome = invoke("list")
    assert (outcome.code, outcome.err) == (0, "")
    assert listed_names(outcome.out) == ["grid", "worst", "one", "both"]
    head, *lines = outcome.out.splitlines()
    assert head.split()[:4] == ["name", "command", "status", "started"]
    loss = load(outputs / "one").results[0].lanes[0].train_loss
    assert f" {loss:.3g} " in lines[2]
    assert lines[1].split()[1:3] == ["full", "diverged"]
    assert "1, 4, 9" in lines[3]
    opened = listed_names(invoke("list", "--all").out)
    assert opened[:2] == ["grid/batch-2", "grid/batch-9"]
    assert opened[-3:] == ["both/full", "both/sgd", "both/minibatch"]


def test_list_in_narrow_terminals_loses_columns_never_digits(outputs: Path) -> None:
    from gdrun.storage.listing import list_entries
    from gdrun.terminal.run_list import table_lines

    entries = list_entries(outputs)
    whole = [line.plain.split() for line in table_lines(entries, None)]
    for width in range(30, 140, 5):
        lines = [line.plain for line in table_lines(entries, width)]
        assert max(map(len, lines)) <= max(width, 32)
        for line, cells in zip(lines, whole, strict=True):
            assert set(line.split()) <= set(cells)
