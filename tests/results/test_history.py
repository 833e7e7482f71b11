"""Records in memory: bounded however long the run, and true to what can be seen of them."""

import math
import random
import subprocess
import sys
from array import array
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.logs.lines import BadRowError, whole_lines
from gdrun.logs.rows import RowParser
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.rows.downsample import downsample
from gdrun.results.rows.history import History, Recorder
from gdrun.results.rows.log_rows import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    LoggedRows,
    epoch_lines,
    step_lines,
)
from gdrun.results.run import lane_result
from tests.segments import epoch_end

LANES = (Lane(0.1, 0), Lane(0.1, 1), Lane(0.5, 0))


def segments(epochs: int, seed: int, diverges: int | None = None) -> list[Segment]:
    """Random losses of a run with an update an epoch; the last lane may diverge."""
    draws = random.Random(seed)
    found = []
    for epoch in range(epochs + 1):
        losses = [math.exp(draws.gauss(0, 2)) for _ in LANES]
        gone = diverges is not None and epoch >= diverges
        if gone:
            losses[-1] = math.nan
        known = [(loss if epoch else None, 2 * loss, None) for loss in losses]
        is_gone = gone and epoch > (diverges or 0)
        found.append(
            Segment(
                epoch=epoch,
                updates=epoch,
                samples=100 * epoch,
                seconds=0.001 * epoch,
                losses=[array("d", [loss]) for loss in losses] if epoch else [],
                diverged_at=(None, None, diverges if gone else None),
                ends=epoch_end(
                    epoch,
                    [*known[:-1], None if is_gone else known[-1]],
                    updates=epoch,
                    samples=100 * epoch,
                    seconds=0.001 * epoch,
                ),
            )
        )
    return found


def epoch_rows(series: Series, text: str, block_bytes: int = 2**17) -> Iterator[LoggedRows]:
    """The rows below the header of an `epochs.csv`, read in blocks."""
    lines = whole_lines(BytesIO(text.encode()), block_bytes=block_bytes)
    return RowParser(series, EPOCH_COLUMNS).columns(lines)


def step_rows(series: Series, text: str, block_bytes: int = 2**17) -> Iterator[LoggedRows]:
    """The same of a `steps.csv`."""
    lines = whole_lines(BytesIO(text.encode()), block_bytes=block_bytes)
    return RowParser(series, STEP_COLUMNS).columns(lines)


def record(found: list[Segment], keep: int | None) -> tuple[History, ...]:
    recorder = Recorder(Series("full", 100, LANES), 1, keep)
    for segment in found:
        recorder.add(segment)
    return recorder.histories


@given(
    epochs=st.integers(1, 3000),
    keep=st.sampled_from([600, 1000]),
    seed=st.integers(0, 99),
    diverges=st.one_of(st.none(), st.integers(1, 3000)),
)
@settings(max_examples=30)
def test_what_is_kept_is_bounded_true_and_has_the_extremes(
    epochs: int, keep: int, seed: int, diverges: int | None
) -> None:
    found = segments(epochs, seed, diverges)
    for whole, thinned in zip(record(found, None), record(found, keep), strict=True):
        for table, losses in ((whole.epochs, "train_loss"), (whole.steps, "loss")):
            kept = thinned.epochs if table is whole.epochs else thinned.steps
            assert len(kept[losses]) <= keep
            rows = set(zip(*(map(str, column) for column in table.values()), strict=True))
            kept_rows = list(zip(*(map(str, column) for column in kept.values()), strict=True))
            assert set(kept_rows) <= rows
            assert len(set(kept_rows)) == len(kept_rows)
            by = next(iter(kept)) if table is whole.epochs else "update"
            assert list(kept[by]) == sorted(kept[by])
            if not len(table[losses]):
                continue
            # The first and the last row, and the lowest loss.
            assert kept[by][0] == table[by][0]
            assert kept[by][-1] == table[by][-1]
            assert min(kept[losses]) == min(table[losses])


