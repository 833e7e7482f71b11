"""The known answers are what others compute, the program gives them, and a broken one does not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gdrun.experiment.known import article, chance, curvature, descent
from gdrun.experiment.known.check import ANSWERS
from gdrun.results.checked import CheckedAnswer
from gdrun.terminal.check_table import check_lines
from tests.command_line import Invoke

ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------------- what is known, by others


def diabetes() -> tuple[np.ndarray, np.ndarray]:
    """The standardised rows with a constant column, and the target, by numpy alone."""
    rows = np.genfromtxt(ROOT / "configs" / "diabetes.csv", delimiter=",", names=True)
    names = [name for name in rows.dtype.names or () if name != "progression"]
    x = np.stack([rows[name] for name in names], axis=1)
    y = rows["progression"]
    x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
    return np.column_stack([x, np.ones(len(x))]), y


def test_the_quadratic_of_the_diabetes_data_is_numpys() -> None:
    x, y = diabetes()
    values = np.linalg.eigvalsh(x.T @ x / len(x))
    assert pytest.approx(values[-1], rel=1e-7) == descent.LARGEST
    assert pytest.approx(values[0], rel=1e-7) == descent.SMALLEST
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    least = np.square(x @ weights - y).mean()
    assert pytest.approx(least, abs=5e-9) == descent.LEAST_SQUARES
    condition = values[-1] / values[0]
    assert (
        pytest.approx(((np.sqrt(condition) - 1) / (np.sqrt(condition) + 1)) ** 2)
        == descent.HEAVY_BALL
    )


def test_the_noise_scales_of_the_diabetes_data_are_numpys() -> None:
    x, y = diabetes()
    gradients = -y[:, None] * x  # of ½(x·w − y)² at w = 0
    mean, hessian = gradients.mean(0), x.T @ x / len(x)
    covariance = np.cov(gradients.T, bias=True)
    simple = np.trace(covariance) / (mean @ mean)
    curved = np.trace(hessian @ covariance) / (mean @ hessian @ mean)
    assert simple == pytest.approx(curvature.SIMPLE_SCALE, abs=1e-6)
    assert curved == pytest.approx(curvature.CURVED_SCALE, abs=1e-6)


@pytest.mark.parametrize(
    ("momentum", "nesterov", "expected"),
    [
        (0.0, False, chance.plateau(0.1, 0.0)),
        (0.9, False, chance.plateau(0.1, 0.9)),
        (0.9, True, 0.32177 / 2),
    ],
)
def test_plateaus_solve_the_lyapunov_equation(
    momentum: float, nesterov: bool, expected: float
) -> None:
    """C = A C Aᵀ + b bᵀ of (θ, v): v ← βv + g, θ ← θ − lr (v, or g + βv), g = θ + noise."""
    lr, beta = 0.1, momentum
    by_g, by_v = (1 + beta, beta**2) if nesterov else (1.0, beta)
    step = np.array([[1 - lr * by_g, -lr * by_v], [1.0, beta]])
    noise = np.array([[-lr * by_g], [1.0]])
    covariance = np.zeros((2, 2))
    for _ in range(5000):
        covariance = step @ covariance @ step.T + noise @ noise.T
    assert covariance[0, 0] / 2 == pytest.approx(expected, rel=1e-5)


def test_the_articles_numbers_are_those_of_a_plain_loop() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    y = x.pow(2) + 0.2 * torch.rand(100, 1)
    for method, size in (("full", 100), ("sgd", 1), ("minibatch", 16)):
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Linear(1, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1)
        ).double()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
        for _ in range(100):
            for start in range(0, 100 - size + 1, size):
                rows = slice(start, start + size)
                optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(network(x.double()[rows]), y.double()[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        final = torch.nn.functional.mse_loss(network(x.double()), y.double()).item()
        assert article.FINAL[method] == pytest.approx(final, rel=2e-4)  # type: ignore[index]


# -------------------------------------------------------------------------- whether it is found


def test_the_program_finds_all_of_them(invoke: Invoke) -> None:
    done = invoke("check", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["passed"]
    assert len(facts["answers"]) == len(ANSWERS) >= 12
    for answer in facts["answers"]:
        assert set(answer["measured"]) >= {"eager"}
        assert answer["failed"] == []
        assert answer["source"]
        assert answer["tolerance_from"]
    assert not Path("outputs").exists()


def test_another_number_fails_and_is_marked() -> None:
    assert not CheckedAnswer("a", "b", "c", 1.0, 0.1, {"eager": 1.1 - 1e-9}).failed
    for measured in (1.2, 0.8, float("nan"), float("inf")):
        shown = CheckedAnswer("a", "b", "c", 1.0, 0.1, {"eager": 1.0, "compiled": measured})
        assert shown.failed == ("compiled",)
        lines = [line.plain for line in check_lines([shown], 3.0, "")]
        assert lines[0] == "FAILS a"
        assert "1 eager" in lines[1]
        assert lines[1].endswith("compiled ✗")
        assert lines[-1] == "1 of 1 known answer differ, in 3 s"
    good = CheckedAnswer("a", "b", "c", 1.0, 0.1, {"eager": 1.0})
    assert [line.plain for line in check_lines([good], 3.0, "no compiler")][-2:] == [
        "1 known answer found, in 3 s",
        "by PyTorch alone: no compiler",
    ]


BREAKS = {
    "a wrong sign in Nesterov's momentum": (
        "training/optimizers/sgd.py",
        "alpha=self.momentum) if self.nesterov",
        "alpha=-self.momentum) if self.nesterov",
    ),
    "means of batches that aren't weighted by their sizes": (
        "training/bookkeeping.py",
        "seen[:, -1] * (per_epoch - plan.batch_size * (updates - 1))",
        "seen[:, -1] * plan.batch_size",
    ),
    "an order that repeats rows": (
        "data/order.py",
        "np.argsort(numbers.numpy(), axis=-1)",
        "np.argsort(numbers.numpy(), axis=-1) // 2 * 2",
    ),
    "a learning rate a percent off": (
        "training/state.py",
        "torch.tensor([lane.lr for lane in self.own_lanes]",
        "torch.tensor([1.01 * lane.lr for lane in self.own_lanes]",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BREAKS)
def test_a_broken_engine_is_caught(what: str, tmp_path: Path) -> None:
    for name in ("gdrun", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    file, before, after = BREAKS[what]
    path = tmp_path / "gdrun" / file
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GDRUN_CACHE": str(tmp_path / "c")}
    done = subprocess.run(
        [sys.executable, "-m", "gdrun", "check", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 1, done.stderr
    facts = json.loads(done.stdout)
    assert not facts["passed"]
    engines = set(facts["answers"][0]["measured"])
    failed = [answer["failed"] for answer in facts["answers"] if answer["failed"]]
    assert {engine for each in failed for engine in each} == engines
