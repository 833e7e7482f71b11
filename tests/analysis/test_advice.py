"""The words about a sweep."""

import math
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from gdrun.analysis.advice import advice, command
from gdrun.analysis.analyze import analyze
from gdrun.analysis.cautions import cautions
from gdrun.analysis.larger_batches import interval_in_words
from gdrun.analysis.recommend import recommended
from gdrun.config.read import load_config
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.plots.sweeps.scaling import scaling_figure
from gdrun.results.run import RunResult
from gdrun.text import rounded
from tests.command_line import Invoke
from tests.sweep_results import HERE, answer_of, fast, trial, typical


def test_the_paragraph_holds_the_numbers_of_the_answer() -> None:
    answer = typical()
    words = advice(answer)
    assert answer.critical
    assert answer.critical.interval
    assert "The target, a train loss of 0.11, was reached by 9 of 9 pairs" in words
    assert "Fewest updates: 30 (batch 100, lr 0.1); fewest samples: 400 (batch 1, lr 0.1)" in words
    assert "least time: 120 ms for one training alone (batch 10, lr 0.1)" in words
    low, high = map(rounded, answer.critical.interval)
    assert f"about {rounded(answer.critical.batch_crit)} (95 %: {low} to {high}). By" in words
    assert words.endswith(
        "So train with batch 10, lr 0.1, which reaches the target first and ends with a train "
        "loss of 0.1:"
    )
    few = [*fast(4, 0.1, 20), *fast(100, 0.1, 5), trial(4, 0.2, 0, reached=None)]
    few += [trial(4, 0.2, 1), trial(4, 0.2, 2), *(trial(100, 0.2, k, reached=None) for k in (0, 1))]
    few += [trial(100, 0.2, 2)]
    assert "was reached by 3 of 4 pairs" in advice(answer_of(few))
    assert "fewest samples: 40 (batch 4, lr 0.2)" in advice(answer_of(few))
    own = typical(target=1.1 * 0.10001)
    assert "0.11 (1.1 times the lowest, that of batch 100, lr 0.01), was reached" in advice(own)


