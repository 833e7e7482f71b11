"""What is to be minded about a sweep, and the commands that mend it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.analysis.advice import command
from gdrun.analysis.cautions import cautions
from gdrun.analysis.sweep_result import SweepResult
from tests.sweep_results import HERE, answer_of, trial, typical
from tests.training_runs import small_config


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
    assert (
        "batch 16 did not reach the target at any learning rate; train for more epochs"
        in "".join(cautions(answer_of([*trials, *slow]), HERE))
    )


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
        (typical(), "evaluations of the train loss that are far apart", False),
        (answer_of([trial(4, 0.1, reached=50, before=25)]), "batch 4 reached the target", True),
        (answer_of([trial(4, 0.1, reached=76, before=50)]), "that are far apart", False),
        (answer_of([trial(4, 0.1, reached=2, before=1)]), "that are far apart", False),
        (answer_of([trial(4, 0.1, reached=2, before=0)]), "that are far apart", True),
        (answer_of([trial(4, 0.1)]), "only one learning rate was tried", True),
        (typical(), "only one learning rate was tried", False),
    ],
)  # fmt: skip
def test_what_is_to_be_minded_is_said_where_it_is_so(
    answer: SweepResult, words: str, says: bool
) -> None:
    assert (words in "\n".join(cautions(answer, HERE))) == says


def test_without_validation_rows_it_is_said_that_nothing_tells_how_others_are_predicted() -> None:
    said = "no rows were held out, so that nothing tells how well it predicts others"
    trials = [trial(size, 0.1, seed) for size in (1, 10) for seed in range(5)]
    assert any(said in caution for caution in cautions(answer_of(trials), HERE))
    held = [trial(size, 0.1, seed, val=0.1) for size in (1, 10) for seed in range(5)]
    assert not any(said in caution for caution in cautions(answer_of(held), HERE))


def test_rows_given_from_python_are_given_again_in_python() -> None:
    sweep = answer_of([trial(size, lr) for size in (4, 16) for lr in (0.1, 0.2)])
    about = replace(sweep.description, is_given=True)
    sweep = replace(sweep, description=about)
    line = command(sweep, HERE)
    assert line
    assert line.startswith('gdrun.train("minibatch", \'outputs/a sweep/batch-')
    assert line.endswith("config.yaml', data=data, lr=0.1, seeds=1)")
    (widen,) = [caution for caution in cautions(sweep, HERE) if "widen the grid" in caution]
    assert "gdrun.sweep('outputs/a sweep/config.yaml', data=data, lr=[" in widen
