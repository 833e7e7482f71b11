"""Runs have directories of their own, which hold what the contract says."""

import os
from pathlib import Path

import pytest
import torch

from gdrun.api import compare, train
from gdrun.errors import ConfigError, OutputError
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.storage.run_dir import make_directory, plan_directory
from tests.run_files import manifest, read_csv
from tests.training_runs import small_config


def test_run_directory_of_one_run(tmp_path: Path) -> None:
    result = train("minibatch", small_config(), output_dir=tmp_path, name="a")
    directory = tmp_path / "a"
    assert result.directory == directory
    assert sorted(path.name for path in directory.iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "config.yaml",
        "epochs.csv",
        "preprocessing.json",
        "run.json",
        "steps.csv",
    ]
    epochs, steps = read_csv(directory / "epochs.csv"), read_csv(directory / "steps.csv")
    assert [int(row["epoch"]) for row in epochs] == [0, 1, 2, 3]
    assert [int(row["updates"]) for row in epochs] == [0, 7, 14, 21]
    assert [int(row["samples"]) for row in epochs] == [0, 100, 200, 300]
    assert epochs[0]["batch_loss"] == ""
    assert [int(row["update"]) for row in steps] == list(range(1, 22))
    assert {row["method"] for row in epochs + steps} == {"minibatch"}
    seconds = [float(row["seconds"]) for row in epochs]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_group_directory(tmp_path: Path) -> None:
    results = compare(small_config(), output_dir=tmp_path, name="g")
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == [
        ".lock",
        "config.yaml",
        "full",
        "minibatch",
        "run.json",
        "sgd",
    ]
    group = manifest(tmp_path / "g")
    assert (group["kind"], group["status"]) == ("group", "done")
    assert group["members"] == ["full", "sgd", "minibatch"]
    assert [result.directory for result in results] == [
        tmp_path / "g" / name for name in group["members"]
    ]
    assert not list((tmp_path / "g").rglob("*.partial"))


def test_manifest_tells_what_ran_where_and_how_it_ended(tmp_path: Path) -> None:
    result = train("sgd", small_config(lr=[0.1, 1e6]), output_dir=tmp_path, name="a")
    content = manifest(tmp_path / "a")
    assert content["schema"] == 1
    assert content["status"] == "done"
    assert [lane["status"] for lane in content["lanes"]] == ["done", "diverged"]
    assert content["lanes"][0]["train_loss"] == result.lanes[0].train_loss
    assert content["lanes"][1]["train_loss"] is None
    assert content["versions"]["torch"].startswith("2.")
    assert content["threads"] == torch.get_num_threads()
    assert content["pid"] == os.getpid()
    assert content["started"] <= content["finished"]
    assert {"command", "device", "git_commit", "versions"} <= set(content)


def test_the_name_that_stands_for_the_latest_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--name latest: stands for the run"):
        train("sgd", small_config(), output_dir=tmp_path, name="latest")
    assert not list(tmp_path.iterdir())


def test_directories_are_never_reused(tmp_path: Path) -> None:
    planned = tmp_path / "outputs" / "run"
    made = [make_directory(planned, exact=False) for _ in range(3)]
    assert [path.name for path in made] == ["run", "run_2", "run_3"]
    with pytest.raises(ConfigError, match="exists, and runs are never overwritten") as error:
        plan_directory(tmp_path / "outputs", "run", "sgd")
    assert "--resume" not in str(error.value.hints)
    (planned / "run.json").touch()
    with pytest.raises(ConfigError) as error:
        plan_directory(tmp_path / "outputs", "run", "sgd")
    assert error.value.hints[-1].endswith(f"goes on with it: gdrun sgd --resume {planned}")
    with pytest.raises(ConfigError, match="exists, and runs are never overwritten"):
        make_directory(planned, exact=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/tmp/a", "a\nb", "a\x1b[31m"])
def test_names_stay_inside_the_output_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a plain directory name"):
        plan_directory(tmp_path, name, "sgd")


def test_unwritable_places_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: is not a directory"):
        make_directory(tmp_path / "file" / "run", exact=False)
    with pytest.raises(OutputError, match="can't be made: Not a directory"):
        make_directory(tmp_path / "file" / "deeper" / "run", exact=False)


def test_files_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").mkdir()
    with pytest.raises(OutputError, match=r"steps.csv: can't be written"):
        list(execute(plan_experiment("sgd", small_config()), tmp_path))
    assert manifest(tmp_path)["status"] == "failed"