def test_every_stretch_of_a_long_history_keeps_its_lowest_and_highest_loss() -> None:
    draws = random.Random(5)
    series = Series("sgd", 1, LANES[:1])
    recorder, losses = Recorder(series, 1, keep=2000), [draws.random() for _ in range(20_000)]
    for first in range(0, 20_000, 50):
        column = array("d", losses[first : first + 50])
        recorder.add(Segment(1, first + 50, 0, 0.0, [column], (None,)))
    steps = recorder.histories[0].steps
    assert len(steps["loss"]) <= 2000
    kept = dict(zip(steps["update"], steps["loss"], strict=True))
    for stretch in range(0, 20_000, 400):  # a fiftieth of the picture
        inside = [kept[k] for k in range(stretch + 1, stretch + 401) if k in kept]
        assert min(inside) == pytest.approx(min(losses[stretch : stretch + 400]), abs=0.03)
        assert max(inside) == pytest.approx(max(losses[stretch : stretch + 400]), abs=0.03)
    # On a logarithmic axis the beginning is as wide as the end: there, all is kept but little.
    assert {1, 2, 3, 4} <= set(kept)
    for first in (8, 16, 32, 64, 128, 256):
        assert len([k for k in kept if first <= k < 2 * first]) >= 8


def test_files_read_back_are_what_was_recorded() -> None:
    series = Series("full", 100, LANES)
    found = segments(500, seed=1, diverges=77)
    epochs = "".join(epoch_lines(series, segment) for segment in found)
    steps = "".join(step_lines(series, segment, 1) for segment in found)
    for keep in (None, 600):
        recorder = Recorder(series, 1, keep)
        recorder.read(epoch_rows(series, epochs), steps=step_rows(series, steps))
        for one, other in zip(recorder.histories, record(found, keep), strict=True):
            for table, expected in ((one.epochs, other.epochs), (one.steps, other.steps)):
                if keep:  # thinned at other times, but as true
                    assert len(table["epoch"]) <= keep
                    continue
                for name, column in expected.items():
                    assert list(table[name]) == pytest.approx(list(column), nan_ok=True, rel=1e-8)


def test_reading_keeps_no_more_than_it_may() -> None:
    series = Series("full", 100, LANES)
    found = segments(4000, seed=1)
    recorder, most = Recorder(series, 1, keep=600), 0

    def watched(blocks: Iterable[LoggedRows]) -> Iterator[LoggedRows]:
        nonlocal most
        for rows in blocks:
            most = max(most, *(len(h.epochs["epoch"]) + len(h.steps["epoch"])
                               for h in recorder.histories))  # fmt: skip
            assert len(rows.shared["epoch"]) <= 100
            yield rows

    epochs = "".join(epoch_lines(series, segment) for segment in found)
    steps = "".join(step_lines(series, segment, 1) for segment in found)
    blocks = epoch_rows(series, epochs, 9000), step_rows(series, steps, 9000)
    read_epochs, read_steps = map(watched, blocks)
    recorder.read(read_epochs, steps=read_steps)
    assert most < 2 * (600 + 100)


