"""The columns and rows of the logs."""

import math
import random
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.rows import log_rows
from gdrun.results.rows.log_rows import EPOCH_COLUMNS, STEP_COLUMNS, header, step_lines
from tests.training_runs import small_config

STEPS_CSV = "steps.csv"
EPOCHS = "method,batch_size,lr,seed,epoch,updates,samples,seconds,batch_loss,train_loss,val_loss"


STEPS = "method,batch_size,lr,seed,epoch,update,loss"


def test_columns_are_those_of_the_contract() -> None:
    assert header(EPOCH_COLUMNS) == EPOCHS + "\n"
    assert header(STEP_COLUMNS) == STEPS + "\n"


@given(
    updates=st.integers(0, 40),
    every=st.sampled_from([1, 2, 7]),
    before=st.integers(0, 30),
    diverged=st.lists(st.one_of(st.none(), st.integers(1, 75)), min_size=1, max_size=4),
    at_once=st.sampled_from([1, 3, 2**12]),
    seed=st.integers(0, 99),
)
@settings(max_examples=200)
def test_a_row_a_lane_and_logged_update_until_it_diverged(
    updates: int, every: int, before: int, diverged: list[int | None], at_once: int, seed: int
) -> None:
    draws = random.Random(seed)
    lanes = tuple(Lane(0.1 / (k + 1), k) for k in range(len(diverged)))
    losses = [
        [draws.choice([draws.random(), 1e-20, 3e7, math.nan, math.inf]) for _ in lanes]
        for _ in range(updates)
    ]
    columns = [array("d", column) for column in zip(*losses, strict=True)]
    segment = Segment(4, before + updates, 0, 0.0, columns, tuple(diverged))
    expected = [
        f"sgd,1,{lane.lr!r},{lane.seed},4,{update},{loss:.9g}\n"
        for update, row in enumerate(losses, before + 1)
        for lane, loss, at in zip(lanes, row, diverged, strict=True)
        if update % every == 0 and (at is None or update <= at)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_rows, "MAX_ROWS_AT_ONCE", at_once)
        assert step_lines(Series("sgd", 1, lanes), segment, every) == "".join(expected)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"log_every": 7},
        {"data": {"val_fraction": 0.2}},
        {"eval_growth": 0.01, "log_every": 9},
        {"probes": "all", "probe_every": 3},
    ],
)
def test_what_will_be_logged_is_known_beforehand(settings: dict[str, Any], tmp_path: Path) -> None:
    config = small_config(**settings, lr=[0.1, 0.025], seeds=2, epochs=40)
    experiment = plan_experiment("compare", config)
    list(execute(experiment, tmp_path))
    for run in experiment.runs:
        rows = experiment.problem.data.rows
        estimated = log_rows.bytes_to_log(
            run.series,
            range(config.epochs),
            run.plan.updates_per_epoch(rows),
            config.logged_every,
            within=run.plan.count_within(rows),
            probed=run.count_probes(),
            validation=config.data.val_fraction > 0,
        )
        sizes = {path.name: path.stat().st_size for path in (tmp_path / run.name).glob("*.csv")}
        found = [sum(sizes.values()) - sizes[STEPS_CSV], sizes[STEPS_CSV]]
        assert estimated == pytest.approx(found, rel=0.15, abs=300)
