"""`evaluations.csv`: read back as it was written, checked, and gone on with as it was begun."""

import re
from pathlib import Path

import pytest

from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, DataError
from gdrun.experiment import prepare
from gdrun.experiment.execute import execute
from gdrun.loading import load
from gdrun.results.compare import compare_results
from gdrun.results.run import RunResult
from tests.run_files import manifest, without_seconds
from tests.training_runs import run, small_config

CONFIG = small_config(eval_growth=0.1, seeds=2, data={"rows": 40}, batch_size=4)


def trained(place: Path, config: RunConfig = CONFIG) -> RunResult:
    (result,) = run("minibatch", config, place)
    return result


def test_what_is_loaded_is_what_was_trained(tmp_path: Path) -> None:
    result = trained(tmp_path / "a")
    (saved,) = load(tmp_path / "a").results
    assert saved.histories[0].evaluations["updates"]
    for own, other in zip(saved.histories, result.histories, strict=True):
        for name, column in other.evaluations.items():
            tolerance = 1e-6 if name == "seconds" else 0
            assert list(own.evaluations[name]) == pytest.approx(list(column), abs=tolerance)
    for target in (0.1, 0.3):
        found, expected = (compare_results([each], target).rows[0] for each in (saved, result))
        assert found.updates_to_target == expected.updates_to_target
    assert set(manifest(tmp_path / "a")["files"]) == {
        "epochs.csv", "evaluations.csv", "steps.csv",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (3, ",1,1,1,4,", ",0,1,1,4,"),  # the other seed is due
        (3, ",1,1,1,4,", ",1,1,2,8,"),  # another update
        (4, r"[^,]+$", ""),  # no loss
        (2, ",4,", ",-4,"),
        (2, r",[^,]+$", ""),  # a cell is missing
    ],
)
def test_a_row_that_is_none_of_the_run_is_named(
    line: int, old: str, new: str, tmp_path: Path
) -> None:
    trained(tmp_path / "a")
    path = tmp_path / "a/evaluations.csv"
    lines = path.read_text().splitlines()
    lines[line - 1], count = re.subn(old, new, lines[line - 1])
    assert count
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"evaluations\.csv, line {line}: is damaged"):
        compare_results(load(tmp_path / "a").results)


def test_one_that_is_missing_is_said(tmp_path: Path) -> None:
    trained(tmp_path / "a")
    (tmp_path / "a/evaluations.csv").unlink()
    with pytest.raises(DataError, match="is missing"):
        compare_results(load(tmp_path / "a").results)


@pytest.mark.parametrize("stop", [2, 9, 14, 21])
def test_a_stopped_run_goes_on_to_the_same_rows(stop: int, tmp_path: Path) -> None:
    trained(tmp_path / "whole")
    run("minibatch", CONFIG, tmp_path / "a", stop_after=stop)
    trained(tmp_path / "a")
    files = [tmp_path / name / "evaluations.csv" for name in ("whole", "a")]
    assert without_seconds(files[0]) == without_seconds(files[1])


def test_another_growth_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "a")
    with pytest.raises((ConfigError, DataError), match="config"):
        trained(tmp_path / "a", CONFIG.model_copy(update={"epochs": 4, "eval_growth": 0.2}))


@pytest.mark.slow
def test_runs_side_by_side_evaluate_the_same(tmp_path: Path) -> None:
    grid = {"batch_size": [1, 4, 16], "lr": [0.1]}
    config = small_config(data={"rows": 40}, sweep=grid, seeds=2)
    for jobs in (1, 2):
        place = tmp_path / str(jobs)
        place.mkdir()
        list(execute(prepare.prepare_command("sweep", config).experiment, place, jobs=jobs))
    assert {path.parent.name for path in tmp_path.glob("1/*/evaluations.csv")} == {
        "batch-1", "batch-4", "batch-16",
    }  # fmt: skip
    for path in tmp_path.glob("1/*/evaluations.csv"):
        other = tmp_path / "2" / path.relative_to(tmp_path / "1")
        assert without_seconds(path) == without_seconds(other)


def compared(place: Path, epochs: int) -> None:
    """Compare in a directory, from where it was left if it was, as a command does."""
    place.mkdir(exist_ok=True)
    config = small_config(epochs=epochs, data={"rows": 40})
    resume = place if (place / "run.json").exists() else None
    list(execute(prepare.prepare_command("compare", config, resume=resume).experiment, place))


def test_a_group_goes_on_to_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared(tmp_path / "whole", 4)
    compared(tmp_path / "a", 2)
    with monkeypatch.context() as later:  # another version may find another share affordable
        later.setattr(prepare, "affordable_growth", lambda *_: 0.2)
        compared(tmp_path / "a", 4)
    files = [tmp_path / name / "sgd/evaluations.csv" for name in ("whole", "a")]
    assert without_seconds(files[0]) == without_seconds(files[1])


def test_the_runs_of_an_older_group_go_on_as_they_were_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older gdrun knew no losses within epochs: its configs lack the key, which is `auto`."""
    with monkeypatch.context() as older:
        older.setattr(prepare, "_with_evaluations", lambda experiment: experiment)
        compared(tmp_path, 2)
    assert manifest(tmp_path / "sgd")["config"]["eval_growth"] == "auto"
    compared(tmp_path, 4)
    assert not list(tmp_path.glob("*/evaluations.csv"))
    assert {result.lanes[0].epochs for result in load(tmp_path).results} == {4}


def test_a_comparison_evaluates_within_epochs_and_a_run_alone_does_not(tmp_path: Path) -> None:
    for command, names in (
        ("compare", ["minibatch", "sgd"]),  # an epoch of `full` is an update
        ("sgd", []),
    ):
        place = tmp_path / command
        place.mkdir()
        config = small_config(data={"rows": 40})
        list(execute(prepare.prepare_command(command, config).experiment, place))
        found = sorted(path.parent.name for path in place.rglob("evaluations.csv"))
        assert found == names


def test_what_would_take_long_is_evaluated_more_rarely() -> None:
    found = []
    for rows in (100, 20_000, 3_000_000):
        config = RunConfig.model_validate(
            {"epochs": 2, "data": {"rows": rows}, "compare": {"batch_size": [64]}}
        )
        (planned,) = prepare.prepare_command("compare", config, preview=True).experiment.runs
        found.append(planned.plan.eval_growth)
    assert found[0] == 0.05
    assert found == sorted(found)
    assert found[2] > 0.05
