"""A sweep stopped anywhere and gone on with."""

from pathlib import Path

import pytest

from gdrun.analysis.recommend import recommended
from gdrun.config.read import load_config
from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.loading import load
from gdrun.results.run import RunResult
from tests.command_line import Invoke
from tests.experiment.sweeps import (
    FLAGS,
    GRID_FLAGS,
    nth,
    run_sweep,
    statuses,
    sweep_config,
    sweep_rows,
    tables,
)
from tests.run_files import manifest


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize(
    ("stop", "growth"),
    [
        *((stop, "auto") for stop in (1, 2, 20, 27, 28, 29, 33, 45, 46, 60)),
        *((stop, 0.05) for stop in (2, 28, 45, 60)),
    ],
)
def test_a_stopped_sweep_goes_on_to_the_same_files(
    stop: int, growth: str | float, tmp_path: Path
) -> None:
    config = sweep_config(momentum=0.5, eval_growth=growth)
    run_sweep(config, tmp_path / "whole")
    expected = tables(tmp_path / "whole")
    run_sweep(config, tmp_path / "a", nth(stop))
    run_sweep(config, tmp_path / "a", nth(3))
    run_sweep(config, tmp_path / "a")
    assert tables(tmp_path / "a") == expected
    assert set(statuses(tmp_path / "a").values()) == {"done"}
    group, whole = manifest(tmp_path / "a"), manifest(tmp_path / "whole")
    for key in ("members", "failures", "answer", "config"):
        assert group[key] == whole[key]


def test_a_sweep_that_is_stopped_between_two_runs_knows_what_it_lacks(tmp_path: Path) -> None:
    events = run_sweep(sweep_config(), tmp_path, lambda event: isinstance(event, RunResult))
    assert statuses(tmp_path) == {"": "interrupted", "batch-4": "done"}
    saved = load(tmp_path).answer
    assert saved
    for answer in (events[-1], saved):
        assert answer.missing == (16, 24)
        assert recommended(answer) is None
    assert run_sweep(sweep_config(), tmp_path)[-1].missing == ()


def test_another_target_trains_nothing_and_is_another_answer(invoke: Invoke) -> None:
    assert invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a", "--target", "0.3").code == 0
    place = Path("outputs/a")
    members = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in place.glob("*/*")}
    before = sweep_rows(place)
    outcome = invoke("sweep", "--resume", place, "--target", "0.45")
    assert outcome.code == 0
    assert "nothing is left to train" in outcome.err
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in place.glob("*/*")} == members
    after = sweep_rows(place)
    assert {row["target"] for row in before} == {"0.3"}
    assert {row["target"] for row in after} == {"0.45"}
    assert [row["updates_to_target"] for row in before] != [
        row["updates_to_target"] for row in after
    ]
    content = manifest(place)
    assert (content["status"], content["answer"]["target"]) == ("done", 0.45)
    assert content["config"]["sweep"]["target"] == 0.45
    # And nothing at all changes where nothing else is asked for.
    everything = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    assert invoke("sweep", "--resume", place, "-j", "2").code == 0
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == everything


def test_the_table_of_a_sweep_is_made_anew_where_it_was_edited_and_only_there(
    invoke: Invoke,
) -> None:
    assert invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a").code == 0
    table = Path("outputs/a/sweep.csv")
    text, written = table.read_bytes(), table.stat().st_mtime_ns
    assert invoke("sweep", "--resume", "a").code == 0
    assert (table.read_bytes(), table.stat().st_mtime_ns) == (text, written)
    before = sweep_rows(Path("outputs/a"))
    for harm in (
        lambda: table.write_bytes(text.replace(b",0.3,", b",0.4,")),
        lambda: table.write_bytes(text.replace(b",0.00", b",7.00")),
        lambda: table.write_bytes(text[:-1] + b",7\n"),
        lambda: table.write_bytes(text + text),
        lambda: table.write_bytes(b"\xff"),
        lambda: table.write_bytes(b""),
        table.unlink,
    ):
        harm()
        outcome = invoke("sweep", "--resume", "a")
        assert "sweep.csv" in outcome.out
        assert sweep_rows(Path("outputs/a")) == before
        assert b",7." not in table.read_bytes()


def test_another_grid_is_refused_and_more_epochs_extend(invoke: Invoke) -> None:
    invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a")
    place = Path("outputs/a")
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    for flags, key in (
        (("--lr", "0.1"), "sweep.lr: the run has [0.1, 0.3], and can't be resumed with 0.1"),
        (
            ("--batch-size", "4"),
            'sweep.batch_size: the run has [4, 16, "full"], and can\'t be resumed',
        ),
    ):
        outcome = invoke("sweep", "--resume", place, *flags)
        assert outcome.code == 2
        assert key in outcome.err
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before
    assert invoke("sweep", "--resume", place, "--epochs", "5").code == 0
    longer = [flag if flag != "3" else "5" for flag in FLAGS]
    invoke("sweep", *longer, *GRID_FLAGS, "--name", "b")
    assert tables(place) == tables(Path("outputs/b"))


def test_a_member_that_an_orphan_still_trains_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_sweep(sweep_config(), tmp_path)
    own = load_config(str(tmp_path / "batch-4" / "config.yaml"), ["epochs=5"])
    locked = {"it": True}
    monkeypatch.setattr(
        "gdrun.storage.run_dir.is_locked", lambda place: locked["it"] and place.name != "x"
    )
    for command, config, place in (
        ("sweep", sweep_config(epochs=5), tmp_path),
        ("minibatch", own, tmp_path / "batch-4"),
    ):
        with pytest.raises(ConfigError, match="batch-4: another process is training it"):
            resume_experiment(plan_experiment(command, config), place)
    locked["it"] = False
    (found,) = resume_experiment(plan_experiment("minibatch", own), tmp_path / "batch-4").runs
    assert found.resumed
