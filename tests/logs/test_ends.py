"""The first and the last rows of a file say how far a run is, whatever is between them."""

import io
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.logs import ends
from gdrun.logs.ends import first_lanes, last_rows
from gdrun.logs.lines import BadRowError
from gdrun.results.events import Series
from gdrun.results.rows.log_rows import EPOCH_COLUMNS, header
from tests.logs.log_files import logs, table_by_csv

HEADER = header(EPOCH_COLUMNS)


@given(
    lanes=st.sampled_from([1, 2, 3, 20]),
    epochs=st.integers(1, 60),
    seed=st.integers(0, 9999),
    eval_every=st.sampled_from([1, 4, 1000]),
    tail_bytes=st.sampled_from([300, 5000, 2**16]),
)
@settings(max_examples=100)
def test_the_last_epoch_and_the_last_losses_are_those_of_the_file(
    lanes: int, epochs: int, seed: int, eval_every: int, tail_bytes: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    made = logs(lanes, epochs, seed, eval_every)
    path = tmp_path_factory.getbasetemp() / "ends.csv"
    path.write_text(made.epochs)
    with path.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ends, "TAIL_BYTES", tail_bytes)
        file.readline()
        assert tuple(first_lanes(file)) == made.series.lanes
        found = last_rows(file, made.series, len(HEADER))
    rows = table_by_csv(made.epochs)
    whole = max(own[-1]["epoch"] for own in rows.values())
    assert found  # three epochs at least
    assert found.last.shared["epoch"] == [whole]
    left = [k for k, lane in enumerate(made.series.lanes)
            if rows[lane.lr, lane.seed][-1]["epoch"] == whole]  # fmt: skip
    assert list(found.last.lanes) == left
    for lane, result in zip(
        made.series.lanes, found.lane_results(made.series, "interrupted"), strict=True
    ):
        own = rows[lane.lr, lane.seed]
        known = [row["train_loss"] for row in own if not math.isnan(row["train_loss"])]
        is_out = own[-1]["epoch"] < whole or math.isinf(known[-1])
        assert (result.status == "diverged") == is_out
        assert (result.epochs, result.best_train_loss) == (whole, None)
        if is_out:
            assert result.train_loss is None
        elif eval_every == 1:
            assert result.train_loss == known[-1]
        else:  # it may be too far ahead
            assert result.train_loss in (None, known[-1])


def test_lanes_whose_rows_are_not_written_yet_have_not_diverged(tmp_path: Path) -> None:
    made = logs(3, 0)
    first = made.epochs[len(HEADER) :]
    text = first + "".join(
        f"sgd,1,{lane.lr},{lane.seed},{k},{3 * k},{6 * k},{k}.0,1,{k},\n"
        for k in range(1, 4)
        for lane in made.series.lanes
    )
    cut = text[: text.rindex("\n", 0, len(text) - 1) + 1]  # the last row is missing
    for content, epoch in ((text, 3), (cut, 2)):
        (tmp_path / "epochs.csv").write_text(HEADER + content)
        with (tmp_path / "epochs.csv").open("rb") as file:
            found = last_rows(file, made.series, len(HEADER))
        assert found
        assert found.last.shared["epoch"] == [epoch]
        statuses = {lane.status for lane in found.lane_results(made.series, "running")}
        assert statuses == {"running"}


@pytest.mark.parametrize(
    "text",
    ["x\n", "sgd,1,nan,0,0,0,0,0,,1,\n", "sgd,1,0.1,0.5,0,0,0,0,,1,\n",
     "sgd,1,0.1,é,0,0,0,0,,1,\n", "0" * 10**6],
)  # fmt: skip
def test_first_rows_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadRowError):
        first_lanes(io.BytesIO(("sgd,1,0.1,0,0,0,0,0.000000,,1,\n" + text).encode()))


@pytest.mark.parametrize("text", ["\0" * 10**6, "x\n", "sgd,1,0.1,0,7,1,1,1,1,1,1,1\n", "\n\n"])
def test_last_rows_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    made = logs(1, 5)
    (tmp_path / "epochs.csv").write_text(made.epochs + text)
    with (tmp_path / "epochs.csv").open("rb") as file, pytest.raises(BadRowError):
        last_rows(file, Series("sgd", 1, made.series.lanes), len(HEADER))
