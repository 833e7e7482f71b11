"""Going on with a run gives what it would have given; what can't be gone on with is left alone."""

import json
import os
import shutil
from array import array
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gdrun.cli.preview import tracks_of
from gdrun.config.identity import fingerprint, refuse_changes
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, DataError
from gdrun.experiment import train_run
from gdrun.experiment.checkpoint import last_checkpoint, load_checkpoint
from gdrun.experiment.execute import execute, take_up
from gdrun.experiment.plan import prepare
from gdrun.experiment.train_run import Progress
from gdrun.results.events import Epochs, Evaluation, Segment
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from gdrun.results.progress import RunProgress
from gdrun.results.run import RunResult
from gdrun.storage.atomic import replacing
from tests.conftest import Invoke, small_config

NO_PICTURES = ("--set", "plot.enabled=false")


def run(
    command: str, config: RunConfig, place: Path, stop_after: int | None = None
) -> list[RunResult]:
    """Train in a directory, from where it was left if it was; stop after so many segments."""
    place.mkdir(exist_ok=True)
    experiment = prepare(command, config)
    if (place / "run.json").exists():
        experiment = take_up(experiment, place)
    segments = count(1)
    stops = {"now": False}
    results = []
    for event in execute(experiment, place, stop=lambda: stops["now"]):
        if isinstance(event, RunResult):
            results.append(event)
        else:
            stops["now"] = next(segments) == stop_after
    return results


def abandon(command: str, config: RunConfig, place: Path, segments: int) -> None:
    """Train in a directory and let go of everything in the middle, as if killed."""
    place.mkdir(exist_ok=True)
    events = execute(prepare(command, config), place)
    for _ in range(segments):
        next(events, None)
    # What the process would no longer have written.
    kept = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    events.close()
    for path in [path for path in place.rglob("*") if path.is_file()]:
        path.unlink()
        if path in kept:
            path.write_bytes(kept[path])


def logs(place: Path) -> dict[str, list[list[str]]]:
    """All CSV files below a directory, without the seconds."""
    found = {}
    for path in sorted(place.rglob("*.csv")):
        rows = [line.split(",") for line in path.read_text().splitlines(keepends=True)]
        if path.name == "epochs.csv":
            seconds = [float(row.pop(7)) for row in rows[1:]]
            # They go on accumulating: lanes share an epoch's, and no epoch takes less than none.
            assert seconds == sorted(seconds)
        found[str(path.relative_to(place))] = rows
    assert found
    return found


def results_in(place: Path) -> Mapping[str, Any]:
    """What `run.json` says came of it, but for times."""
    content = json.loads((place / "run.json").read_text())
    return {
        "status": content["status"],
        "lanes": [{k: v for k, v in lane.items() if k != "seconds"} for lane in content["lanes"]],
    }


