"""Every sentence of an explanation is said on what makes it true, and not otherwise."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gdrun.analysis.critical_batch import CriticalBatch
from gdrun.analysis.why.explain import Explanation, explain
from gdrun.analysis.why.prediction import on_the_way
from gdrun.analysis.why.probed import probed_runs
from gdrun.results.run import RunResult
from tests.probed_results import EPOCHS, FALLING, FLAT, ROWS, as_array, probed
from tests.sweep_results import answer_of, trial

HERE = Path("outputs/a")
UNPROBED = probed("full", ROWS, ratio=None, scale=None)


def explained(
    *results: RunResult, command: str | None = None, sweep: Any = None, target: float | None = None
) -> Explanation:
    command = command or ("compare" if len(results) > 1 else results[0].series.method)
    places = {result.series.name: HERE / result.series.name for result in results}
    return explain(command, results, sweep, HERE, places, target)


def conditions(found: Explanation) -> set[str]:
    return {sentence.condition for sentence in found.sentences}


def said(found: Explanation, condition: str) -> str:
    (text,) = (s.text for s in found.sentences if s.condition == condition)
    return text


# ------------------------------------------------------------------------------- learning rates

RATE = {
    "far-below-limit", "far-below-limit-of-full-batches", "close-to-limit",
    "close-to-limit-of-full-batches", "edge-of-stability", "above-limit", "diverged-above-limit",
    "diverged-below-limit",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch": ROWS, "ratio": 0.1}, "far-below-limit"),
        ({"batch": 16, "ratio": 0.1}, "far-below-limit-of-full-batches"),
        ({"batch": ROWS, "ratio": 0.7}, "close-to-limit"),
        ({"batch": 16, "ratio": 0.7}, "close-to-limit-of-full-batches"),
        # Its band reaches beyond one half, and so it isn't sure.
        ({"batch": ROWS, "ratio": 0.47}, "close-to-limit"),
        ({"batch": ROWS, "ratio": (0.3, 0.6, 0.9, 1.01, 0.99)}, "edge-of-stability"),
        ({"batch": ROWS, "ratio": (0.3, 0.6, 1.0, 1.3, 1.4)}, "above-limit"),
        ({"batch": 16, "ratio": (0.3, 0.6, 1.0, 1.3, 1.4)}, "above-limit"),
        # Batches smaller than all rows are never said to be at the edge.
        ({"batch": 16, "ratio": (0.3, 0.6, 0.9, 1.01, 0.99)}, "close-to-limit-of-full-batches"),
        ({"batch": ROWS, "ratio": 3.0, "status": "diverged"}, "diverged-above-limit"),
        ({"batch": ROWS, "ratio": 0.3, "status": "diverged"}, "diverged-below-limit"),
        ({"batch": 1, "ratio": 0.3, "status": "diverged"}, "diverged-below-limit"),
    ],
)
def test_a_learning_rate_stands_somewhere_against_its_limit(
    settings: dict[str, Any], expected: str
) -> None:
    found = explained(probed("full" if settings["batch"] == ROWS else "minibatch", **settings))
    assert conditions(found) & RATE == {expected}


def test_without_sharpness_nothing_is_said_of_rates() -> None:
    assert not conditions(explained(probed(ratio=None))) & RATE


def test_how_much_larger_a_rate_may_be_is_rounded_down() -> None:
    text = said(explained(probed("full", ROWS, ratio=0.11)), "far-below-limit")
    assert "only 11 % (10 % to 12 %) of the 20 that this rate tolerates" in text
    assert "a rate up to about 8 times as large" in text  # 1 / (1.1 · 0.11) = 8.26


def test_the_rise_to_the_edge_is_said_where_there_was_one() -> None:
    rises = explained(probed("full", ROWS, ratio=(0.3, 0.6, 0.9, 1.01, 0.99)))
    assert "It rose there from" in said(rises, "edge-of-stability")
    was_there = explained(probed("full", ROWS, ratio=(1.2, 1.05, 1.0, 1.0, 1.0)))
    assert "It rose" not in said(was_there, "edge-of-stability")
    assert "The loss still falls." in said(was_there, "edge-of-stability")
    shaken = probed("full", ROWS, ratio=(1.2, 1.05, 1.0, 1.0, 1.0), loss=(1.0, 0.6, 0.5, 0.3, 0.4))
    assert "The loss still falls" not in said(explained(shaken), "edge-of-stability")


def test_a_sharpness_that_never_changes_is_at_its_limit_by_chance() -> None:
    assert conditions(explained(probed("full", ROWS, ratio=1.0))) & RATE == {"close-to-limit"}


@pytest.mark.parametrize("loss", ["l1", "huber"])
def test_of_losses_that_are_straight_far_out_rates_are_not_judged(loss: str) -> None:
    for status in ("done", "diverged"):
        result = probed("full", ROWS, ratio=0.01, status=status)
        result = replace(result, description=replace(result.description, loss=loss))
        assert not conditions(explained(result)) & RATE


@pytest.mark.parametrize("ratio", [0.0, -0.3])
def test_a_loss_that_curves_down_has_no_limit(ratio: float) -> None:
    found = explained(probed("full", ROWS, ratio=ratio))
    assert not conditions(found) & RATE
    assert found.next_step
    assert "-" not in found.next_step.command.partition("--lr ")[2]


@pytest.mark.parametrize("limit", [0.0, -1.0])
def test_where_decay_alone_is_not_stable_nothing_is_said_of_the_sharpness(limit: float) -> None:
    result = probed("full", ROWS, ratio=0.5, status="diverged")
    for history in result.histories:
        history.probes["stability_limit"][:] = as_array([limit] * len(EPOCHS))
    assert not conditions(explained(result)) & RATE


def test_under_a_schedule_the_highest_rate_counts() -> None:
    """The limit grows as the rate falls: that of the rate that was asked for is what is meant."""
    result = probed(
        "full", ROWS, ratio=0.1, schedule="cosine", scheduled=(0.1, 0.08, 0.05, 0.02, 1e-6)
    )
    for history in result.histories:
        for k, rate in enumerate((0.1, 0.08, 0.05, 0.02, 1e-6)):
            history.probes["stability_limit"][k] *= 0.1 / rate
    text = said(explained(result), "far-below-limit")
    assert "full at lr 0.1, the highest of its schedule" in text
    assert "of the 20 that this rate tolerates" in text
    assert "up to about 9 times as large" in text


def test_a_rate_may_be_called_many_times_too_small_but_not_how_many() -> None:
    found = explained(probed("full", ROWS, ratio=1e-6))
    assert "a rate more than 100 times as large" in said(found, "far-below-limit")
    assert found.next_step
    assert "--lr 5" in found.next_step.command


def test_lanes_that_diverge_are_explained_beside_the_best() -> None:
    fine, wild = probed("full", ROWS, ratio=0.4), probed("full", ROWS, lr=1.0, ratio=3.0)
    lanes = (
        *fine.lanes,
        *(replace(lane, status="diverged", train_loss=None) for lane in wild.lanes),
    )
    both = replace(
        fine,
        series=replace(fine.series, lanes=(*fine.series.lanes, *wild.series.lanes)),
        histories=(*fine.histories, *wild.histories),
        lanes=lanes,
    )
    found = explained(both)
    assert {"diverged-above-limit", "far-below-limit"} <= conditions(found)
    assert "full at lr 1 diverged" in said(found, "diverged-above-limit")


def test_an_adaptive_optimizer_is_judged_by_its_divided_hessian() -> None:
    result = probed("full", ROWS, ratio=0.1, adaptive=True)
    for history in result.histories:
        for k in range(len(history.probes["sharpness"])):
            history.probes["sharpness"][k] *= 100
    assert conditions(explained(result)) & RATE == {"far-below-limit"}


# ---------------------------------------------------------------------------------------- noise

NOISE = {
    "early-clean", "early-balanced", "early-noisy", "late-noisy", "noise-grows", "noise-shrinks",
    "stuck-in-noise", "curved-larger", "curved-smaller",
}  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"scale": 16.0}, {"early-balanced"}),
        ({"scale": 2.0}, {"early-clean"}),
        ({"scale": 200.0}, {"early-noisy", "late-noisy"}),
        ({"scale": (16, 30, 60, 200, 200)}, {"early-balanced", "noise-grows", "late-noisy"}),
        ({"scale": (200, 90, 40, 16, 16)}, {"early-noisy", "noise-shrinks"}),
        ({"scale": 200.0, "loss": FLAT}, {"early-noisy", "late-noisy", "stuck-in-noise"}),
        # The rate falls by itself.
        ({"scale": 200.0, "loss": FLAT, "schedule": "cosine"}, {"early-noisy", "late-noisy"}),
        ({"scale": 16.0, "loss": FLAT}, {"early-balanced"}),
        ({"scale": 16.0, "weighted": 100.0}, {"early-balanced", "curved-larger"}),
        ({"scale": 16.0, "weighted": 2.0}, {"early-balanced", "curved-smaller"}),
        ({"scale": 16.0, "weighted": 30.0}, {"early-balanced"}),
        ({"scale": 16.0, "weighted": math.nan}, {"early-balanced"}),
        # A batch of all rows has no noise, however large the scale.
        ({"name": "full", "batch": ROWS, "scale": 9000.0}, set()),
        # One seed: twice as far to both sides.
        ({"scale": 60.0, "seeds": (1.0,)}, {"early-balanced"}),
        ({"scale": 60.0}, {"early-noisy", "late-noisy"}),
        ({"scale": None}, set()),
    ],
)
def test_the_noise_scale_is_compared_with_the_batch(
    settings: dict[str, Any], expected: set[str]
) -> None:
    assert conditions(explained(probed(**settings))) & NOISE == expected


def test_runs_that_are_alike_share_a_sentence() -> None:
    found = explained(
        probed("full", ROWS), probed("sgd", 1, scale=90.0), probed("b", 2, scale=90.0)
    )
    text = said(found, "late-noisy")
    assert "% of its squared length in sgd, whose noise scale is 90 (81 to 99); " in text


# --------------------------------------------------------------------------- the two estimators


def test_two_batches_confirm_the_noise_or_call_it_in_question() -> None:
    assert "two-batches-agree" in conditions(explained(probed()))
    assert "two-batches-differ" in conditions(explained(probed(two_batch_factor=4.0)))
    few = conditions(explained(probed(seeds=(1.0,))))
    assert not few & {"two-batches-agree", "two-batches-differ"}
    assert "two-batches-agree" not in conditions(explained(probed(scale=None)))


# ------------------------------------------------------------------------------------ comparison


def three(
    *,
    losses: Sequence[Sequence[float]],
    scales: Sequence[Any] = (16.0, 16.0, 16.0),
    **more: Any,
) -> list[RunResult]:
    """Full batches, single rows and batches of 16."""
    runs = (("full", ROWS), ("sgd", 1), ("minibatch", 16))
    return [
        probed(name, size, scale=scale, loss=loss, **more)
        for (name, size), scale, loss in zip(runs, scales, losses, strict=True)
    ]


LOW, HIGH, SHAKEN = (
    (1.0, 0.3, 0.2, 0.12, 0.1),
    (1.0, 0.9, 0.8, 0.7, 0.6),
    (1.0, 0.2, 0.1, 0.13, 0.2),
)


def test_full_batches_take_too_few_updates() -> None:
    found = explained(*three(losses=(HIGH, LOW, LOW)))
    text = said(found, "too-few-updates")
    assert "full doesn't get down to 0.11 in 40 updates, though its loss still falls" in text
    assert "sgd takes 260 times as many" in text
    assert "The gradients of full are cleaner, early 100 % signal and not 6 %" in text
    assert {"alike", "progress-per-pass"} <= conditions(found)
    assert "best" not in conditions(found)


def test_single_rows_are_too_noisy() -> None:
    found = explained(*three(losses=(LOW, SHAKEN, LOW), scales=(16.0, 90.0, 16.0)), target=0.15)
    text = said(found, "too-noisy")
    assert "sgd ends with a higher train loss, 0.2 (its lowest was 0.1), in spite of 10,240" in text
    assert (
        "off by 1, and that of minibatch by 0.24, so that its noise moves the weights 4.1" in text
    )
    assert "too-few-updates" not in conditions(found)


def test_mini_batches_do_both() -> None:
    found = explained(*three(losses=(HIGH, SHAKEN, LOW), scales=(16.0, 90.0, 16.0)), target=0.15)
    assert {"too-few-updates", "too-noisy", "best"} <= conditions(found)
    assert said(found, "best") == (
        "minibatch reaches the train loss 0.15, in 480 updates, and ends with the lowest train "
        "loss, 0.1."
    )


def test_validation_losses_decide_where_there_are_some() -> None:
    val = ((1.0, 0.9, 0.8, 0.7, 0.6), (1.0, 0.4, 0.5, 0.6, 0.8), (1.0, 0.5, 0.4, 0.4, 0.4))
    runs = [
        probed(name, size, scale=scale, loss=LOW, val=own)
        for (name, size), scale, own in zip(
            (("full", ROWS), ("sgd", 1), ("minibatch", 16)), (16.0, 90.0, 16.0), val, strict=True
        )
    ]
    found = explained(*runs)
    text = said(found, "overfits")
    assert "The validation loss of sgd was lowest, 0.4, about epoch 10, and ends at 0.8" in text
    assert "while its train loss fell from 0.3 to 0.1" in text
    assert "too-noisy" not in conditions(found)  # its train loss doesn't show it
    assert "why full ends with a higher validation loss, 0.6." in said(found, "unexplained")


def test_a_run_may_both_overfit_and_be_shaken() -> None:
    rising = (1.0, 0.4, 0.5, 0.6, 0.8)
    shaken = probed("sgd", 1, scale=90.0, loss=(1.0, 0.3, 0.1, 0.1, 0.2), val=rising)
    calm = probed(loss=LOW, val=(1.0, 0.5, 0.4, 0.4, 0.4))
    assert {"overfits", "too-noisy"} <= conditions(explained(shaken, calm, target=0.25))
    same = probed("sgd", 1, scale=90.0, loss=(1.0, 0.2, 0.2, 0.2, 0.2), val=rising)
    assert "overfits" not in conditions(explained(same, calm, target=0.25))


def test_what_the_probes_do_not_explain_is_not_explained() -> None:
    stopped = (1.0, 0.9, 0.8, 0.8, 0.8)  # it no longer falls
    found = explained(*three(losses=(stopped, LOW, LOW)))
    assert "too-few-updates" not in conditions(found)
    assert said(found, "unexplained") == "The probes don't show why full doesn't get down to 0.11."


def test_fewer_updates_are_no_reason_of_runs_that_stopped_at_other_epochs() -> None:
    full, *others = three(losses=(HIGH, LOW, LOW))
    shorter = replace(full, lanes=tuple(replace(lane, epochs=20) for lane in full.lanes))
    assert "too-few-updates" not in conditions(explained(shorter, *others))


def test_of_other_rates_it_is_not_said_that_they_are_the_same() -> None:
    full, sgd, _ = three(losses=(HIGH, LOW, LOW))
    slow = probed("slow", 16, lr=0.05, loss=LOW)
    assert "at the same rate" not in said(explained(full, slow), "too-few-updates")
    assert "at the same rate" in said(explained(full, sgd), "too-few-updates")


def test_a_run_that_misses_the_target_may_end_lower_all_the_same() -> None:
    val = (1.0, 0.5, 0.4, 0.4, 0.4), (1.0, 0.9, 0.8, 0.7, 0.6)
    slow = probed("full", ROWS, loss=HIGH, val=val[0])
    fast = probed(loss=LOW, val=val[1])
    text = said(explained(slow, fast), "best")
    assert "ends with a validation loss of 0.6; that of full is lower all the same" in text
    near = probed("full", ROWS, loss=HIGH, val=val[1])
    assert "that 3 seeds can't tell from that of full" in said(explained(near, fast), "best")


def test_a_run_that_was_not_probed_might_be_better() -> None:
    runs = three(losses=(HIGH, LOW, LOW))
    assert "alike" in conditions(explained(*runs))
    topics = {s.topic for s in explained(*runs[1:], UNPROBED).sentences}
    assert "why" not in topics


def test_losses_below_zero_are_compared_as_they_are() -> None:
    below = [tuple(loss - 5 for loss in losses) for losses in (LOW, HIGH)]
    runs = [
        probed(name, size, loss=loss, seeds=(1.0,))
        for name, size, loss in (("full", ROWS, below[1]), ("minibatch", 16, below[0]))
    ]
    assert conditions(explained(*runs)) & {"best", "alike"}


def test_a_pass_gets_further_by_smaller_batches() -> None:
    """(N + scale) / (B + scale): McCandlish et al. 2018."""
    found = explained(*three(losses=(LOW, LOW, LOW), seeds=(1.0, 1.0, 1.0)))
    text = said(found, "progress-per-pass")
    assert (
        "gets about 8.5 times as far with batches of 16 and about 16 times with batches of" in text
    )
    assert "progress-per-pass" not in conditions(explained(probed("sgd", 1), probed()))


# ----------------------------------------------------------------------------------------- sweep


def swept(crit: float, interval: tuple[float, float] | None, scale: Any, **more: Any) -> Any:
    """A sweep of three batch sizes whose fit is given, and its probed runs."""
    sizes = (1, 16, 100)
    cells = [trial(size, 0.1, seed, reached=40) for size in sizes for seed in range(3)]
    sweep = replace(
        answer_of(cells), critical=CriticalBatch(10.0, crit, interval, sizes, 10 * crit)
    )
    runs = [probed(f"batch-{size}", size, scale=scale, **more) for size in sizes]
    return explained(*runs, command="sweep", sweep=sweep)


PREDICTED = {"prediction-agrees", "measured-larger", "measured-smaller", "predicted-only"}


@pytest.mark.parametrize(
    ("crit", "interval", "scale", "expected"),
    [
        (18.0, (12.0, 30.0), 16.0, "prediction-agrees"),
        (18.0, (12.0, 30.0), 40.0, "prediction-agrees"),
        (18.0, (12.0, 30.0), 900.0, "measured-smaller"),
        (300.0, (200.0, 400.0), 16.0, "measured-larger"),
        (60.0, None, 16.0, "prediction-agrees"),  # of few seeds: a factor of two to both sides
        (90.0, None, 16.0, "measured-larger"),
        (math.inf, None, 16.0, "measured-larger"),
        (math.inf, None, 900.0, "prediction-agrees"),
    ],
)
def test_what_noise_predicts_stands_beside_what_was_measured(
    crit: float, interval: tuple[float, float] | None, scale: float, expected: str
) -> None:
    assert conditions(swept(crit, interval, scale)) & PREDICTED == {expected}


def test_what_a_disagreement_means() -> None:
    close = said(swept(18.0, (12.0, 30.0), 900.0, ratio=0.8), "measured-smaller")
    assert "Large batches meet another limit before" in close
    flat = said(swept(18.0, (12.0, 30.0), 900.0, weighted=10.0), "measured-smaller")
    assert "the noise lies where the loss is flat" in flat
    other = said(swept(18.0, (12.0, 30.0), 900.0), "measured-smaller")
    assert "The model takes rows to be drawn independently" in other
    sharp = said(swept(300.0, (200.0, 400.0), 16.0, weighted=200.0), "measured-larger")
    assert "the noise lies where the loss is sharp" in sharp
    plain = said(swept(300.0, (200.0, 400.0), 16.0), "measured-larger")
    assert "too few learning rates" in plain


def test_without_a_fit_only_the_prediction_is_said() -> None:
    cells = [trial(size, 0.1, seed, reached=40) for size in (1, 16) for seed in range(3)]
    runs = [probed(f"batch-{size}", size) for size in (1, 16)]
    found = explained(*runs, command="sweep", sweep=answer_of(cells))
    assert "none was measured" in said(found, "predicted-only")


def test_the_noise_on_the_way_is_averaged_over_progress() -> None:
    """∫ 𝓑 ds / ∫ ds with ds = 1 / (1 + 𝓑/B): by logarithms where 𝓑 is a straight line."""
    for batch in (1, 8, 64, 200):
        (run,) = probed_runs(
            probed("b", batch, scale=(1, 250.75, 500.5, 750.25, 1000), seeds=(1.0,))
        )
        end = run.histories[0].probes["updates"][-1]
        expected = 999 / math.log((1000 + batch) / (1 + batch)) - batch
        mean = on_the_way(run, end)
        assert mean
        assert mean.middle == pytest.approx(expected, rel=1e-9)
    start = on_the_way(run, 0)
    assert start
    assert start.middle == 1
    constant = on_the_way(probed_runs(probed(scale=16.0, seeds=(1.0,)))[0], 50)
    assert constant
    assert constant.middle == pytest.approx(16)


def test_of_several_optimizers_predictions_are_told_apart() -> None:
    cells = [trial(size, 0.1, seed, reached=40) for size in (1, 16) for seed in range(3)]
    named = [replace(cell, optimizer="adam") for cell in answer_of(cells).cells]
    sweep = replace(answer_of(cells), cells=tuple(named))
    found = explained(*(probed(f"batch-{n}", n) for n in (1, 16)), command="sweep", sweep=sweep)
    assert "on the way to the target with adam" in said(found, "predicted-only")


# ------------------------------------------------------------------------------------- next steps


@pytest.mark.parametrize(
    ("settings", "condition", "command"),
    [
        ({"name": "full", "batch": ROWS, "ratio": 0.1}, "larger-rate", "gdrun full"),
        (
            {"name": "full", "batch": ROWS, "ratio": (0.5, 0.9, 1.0, 1.0, 1.0)},
            *("half-the-rate", "--lr 0.05"),
        ),
        # Half of the limit, and of that what batches of 16 do best with.
        ({"ratio": 3.0, "status": "diverged"}, "smaller-rate", "--lr 0.0072"),
        (
            {"name": "full", "batch": ROWS, "ratio": 3.0, "status": "diverged"},
            *("smaller-rate", "--lr 0.015"),
        ),
        ({"ratio": None, "status": "diverged"}, "smaller-rate", "--lr 0.01"),
        ({"scale": 200.0, "loss": FLAT}, "falling-rate", "--schedule cosine"),
        ({"scale": 100.0}, "sweep", "gdrun sweep --config outputs/a/config.yaml"),
        ({"scale": 16.0}, "sweep", "--probes none"),
    ],
)
def test_what_to_try_next(settings: dict[str, Any], condition: str, command: str) -> None:
    found = explained(probed(**settings))
    assert found.next_step
    assert found.next_step.reason.condition == condition
    assert command in found.next_step.command


def test_a_group_is_swept_next_and_upwards_where_there_is_room() -> None:
    upwards = explained(probed("full", ROWS, ratio=0.05), probed()).next_step
    assert upwards
    assert upwards.reason.condition == "sweep-upwards"
    assert "--lr 0.02,0.043,0.092,0.2,0.42,0.91 --probes none" in upwards.command
    near = explained(probed("full", ROWS, ratio=0.7), probed()).next_step
    assert near
    assert near.command == "gdrun sweep --config outputs/a/config.yaml --probes none"


def test_a_sweep_ends_with_its_recommendation() -> None:
    step = swept(18.0, (12.0, 30.0), 16.0).next_step
    assert step
    assert step.reason.condition == "train-recommended"


# --------------------------------------------------------------------------------------- cautions


def test_without_probes_it_says_what_to_run() -> None:
    found = explained(UNPROBED)
    assert (found.runs, found.sentences, found.next_step) == ((), (), None)
    assert found.probe == "gdrun full --config outputs/a/config.yaml --probes all"


@pytest.mark.parametrize(
    ("runs", "part"),
    [
        ([probed(seeds=(1.0,))], "with 1 seed nothing tells how far others are"),
        ([probed(seeds=(1.0, 1.2))], "with 2 seeds nothing tells"),
        ([probed(epochs=(0, 40), loss=(1.0, 0.2))], "was measured at 2 epochs only"),
        ([probed(status="interrupted")], "minibatch has not ended yet"),
        ([probed(weighted_error=0.5)], "is an estimate that may be off"),
        (
            [probed(), UNPROBED],
            "full was not probed",
        ),
    ],
)
def test_cautions_are_said_on_what_they_are_about(runs: list[RunResult], part: str) -> None:
    assert [caution for caution in explained(*runs).cautions if part in caution]
    assert not [caution for caution in explained(probed()).cautions if part in caution]


def test_few_seeds_widen_what_is_decided_by() -> None:
    (one,), (many,) = probed_runs(probed(seeds=(1.0,))), probed_runs(probed(seeds=(1.0,) * 5))
    wide, narrow = one.over("simple_noise_scale", EPOCHS), many.over("simple_noise_scale", EPOCHS)
    assert wide
    assert narrow
    assert (wide.low, wide.high) == (8.0, 32.0)
    assert (narrow.low, narrow.high) == (16.0, 16.0)
    assert wide.words() == "about 16"


def test_an_explanation_as_json_has_conditions_and_texts() -> None:
    found = explained(probed("full", ROWS, ratio=0.1, loss=FALLING)).as_json()
    assert {"topic": "rate", "condition": "far-below-limit"}.items() <= found["sentences"][
        0
    ].items()
    assert found["next"]["condition"] == "larger-rate"
    (run,) = found["runs"]
    assert run["late"]["epochs"] == [30, 40]
    assert run["late"]["sharpness_over_limit"] == pytest.approx(
        {"middle": 0.1, "low": 0.09, "high": 0.11}
    )
    json.dumps(explained(probed(scale=math.inf)).as_json(), allow_nan=False)