def naive_choice(column: dict[str, "array[float]"], losses: list[str], keep: int) -> list[int]:
    """The rows that stay of one lane, found block by block and width by width."""
    numbers = column["epoch"]
    known = {
        name: [k for k, value in enumerate(column[name]) if math.isfinite(value)] for name in losses
    }
    always = {0, len(numbers) - 1}
    for name, rows in known.items():
        if rows:
            always |= {rows[-1], min(rows, key=column[name].__getitem__)}
    widest = 1
    while True:
        widest *= 2
        blocks: list[tuple[int, int]] = []
        for number in map(int, numbers):
            # As few as are kept here, blocks are as wide as their numbers are large.
            width = 2 ** (min(max(number, 1), widest).bit_length() - 1)
            blocks.append((width, number // width))
        chosen = set(always)
        for name, rows in known.items():
            of_block: dict[tuple[int, int], list[int]] = {}
            for k in rows:
                of_block.setdefault(blocks[k], []).append(k)
            for inside in of_block.values():  # the first where there are several
                chosen.add(min(inside, key=column[name].__getitem__))
                chosen.add(max(inside, key=column[name].__getitem__))
        if len(chosen) <= keep or widest > numbers[-1]:
            return sorted(chosen)


@given(
    rows=st.integers(2, 600),
    keep=st.integers(1, 300),
    seed=st.integers(0, 9999),
    values=st.sampled_from([(0.0, -0.0, 1.0, 2.0), (math.nan, math.inf, -math.inf, 1.0), ()]),
    gap=st.sampled_from([1, 3, 7]),
)
@settings(max_examples=200)
def test_of_the_narrowest_blocks_that_fit_the_first_extremes_stay(
    rows: int, keep: int, seed: int, values: tuple[float, ...], gap: int
) -> None:
    draws = random.Random(seed)

    def loss(row: int) -> float:
        return math.nan if row % gap else draws.choice(values) if values else draws.random()

    column: dict[str, array[float]] = {
        # As after an earlier thinning: some are missing.
        "epoch": array("d", sorted(draws.sample(range(2 * rows), rows))),
        "train_loss": array("d", map(loss, range(rows))),
        "batch_loss": array("d", (draws.choice((0.5, draws.random())) for _ in range(rows))),
    }
    thinned = {name: array("d", numbers) for name, numbers in column.items()}
    downsample([thinned], "epoch", ("train_loss", "batch_loss"), keep)
    kept = naive_choice(column, ["train_loss", "batch_loss"], keep)
    for name, numbers in column.items():
        assert thinned[name].tobytes() == array("d", [numbers[k] for k in kept]).tobytes()


def test_lanes_without_any_logged_update_leave_the_others_in_order() -> None:
    recorder = Recorder(Series("sgd", 1, LANES), log_every=10, keep=600)
    for first in range(0, 10_000, 50):
        falling = array("d", [1 / update for update in range(first + 1, first + 51)])
        losses = [falling, array("d", [2.0] * 50), array("d", [math.nan] * 50)]
        recorder.add(Segment(1, first + 50, 0, 0.0, losses, (None, None, 3)))
    one, _, gone = (history.steps for history in recorder.histories)
    assert list(one["update"]) == sorted(one["update"])
    assert (one["update"][0], one["update"][-1]) == (10, 10_000)
    assert not gone["update"]


def test_infinite_losses_displace_no_finite_one() -> None:
    numbers: array[float] = array("d", range(1000))
    column = {"epoch": numbers, "train_loss": array("d", [1.0] * 1000)}
    column["train_loss"][500] = 7.0
    column["train_loss"][501] = math.inf
    downsample([column], "epoch", ("train_loss",), 300)
    assert 7.0 in column["train_loss"]


@pytest.mark.parametrize("line", ["full,100,0.1\n", "full,100,0.7,0,1,1,1,0,1,1,\n", "a,b\n"])
def test_lines_that_are_not_the_runs_are_noticed(line: str) -> None:
    series = Series("full", 100, LANES)
    with pytest.raises(BadRowError):
        Recorder(series, 1).read(epoch_rows(series, line))


def test_results_do_not_depend_on_what_is_kept() -> None:
    found = segments(4000, seed=2)
    for whole, thinned in zip(record(found, None), record(found, 500), strict=True):
        one, other = (
            lane_result(
                history, "done", None, updates=4000, samples=400_000, seconds=4.0, stopped_at=None
            )
            for history in (whole, thinned)
        )
        assert one == other


def test_memory_of_a_long_run_is_bounded() -> None:
    histories = record(segments(30_000, seed=3), keep=1000)
    numbers = sum(
        len(column)
        for history in histories
        for table in (history.epochs, history.steps)
        for column in table.values()
    )
    assert numbers <= 3 * 10 * 1000


RESIDENT = """
import resource, sys
from gdrun.config.read import load_config
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.rows.history import KEPT_ROWS
from gdrun.results.progress import RunProgress
from gdrun.experiment.execute import execute
from pathlib import Path
experiment = plan_experiment("full", load_config(settings=[f"epochs={sys.argv[1]}"]))
for event in execute(experiment, Path(sys.argv[2]), keep_rows=KEPT_ROWS):
    if isinstance(event, RunProgress):
        epoch = event.epoch
        if epoch and epoch % 50_000 == 0:
            statm = Path("/proc/self/statm").read_text().split()
            print(epoch, int(statm[1]) * resource.getpagesize(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_process_does_not_grow_with_its_epochs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT, "300000", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    resident = {int(k): int(v) for k, v in map(str.split, done.stdout.splitlines())}
    # Unbounded records would take 97 bytes an epoch: 19 MB from the first figure to the last.
    assert resident[300_000] - resident[100_000] < 4e6
    lines = (tmp_path / "epochs.csv").read_bytes().count(b"\n")
    assert lines == 300_002