CONFIGS: list[dict[str, Any]] = [
    {"sampling": "sequential"},
    {"sampling": "reshuffle", "momentum": 0.9},
    {"sampling": "replacement", "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"lr": [0.1, 0.01], "seeds": 2, "drop_last": True, "data": {"val_fraction": 0.2}},
    {"lr": [0.1, 1e6], "seeds": 2, "eval_every": 3, "log_every": 5},
    {"eval_every": 3, "batch_size": 30, "chunk_rows": 7},
    {"lr": [1e38, 1e30], "eval_every": 5},
    {"hidden_size": [], "momentum": 0.5, "data": {"source": "mean_estimation"}},
]


@pytest.fixture
def _many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update ends a segment, so that a run can be stopped anywhere."""
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("command", ["full", "sgd", "minibatch"])
@pytest.mark.parametrize("settings_", CONFIGS, ids=lambda settings: ",".join(settings))
def test_a_stopped_run_goes_on_to_the_same_bytes(
    command: str, settings_: dict[str, Any], tmp_path: Path
) -> None:
    config = small_config(epochs=7, **settings_)
    run(command, config, tmp_path / "whole")
    expected = logs(tmp_path / "whole")
    for stop in (1, 3, 25, 66):
        place = tmp_path / str(stop)
        run(command, config, place, stop_after=stop)
        run(command, config, place, stop_after=4)
        run(command, config, place)
        assert logs(place) == expected
        assert results_in(place) == results_in(tmp_path / "whole")


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("command", ["full", "minibatch"])
def test_rows_after_the_last_checkpoint_are_cut_and_come_again(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr("gdrun.storage.run_log.FLUSH_SECONDS", -1.0)
    config = small_config(epochs=7, checkpoint_every=3, momentum=0.9, lr=[0.1, 0.2])
    run(command, config, tmp_path / "whole")
    for segments in (2, 5, 6, 12, 40, 45):
        place = tmp_path / str(segments)
        abandon(command, config, place, segments)
        over = command == "full" and segments >= 12
        status = json.loads((place / "run.json").read_text())["status"]
        assert status == ("done" if over else "running")
        before = (place / "steps.csv").read_bytes()
        found, complaints = last_checkpoint(place)
        assert not complaints
        if found and not over:
            assert found.state.epoch % 3 == 0
            assert found.marks["steps.csv"].size < len(before)
        run(command, config, place)
        assert logs(place) == logs(tmp_path / "whole")
        assert (place / "steps.csv").read_bytes().startswith(before)


@given(
    epochs=st.integers(1, 8),
    more=st.integers(0, 6),
    eval_every=st.integers(1, 4),
    lrs=st.lists(
        st.sampled_from([0.05, 0.3, 30.0, 1e6, 1e38]), min_size=1, max_size=2, unique=True
    ),
    command=st.sampled_from(["full", "sgd", "minibatch"]),
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_more_epochs_extend_a_finished_run_as_if_it_had_never_ended(
    epochs: int,
    more: int,
    eval_every: int,
    lrs: list[float],
    command: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("extended")
    settings_ = {"lr": lrs, "eval_every": eval_every, "sampling": "reshuffle"}
    run(command, small_config(epochs=epochs, **settings_), tmp_path / "a")
    run(command, small_config(epochs=epochs + more, **settings_), tmp_path / "a")
    run(command, small_config(epochs=epochs + more, **settings_), tmp_path / "b")
    assert logs(tmp_path / "a") == logs(tmp_path / "b")
    assert results_in(tmp_path / "a") == results_in(tmp_path / "b")
    shutil.rmtree(tmp_path)


def test_a_finished_run_is_only_read(tmp_path: Path) -> None:
    config = small_config(lr=[0.1, 0.2], eval_every=2)
    (first,) = run("minibatch", config, tmp_path / "a")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "a").iterdir()}
    (again,) = run("minibatch", config, tmp_path / "a")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "a").iterdir()} == before
    assert again.status == first.status == "done"
    for one, other in zip(first.lanes, again.lanes, strict=True):
        assert other.train_loss == one.train_loss
        assert other.updates == one.updates
    for name, column in first.epochs.items():
        if name not in ("seconds", "method"):
            assert again.epochs[name] == pytest.approx(column, rel=1e-8, nan_ok=True)
    assert again.steps["update"] == first.steps["update"]
    assert again.fit == first.fit


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("stop", [1, 5, 30, 60, 335, 340, 400])
def test_a_stopped_comparison_goes_on_where_it_was(stop: int, tmp_path: Path) -> None:
    config = small_config(momentum=0.5)
    whole = run("compare", config, tmp_path / "whole")
    run("compare", config, tmp_path / "a", stop_after=stop)
    done = [
        path.parent
        for path in (tmp_path / "a").glob("*/run.json")
        if json.loads(path.read_text())["status"] == "done"
    ]
    before = {place: (place / "run.json").read_bytes() for place in done}
    results = run("compare", config, tmp_path / "a")
    assert [result.series for result in results] == [result.series for result in whole]
    assert logs(tmp_path / "a") == logs(tmp_path / "whole")
    assert {place: (place / "run.json").read_bytes() for place in done} == before
    group = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (group["status"], group["members"]) == ("done", ["full", "sgd", "minibatch"])


def test_run_json_tells_of_every_start(tmp_path: Path) -> None:
    config = small_config(epochs=5)
    run("full", config, tmp_path / "a", stop_after=3)
    first = json.loads((tmp_path / "a" / "run.json").read_text())
    run("full", config, tmp_path / "a")
    content = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (first["status"], content["status"]) == ("interrupted", "done")
    assert content["started"] == first["started"]
    assert [start["updates"] for start in content["resumed"]] == [2]
    assert [start["stopped"] for start in content["resumed"]] == [first["finished"]]
    assert "resumed" not in first


def test_a_complete_comparison_is_only_read(tmp_path: Path) -> None:
    run("compare", small_config(), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    results = run("compare", small_config(), tmp_path, stop_after=1)
    assert results[0].status == "done"
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_every_start_is_kept_in_run_json(tmp_path: Path) -> None:
    for epochs in (2, 3, 5):
        run("full", small_config(epochs=epochs), tmp_path)
    content = json.loads((tmp_path / "run.json").read_text())
    assert [start["updates"] for start in content["resumed"]] == [2, 3]


def test_after_falling_back_the_good_checkpoints_are_kept(tmp_path: Path) -> None:
    for epochs in (2, 3):
        run("full", small_config(epochs=epochs), tmp_path)
    damage(tmp_path / CHECKPOINT, "cut short")
    for epochs, before in ((4, 2), (5, 4)):
        run("full", small_config(epochs=epochs), tmp_path)
        assert load_checkpoint(tmp_path / PREVIOUS_CHECKPOINT).state.updates == before
        assert load_checkpoint(tmp_path / CHECKPOINT).state.updates == epochs


def test_after_falling_back_the_next_checkpoint_is_kept_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("full", small_config(epochs=2), tmp_path)
    run("full", small_config(epochs=3), tmp_path)
    damage(tmp_path / CHECKPOINT, "cut short")
    monkeypatch.setattr(train_run, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr(train_run, "FIRST_SECONDS", -1.0)
    monkeypatch.setattr(train_run, "CHECKPOINT_SECONDS", -1.0)
    run("full", small_config(epochs=9), tmp_path)  # with a checkpoint at every update
    assert load_checkpoint(tmp_path / CHECKPOINT).state.updates == 9
    assert load_checkpoint(tmp_path / PREVIOUS_CHECKPOINT).state.updates == 8


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("segments", [1, 5, 130, 300, 302])
def test_a_run_that_nobody_listens_to_any_more_is_saved(segments: int, tmp_path: Path) -> None:
    config = small_config(eval_every=2)
    (tmp_path / "a").mkdir()
    events = execute(prepare("sgd", config), tmp_path / "a")
    for _ in range(segments):
        last = next(events)
    events.close()
    assert isinstance(last, Progress)
    assert load_checkpoint(tmp_path / "a" / CHECKPOINT).state.updates == last.segment.updates
    run("sgd", small_config(eval_every=2, epochs=5), tmp_path / "a")
    run("sgd", small_config(eval_every=2, epochs=5), tmp_path / "b")
    assert logs(tmp_path / "a") == logs(tmp_path / "b")


def test_a_resumed_run_has_no_more_time_for_checkpoints_than_it_trains() -> None:
    checkpoints = train_run._Checkpoints(1, seconds=1000.0)
    one = Segment(5, 5, 500, 1000.1, [array("d", [0.1])], (None,), (Evaluation(0.1, 0.1, None),))
    assert not checkpoints.is_due(one)
    assert checkpoints.is_due(replace(one, seconds=1001.0))


@pytest.mark.parametrize(("epochs", "due"), [(range(3, 6), False), (range(3, 9), True)])
def test_a_checkpoint_is_due_after_any_of_several_epochs(epochs: range, *, due: bool) -> None:
    whole = Epochs(epochs, epochs, epochs, [1.0], [[0.1]], [[0.1]], [[None]])
    checkpoints = train_run._Checkpoints(7, seconds=0.0)
    last = (Evaluation(0.1, 0.1, None),)
    segment = Segment(epochs[-1], 5, 500, 100.0, [array("d", [0.1])], (None,), last, whole)
    assert checkpoints.is_due(segment) == due


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", [0.1]), ("hidden_size", [3]), ("batch_size", 7), ("device", "cpu"), ("seed", 3),
        ("seeds", 2), ("sampling", "sequential"), ("drop_last", True), ("momentum", 0.5),
        ("weight_decay", 0.1), ("activation", "tanh"), ("loss", "l1"), ("eval_every", 2),
        ("log_every", 2), ("checkpoint_every", 2), ("chunk_rows", 5), ("data", {"noise": 0.1}),
        ("plot", {"dpi": 30}),
    ],
)  # fmt: skip
def test_every_key_but_epochs_must_stay(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}[.:]") as caught:
        refuse_changes(small_config(), small_config(**{key: value}))
    assert len(caught.value.problems) == 1
    assert fingerprint(small_config(), "sgd") != fingerprint(small_config(**{key: value}), "sgd")


def test_a_fingerprint_tells_methods_apart_and_epochs_not() -> None:
    assert fingerprint(small_config(), "sgd") != fingerprint(small_config(), "full")
    assert fingerprint(small_config(), "sgd") == fingerprint(small_config(epochs=99), "sgd")


def test_checkpoints_hold_what_is_needed_and_no_more(tmp_path: Path) -> None:
    run("sgd", small_config(lr=[0.1, 0.2]), tmp_path)
    state = load_checkpoint(tmp_path / CHECKPOINT).state
    assert state.loss_sum.untyped_storage().nbytes() == 2 * 8


def test_rows_are_on_the_disk_before_a_checkpoint_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("disk " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append(f"{self.name} → {Path(target).name}")
        return rename(self, target)

    run("full", small_config(), tmp_path)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    run("full", small_config(epochs=5), tmp_path)
    first = done.index("disk epochs.csv")
    assert done[first : first + 6] == [
        "disk epochs.csv",
        "disk steps.csv",
        "disk checkpoint.pt.partial",
        "checkpoint.pt → checkpoint.previous.pt",
        "checkpoint.pt.partial → checkpoint.pt",
        f"disk {tmp_path.name}",
    ]
    assert done[-2:] == ["disk run.json.partial", "run.json.partial → run.json"]


def test_nothing_is_left_beside_a_file_that_was_not_finished(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def stop_in_the_middle() -> None:
        with replacing(tmp_path / "a") as partial:
            partial.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


# --------------------------------------------------------------------------- on the command line


def test_resuming_on_the_command_line(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    invoke("sgd", "--epochs", "9", "--name", "b", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 0
    assert "written to outputs/a" in outcome.out
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    assert "epochs: 9" in Path("outputs/a/config.yaml").read_text()
    assert not Path("outputs/a/loss.png").exists()  # the run's own config goes on to count


def test_comparisons_are_resumed_and_extended_on_the_command_line(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "3", "--name", "a", *NO_PICTURES)
    assert invoke("compare", "--resume", "outputs/a").code == 0
    assert invoke("compare", "--resume", "outputs/a", "--epochs", "5").code == 0
    invoke("compare", "--epochs", "5", "--name", "b", *NO_PICTURES)
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    # A member can be gone on with by its own command; then so can the group.
    assert invoke("full", "--resume", "outputs/a/full", "--epochs", "7").code == 0
    outcome = invoke("compare", "--resume", "outputs/a", "--epochs", "6")
    assert outcome.code == 2
    assert "outputs/a/full: has more than the 6 epochs behind it" in outcome.err
    assert "--epochs 7" in outcome.err
    assert invoke("compare", "--resume", "outputs/a", "--epochs", "7").code == 0
    invoke("compare", "--epochs", "7", "--name", "c", *NO_PICTURES)
    assert logs(Path("outputs/a")) == logs(Path("outputs/c"))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--lr", "0.3"], ["lr: the run has 0.2, and can't go on with 0.3"]),
        (["--epochs", "2"], ["epochs: the run has 4, which can be raised, not lowered"]),
        (
            ["--set", "data.rows=50", "--seed", "3"],
            ["data.rows: the run has 100, and can't go on with 50", "seed: the run has 0"],
        ),
        (
            ["-c", "shuffled"],
            ['sampling: the run has "sequential"', "drop_last: the run has true"],
        ),
        (
            ["--set", "data.source=csv", "--set", "data.path=a", "--set", "data.target=y"],
            ['data.source: the run has "quadratic"'],
        ),
        (["--name", "b"], ["leave out --name and --output-dir"]),
        (["-o", "elsewhere"], ["leave out --name and --output-dir"]),
    ],
)
def test_another_config_is_refused_by_key(
    args: list[str], expected: list[str], invoke: Invoke
) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    before = {path: path.read_bytes() for path in Path("outputs/a").iterdir()}
    outcome = invoke("sgd", "--resume", "outputs/a", *args)
    assert outcome.code == 2
    for part in expected:
        assert part in outcome.err
    assert {path: path.read_bytes() for path in Path("outputs/a").iterdir()} == before


def test_a_run_is_resumed_by_the_command_that_began_it(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "1", "--name", "a", *NO_PICTURES)
    outcome = invoke("full", "--resume", "outputs/a")
    assert outcome.code == 2
    assert "was begun by gdrun sgd, not gdrun full" in outcome.err
    assert "hint: gdrun sgd --resume outputs/a" in outcome.err


def test_what_is_no_run_is_refused(invoke: Invoke) -> None:
    assert "nowhere: no such directory" in invoke("sgd", "--resume", "nowhere").err
    invoke("sgd", "--epochs", "1", "--name", "first", *NO_PICTURES)
    assert "did you mean first?" in invoke("sgd", "--resume", "outputs/frist").err
    outcome = invoke("sgd", "--resume", "outputs/first/run.json")
    assert outcome.code == 2
    assert "is a file\nhint: name its directory: outputs/first" in outcome.err
    Path("empty").mkdir()
    outcome = invoke("sgd", "--resume", "empty")
    assert outcome.code == 2
    assert "empty: holds no run.json, and so no run" in outcome.err


def test_what_happens_to_a_run_is_said(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a")
    assert "note: outputs/a: is done, and only read; more --epochs extend it" in outcome.err
    path = Path("outputs/a/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "threads": 77}))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "6")
    assert "note: outputs/a: done after 4 of 6 epochs, goes on" in outcome.err
    here = torch.get_num_threads()
    assert f"note: went on with threads {here}, not 77: last digits may differ" in outcome.err


def test_a_resumed_run_remembers_its_best_loss_and_its_curve(tmp_path: Path) -> None:
    config = small_config(epochs=40, lr=[0.1, 0.2], seeds=2, eval_every=3)
    whole = RunProgress(prepare("sgd", config).members[0].series, 40, 100)
    for event in execute(prepare("sgd", config)):
        if isinstance(event, Progress):
            whole.advance(event.segment)
    run("sgd", config, tmp_path, stop_after=20)
    experiment = take_up(prepare("sgd", config), tmp_path)
    (track,) = tracks_of(experiment)
    assert 0 < track.updates < 4000
    for event in execute(experiment, tmp_path):
        if isinstance(event, Progress):
            track.advance(event.segment)
    assert track.best == pytest.approx(whole.best)
    assert track.curve == pytest.approx(whole.curve)


def test_a_dry_run_says_where_a_run_would_go_on(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "6", "-n")
    assert outcome.code == 0
    assert "600 in all, 400 of them done" in outcome.out
    assert json.loads(Path("outputs/a/run.json").read_text())["lanes"][0]["epochs"] == 4


# ------------------------------------------------------------------------------------- checkpoints


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        content[len(content) // 3] ^= 0x10
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut short", "empty", "bit flipped"])
def test_a_damaged_checkpoint_leaves_the_one_before_it(how: str, invoke: Invoke) -> None:
    for name in ("a", "b"):
        invoke("minibatch", "--epochs", "4", "--name", name, *NO_PICTURES)
    invoke("minibatch", "--resume", "outputs/a", "--epochs", "6")
    damage(Path("outputs/a", CHECKPOINT), how)
    assert load_checkpoint(Path("outputs/a", PREVIOUS_CHECKPOINT)).state.updates == 24
    before = Path("outputs/a", PREVIOUS_CHECKPOINT).read_bytes()
    outcome = invoke("minibatch", "--resume", "outputs/a", "--epochs", "8")
    assert outcome.code == 0
    assert "checkpoint.pt: is damaged" in outcome.err
    assert "went on from the checkpoint before it" in outcome.err
    invoke("minibatch", "--resume", "outputs/b", "--epochs", "8")
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    # The good one is still there, not replaced by the damaged one.
    assert Path("outputs/a", PREVIOUS_CHECKPOINT).read_bytes() == before
    assert load_checkpoint(Path("outputs/a", CHECKPOINT)).state.updates == 48


def test_without_a_good_checkpoint_nothing_is_touched(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    damage(Path("outputs/a", CHECKPOINT), "bit flipped")
    before = {path: path.read_bytes() for path in Path("outputs/a").iterdir()}
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 2
    assert "checkpoint.pt: is damaged" in outcome.err
    assert "no good checkpoint is left" in outcome.err
    assert {path: path.read_bytes() for path in Path("outputs/a").iterdir()} == before


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7), cut=st.booleans())
@example(position=-1, bit=0, cut=False)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_single_damage_goes_unnoticed(position: int, bit: int, cut: bool) -> None:
    content = bytearray(_some_checkpoint())
    position %= len(content)
    if cut:
        del content[position:]
    else:
        content[position] ^= 1 << bit
    path = Path(os.environ["PYTEST_CHECKPOINT"])
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(path)


_SAVED: dict[str, bytes] = {}


def _some_checkpoint() -> bytes:
    return _SAVED["bytes"]


@pytest.fixture(autouse=True, scope="module")
def _checkpoint_to_damage(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("damaged")
    run("minibatch", small_config(epochs=1), place)
    _SAVED["bytes"] = (place / CHECKPOINT).read_bytes()
    os.environ["PYTEST_CHECKPOINT"] = str(place / "damaged.pt")
