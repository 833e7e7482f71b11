"""What a sweep came to: the numbers, the words about them, and the pictures."""

import csv
import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO, StringIO
from itertools import combinations
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from rich.console import Console

from gdrun.analysis.advice import advice, command
from gdrun.analysis.analyze import analyze, fit_of, to_csv
from gdrun.analysis.cautions import cautions
from gdrun.analysis.recommend import recommended
from gdrun.analysis.sweep_result import BAND, Cell, Cost, SweepResult, Trial
from gdrun.config.read import dump_config, load_config
from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan import prepare
from gdrun.plots.batch_scaling import BAR, COLOR, MISSED, scaling_figure
from gdrun.plots.heatmap import heatmap_figure
from gdrun.results.colors import METHOD_COLORS, run_colors
from gdrun.results.compare import at_best_rate
from gdrun.results.events import Lane, Series, Status
from gdrun.results.run import Description, RunResult
from gdrun.terminal.sweep_tables import sweep_report
from gdrun.text import rounded, short
from tests.conftest import Invoke, small_config

ABOUT = Description(
    "1 → 10 → 1 ReLU network", 31, "y = x²", 100, 0, ("x",), "y", "mse", standardized=False,
    device="cpu",
)  # fmt: skip
INF = math.inf
HERE = Path("outputs/a sweep")


def trial(
    size: int,
    lr: float,
    seed: int = 0,
    *,
    reached: int | None = 10,
    loss: float | None = 0.1,
    val: float | None = None,
    status: Status = "done",
    spent: int = 100,
    epochs: int = 5,
    samples: int | None = None,
    target: float | None = 0.11,
) -> Trial:
    """One training; it diverged where its loss is None."""
    status = "diverged" if loss is None else status
    return Trial(
        method="full" if size == 100 else "sgd" if size == 1 else "minibatch",
        batch_size=size,
        lr=lr,
        seed=seed,
        status=status,
        epochs=epochs,
        updates=spent,
        samples=100 * epochs if samples is None else samples,
        seconds=1.5,
        train_loss=loss,
        best_train_loss=loss,
        val_loss=val,
        target=target,
        updates_to_target=reached,
        samples_to_target=None if reached is None else reached * size,
        seconds_to_target=None if reached is None else reached * 0.01,
    )


def answer_of(
    trials: Sequence[Trial],
    *,
    target: float | None = 0.11,
    pace: dict[int, float] | None = None,
    jobs: int = 1,
) -> SweepResult:
    """The answer of such trainings, of a sweep over 100 rows."""
    pairs = sorted({(t.batch_size, t.lr) for t in trials})
    cells = tuple(
        Cell(f"batch-{own[0].batch_size}", own[0].method, *pair, tuple(own))
        for pair in pairs
        for own in [[t for t in trials if (t.batch_size, t.lr) == pair]]
    )
    fit = fit_of(cells) if target is not None else None
    return SweepResult(target, ABOUT, cells, fit, pace or {}, jobs)


def fast(size: int, lr: float, reached: int | None, **more: Any) -> list[Trial]:
    """Three seeds that are about as fast."""
    return [
        trial(size, lr, seed, reached=None if reached is None else reached + seed, **more)
        for seed in (-1, 0, 1)
    ]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig, list[Any]]:
    """A sweep with seeds that diverge, pairs that don't come to the target, and validation."""
    place = tmp_path_factory.mktemp("sweep")
    config = small_config(
        epochs=12,
        seeds=5,
        eval_every=2,
        data={"rows": 40, "val_fraction": 0.2},
        sampling="reshuffle",
        sweep={"lr": [0.01, 0.1, 0.9, 1e5], "batch_size": [2, 5, "full"]},
    )
    return place, config, list(execute(prepare("sweep", config), place))


