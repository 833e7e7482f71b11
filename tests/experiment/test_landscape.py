"""Paths on a plane: where they lie in it, the losses beside them are their own."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import gdrun
from gdrun.analysis.landscape import path_lines, sentences, shows_nothing
from gdrun.errors import ConfigError, DataError
from gdrun.experiment.landscape import explore as exploring
from gdrun.experiment.landscape import grid
from gdrun.experiment.landscape.explore import Explored, explore, explore_around
from gdrun.experiment.landscape.paths import Chosen
from gdrun.results.landscape import ASPECT
from gdrun.storage.reader import read_results
from gdrun.storage.saved_run import SavedRun, open_any

OPTIONS: dict[str, Any] = {"plot": {"enabled": False}, "epochs": 20}
# A weight and a bias: their plane is all there is.
LINE: dict[str, Any] = {"hidden_size": [], "data": {"rows": 30}, "batch_size": 5}


def chosen(place: Path, lane: int = 0) -> Chosen:
    run = open_any(place)
    assert isinstance(run, SavedRun)
    (result,) = read_results(run)
    return Chosen(run, result, lane)


def trained(place: Path, method: Any = "minibatch", name: str = "a", **options: Any) -> Chosen:
    given = {**OPTIONS, **options}
    gdrun.train(method, output_dir=place, name=name, **given)
    return chosen(place / name)


def explored(*runs: Chosen) -> Explored:
    return explore(runs, lambda *_: None, lambda: False)


def test_a_path_of_two_weights_lies_in_its_plane(tmp_path: Path) -> None:
    run = trained(tmp_path, **LINE)
    landscape = explored(run).landscape
    (path,) = landscape.paths
    assert landscape.explained
    assert sum(landscape.explained) == pytest.approx(1.0)
    assert path.plane_losses == pytest.approx(path.losses, rel=1e-5)
    assert path.difference < 1e-5
    said = [*sentences(landscape)]
    assert len(said) == 1
    assert said[0].startswith("the plane explains 100.0 % of the variance of 21 points (")
    logged = run.result.histories[0].epochs["train_loss"]
    assert path.losses == pytest.approx([*logged], rel=1e-6)
    assert path.epochs == tuple(range(21))


def test_the_ground_is_the_quadratic_that_the_loss_is(tmp_path: Path) -> None:
    run = trained(tmp_path, **LINE)
    landscape = explored(run).landscape
    (path,) = landscape.paths
    # Three of the points, and the directions between them, say what weights a place has.
    y, x = torch.meshgrid(torch.tensor(landscape.ys), torch.tensor(landscape.xs), indexing="ij")
    terms = [x * x, x * y, y * y, x, y, torch.ones_like(x)]
    design = torch.stack(terms, -1).reshape(-1, 6).double()
    losses = torch.tensor(landscape.losses).double().reshape(-1, 1)
    fitted = design @ torch.linalg.lstsq(design, losses).solution
    assert torch.allclose(fitted, losses, rtol=1e-4, atol=1e-5)
    for k in (0, 7, 20):
        at = (landscape.xs[0], landscape.xs[-1], landscape.ys[0], landscape.ys[-1])
        assert at[0] < path.x[k] < at[1]
        assert at[2] < path.y[k] < at[3]


def test_a_path_that_leaves_its_plane_is_said_to(tmp_path: Path) -> None:
    landscape = explored(trained(tmp_path, "sgd")).landscape
    (path,) = landscape.paths
    assert landscape.explained
    assert sum(landscape.explained) < 0.9999
    assert path.plane_losses != pytest.approx(path.losses, rel=0.05)
    said = " ".join(sentences(landscape))
    assert ("the plane isn't where the paths are" in said) == (path.difference > 0.1)


@pytest.mark.parametrize("methods", [("full", "minibatch", "sgd"), ("full", "sgd")])
def test_several_paths_share_a_plane_and_a_start(methods: tuple[str, ...], tmp_path: Path) -> None:
    runs = [trained(tmp_path, method, method) for method in methods]
    landscape = explored(*runs).landscape
    assert len(landscape.paths) == len(methods)
    starts = {(round(path.x[0], 6), round(path.y[0], 6)) for path in landscape.paths}
    assert len(starts) == 1
    assert {path.plane_losses[0] for path in landscape.paths} == {
        landscape.paths[0].plane_losses[0]
    }
    ratio = (landscape.xs[-1] - landscape.xs[0]) / (landscape.ys[-1] - landscape.ys[0])
    assert ratio == pytest.approx(ASPECT) or not 1 / 4 < ratio / ASPECT < 4
    again = explored(*runs).landscape
    assert again == landscape


def test_a_lane_that_diverges_is_cut_where_it_leaves(tmp_path: Path) -> None:
    run = trained(tmp_path, "full", lr=[0.2, 1.9], epochs=60, hidden_size=[], data={"rows": 30})
    diverged = chosen(tmp_path / "a", lane=1)
    assert diverged.result.lanes[1].diverged_at is not None
    landscape = explored(diverged).landscape
    (path,) = landscape.paths
    assert path.is_cut
    assert 1 < len(path.epochs) < 61
    assert max(path.losses) <= 10 * path.losses[0]
    assert all(math.isfinite(loss) for row in landscape.losses for loss in row)
    assert "then diverged" in next(path_lines(path))
    assert not explored(run).landscape.paths[0].is_cut


def test_what_diverges_at_once_has_no_path(tmp_path: Path) -> None:
    run = trained(tmp_path, "full", lr=1e9)
    with pytest.raises(DataError, match="lane 0 diverged: after the first of its epochs"):
        explored(run)


def test_a_single_weight_has_no_plane(tmp_path: Path) -> None:
    one: dict[str, Any] = {"source": "mean_estimation", "rows": 10}
    run = trained(tmp_path, data=one, hidden_size=[], loss="half_mse", batch_size=2)
    with pytest.raises(DataError, match="a plane needs two weights"):
        explored(run)
    with pytest.raises(DataError, match="too few weights besides its biases"):
        explore_around(run, 0, lambda *_: None, lambda: False)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    runs = [trained(tmp_path, name=f"h{size}", hidden_size=size) for size in (3, 4)]
    with pytest.raises(ConfigError, match=r"the networks differ: weights of .* in minibatch"):
        explored(*runs)


def test_the_end_of_a_convex_problem_is_a_minimum_and_before_it_is_none(tmp_path: Path) -> None:
    flat = explored(trained(tmp_path, "full", **{**LINE, "epochs": 300})).landscape.paths[0].end
    assert flat.curvature
    assert (flat.curvature.negative, flat.curvature.zero, flat.curvature.positive) == (0, 0, 2)
    assert flat.is_stationary
    run = trained(tmp_path, "full", "b", **{**LINE, "epochs": 1})
    (path,) = explored(run).landscape.paths
    assert not path.end.is_stationary
    assert "not stationary, and so neither a minimum nor a saddle" in [*path_lines(path)][1]


def test_a_random_plane_goes_through_the_last_weights(tmp_path: Path) -> None:
    run = trained(tmp_path, "sgd", hidden_size=[4], data={"source": "moons", "rows": 40})
    found = explore_around(run, 3, lambda *_: None, lambda: False).landscape
    (point,) = found.paths
    assert (found.explained, found.random_share, found.seed) == (None, None, 3)
    assert (point.x, point.y, point.epochs) == ([0.0], [0.0], (20,))
    middle = len(found.xs) // 2
    assert found.xs[middle] == found.ys[middle] == pytest.approx(0.0, abs=1e-15)
    assert found.losses[middle][middle] == pytest.approx(point.losses[0], rel=1e-5)
    last = run.result.lanes[0].train_loss
    assert point.losses[0] == pytest.approx(last, rel=1e-6)
    other = explore_around(run, 4, lambda *_: None, lambda: False).landscape
    assert other.losses != found.losses
    assert not shows_nothing(found)


def test_weights_that_are_not_finite_have_nothing_around_them(tmp_path: Path) -> None:
    run = trained(tmp_path, "full", lr=1e30)
    with pytest.raises(DataError, match="last loss of lane 0 isn't finite"):
        explore_around(run, 0, lambda *_: None, lambda: False)


def test_slow_losses_have_a_coarser_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path, **LINE)
    assert len(explored(run).landscape.xs) == 61
    monkeypatch.setattr(grid, "GRID_WORK", 1)
    monkeypatch.setattr(exploring, "HESSIAN_WORK", 1)
    landscape = explored(run).landscape
    assert (len(landscape.xs), len(landscape.ys)) == (15, 15)
    assert landscape.paths[0].end.curvature is None
