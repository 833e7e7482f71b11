"""Probes on the way of a run change nothing of it, and are the same however it was trained."""

import json
import math
import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gdrun
from gdrun.config.read import configure
from gdrun.config.timing import Timing
from gdrun.errors import DataError
from gdrun.experiment import probing
from gdrun.experiment.cost.probes import probe_seconds
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.file_names import PROBES
from gdrun.training.ranks import Ranks
from gdrun.training.state import initial_state
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import damage, kill, logs, read_csv
from tests.training_runs import run, small_config

ENGINES = ["eager", "compiled"]
DATA = {"rows": 30, "noise": 1.0, "val_fraction": 0.4}
OFTEN = {"probes": "all", "probe_every": 3}
# Lanes that diverge, and that patience stops; an adaptive optimizer; weights in files.
CONFIGS: list[dict[str, Any]] = [
    {},
    {"lr": [0.3, 0.05, 1e4], "seeds": 2, "data": DATA, "patience": 2},
    {"lr": 0.01, "optimizer": "adam", "seeds": 2, "schedule": "cosine"},
    {"probes": ["gradient"], "probe_every": 1},
    {"probes": ["sharpness"], "momentum": 0.9, "hidden_size": [40, 20], "eval_every": 2},
    {"data": {"source": "moons", "rows": 30}, "loss": "cross_entropy", "batch_size": 7},
]


def labels(settings: dict[str, Any]) -> str:
    return ",".join(settings) or "plain"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("settings_", CONFIGS, ids=labels)
def test_probes_change_no_other_log(engine: str, settings_: dict[str, Any], tmp_path: Path) -> None:
    settings_ = {"epochs": 20, "engine": engine, **OFTEN, **settings_}
    (found,) = run("minibatch", small_config(**settings_), tmp_path / "with")
    (without,) = run("minibatch", small_config(**{**settings_, "probes": []}), tmp_path / "without")
    probed, plain = logs(tmp_path / "with"), logs(tmp_path / "without")
    rows = probed.pop(PROBES)
    assert probed == plain
    every, end = settings_["probe_every"], max(lane.epochs for lane in found.lanes)
    for history, lane in zip(found.histories, found.lanes, strict=True):
        diverged = lane.status == "diverged"
        last = lane.epochs - 1 if diverged else lane.epochs
        expected = [k for k in range(last + 1) if k % every == 0 or k in (20, end)]
        assert list(history.probes["epoch"]) == expected
        per_epoch = history.epochs["updates"][1]
        assert list(history.probes["updates"]) == [k * per_epoch for k in expected]
    assert len(rows) == 1 + sum(len(history.probes["epoch"]) for history in found.histories)
    assert without.probes["epoch"] == []


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("command", ["full", "minibatch"])
@pytest.mark.parametrize("settings_", CONFIGS, ids=labels)
def test_a_stopped_run_goes_on_to_the_same_probes(
    command: str, settings_: dict[str, Any], tmp_path: Path
) -> None:
    config = small_config(**{"epochs": 7, **OFTEN, **settings_})
    run(command, config, tmp_path / "whole")
    expected = logs(tmp_path / "whole")
    for stop in (1, 2, 3, 5, 8, 12, 25):
        place = tmp_path / str(stop)
        run(command, config, place, stop_after=stop)
        run(command, config, place, stop_after=3)
        run(command, config, place)
        assert logs(place) == expected


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ENGINES)
def test_an_extended_run_has_the_probes_of_a_longer_one(engine: str, tmp_path: Path) -> None:
    for epochs, place in ((7, "extended"), (11, "extended"), (11, "whole")):
        config = small_config(**OFTEN, epochs=epochs, engine=engine)
        run("minibatch", config, tmp_path / place)
    assert logs(tmp_path / "extended") == logs(tmp_path / "whole")
    assert [row["epoch"] for row in read_csv(tmp_path / "whole" / PROBES)] == [
        *("0", "3", "6", "9", "11")
    ]


@pytest.mark.usefixtures("cache")
def test_lanes_are_measured_as_if_alone_and_by_both_engines_alike(tmp_path: Path) -> None:
    together = small_config(**OFTEN, lr=[0.1, 0.05], seeds=2, epochs=9)
    (all_lanes,) = run("minibatch", together, tmp_path / "together")
    columns = all_lanes.probes
    alone: dict[str, list[Any]] = {name: [] for name in columns}
    for lr in (0.1, 0.05):
        for seed in (0, 1):
            config = small_config(**OFTEN, lr=lr, seed=seed, epochs=9)
            (one,) = run("minibatch", config, tmp_path / f"{lr} {seed}")
            for name, column in one.probes.items():
                alone[name] += column
    compiled = together.model_copy(update={"engine": "compiled"})
    (other,) = run("minibatch", compiled, tmp_path / "compiled")
    for name, column in columns.items():
        if name == "method":
            continue
        assert column == pytest.approx(alone[name], rel=1e-4, abs=1e-5)
        # The estimate of two batches takes differences, in which last digits count.
        assert column == pytest.approx(other.probes[name], rel=5e-3, abs=1e-4)


