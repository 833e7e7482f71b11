"""What is looked up in a file is what reading all of it finds, but little of it is read."""

import io
import math
import random
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.logs.search import first_at_most, last_update
from gdrun.results.events import Lane
from tests.logs.log_files import logs, parsed, table_by_csv


def opened(path: Path, text: str) -> BinaryIO:
    path.write_text(text)
    return path.open("rb")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("search")


@given(
    lanes=st.sampled_from([1, 3, 20]),
    epochs=st.integers(0, 200),
    seed=st.integers(0, 9999),
    eval_every=st.sampled_from([1, 5]),
    target=st.floats(0.0, 1.0),
)
@settings(max_examples=60)
def test_the_first_epoch_at_a_target_is_found(
    lanes: int, epochs: int, seed: int, eval_every: int, target: float, place: Path
) -> None:
    made, draws = logs(lanes, epochs, seed, eval_every, falling=0.01), random.Random(seed)
    between, expected = {}, {}
    for (lr, number), rows in table_by_csv(made.epochs).items():
        after = draws.randrange(-1, len(rows))
        until = draws.randrange(after + 1, len(rows)) if after + 1 < len(rows) else len(rows)
        lane = Lane(lr, number)
        between[lane] = after, until
        inside = [row for row in rows[after + 1 : until + 1] if row["train_loss"] <= target]
        if inside:
            expected[lane] = [inside[0][name] for name in ("updates", "samples", "seconds")]
    with opened(place / "epochs.csv", made.epochs) as file:
        found = first_at_most(file, target, between, made.series)
    assert {k: [r.updates, r.samples, r.seconds] for k, r in found.items()} == expected


@given(
    lanes=st.sampled_from([1, 2, 5, 20]),
    epochs=st.integers(1, 120),
    seed=st.integers(0, 9999),
)
@settings(max_examples=60)
def test_the_update_that_showed_a_divergence_is_found(
    lanes: int, epochs: int, seed: int, place: Path
) -> None:
    made = logs(lanes, epochs, seed)
    last = {key: rows[-1] for key, rows in table_by_csv(made.steps).items()}
    with opened(place / "steps.csv", made.steps) as file:
        for lane in made.series.lanes:
            row = last[lane.lr, lane.seed]
            found = last_update(file, made.series, lane, int(row["epoch"]))
            assert found
            assert found[0] == row["update"]
            assert math.isinf(row["loss"]) == (not math.isfinite(found[1]))
            assert last_update(file, made.series, Lane(7.0, 1), int(row["epoch"])) is None


class Counting(io.FileIO):
    """A file that counts what is read of it."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.count += len(found)
        return found


def test_little_is_read_to_find_a_row(place: Path) -> None:
    made = logs(1, 3000, falling=0.01)
    (place / "long.csv").write_text(made.epochs)
    losses = [
        loss for rows in parsed(made.series, made.epochs) for loss in rows.losses["train_loss"]
    ]
    (lane,) = made.series.lanes
    at = next(k for k, loss in enumerate(losses) if loss <= 0.01)
    with Counting(place / "long.csv") as file:
        found = first_at_most(file, 0.01, {lane: (at - 10, at + 10)}, made.series)
        assert found[lane].updates == 3 * at
        assert file.count < len(made.epochs) / 5
