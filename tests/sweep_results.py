"""Results of sweeps, made up from numbers."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gdrun.analysis.analyze import fit_of
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell, Trial
from gdrun.results.description import Description
from gdrun.results.events import Status

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
    before: int | None = None,
) -> Trial:
    """One training; it diverged where its loss is None. Its loss is evaluated at each update."""
    last = before if reached is None or before is not None else max(0, reached - 1)
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
        updates_before_target=last,
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


def side_by_side(**parts: SweepResult) -> SweepResult:
    """The answer of a sweep of several optimizers, by the answers of each."""
    cells = tuple(
        replace(
            cell,
            run=f"{cell.run}-{name}",
            optimizer=name,
            trials=tuple(replace(each, optimizer=name) for each in cell.trials),
        )
        for name, part in parts.items()
        for cell in part.cells
    )
    fits = {name: part.critical for name, part in parts.items()}
    first = next(iter(parts.values()))
    return replace(first, cells=cells, critical=None, fits=fits, pace={})


def fast(size: int, lr: float, reached: int | None, **more: Any) -> list[Trial]:
    """Three seeds that are about as fast."""
    return [
        trial(size, lr, seed, reached=None if reached is None else reached + seed, **more)
        for seed in (-1, 0, 1)
    ]


def typical(**more: Any) -> SweepResult:
    """Three batch sizes, the middle rate the best for each."""
    trials = []
    for size, reached in ((1, 400), (10, 60), (100, 30)):
        for lr, factor in ((0.01, 3), (0.1, 1), (1.0, 2)):
            trials += fast(size, lr, reached * factor, loss=0.1 + lr / 1e3, samples=500)
    return answer_of(trials, **{"pace": {1: 1e-3, 10: 2e-3, 100: 8e-3}, **more})


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