def test_time_that_probes_take_is_not_that_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of a training is read before and after updates, and at no other time."""
    from gdrun.diagnostics.probe import measure
    from gdrun.experiment import probing
    from gdrun.training import eager

    now = [0.0]

    def advancing(*args: Any) -> Any:
        now[0] += 1000.0
        return measure(*args)

    monkeypatch.setattr(probing, "measure", advancing)
    monkeypatch.setattr(eager, "make_clock", lambda _: lambda: now[0])
    (result,) = run("minibatch", small_config(**OFTEN, epochs=6), tmp_path / "run")
    assert now[0] >= 3000
    assert set(result.epochs["seconds"]) == {0.0}


@pytest.mark.parametrize("lanes", [1, 4])
def test_no_clock_runs_while_another_rank_still_measures(
    lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def measured(*_: object) -> Generator[None, None, dict[str, float]]:
        yield
        events.append("measured")
        return {}

    monkeypatch.setattr(probing, "measure", measured)
    ranks = Ranks(2, 0, lambda _: events.append("met"))
    (run_,) = plan_experiment("full", small_config(probes="noise", seeds=lanes)).runs
    run_ = replace(run_, plan=replace(run_.plan, ranks=ranks))
    assert [*probing._probe(run_, initial_state(run_.problem, run_.plan))]
    assert "measured" in events
    assert events[-1] == "met"


def test_a_probe_is_left_where_it_is_and_made_again(tmp_path: Path) -> None:
    """Killed after the rows of an epoch are on the disk, and before it is measured."""
    timing = Timing(segment=0.0, flush=-1.0, checkpoint_share=1e9)
    config = small_config(**OFTEN, epochs=7, checkpoint_every=3)
    run("minibatch", config, tmp_path / "whole")
    lengths = set()
    for stop in range(1, 90, 5):
        place = tmp_path / str(stop)
        run("minibatch", config, place, stop_after=stop, timing=timing)
        lengths.add(len(read_csv(place / PROBES)))
        run("minibatch", config, place)
        assert logs(place) == logs(tmp_path / "whole")
    assert lengths >= {0, 1, 2, 3}


def test_saved_probes_are_those_of_the_run(tmp_path: Path) -> None:
    config = small_config(**OFTEN, lr=[0.3, 1e4], data=DATA)
    (result,) = run("minibatch", config, tmp_path / "run")
    loaded = gdrun.load(tmp_path / "run")
    assert loaded.results[0].probes == result.probes
    assert loaded.probes == result.probes
    assert math.isfinite(sum(result.histories[0].probes["sharpness"]))


@pytest.mark.parametrize("how", ["cut short", "empty", "bit flipped"])
def test_damaged_probes_are_named(how: str, tmp_path: Path) -> None:
    place = tmp_path / "run"
    run("minibatch", small_config(**OFTEN), place)
    damage(place / PROBES, how)
    with pytest.raises(DataError, match=r"probes\.csv"):
        _ = gdrun.load(place).probes
    with pytest.raises(DataError, match=r"probes\.csv"):
        run("minibatch", small_config(**OFTEN, epochs=9), place)


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (lambda row: row.replace(",3,", ",4,", 1), 4),
        (lambda row: row.replace(",3,", ",0,", 1), 3),
        (lambda row: row.replace(",0.2,", ",0.3,"), 3),
        (lambda row: row.replace("minibatch", "full"), 3),
        (lambda row: row.rsplit(",", 1)[0], 3),
    ],
)
def test_rows_that_are_none_of_the_run_are_refused(edit: Any, line: int, tmp_path: Path) -> None:
    place = tmp_path / "run"
    run("minibatch", small_config(**OFTEN, epochs=9), place)
    kill(place)
    lines = (place / PROBES).read_text().splitlines()
    lines[2] = edit(lines[2])
    (place / PROBES).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=rf"probes\.csv, line {line}|at its end"):
        _ = gdrun.load(place).probes


def test_a_run_whose_lanes_patience_stopped_is_measured_at_its_end(tmp_path: Path) -> None:
    config = small_config(data=DATA, patience=1, epochs=50, probes="gradient", probe_every=40)
    (result,) = run("minibatch", config, tmp_path / "run")
    end = result.lanes[0].epochs
    assert end < 40
    assert list(result.histories[0].probes["epoch"]) == [0, end]


def test_who_resumes_is_not_asked_again(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("full", "--probes", "all", "--epochs", "4", "--name", "a", *NO_PICTURES)
    monkeypatch.setattr("gdrun.experiment.cost.refusal.UNASKED_SECONDS", 0.0)
    monkeypatch.setattr("gdrun.experiment.cost.estimate.probe_seconds", lambda _: 1e6)
    assert invoke("full", "--resume", "a", "--epochs", "9", *NO_PICTURES).code == 0


def test_how_often_a_run_is_probed_is_known_beforehand() -> None:
    for every in (1, 3, 4, 7, 20):
        config = small_config(probes="all", probe_every=every, epochs=7)
        (planned,) = plan_experiment("full", config).runs
        for after in (-1, 0, 2, 3, 6, 7):
            expected = [epoch for epoch in range(after + 1, 8) if planned.is_probed(epoch)]
            assert planned.count_probes(after) == len(expected)
    (planned,) = plan_experiment("full", small_config()).runs
    assert planned.count_probes() == 0


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("all", ["gradient", "noise", "sharpness"]),
        ("sharpness,gradient", ["gradient", "sharpness"]),
        ("[noise]", ["noise"]),
        ("none", []),
    ],
)
def test_probes_are_named_in_any_order(value: str, kept: list[str], invoke: Invoke) -> None:
    outcome = invoke("full", "--probes", value, "--epochs", "2", "--name", "a", *NO_PICTURES)
    assert outcome.code == 0
    assert gdrun.load("a").config["probes"] == kept


def test_an_unknown_probe_is_refused(invoke: Invoke) -> None:
    outcome = invoke("full", "--probes", "hessian")
    assert outcome.code == 2
    assert "probes (--probes hessian): must be all, none, or a list of some of" in outcome.err
    assert "got hessian" in outcome.err
    outcome = invoke("full", "--probes", "noise", "--set", "probe_every=0")
    assert "probe_every" in outcome.err


COSTLY = ("full", "--probes", "all", "--epochs", "40", "--set", "probe_every=1", "--name", "a")


def test_what_probes_cost_is_said_beforehand(invoke: Invoke) -> None:
    outcome = invoke("full", "--probes", "noise", "--set", "probe_every=30", "--dry-run")
    assert re.search(r"probes: noise of every lane, 5 times, every 30 epochs: about ", outcome.out)
    parts = json.loads(invoke("full", "--probes", "all", "-n", "--json").out)["estimated_parts"]
    assert parts["probe"] > 0
    assert "probe" not in json.loads(invoke("full", "-n", "--json").out)["estimated_parts"]
    outcome = invoke("full", "--probes", "all", "--name", "a", *NO_PICTURES)
    assert "probes: gradient, noise and sharpness of every lane, 11 times" in outcome.err


def test_probes_that_take_longer_than_the_training_are_not_begun_unasked(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.experiment.cost.refusal.UNASKED_SECONDS", 0.0)
    monkeypatch.setattr("gdrun.experiment.cost.estimate.probe_seconds", lambda _: 100.0)
    monkeypatch.setattr("gdrun.experiment.cost.estimate.training_seconds", lambda *_: [10.0])
    outcome = invoke(*COSTLY)
    assert (outcome.code, outcome.out) == (2, "")
    assert "probes: would take about 1:40, and the training 10 s" in outcome.err
    assert "--set probe_every=14 measures 4 times, not 41" in outcome.err
    assert "--force measures all the same" in outcome.err
    assert not Path("outputs").exists()
    assert "note: probes: would take about" in invoke(*COSTLY, "--dry-run").out
    assert invoke(*COSTLY, "--force", *NO_PICTURES).code == 0
    assert len(read_csv(Path("outputs/a/probes.csv"))) == 41


def test_probes_that_take_a_few_seconds_are_never_refused(invoke: Invoke) -> None:
    """However short the training is."""
    assert invoke("full", "--epochs", "1", "--probes", "all", *NO_PICTURES).code == 0


@pytest.mark.parametrize("command", ["full", "minibatch", "compare", "sweep"])
def test_force_without_probes_is_refused(command: str, invoke: Invoke) -> None:
    outcome = invoke(command, "--force")
    assert outcome.code == 2
    assert "probes that take longer than the training, and there are none" in outcome.err


def said_seconds(command: str = "full", **settings: Any) -> float:
    """What is said of probes each of whose pieces of work takes a second."""
    config = configure("diabetes", {"probes": "all", **settings})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdrun.experiment.cost.probes._timed", lambda _: 1.0)
        return probe_seconds(plan_experiment(command, config))


def test_the_cost_is_that_of_all_lanes_moments_and_runs() -> None:
    once = said_seconds(epochs=1) / 2
    assert said_seconds(epochs=30) == pytest.approx(4 * once)
    assert said_seconds(epochs=30, probe_every=1) == pytest.approx(31 * once)
    assert said_seconds(epochs=1, seeds=3, lr=[0.1, 0.2]) == pytest.approx(12 * once)
    assert said_seconds("compare", epochs=1) == pytest.approx(6 * once)
    each = [said_seconds(epochs=1, probes=[name]) for name in ("gradient", "noise", "sharpness")]
    assert min(each) > 0
    assert max(each) <= 2 * once <= sum(each)  # noise and sharpness share the Hessian
    wide: dict[str, Any] = {"epochs": 1, "hidden_size": [64], "probes": "sharpness"}
    assert said_seconds(**wide, optimizer="adam") == pytest.approx(2 * said_seconds(**wide))
    assert said_seconds(probes=[]) == 0
