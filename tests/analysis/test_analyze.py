"""The target of a sweep and its table are those of a plain look at the logs."""

import csv
import math
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from gdrun.analysis.analyze import analyze, to_csv
from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.compare import at_best_rate
from gdrun.results.run import RunResult
from tests.sweep_results import INF
from tests.training_runs import small_config


def of_file(place: Path) -> list[dict[str, str]]:
    with (place / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def or_inf(text: str) -> float:
    return float(text) if text else INF


def test_the_target_is_within_a_tenth_of_the_best_median(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    place, _, events = swept
    answer = events[-1]
    losses: dict[tuple[str, str], list[float]] = {}
    for row in of_file(place):
        losses.setdefault((row["batch_size"], row["lr"]), []).append(or_inf(row["train_loss"]))
    medians = {pair: median(found) for pair, found in losses.items()}
    best = min(medians, key=lambda pair: medians[pair])
    assert answer.target == pytest.approx(1.1 * medians[best], rel=1e-8)
    assert answer.best
    assert (str(answer.best.batch_size), answer.best.lr) == (best[0], float(best[1]))
    assert answer.best.train_loss == pytest.approx(medians[best])
    assert math.inf in medians.values()  # else the test shows little
    assert answer.best_validated.val_loss == min(cell.val_loss for cell in answer.cells)


def test_rows_of_the_table_are_those_of_a_plain_look_at_the_logs(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    place, config, events = swept
    target = events[-1].target
    assert len(of_file(place)) == 3 * 4 * 5
    seen = set()
    for row in of_file(place):
        with (place / f"batch-{row['batch_size']}" / "epochs.csv").open(newline="") as file:
            own = [r for r in csv.DictReader(file) if (r["lr"], r["seed"]) == key_of(row)]
        seen.add((row["batch_size"], *key_of(row)))
        at = next((r for r in own if r["train_loss"] and float(r["train_loss"]) <= target), None)
        if row["status"] == "diverged":
            at = None
        for cost in ("updates", "samples"):
            assert row[f"{cost}_to_target"] == (at[cost] if at else "")
        if at:
            assert float(row["seconds_to_target"]) == pytest.approx(float(at["seconds"]), abs=1e-6)
        last = own[-1]
        if row["status"] == "done":
            assert row["train_loss"] == last["train_loss"]
            assert row["val_loss"] == last["val_loss"]
            assert (row["epochs"], row["updates"], row["samples"]) == (
                str(config.epochs), last["updates"], last["samples"],
            )  # fmt: skip
        else:
            assert row["train_loss"] == row["val_loss"] == ""
        finite = [float(r["train_loss"]) for r in own if r["train_loss"]]
        assert float(row["best_train_loss"]) == min(x for x in finite if math.isfinite(x))
    assert len(seen) == 60
    assert to_csv(events[-1]) == (place / "sweep.csv").read_text()


def key_of(row: dict[str, str]) -> tuple[str, str]:
    return repr(float(row["lr"])), row["seed"]


def test_a_training_that_came_to_the_target_and_then_diverged_has_not_come_to_stay(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    results = [event for event in swept[2] if isinstance(event, RunResult)]
    untrained = max(h.epochs["train_loss"][0] for r in results for h in r.histories)
    answer = analyze(results, target=2 * untrained)  # all are there before they begin
    assert answer
    for cell in answer.cells:
        for each in cell.trials:
            assert each.updates_to_target == (None if each.status == "diverged" else 0)
    wild = next(cell for cell in answer.cells if cell.lr == 1e5)
    assert wild.diverged == wild.missed == 5
    assert math.isinf(wild.to_target("updates"))


def test_studying_nothing_is_no_answer() -> None:
    assert analyze([]) is None


def test_runs_with_fewer_lanes_are_studied_beside_the_others() -> None:
    config = small_config(epochs=2, seeds=2, sweep={"lr": [0.1, 0.2], "batch_size": [4, "full"]})
    results = [e for e in execute(plan_experiment("sweep", config)) if isinstance(e, RunResult)]
    answer = analyze([at_best_rate(results[0]), results[1]], target=0.3)
    assert answer
    assert len(answer.cells) == 3
