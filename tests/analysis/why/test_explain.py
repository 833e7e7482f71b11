"""Every sentence of an explanation is said on what makes it true, and not otherwise."""

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
from tests.probed_results import EPOCHS, FALLING, FLAT, ROWS, probed
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
    assert "only 11 % (10 % to 12 %) of the 20 that this rate bears" in text
    assert "up to about 8 times as large" in text  # 1 / (1.1 · 0.11) = 8.26


def test_the_rise_to_the_edge_is_said_where_there_was_one() -> None:
    rises = explained(probed("full", ROWS, ratio=(0.3, 0.6, 0.9, 1.01, 0.99)))
    assert "It rose there from" in said(rises, "edge-of-stability")
    was_there = explained(probed("full", ROWS, ratio=1.0))
    assert "It rose" not in said(was_there, "edge-of-stability")


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
        ({"name": "full", "batch": ROWS, "scale": 9000.0}, {"early-balanced"}),
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
    assert "% of its squared length in sgd, whose noise scale is 90 (81 to 99) and " in text


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
    assert "full doesn't get down to 0.11 in 40 updates; sgd takes 260 times as many" in text
    assert {"alike", "progress-per-pass"} <= conditions(found)
    assert "best" not in conditions(found)


def test_single_rows_are_too_noisy() -> None:
    found = explained(*three(losses=(LOW, SHAKEN, LOW), scales=(16.0, 90.0, 16.0)), target=0.15)
    text = said(found, "too-noisy")
    assert "sgd ends with a higher train loss, 0.2, in spite of 10,240 updates" in text
    assert "its train loss ends at 0.2, and was 0.1" in text
    assert "too-few-updates" not in conditions(found)


def test_mini_batches_do_both() -> None:
    found = explained(*three(losses=(HIGH, SHAKEN, LOW), scales=(16.0, 90.0, 16.0)), target=0.15)
    assert {"too-few-updates", "too-noisy", "best"} <= conditions(found)
    assert said(found, "best").startswith("minibatch does both: it reaches the train loss 0.15")


def test_validation_losses_decide_where_there_are_some() -> None:
    val = ((1.0, 0.9, 0.8, 0.7, 0.6), (1.0, 0.4, 0.5, 0.6, 0.8), (1.0, 0.5, 0.4, 0.4, 0.4))
    runs = [
        probed(name, size, scale=scale, loss=LOW, val=own)
        for (name, size), scale, own in zip(
            (("full", ROWS), ("sgd", 1), ("minibatch", 16)), (16.0, 90.0, 16.0), val, strict=True
        )
    ]
    found = explained(*runs)
    text = said(found, "too-noisy")
    assert "sgd ends with a higher validation loss, 0.8" in text
    assert "its validation loss ends at 0.8, and was 0.4 about epoch 10" in text
    assert "full ends with a higher validation loss, 0.6, isn't told" in said(found, "unexplained")


def test_what_the_probes_do_not_explain_is_not_explained() -> None:
    found = explained(*three(losses=(HIGH, LOW, LOW), scales=(900.0, 16.0, 16.0)))
    assert "too-few-updates" not in conditions(found)  # its gradients aren't cleaner than is good
    assert "Why full doesn't get down to 0.11, isn't told" in said(found, "unexplained")


def test_a_pass_gets_further_by_smaller_batches() -> None:
    """(N + scale) / (B + scale): McCandlish et al. 2018."""
    found = explained(*three(losses=(LOW, LOW, LOW), seeds=(1.0, 1.0, 1.0)))
    text = said(found, "progress-per-pass")
    assert "about 8.5 times with batches of 16 and about 16 times with batches of 1" in text
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
        (math.inf, None, 16.0, "predicted-only"),
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


def test_the_noise_on_the_way_is_averaged_over_updates() -> None:
    (run,) = probed_runs(probed("full", ROWS, scale=(10, 20, 40, 40, 40), seeds=(1.0,) * 3))
    for updates, expected in ((0, 10), (10, 15), (5, 12.5), (20, 22.5), (40, 31.25), (99, 31.25)):
        mean = on_the_way(run, "simple_noise_scale", updates)
        assert mean
        assert mean.middle == pytest.approx(expected)


# ------------------------------------------------------------------------------------- next steps


@pytest.mark.parametrize(
    ("settings", "condition", "command"),
    [
        ({"name": "full", "batch": ROWS, "ratio": 0.1}, "larger-rate", "gdrun full"),
        ({"name": "full", "batch": ROWS, "ratio": 1.0}, "below-edge", "--lr 0.05"),
        ({"ratio": 3.0, "status": "diverged"}, "smaller-rate", "--lr 0.015"),
        ({"ratio": None, "status": "diverged"}, "smaller-rate", "--lr 0.01"),
        ({"scale": 200.0, "loss": FLAT}, "falling-rate", "--schedule cosine"),
        ({"scale": 100.0}, "larger-batch", "gdrun minibatch --config outputs/a/config.yaml"),
        ({"scale": 2.0}, "smaller-batch", "--batch-size 2"),
        ({"scale": 16.0}, "sweep", "gdrun sweep --config outputs/a/config.yaml"),
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
    assert "--lr 0.1,0.17,0.3,0.52,0.91" in upwards.command
    near = explained(probed("full", ROWS, ratio=0.7), probed()).next_step
    assert near
    assert near.command == "gdrun sweep --config outputs/a/config.yaml"


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