def test_in_proportion_up_to_all_rows_larger_batches_can_pay_no_more() -> None:
    trials = [t for size in (1, 10, 100) for t in fast(size, 0.1, 40_000 // size)]
    assert "Up to all 100 rows, larger batches saved" in advice(answer_of(trials))
    fewer = [t for size in (1, 5, 50) for t in fast(size, 0.1, 40_000 // size)]
    answer = answer_of(fewer)
    assert answer.critical
    if math.isinf(answer.critical.batch_crit):
        assert "Up to batch 50, larger batches saved updates in proportion to" in advice(answer)


def test_updates_are_said_to_go_down_in_proportion_only_where_they_do() -> None:
    def words(*reached: int) -> str:
        sizes = zip((1, 4, 16), reached, strict=True)
        found = answer_of([t for size, at in sizes for t in fast(size, 0.1, at, epochs=900)])
        assert found.critical
        assert math.isinf(found.critical.batch_crit)
        return advice(found)

    assert "Up to batch 16, larger batches saved updates in proportion to their size, and" in words(
        160_000, 40_000, 9_990
    )
    assert (
        "larger batches saved updates more than in proportion to their size, and even larger ones"
        in words(160_000, 40_000, 5_000)
    )


def test_the_interval_is_said_of_a_critical_batch_size_that_is_open_above() -> None:
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    answer = answer_of(trials)
    assert answer.critical
    for low, says in ((220.4, True), (math.inf, False)):
        fit = replace(answer.critical, batch_crit=math.inf, interval=(low, math.inf))
        words = advice(replace(answer, critical=fit))
        assert ("may pay off: the critical batch size is 220 or more (95 %)." in words) == says
        assert ("may pay off." in words) != says


@pytest.mark.parametrize(
    ("crit", "interval", "left_out", "said"),
    [
        (20.0, (10.0, 30.0), 12, "(95 %: 10 to 30; 12 of 1,000 resamples couldn't be fitted and "),
        (math.inf, (10.0, math.inf), 1, "(95 %; 1 of 1,000 resamples couldn't be fitted and is"),
        (20.0, (10.0, 30.0), 0, "(95 %: 10 to 30)"),
        (20.0, None, 0, "about 20."),
    ],
)
def test_resamples_that_were_left_out_are_said_beside_the_interval(
    crit: float, interval: tuple[float, float] | None, left_out: int, said: str
) -> None:
    answer = answer_of([t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size)])
    assert answer.critical
    fit = replace(answer.critical, batch_crit=crit, interval=interval, left_out=left_out)
    found = replace(answer, critical=fit)
    assert said in advice(found)
    assert found.summary()["fit"]["resamples_left_out"] == left_out
    head = " ".join(text.get_text() for text in scaling_figure(found).texts)
    assert ("resamples" in head) == (left_out > 0)


def test_a_batch_size_that_never_came_to_the_target_bounds_the_critical_one() -> None:
    """It was trained for as many updates as smaller batches need, and larger ones don't pay."""
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    short, long = (
        answer_of([*trials, *fast(64, 0.1, None, spent=spent)]) for spent in (2000, 9000)
    )
    assert "larger ones may pay off" in advice(short)  # it would have needed 2,500
    assert short.critical
    assert long.critical
    assert not short.critical.active_censored
    assert long.critical.active_censored == (64,)
    assert long.critical.batches == (1, 4, 16)
    words = advice(long)
    assert "pay off" not in words
    assert f"The critical batch size is at most about {rounded(long.critical.batch_crit)}" in words
    assert ", since batch 64 needs more than the 9,000 updates it had. " in words
    title = "\n".join(text.get_text() for text in scaling_figure(long).texts)
    assert f"B_crit ≤ {rounded(long.critical.batch_crit)}" in title
    # A small one that takes more leaves larger ones more to save.
    trials = [t for size, at in ((4, 400), (8, 210), (16, 130)) for t in fast(size, 0.1, at)]
    small = answer_of([*(replace(t, samples_to_target=5000) for t in trials),
                       *fast(1, 0.1, None, spent=1700)])  # fmt: skip
    assert small.critical
    assert small.critical.active_censored == (1,)
    assert "The critical batch size is at least about" in advice(small)
    assert ", since batch 1 needs more than the 1,700 updates it had. " in advice(small)
    both = replace(small.critical, active_censored=(1, 64))
    assert "The critical batch size is about" in advice(replace(small, critical=both))
    assert ", since batches 1 and 64 need more updates than they had. " in advice(
        replace(small, critical=both)
    )
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    # Where every rate diverges, no larger number of updates is known of.
    dead = answer_of([*trials, *fast(64, 0.1, None, spent=9000, loss=None)])
    assert dead.critical
    assert not dead.critical.active_censored


def test_a_bound_of_the_critical_batch_size_has_a_bound_as_its_interval() -> None:
    trials = [t for size in (1, 4, 16) for t in fast(size, 0.1, 159_000 // size, epochs=900)]
    at_most = answer_of([*trials, *fast(64, 0.1, None, spent=9000)]).critical
    assert at_most
    fit = replace(at_most, interval=(0.0, 120.4))
    assert (fit.sign, interval_in_words(fit)) == ("≤", " (95 %: at most 120)")
    at_least = replace(fit, active_censored=(0,), interval=(57.0, math.inf))
    assert (at_least.sign, interval_in_words(at_least)) == ("≥", " (95 %: at least 57)")
    plain = replace(fit, active_censored=(), interval=(57.0, 120.4))
    assert (plain.sign, interval_in_words(plain)) == ("=", " (95 %: 57 to 120)")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (562, "fewest samples: 9,000 (batch 4, lr 0.1)"),
        (561, "fewest samples: 9,000 (batch 4, lr 0.1; perhaps as few: batch 16, lr 0.1)"),
    ],
)
def test_batch_sizes_that_evaluations_do_not_tell_apart_are_said(before: int, said: str) -> None:
    """Batch 16 reached the target at one of the updates after `before`, of 16 rows each."""
    sizes = ((1, 30_000, 29_000), (4, 2250, 2249), (16, 600, before))
    trials = [t for size, at, last in sizes for t in fast(size, 0.1, at, before=last)]
    assert said in advice(answer_of(trials))


def test_a_target_that_holds_before_training_tells_nothing_of_batch_sizes() -> None:
    words = advice(answer_of([t for size in (1, 4, 16) for t in fast(size, 0.1, 1)]))
    assert "The target is reached before any training: a lower --target tells more." not in words
    words = advice(answer_of([trial(size, 0.1, reached=0) for size in (1, 4, 16)]))
    assert "The target is reached before any training: a lower --target tells more." in words
    assert "Too few batch sizes" not in words


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
        ((16,), "Batch 16 was not trained to the end: the results so far are not enough"),
        ((16, 64), "Batches 16 and 64 were not trained to the end: the results so far"),
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
        "a train loss of 0.1; with 2 of 8 seeds it never reaches the target and ends with up to "
        "0.7:"
    )
    dead = trial(4, 0.1, 8, loss=None, reached=None)
    assert advice(answer_of([*seeds, *astray, dead])).endswith(
        "; with 3 of 9 seeds it never reaches the target, or diverges:"
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
    assert "the validation loss of batch 100, lr 0.1 is 0.5, not 0." in words
    assert "Train with batch 4, lr 0.1, which has the lowest validation loss, 0:" in words


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
    assert "No pair ended more than 10 % below the untrained loss" in advice(flat)
    assert command(flat, HERE) is None
    lost = answer_of(
        [trial(4, lr, loss=None, reached=None, spent=0) for lr in (0.1, 1.0)], target=None
    )
    assert "infinite before training: scale the data" in advice(lost)
    assert not [line for line in cautions(lost, HERE) if "--lr" in line]


def test_commands_in_the_advice_run(invoke: Invoke) -> None:
    flags = ["--set", "data.rows=24", "--epochs", "6", "--seeds", "2"]
    flags += ["--set", "plot.enabled=false"]
    outcome = invoke(
        "sweep", *flags, "--lr", "1e-05,3e-05", "--batch-size", "4,full", "--name", "a b"
    )
    assert outcome.code == 0
    config = load_config("outputs/a b/config.yaml")
    place, results = Path("outputs/a b"), list(execute(plan_experiment("sweep", config)))
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
