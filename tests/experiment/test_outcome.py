"""What came of a run: the fit, lanes that diverged, the losses of a stopped run."""

import math
from pathlib import Path

import pytest

from gdrun.api import train
from gdrun.results.compare import compare_results
from gdrun.results.fits import Fit


def test_fit_is_in_original_units(tmp_path: Path) -> None:
    rows = "\n".join(f"{1000 + 10 * k},{5 * k + 300}" for k in range(30))
    (tmp_path / "line.csv").write_text(f"size,price\n{rows}\n")
    data = {"source": "csv", "path": str(tmp_path / "line.csv"), "target": "price"}
    result = train("full", lr=0.3, epochs=200, hidden_size=[], data=data)
    assert isinstance(result.fit, Fit)
    assert (min(result.fit.grid), max(result.fit.grid)) == pytest.approx((1000, 1290))
    assert sorted(result.fit.y) == pytest.approx([5 * k + 300 for k in range(30)])
    # price = size / 2 − 200, which the linear model finds
    assert result.fit.curves[0] == pytest.approx([x / 2 - 200 for x in result.fit.grid], abs=0.1)


def test_only_one_feature_has_a_fit() -> None:
    assert train("full", "diabetes", epochs=1).fit is None


def test_a_lane_that_diverges_between_evaluations_is_seen_at_once() -> None:
    result = train("sgd", lr=[0.1, 1e6], epochs=10, eval_every=5)
    healthy, wild = result.histories
    assert list(wild.epochs["train_loss"])[1] == math.inf
    assert [k for k, loss in enumerate(healthy.epochs["train_loss"]) if not math.isnan(loss)] == [
        0,
        1,
        5,
        10,
    ]
    rows = compare_results([result]).rows
    assert rows[1].updates_to_target is None
    assert rows[1].diverged == 1