def of_file(place: Path) -> list[dict[str, str]]:
    with (place / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def or_inf(text: str) -> float:
    return float(text) if text else INF


# ----------------------------------------------------------------------------------------- numbers


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


def test_what_was_not_reached_counts_as_infinite_and_is_never_dropped() -> None:
    cell = answer_of([trial(4, 0.1, k, reached=None if k < 2 else 7 * k) for k in range(5)]).cells[
        0
    ]
    assert cell.missed == 2
    assert cell.to_target("updates") == 28
    assert sorted(cell.costs("samples")) == [56, 84, 112, INF, INF]
    worse = answer_of([trial(4, 0.1, k, reached=None if k < 3 else 7) for k in range(5)])
    assert math.isinf(worse.cells[0].to_target("updates"))
    assert worse.summary()["best_of_batch"][0]["updates_to_target"] is None
    assert ",," in to_csv(worse)


@given(
    st.lists(st.integers(0, 99) | st.none(), min_size=1, max_size=12),
    st.sampled_from(["updates", "samples", "seconds"]),
)
def test_a_band_holds_observed_values_and_too_few_seeds_have_none(
    reached: list[int | None], cost: Cost
) -> None:
    cell = answer_of([trial(4, 0.1, k, reached=at) for k, at in enumerate(reached)]).cells[0]
    band = cell.band(cost)
    if len(reached) < 3:
        assert band is None
        return
    assert band
    costs = cell.costs(cost)
    for end, percent in zip(band, BAND, strict=True):
        assert end in costs
        # No fewer lie at or below it than it says, and fewer below it.
        assert sum(each <= end for each in costs) * 100 >= percent * len(costs)
        assert sum(each < end for each in costs) * 100 < percent * len(costs)
    assert band[0] <= cell.to_target(cost) <= band[1]


def test_the_best_rate_of_a_batch_has_the_fewest_updates_then_the_lowest_loss() -> None:
    answer = answer_of(
        [
            trial(4, 0.1, reached=20, loss=0.01), trial(4, 0.2, reached=10, loss=0.09),
            trial(4, 0.4, reached=10, loss=0.05), trial(4, 0.8, reached=None, loss=None),
            trial(8, 0.1, reached=None, loss=0.4), trial(8, 0.2, reached=None, loss=0.3),
            trial(8, 0.4, reached=None, loss=None), trial(8, 0.8, reached=None, loss=None),
        ]
    )  # fmt: skip
    assert [(cell.batch_size, cell.lr) for cell in answer.best_of_batch] == [(4, 0.4), (8, 0.2)]
    assert answer.best
    assert answer.best.lr == 0.1
    assert (answer.batch_sizes, answer.lrs) == ([4, 8], [0.1, 0.2, 0.4, 0.8])


def test_time_is_that_of_updates_at_the_pace_of_one_alone() -> None:
    answer = answer_of(
        [*fast(1, 0.1, 100), *fast(10, 0.1, 20), *fast(100, 0.1, 8)],
        pace={1: 0.001, 10: 0.003, 100: 0.1},
    )
    assert [answer.seconds_alone(cell) for cell in answer.cells] == [
        pytest.approx(100 * 0.001), pytest.approx(20 * 0.003), pytest.approx(8 * 0.1),
    ]  # fmt: skip
    found = {cost: answer.fastest(cost) for cost in ("updates", "samples", "seconds")}
    assert {cost: cell.batch_size for cost, cell in found.items() if cell} == {
        "updates": 100, "samples": 1, "seconds": 10,
    }  # fmt: skip
    assert answer_of(fast(1, 0.1, 100)).fastest("seconds") is None


# ------------------------------------------------------------------------------------------ advice


def typical(**more: Any) -> SweepResult:
    """Three batch sizes, the middle rate the best for each."""
    trials = []
    for size, reached in ((1, 400), (10, 60), (100, 30)):
        for lr, factor in ((0.01, 3), (0.1, 1), (1.0, 2)):
            trials += fast(size, lr, reached * factor, loss=0.1 + lr / 1e3, samples=500)
    return answer_of(trials, **{"pace": {1: 1e-3, 10: 2e-3, 100: 8e-3}, **more})


def test_the_paragraph_holds_the_numbers_of_the_answer() -> None:
    answer = typical()
    words = advice(answer)
    assert answer.critical
    assert answer.critical.interval
    assert "The target, a train loss of 0.11, was reached by 9 of 9 pairs" in words
    assert "Fewest updates: 30 (batch 100, lr 0.1); fewest samples: 400 (batch 1, lr 0.1)" in words
    assert "least time: 120 ms for one training alone (batch 10, lr 0.1)" in words
    low, high = map(rounded, answer.critical.interval)
    assert f"about {rounded(answer.critical.batch_crit)} (95 %: {low} to {high}): by" in words
    assert words.endswith(
        "So train with batch 10, lr 0.1, which comes to it first, and ends with a final train "
        "loss of 0.1:"
    )
    few = [*fast(4, 0.1, 20), *fast(100, 0.1, 5), trial(4, 0.2, 0, reached=None)]
    few += [trial(4, 0.2, 1), trial(4, 0.2, 2), *(trial(100, 0.2, k, reached=None) for k in (0, 1))]
    few += [trial(100, 0.2, 2)]
    assert "was reached by 3 of 4 pairs" in advice(answer_of(few))
    assert "fewest samples: 40 (batch 4, lr 0.2)" in advice(answer_of(few))
    own = typical(target=1.1 * 0.10001)
    assert "0.11, 1.1 times the lowest (batch 100, lr 0.01), was reached" in advice(own)


def test_in_proportion_up_to_all_rows_larger_batches_can_pay_no_more() -> None:
    trials = [t for size in (1, 10, 100) for t in fast(size, 0.1, 40_000 // size)]
    assert "Up to 100 rows, all there are, larger batches saved" in advice(answer_of(trials))
    fewer = [t for size in (1, 5, 50) for t in fast(size, 0.1, 40_000 // size)]
    answer = answer_of(fewer)
    assert answer.critical
    if math.isinf(answer.critical.batch_crit):
        assert "Up to 50 rows, larger batches saved updates in proportion, and" in advice(answer)


def test_updates_are_said_to_go_down_in_proportion_only_where_they_do() -> None:
    def words(*reached: int) -> str:
        sizes = zip((1, 4, 16), reached, strict=True)
        found = answer_of([t for size, at in sizes for t in fast(size, 0.1, at, epochs=900)])
        assert found.critical
        assert math.isinf(found.critical.batch_crit)
        return advice(found)

    assert "Up to 16 rows, larger batches saved updates in proportion, and" in words(
        160_000, 40_000, 9_990
    )
    assert "larger batches saved updates more than in proportion, and larger ones may" in words(
        160_000, 40_000, 5_000
    )


def test_the_interval_is_said_of_a_critical_batch_size_that_is_open_above() -> None:
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    answer = answer_of(trials)
    assert answer.critical
    for low, says in ((220.4, True), (math.inf, False)):
        fit = replace(answer.critical, batch_crit=math.inf, interval=(low, math.inf))
        words = advice(replace(answer, critical=fit))
        assert ("may pay still: the critical batch size is 220 or more (95 %)." in words) == says
        assert ("may pay still." in words) != says


def test_a_batch_size_that_never_came_to_the_target_bounds_the_critical_one() -> None:
    """It was trained for as many updates as smaller batches need, and larger ones don't pay."""
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    short, long = (
        answer_of([*trials, *fast(64, 0.1, None, spent=spent)]) for spent in (2000, 9000)
    )
    assert "larger ones may pay still" in advice(short)  # it would have needed 2,500
    assert short.critical
    assert long.critical
    assert not short.critical.pressed
    assert long.critical.pressed == (64,)
    assert long.critical.batches == (1, 4, 16)
    words = advice(long)
    assert "pay still" not in words
    assert f"The critical batch size is at most about {rounded(long.critical.batch_crit)}" in words
    assert ", for batch 64 takes more than the 9,000 updates it was trained: by the fit" in words
    title = "\n".join(text.get_text() for text in scaling_figure(long).texts)
    assert f"B_crit ≤ {rounded(long.critical.batch_crit)}" in title
    # A small one that takes more leaves larger ones more to save.
    trials = [t for size, at in ((4, 400), (8, 210), (16, 130)) for t in fast(size, 0.1, at)]
    small = answer_of([*(replace(t, samples_to_target=5000) for t in trials),
                       *fast(1, 0.1, None, spent=1700)])  # fmt: skip
    assert small.critical
    assert small.critical.pressed == (1,)
    assert "The critical batch size is at least about" in advice(small)
    assert ", for batch 1 takes more than the 1,700 updates it was trained: by" in advice(small)
    both = replace(small.critical, pressed=(1, 64))
    assert "The critical batch size is about" in advice(replace(small, critical=both))
    assert ", for batches 1 and 64 take more updates than they were trained: by" in advice(
        replace(small, critical=both)
    )
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    # Where every rate diverges, no larger number of updates is known of.
    dead = answer_of([*trials, *fast(64, 0.1, None, spent=9000, loss=None)])
    assert dead.critical
    assert not dead.critical.pressed


def test_a_target_that_holds_before_training_tells_nothing_of_batch_sizes() -> None:
    words = advice(answer_of([t for size in (1, 4, 16) for t in fast(size, 0.1, 1)]))
    assert "That is so before training already: a lower --target tells more." not in words
    words = advice(answer_of([trial(size, 0.1, reached=0) for size in (1, 4, 16)]))
    assert "That is so before training already: a lower --target tells more." in words
    assert "Too few batch sizes" not in words


def test_what_is_recommended_without_validation() -> None:
    by_time = recommended(typical())
    by_updates = recommended(typical(pace={}))
    assert by_time
    assert by_updates
    assert (by_time.batch_size, by_updates.batch_size) == (10, 100)
    nobody = answer_of([trial(4, lr, reached=None, loss=lr) for lr in (0.3, 0.2)])
    found = recommended(nobody)
    assert found
    assert found.lr == 0.2


def test_with_validation_the_quickest_of_those_that_cannot_be_told_apart_is_recommended() -> None:
    def seeds(size: int, *losses: float | None) -> list[Trial]:
        return [trial(size, 0.1, k, val=val, spent=1000 // size) for k, val in enumerate(losses)]

    best, alike, worse = (
        seeds(1, 0.10, 0.20, 0.30, 0.21, 0.29, 0.19),
        seeds(10, 0.29, 0.25, 0.26, 0.20, 0.22, 0.18),
        seeds(100, 0.25, 0.25, 0.35, 0.25, 0.35, 0.25),  # near it, but the higher with all seeds
    )
    pace = {1: 1.0, 10: 1.0, 100: 1.0}
    found = recommended(answer_of([*best, *alike, *worse], pace=pace))
    assert found
    assert found.batch_size == 10
    words = advice(answer_of([*best, *alike, *worse], pace=pace))
    assert "the seeds can't tell it from 0.235 of batch 10, lr 0.1, which trains" in words
    assert "in 100 s instead of" in words or "in 1:40 instead of 16:40" in words
    # Four seeds are no evidence either way.
    found = recommended(answer_of([*best[:4], *alike[:4], *worse[:4]], pace=pace))
    assert found
    assert found.batch_size == 1


@pytest.mark.parametrize(("worse", "alike"), [(6, True), (8, True), (9, False), (10, False)])
def test_a_pair_that_is_worse_with_too_many_seeds_is_told_from_the_best(
    worse: int, alike: bool
) -> None:
    """Of ten fair coins, 8 or more show heads with a chance of 5.5 %, 9 or more with 1.1 %."""
    best = [trial(1, 0.1, k, val=0.2 + 0.01 * k, spent=100) for k in range(10)]
    other = [
        trial(10, 0.1, k, val=0.2 + 0.01 * k + (0.001 if k < worse else -0.001), spent=10)
        for k in range(10)
    ]
    found = recommended(answer_of([*best, *other], pace={1: 1.0, 10: 1.0}))
    assert found
    assert (found.batch_size == 10) == alike


def test_runs_with_fewer_lanes_are_studied_beside_the_others() -> None:
    config = small_config(epochs=2, seeds=2, sweep={"lr": [0.1, 0.2], "batch_size": [4, "full"]})
    results = [e for e in execute(prepare("sweep", config)) if isinstance(e, RunResult)]
    answer = analyze([at_best_rate(results[0]), results[1]], target=0.3)
    assert answer
    assert len(answer.cells) == 3


def test_what_was_interrupted_recommends_nothing() -> None:
    trials = [*fast(1, 0.1, 100), *(trial(10, 0.1, k, status="interrupted") for k in range(3))]
    answer = answer_of(trials)
    assert recommended(answer) is None
    assert command(answer, HERE) is None
    assert advice(answer).startswith("Trainings were interrupted")
    assert not list(cautions(answer, HERE))


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ((16,), "Batch 16 was not trained to the end: what the tables show so far recommends no"),
        ((16, 64), "Batches 16 and 64 were not trained to the end: what the tables show"),
    ],
)
def test_a_batch_size_without_a_result_recommends_nothing_and_is_named(
    missing: tuple[int, ...], words: str
) -> None:
    answer = replace(answer_of([*fast(1, 0.1, 100), *fast(4, 0.1, 40)]), missing=missing)
    assert recommended(answer) is None
    assert command(answer, HERE) is None
    assert advice(answer).startswith(words)
    assert answer.summary()["missing"] == list(missing)
    failed = [*fast(1, 0.1, 100), *(trial(16, 0.1, k, status="failed") for k in range(3))]
    assert advice(answer_of(failed)).startswith("Batch 16 was not trained to the end")


def test_seeds_that_do_not_do_what_the_recommended_pair_does_are_counted() -> None:
    seeds = [trial(4, 0.1, k, loss=0.1) for k in range(6)]
    astray = [trial(4, 0.1, k, loss=0.1 * k, reached=None) for k in (6, 7)]
    assert "it never" not in advice(answer_of(seeds))
    assert advice(answer_of([*seeds, *astray])).endswith(
        "a final train loss of 0.1; with 2 of 8 seeds it never comes there, and ends with up to "
        "0.7:"
    )
    dead = trial(4, 0.1, 8, loss=None, reached=None)
    assert advice(answer_of([*seeds, *astray, dead])).endswith(
        "; with 3 of 9 seeds it never comes there, or diverges:"
    )
    # Where rows are held out, it is the validation loss that counts, and not the target.
    alike = [trial(4, 0.1, k, val=0.2, reached=None if k == 3 else 10) for k in range(6)]
    assert advice(answer_of(alike)).endswith("which has the lowest validation loss, 0.2:")
    other = [trial(4, 0.1, k, val=val) for k, val in ((6, 0.41), (7, 0.39), (8, 0.2))]
    assert advice(answer_of([*alike, *other])).endswith(
        "0.2; with 1 of 9 seeds it ends with more than 2 times that, up to 0.41:"
    )


def test_a_lowest_validation_loss_of_zero_is_no_measure_of_others() -> None:
    words = advice(answer_of([trial(4, 0.1, val=0.0, reached=50), trial(100, 0.1, val=0.5)]))
    assert "the validation loss is 0.5 there, not 0." in words
    assert "Train with batch 4, lr 0.1, which has the lowest validation loss, 0:" in words


def test_seeds_that_diverged_make_no_other_pair_as_good() -> None:
    """The 80th percentile is infinite then, and everything would be below it."""
    trials = [
        *(trial(4, 0.1, k, val=val, loss=None if val is None else 0.1)
          for k, val in enumerate((0.1, 0.1, 0.1, None, None))),
        *(trial(4, 0.9, k, val=9.0) for k in range(5)),
        *(trial(100, 0.1, k, val=9.0, spent=1) for k in range(5)),
        *(trial(100, 0.9, k, loss=None, reached=None, spent=1) for k in range(5)),
    ]  # fmt: skip
    found = recommended(answer_of(trials))
    assert found
    assert (found.batch_size, found.lr) == (4, 0.1)


def test_where_all_diverged_or_nothing_was_learned_nothing_is_recommended() -> None:
    dead = answer_of([trial(4, lr, loss=None, reached=None) for lr in (0.1, 1.0)], target=None)
    assert advice(dead) == "Every training diverged: all learning rates are too large."
    assert command(dead, HERE) is None
    (first, *_) = cautions(dead, HERE)
    assert first == (
        "try smaller learning rates:\n  gdrun sweep --config 'outputs/a sweep/config.yaml' "
        "--lr 0.0001,0.001,0.01"
    )
    flat = answer_of([trial(4, lr, reached=None) for lr in (0.1, 1.0)], target=None)
    assert "No pair came more than 10 % below the untrained loss" in advice(flat)
    assert command(flat, HERE) is None
    lost = answer_of(
        [trial(4, lr, loss=None, reached=None, spent=0) for lr in (0.1, 1.0)], target=None
    )
    assert "infinite before training: scale the data" in advice(lost)
    assert not [line for line in cautions(lost, HERE) if "--lr" in line]


def edges(answer: SweepResult) -> list[str]:
    return [line for line in cautions(answer, HERE) if line.startswith("learning rate: ")]


@given(at=st.lists(st.integers(0, 3), min_size=1, max_size=4))
def test_edges_are_warned_of_exactly_where_the_best_rate_is_at_one(at: list[int]) -> None:
    lrs = [0.01, 0.03, 0.1, 0.3]
    sizes = [1, 4, 16, 64]
    trials = [
        trial(size, lr, reached=10 if k == best else 20)
        for size, best in zip(sizes, at, strict=False)
        for k, lr in enumerate(lrs)
    ]
    found = edges(answer_of(trials))
    lowest, highest = (
        [size for size, best in zip(sizes, at, strict=False) if best == edge] for edge in (0, 3)
    )
    if not lowest and not highest:
        assert not found
        return
    (line,) = found
    assert ("lowest tried is best" in line) == bool(lowest)
    assert ("highest tried is best" in line) == bool(highest)
    wider = [float(lr) for lr in line.split("--lr ")[1].split(",")]
    assert wider == sorted(wider)
    assert set(lrs) < set(wider)
    assert (wider[0] < 0.01) == bool(lowest)
    assert (wider[-1] > 0.3) == bool(highest)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("seeds", [1, 5])
def test_edges_are_warned_of_where_the_lowest_validation_loss_is_at_one(
    at: int, seeds: int
) -> None:
    """Whatever rate comes to the target first: here the second."""
    lrs = [0.01, 0.03, 0.1, 0.3]
    trials = [
        trial(4, lr, seed, reached=10 if k == 1 else 20, val=0.5 if k == at else 0.9)
        for k, lr in enumerate(lrs)
        for seed in range(seeds)
    ]
    found = edges(answer_of(trials))
    if at in (1, 2):
        assert not found
        return
    (line,) = found
    assert f"the {'highest' if at else 'lowest'} tried is that of the recommended pair, b" in line
    wider = [float(lr) for lr in line.split("--lr ")[1].split(",")]
    assert (wider[0] < 0.01, wider[-1] > 0.3) == (at == 0, at == 3)


def test_edges_are_warned_of_where_another_pair_than_the_recommended_has_the_lowest_loss() -> None:
    """The seeds can't tell the two apart, and the other is faster."""
    trials = [
        trial(size, lr, k, reached=10 if lr == 0.2 else 20, spent=1000 // size,
              val=loss + 0.01 * k * (size == 1))
        for size, lr, loss in ((1, 0.1, 0.48), (1, 0.2, 0.9), (1, 0.4, 0.9), (10, 0.2, 0.505),
                               (10, 0.1, 0.9), (10, 0.4, 0.9))
        for k in range(5)
    ]  # fmt: skip
    (line,) = edges(answer_of(trials))
    assert "the lowest tried is that of the lowest validation loss, batch 1;" in line


@pytest.mark.parametrize(
    "lrs", [(0.1, 0.1001), (0.1, 0.10000001), (1e-300, 1.0), (1.0, 1e300), (1e-5, 1.7e308),
            (5e-324, 1.0), (0.123456789, 0.3)],
)  # fmt: skip
def test_however_odd_the_rates_commands_name_them_exactly_and_no_others_twice(
    lrs: tuple[float, float],
) -> None:
    for best in (0, 1):
        answer = answer_of(
            [trial(4, lr, reached=20 - 10 * (k == best)) for k, lr in enumerate(lrs)]
        )
        (line,) = edges(answer)
        text = line.split("--lr ")[1]
        wider = small_config(sweep={"lr": [float(lr) for lr in text.split(",")]}).sweep.lr
        assert wider
        assert set(lrs) <= set(wider)
        assert list(wider) == sorted(wider)
        line = command(answer, HERE) or ""
        assert float(line.split("--lr ")[1].split()[0]) == lrs[best]


def test_a_batch_size_at_which_every_rate_diverges_needs_smaller_ones() -> None:
    """More epochs, which is what is said of others, would not help."""
    trials = [trial(4, lr, reached=None, loss=None) for lr in (0.1, 0.2, 0.4)]
    trials += [trial(8, lr, reached=10 * k) for k, lr in ((2, 0.1), (1, 0.2), (3, 0.4))]
    answer = answer_of(trials)
    (line,) = edges(answer)
    assert "even the lowest tried diverges for batch 4;" in line
    assert line.endswith("--lr 0.0125,0.025,0.05,0.1,0.2,0.4")
    assert "more epochs" not in "".join(cautions(answer, HERE))
    slow = [trial(16, lr, reached=None, loss=0.3) for lr in (0.1, 0.2, 0.4)]
    assert "not reached by batch 16 at any learning rate; more epochs" in "".join(
        cautions(answer_of([*trials, *slow]), HERE)
    )


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


def test_commands_in_the_advice_run(invoke: Invoke) -> None:
    flags = ["--set", "data.rows=24", "--epochs", "6", "--seeds", "2"]
    flags += ["--set", "plot.enabled=false"]
    outcome = invoke(
        "sweep", *flags, "--lr", "1e-05,3e-05", "--batch-size", "4,full", "--name", "a b"
    )
    assert outcome.code == 0
    config = load_config("outputs/a b/config.yaml")
    place, results = Path("outputs/a b"), list(execute(prepare("sweep", config)))
    answer = analyze([event for event in results if isinstance(event, RunResult)], target=0.4)
    assert answer
    (edge,) = [line for line in cautions(answer, place) if "widen the grid" in line]
    gdrun, *args = shlex.split(edge.split("widen the grid:\n  ")[1])
    assert gdrun == "gdrun"
    assert invoke(*args, "--dry-run").code == 0
    line = command(answer, place)
    assert line
    gdrun, *args = shlex.split(line)
    found = invoke(*args, "--name", "b")
    assert found.code == 0
    cell = recommended(answer)
    assert cell
    again = load_config("outputs/b/config.yaml")
    assert (again.lr, again.seeds) == ((cell.lr,), 1)
    own = (place / cell.run / "steps.csv").read_text().splitlines()
    kept = [row for row in own if row.split(",")[2:4] == [repr(cell.lr), "0"]]
    assert kept == Path("outputs/b/steps.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("answer", "words", "says"),
    [
        (typical(), "too few for bands", False),
        (answer_of([trial(4, 0.1), trial(4, 0.2)]), "1 seed: too few for bands", True),
        (answer_of([trial(4, 0.1, k) for k in range(2)]), "2 seeds: too few for bands", True),
        (answer_of([trial(4, 0.1, k, val=1.0) for k in range(2)]), "can't tell pairs apart", False),
        (answer_of([trial(4, 0.1, k, val=1.0) for k in range(3)]), "3 seeds can't tell", True),
        (answer_of([trial(4, 0.1, k, val=1.0) for k in range(4)]), "4 seeds can't tell", True),
        (answer_of([trial(4, 0.1, k, val=1.0) for k in range(5)]), "can't tell pairs apart", False),
        (answer_of([trial(4, 0.1, k) for k in range(4)]), "can't tell pairs apart", False),
        (typical(), "runs were trained at a time", False),
        (typical(jobs=3), "3 runs were trained at a time", True),
        (typical(), "of the rows out of every epoch", False),
        (answer_of([trial(30, 0.1, samples=300)]), "batch 30 left 40 % of the rows out", True),
        (
            answer_of([trial(30, 0.1, loss=None, samples=9), trial(30, 0.1, 1, samples=300)]),
            "batch 30 left 40 % of the rows out",
            True,
        ),
        (answer_of([trial(30, 0.1, samples=455)]), "of the rows out", False),
        (typical(), "came to the target within 2 epochs", False),
        (answer_of([trial(4, 0.1, reached=50)]), "batch 4 came to the target within 2 epo", True),
        (answer_of([trial(4, 0.1, reached=51)]), "came to the target within 2 epochs", False),
        (answer_of([trial(100, 0.1, reached=2)]), "came to the target within 2 epochs", False),
        (answer_of([trial(4, 0.1)]), "one learning rate alone was tried", True),
        (typical(), "one learning rate alone was tried", False),
    ],
)  # fmt: skip
def test_what_is_to_be_minded_is_said_where_it_is_so(
    answer: SweepResult, words: str, says: bool
) -> None:
    assert (words in "\n".join(cautions(answer, HERE))) == says


# ---------------------------------------------------------------------------------- whatever comes


@st.composite
def answers(draw: st.DrawFn) -> SweepResult:
    """Any mix of batch sizes, rates, seeds, losses and ends."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 7, 33, 64, 100]), min_size=1, unique=True))
    rates = st.sampled_from([1e-300, 1e-7, 0.01, 0.0101, 0.1, 1.0, 7.7, 1e300])
    lrs = draw(st.lists(rates, min_size=1, max_size=4, unique=True))
    seeds = draw(st.integers(1, 4))
    with_val = draw(st.booleans())
    target = draw(st.sampled_from([None, 0.0, 1e-12, 0.11, 1e9]))
    losses = st.sampled_from([0.0, 1e-30, 0.1, 0.1, 0.2, 5.0, 1e30, None])
    steps = st.sampled_from([None, 0, 1, 5, 5000])
    trials = []
    for size in sizes:
        for lr in lrs:
            for seed in range(seeds):
                loss = draw(losses)
                spent = draw(st.sampled_from([0, 5000, 5000, 5000]))
                reached = draw(steps) if loss is not None and target is not None else None
                trials.append(
                    trial(
                        size,
                        lr,
                        seed,
                        loss=loss,
                        val=draw(losses) if with_val and loss is not None else None,
                        status=draw(st.sampled_from(["done", "done", "interrupted"])),
                        reached=None if reached is None else min(reached, spent),
                        spent=spent,
                        samples=spent * size,
                        epochs=draw(st.sampled_from([0, 5])),
                        target=target,
                    )
                )
    known = draw(st.sampled_from([0, 0, 1, 9]))  # of the batch sizes, how many were timed
    pace = {size: 1e-4 * (1 + size) for size in sorted(sizes)[:known]}
    return answer_of(trials, target=target, pace=pace, jobs=draw(st.integers(1, 2)))


@given(answers(), st.integers(20, 200))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_sweep_came_to_it_is_told(answer: SweepResult, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    console.print(*sweep_report(answer, HERE, console), sep="\n")
    assert advice(answer)
    told = [*cautions(answer, HERE), advice(answer), command(answer, HERE) or ""]
    for text in told:
        assert not re.search(r"\b(nan|inf|None)\b", text)
    best = recommended(answer)
    if best:
        assert math.isfinite(best.val_loss if answer.has_validation else best.train_loss) or (
            best == answer.fastest("seconds") or best == answer.fastest("updates")
        )
    summary = answer.summary()
    assert [cell["batch_size"] for cell in summary["best_of_batch"]] == answer.batch_sizes
    assert to_csv(answer).count("\n") == 1 + sum(len(cell.trials) for cell in answer.cells)


@given(answers())
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_sweep_came_to_it_is_drawn(answer: SweepResult) -> None:
    for figure in (heatmap_figure(answer), scaling_figure(answer)):
        figure.savefig(BytesIO(), dpi=30)


# ---------------------------------------------------------------------------------------- pictures


def mixed() -> SweepResult:
    """Four batch sizes of which one isn't reached; a rate that diverges; linear scaling."""
    trials = []
    for size, reached in ((1, 640), (4, 160), (16, 40), (64, None)):
        for lr in (0.01, 0.04, 0.16, 0.64):
            own = None if reached is None else reached * (1 + 9 * (lr != 0.01 * size))
            wild = lr == 0.64 and size == 1
            loss = None if wild else 0.1 + 0.01 * (lr != 0.04) + 0.001 * size
            trials += fast(size, lr, None if wild else own, loss=loss, spent=700 + size)
    return answer_of(trials, target=0.2, pace={1: 1e-3, 4: 1e-3, 16: 2e-3, 64: 3e-3})


def patches(axes: Axes, **looks: Any) -> list[tuple[float, float]]:
    """The centres of the cells with a frame or a pattern."""
    return [
        (patch.get_x() + 0.5, patch.get_y() + 0.5)
        for patch in axes.patches
        if isinstance(patch, Rectangle)
        and all(getattr(patch, f"get_{look}")() == value for look, value in looks.items())
    ]


def test_cells_that_diverged_are_marked_and_the_best_is_framed() -> None:
    answer = mixed()
    (axes,) = heatmap_figure(answer).axes
    assert answer.best
    assert (answer.best.batch_size, answer.best.lr) == (1, 0.04)
    assert patches(axes, hatch="xxxx") == [(0, 3)]
    assert patches(axes, fill=False) == [(0, 1)]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "4", "16", "64"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.01", "0.04", "0.16", "0.64"]
    trials = [trial(4, lr, k, loss=0.1 if k else None) for lr in (0.1, 0.2) for k in range(3)]
    (some,) = heatmap_figure(answer_of(trials)).axes
    assert not patches(some, hatch="xxxx")
    assert [text.get_text() for text in some.texts] == ["0.100$^{×1}$"] * 2
    shown = axes.images[0].get_array()
    assert shown is not None
    for cell in answer.cells:
        value = shown[answer.lrs.index(cell.lr), answer.batch_sizes.index(cell.batch_size)]
        assert np.ma.is_masked(value) or value == pytest.approx(cell.train_loss)


def test_where_all_diverged_no_lowest_and_no_lines_are_spoken_of() -> None:
    pairs = [(size, lr) for size in (1, 4) for lr in (0.1, 0.2)]
    for loss, known in ((None, False), (0.1, True)):
        figure = heatmap_figure(
            answer_of([trial(*pair, loss=loss, reached=None) for pair in pairs], target=None)
        )
        words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        words += [text.get_text() for text in figure.texts]
        assert any("lowest" in text for text in words) == known
        assert any("∝" in text for text in words) == known
        assert bool(figure.axes[0].get_lines()) == known


def test_with_validation_there_is_a_panel_for_each_loss_with_its_own_best() -> None:
    trials = [trial(4, 0.1, val=0.3, loss=0.1), trial(4, 0.2, val=0.2, loss=0.2)]
    left, right = heatmap_figure(answer_of(trials)).axes
    assert (left.get_title("left"), right.get_title("left")) == (
        "final train loss", "final validation loss",
    )  # fmt: skip
    assert (patches(left, fill=False), patches(right, fill=False)) == ([(0, 0)], [(0, 1)])


@pytest.mark.parametrize("sizes", [(1, 4, 16, 64), (1, 2, 50, 100)])
def test_guides_go_through_the_centres_of_cells_where_they_hold(sizes: tuple[int, ...]) -> None:
    lrs = sorted({0.01 * size for size in sizes} | {0.01 * size**0.5 for size in sizes})
    trials = [
        trial(size, lr, loss=0.1 if (size, lr) == (sizes[0], lrs[0]) else 0.5)
        for size in sizes
        for lr in lrs
    ]
    (axes,) = heatmap_figure(answer_of(trials)).axes
    linear, root = axes.get_lines()
    for line, power in ((linear, 1), (root, 0.5)):
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        for k, size in enumerate(sizes):
            exact = lrs[0] * (size / sizes[0]) ** power
            at = min(range(len(lrs)), key=lambda j: abs(lrs[j] / exact - 1))
            assert np.interp(k, x, y) == pytest.approx(at, abs=1e-6)


def markers(axes: Axes, marker: str) -> dict[float, float]:
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return {
        float(x): float(y)
        for line in lines
        for x, y in zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True)
    }


def test_reached_batch_sizes_are_circles_and_others_triangles_in_all_panels() -> None:
    answer = mixed()
    updates, samples, seconds = scaling_figure(answer).axes
    weights = {1: 1e-3, 4: 1e-3, 16: 2e-3, 64: 3e-3}
    for axes, weight in (
        (updates, lambda _: 1), (samples, lambda size: size), (seconds, lambda size: weights[size]),
    ):  # fmt: skip
        assert markers(axes, "o") == pytest.approx(
            {size: reached * weight(size) for size, reached in ((1, 640), (4, 160), (16, 40))}
        )
        assert set(markers(axes, "^")) == {64}
    assert markers(updates, "^") == {64: 764}
    assert markers(samples, "^") == {64: 500}  # as many as were counted
    assert markers(seconds, "^") == {64: pytest.approx(764 * 3e-3)}
    assert {line.get_color() for line in updates.get_lines()} >= {COLOR, MISSED}
    assert [axes.get_yscale() for axes in (updates, samples, seconds)] == ["log"] * 3


def test_the_band_of_one_batch_size_alone_is_a_bar() -> None:
    trials = [*fast(4, 0.1, 40), *fast(16, 0.1, None)]
    updates, samples = scaling_figure(answer_of(trials)).axes
    for axes, factor in ((updates, 1), (samples, 4)):
        (bar,) = [line for line in axes.get_lines() if line.get_linewidth() == BAR["linewidth"]]
        ends = np.asarray(bar.get_xydata()).tolist()
        assert ends == [[4, 39 * factor], [4, 41 * factor]]


def test_a_band_without_an_upper_end_is_marked_where_the_trainings_ended() -> None:
    sure = [t for size in (1, 4) for t in fast(size, 0.1, 400 // size, spent=900)]
    seeds = [trial(16, 0.1, k, reached=40 if k < 2 else None, spent=300) for k in range(3)]
    for trials, ends in (([*sure, *seeds], {16: 300}), (seeds, {16: 300}), (sure, {})):
        figure = scaling_figure(answer_of(trials))
        updates = figure.axes[0]
        assert markers(updates, "^") == ends
        (legend,) = figure.legends
        says = "80th percentile not there by then"
        assert (says in [text.get_text() for text in legend.get_texts()]) == bool(ends)
        if len(trials) > 3:
            (band,) = updates.collections
            x, y = np.asarray(band.get_paths()[0].vertices).T
            assert y[x == 4].max() == 101
            assert ends == {} or y[x == 16].max() == 300


def boxes(figure: Figure, texts: Sequence[Any]) -> list[Bbox]:
    """Where texts are, as they are drawn; of two lines, of which the first is empty, the second."""
    figure.draw_without_rendering()
    found = []
    for text in texts:
        box = text.get_window_extent()
        if text.get_text().startswith("\n"):
            box = Bbox([(box.x0, box.y0), (box.x1, (box.y0 + box.y1) / 2)])
        found += [box] if text.get_text() else []
    return found


def are_apart(found: Sequence[Bbox]) -> bool:
    return not any(a.overlaps(b) for a, b in combinations(found, 2))


@pytest.mark.parametrize(
    "sizes",
    [(1, 2, 4, 8, 16, 32, 64, 100), (1, 4, 16, 64, 256, 354), (1000, 1024), (7,),
     tuple(range(1, 40)), (1, 10**6, 10**6 + 1, 10**9)],
    ids=str,
)  # fmt: skip
def test_each_batch_size_has_a_tick_and_numbers_that_do_not_collide(sizes: tuple[int, ...]) -> None:
    figure = scaling_figure(
        answer_of([trial(size, 0.1, reached=9) for size in sizes], pace=dict.fromkeys(sizes, 1e-3))
    )
    bottom = figure.bbox.y0
    for axes in figure.axes:
        assert list(axes.get_xticks()) == list(sizes)
        found = boxes(figure, [*axes.get_xticklabels(), axes.xaxis.label])
        assert are_apart(found)
        assert all(box.y0 > bottom for box in found)
        assert axes.get_xticklabels()[-1].get_text() == short(sizes[-1])
        if len(sizes) <= 8 and max(sizes) < 1000:
            assert all(text.get_text() for text in axes.get_xticklabels())


@pytest.mark.parametrize("flat", [False, True])
def test_the_rates_are_named_apart_from_each_other_and_from_the_points(flat: bool) -> None:
    """Of eight batch sizes, each with a rate of its own; the last two end at about the same."""
    sizes, lrs = (1, 2, 4, 8, 16, 32, 64, 100), (0.0316, 0.01, 0.1, 0.316)
    trials = [
        each
        for k, size in enumerate(sizes)
        for lr in lrs
        for each in fast(
            size, lr, (60 if flat else 6000 // size) * (1 + (lr != lrs[k % 4])), spent=6000
        )
        if size < 64 or lr == lrs[k % 4]
    ]
    figure = scaling_figure(answer_of(trials))
    axes = figure.axes[0]
    rates = [text for text in axes.texts if text.get_text()]
    assert [text.get_text() for text in rates] == [f"{lrs[k % 4]:g}" for k in range(8)]
    words = boxes(figure, rates)
    points = [
        Bbox([(x - 4, y - 4), (x + 4, y + 4)])
        for x, y in axes.transData.transform(
            [(cell, at) for cell, at in markers(axes, "o").items()]
        )
    ]
    assert are_apart(words)
    for own, word in enumerate(words):
        assert not any(word.overlaps(point) for point in points)
        middle = ((word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2)
        away = [math.dist(middle, ((p.x0 + p.x1) / 2, (p.y0 + p.y1) / 2)) for p in points]
        assert min(away) > away[own] - 3


def test_samples_are_drawn_as_they_were_counted() -> None:
    """64 of 100 rows and then 36: two updates take 100 samples, not 128."""
    results = [
        event
        for event in execute(
            prepare(
                "sweep",
                small_config(
                    epochs=8, seeds=3, sweep={"lr": 0.1, "batch_size": [4, 64], "target": 0.3}
                ),
            )
        )
        if isinstance(event, RunResult)
    ]
    answer = analyze(results, 0.3)
    assert answer
    samples = scaling_figure(answer).axes[1]
    expected = {c.batch_size: c.to_target("samples") for c in answer.best_of_batch}
    assert expected[64] % 100 == 0
    assert markers(samples, "o") == expected


def test_the_fitted_curve_is_that_of_the_fit() -> None:
    answer = typical()
    fit = answer.critical
    assert fit
    updates, samples, _ = scaling_figure(answer).axes
    for axes, power in ((updates, 0), (samples, 1)):
        (line,) = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        assert (x[0], x[-1]) == (1, 100)
        np.testing.assert_allclose(y, [fit.updates(size) * size**power for size in x])
    words = "\n".join(text.get_text() for text in scaling_figure(answer).texts)
    assert f"B_crit = {rounded(fit.batch_crit)}" in words
    assert "median of 3 seeds, band 20th to 80th percentile" in words


def test_a_hundred_rates_leave_the_axis_legible() -> None:
    trials = [trial(size, 0.001 * k) for size in (1, 4) for k in range(1, 400)]
    figure = heatmap_figure(answer_of(trials))
    assert len(figure.axes[0].get_yticks()) <= 60
    assert figure.get_figheight() < 15


def drawn(figure: Figure) -> None:
    figure.savefig(BytesIO(), dpi=30)


def test_pictures_of_a_sweep_are_drawn_without_a_word(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    for figure in (heatmap_figure(swept[2][-1]), scaling_figure(swept[2][-1])):
        drawn(figure)


# ------------------------------------------------------------------------------------------- names


def test_runs_that_differ_have_colours_that_differ() -> None:
    lanes = (Lane(0.1, 0),)
    methods = [Series(name, k, lanes) for k, name in enumerate(("full", "sgd", "minibatch"))]
    assert run_colors(methods) == METHOD_COLORS
    sizes = [Series("minibatch", 2**k, lanes, f"batch-{2**k}") for k in range(20)]
    found = run_colors(sizes)
    assert list(found) == [run.name for run in sizes]
    assert len(set(found.values())) == 20
    assert len(set(run_colors([*sizes, Series("full", 2**21, lanes, "batch-x")]).values())) == 21
    # Of two sweeps: from dark to light by batch size, whichever sweep they are of.
    both = [Series("minibatch", 2**k, lanes, f"{name}-{k}") for name in "ab" for k in range(6)]
    found = run_colors(both)
    assert list(found) == [run.name for run in both]
    light = [int(found[run.name][3:5], 16) for run in sorted(both, key=lambda run: run.batch_size)]
    assert light == sorted(light)
    assert len(set(found.values())) == 12
    same = [Series("minibatch", 16, lanes, name) for name in "abcdefg"]
    assert len(set(run_colors(same).values())) == 7


def test_the_config_of_a_sweep_is_written_beside_its_answer(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    place, config, _ = swept
    assert (place / "config.yaml").read_text().endswith(dump_config(config))
    assert load_config(str(place / "config.yaml")) == config
