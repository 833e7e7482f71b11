"""Which pair is recommended."""

import pytest

from gdrun.analysis.advice import advice
from gdrun.analysis.recommend import recommended
from gdrun.analysis.trials import Trial
from tests.sweep_results import answer_of, trial, typical


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
    assert "the seeds can't tell it apart from the 0.235 of batch 10, lr 0.1, which trains" in words
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


def test_a_pair_that_passes_the_target_and_ends_above_it_is_not_recommended() -> None:
    hasty = [trial(64, 0.5, k, reached=5, loss=0.3) for k in range(3)]
    steady = [trial(16, 0.1, k, reached=50, loss=0.1) for k in range(3)]
    sweep = answer_of([*hasty, *steady], pace={16: 1.0, 64: 1.0})
    found = recommended(sweep)
    assert found
    assert (found.batch_size, found.lr) == (16, 0.1)
    assert "But batch 64, lr 0.5 ends at 0.3, above the target." in advice(sweep)
    assert "So train with batch 16, lr 0.1, which reaches it first of those" in advice(sweep)
    only = answer_of(hasty, pace={64: 1.0})
    assert recommended(only) == only.best


def test_a_sweep_says_in_python_what_it_says_on_a_terminal() -> None:
    sweep = typical()
    assert sweep.recommended == recommended(sweep)
    assert sweep.advice == advice(sweep).removesuffix(":") + "."
    assert f"train with {recommended(sweep).pair}" in repr(sweep)  # type: ignore[union-attr]
    none = answer_of([trial(4, 0.1, loss=None)])
    assert none.recommended is None
    assert none.advice.endswith("too large.")
    assert len(repr(none).splitlines()) <= 5
