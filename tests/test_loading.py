"""Saved runs from Python."""

import csv
from pathlib import Path

import pytest

import gdrun
from gdrun.errors import ConfigError


def test_columns_are_lists_of_the_same_length(outputs: Path) -> None:
    saved = gdrun.load(outputs / "both")
    assert (saved.kind, saved.command, saved.status) == ("group", "compare", "done")
    assert saved.config["data"]["rows"] == 12
    for columns in (saved.epochs, saved.steps, saved.lanes):
        assert all(type(column) is list for column in columns.values())
        assert len({len(column) for column in columns.values()}) == 1
    assert len(saved.lanes["run"]) == 12
    assert saved.lanes["run"][:5] == ["full"] * 4 + ["sgd"]
    with pytest.raises(ConfigError, match="is not a sweep"):
        _ = saved.trials


def test_trials_are_the_columns_of_the_file(outputs: Path) -> None:
    trials = gdrun.load(outputs / "grid").trials
    with (outputs / "grid/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(trials) == list(rows[0])
    for k, row in enumerate(rows):
        for name, cell in row.items():
            value = trials[name][k]
            if name == "seconds_to_target":  # files have it to the microsecond
                assert (value is None) == (cell == "")
                continue
            shown = "" if value is None else f"{value:.9g}" if type(value) is float else str(value)
            assert shown == cell
