"""Runs that end far above their best or their untrained loss say so; a run alone has no target."""

import json
import math
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.api import train
from gdrun.results.compare import bad_ends
from gdrun.results.run import RunResult
from gdrun.terminal.tables import end_notes
from tests.command_line import NO_PICTURES, Invoke

RESULT = train("full", lr=[0.01, 0.02], seeds=3, epochs=2, data={"rows": 9})
LOSSES = st.floats(1e-3, 1e3)


def ending(finals: list[float | None]) -> RunResult:
    """The run, had its lanes ended at these losses."""
    lanes = tuple(
        replace(
            lane,
            train_loss=final,
            best_train_loss=min(final or math.inf, lane.best_train_loss or math.inf),
        )
        for lane, final in zip(RESULT.lanes, finals, strict=True)
    )
    return replace(RESULT, lanes=lanes)


@given(st.lists(st.none() | LOSSES, min_size=6, max_size=6))
def test_ends_are_bad_by_their_definition(finals: list[float | None]) -> None:
    result = ending(finals)
    found = {end.lr: end for end in bad_ends([result])}
    for first, lr in ((0, 0.01), (3, 0.02)):
        bad = []
        for k in range(first, first + 3):
            final, best = result.lanes[k].train_loss, result.lanes[k].best_train_loss
            start = float(result.histories[k].epochs["train_loss"][0])
            if final is not None and best is not None:
                bad += [final] if final > 2 * best or final > 1.05 * start else []
        assert (lr in found) == bool(bad)
        if bad:
            assert found[lr].count == len(bad)
            assert found[lr].final == median(bad)
            assert found[lr].best <= found[lr].final


@given(st.floats(1e-9, 1e9))
def test_the_rate_to_try_is_smaller(lr: float) -> None:
    lanes = [replace(lane, lr=lr, train_loss=1e5) for lane in RESULT.lanes]
    (note,) = end_notes([replace(RESULT, lanes=tuple(lanes))])
    assert 0 < float(note.rpartition("--lr ")[2]) < lr


def test_good_ends_are_not_spoken_of(invoke: Invoke) -> None:
    for args in (("compare",), ("sgd", "--lr", "0.02"), ("full", "--seeds", "4")):
        outcome = invoke(*args, *NO_PICTURES)
        assert outcome.code == 0
        assert "try a smaller" not in outcome.out


@pytest.mark.parametrize("command", ["compare", "full", "sgd", "minibatch"])
def test_what_to_try_is_said_wherever_the_numbers_are(command: str, invoke: Invoke) -> None:
    given = ("--lr", "1", "--epochs", "20", *NO_PICTURES, "--name")
    outcome = invoke(command, *given, "a")
    said = " its untrained loss 0.471; try a smaller learning rate: --lr 0.25"
    assert outcome.code == 0
    assert said in outcome.out
    assert said in invoke("show", "a").out
    assert said in invoke("compare", "a").out
    for again in ((command, *given, "b", "--json"), ("show", "b", "--json")):
        assert said in json.loads(invoke(*again).out)["cautions"][0]


def test_many_bad_ends_are_counted(invoke: Invoke) -> None:
    rates = ",".join(f"{1 + k / 100:g}" for k in range(9))
    outcome = invoke("full", "--lr", rates, "--epochs", "20", *NO_PICTURES)
    assert outcome.out.count("try a smaller learning rate") == 5
    assert "… and 4 more such runs" in outcome.out


def test_a_run_alone_has_a_target_only_if_one_is_given(invoke: Invoke) -> None:
    for extra in ((), ("--seeds", "3"), ("--lr", "1")):
        assert "target" not in invoke("sgd", *extra, *NO_PICTURES).out
    alone = invoke("sgd", "--name", "b", *NO_PICTURES)
    for outcome in (alone, invoke("show", "b"), invoke("compare", "b")):
        assert outcome.code == 0
        assert "train" in outcome.out
        assert "target" not in outcome.out
    target = ("--set", "sweep.target=0.02")
    for outcome in (invoke("sgd", "--name", "c", *target, *NO_PICTURES), invoke("show", "c")):
        assert "target: train loss ≤ 0.02\n" in outcome.out
        assert "to target" in outcome.out
        assert "        900 " in outcome.out
    assert "target: train loss ≤ 0.02\n" in invoke("compare", *target, *NO_PICTURES).out
    several = invoke("sgd", "--lr", "0.1,0.2", *NO_PICTURES)
    assert "within 10 % of the best final loss" in several.out
