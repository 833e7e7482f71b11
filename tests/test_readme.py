"""What the README promises, run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gdrun.config.read import load_config
from gdrun.config.schema import NpyData
from tests.command_line import Invoke

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_the_two_commands_stand_there_as_they_are_run() -> None:
    assert "pip install -e . && gdrun compare\n" in blocks("sh")
    assert "pip install -e '.[test]' && pytest\n" in blocks("sh")
    assert "pip install -e '.[test]' && pytest\n" in (ROOT / ".ci" / "run").read_text()


def test_compare_prints_the_losses_shown(invoke: Invoke) -> None:
    outcome = invoke("compare", "--set", "plot.enabled=false")
    shown = re.findall(
        r"^(full|sgd|minibatch) +(\d+) +([\d.]+) +([\d.]+) +([\d,]+)", README, re.MULTILINE
    )
    assert len(shown) == 3
    for row in shown:
        assert re.search(" +".join(map(re.escape, row)), outcome.out)
    assert "target: train loss ≤ 0.00465, within 10 % of the best final loss 0.00423" in outcome.out


@pytest.mark.slow
def test_sweep_finds_the_losses_and_says_the_words_shown(invoke: Invoke) -> None:
    def grid(text: str) -> list[list[str]]:
        lines = text[text.index("lr \\ batch") :].splitlines()[1:8]
        return [line.replace("*", " ").split() for line in lines]

    options = ("--config", "diabetes", "--seeds", "16", "--set", "plot.enabled=false")
    outcome = invoke("sweep", *options)
    assert outcome.code == 0
    shown, found = grid(README), grid(outcome.out)
    assert len(shown) == 7
    for own, other in zip(shown, found, strict=True):
        assert [cell == "diverged" for cell in own] == [cell == "diverged" for cell in other]
        numbers = [[float(c) for c in row if c != "diverged"] for row in (own, other)]
        # Processors round differently, and what is close to diverging feels it.
        assert numbers[0] == pytest.approx(numbers[1], rel=0.1)

    def words(text: str) -> list[str]:
        start = text.index("The target, a train loss of")
        return re.findall(r"[a-zA-Z]+", text[start : text.index("  gdrun ", start)])

    assert words(README) == words(outcome.out)


def test_mistakes_are_reported_as_shown(invoke: Invoke) -> None:
    outcome = invoke("compare", "--set", "hiden_size=3", "--lr", "0")
    assert outcome.err in README


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^# (\{.*\})$", code, re.MULTILINE)
    assert done.stdout.splitlines() == printed
    assert list(tmp_path.iterdir()) == []


def test_config_example_is_valid(tmp_path: Path) -> None:
    houses, large = blocks("yaml")
    (tmp_path / "houses.yaml").write_text(houses)
    assert load_config(str(tmp_path / "houses.yaml")).lr == (0.01, 0.05)
    (tmp_path / "large.yaml").write_text(large)
    data = load_config(str(tmp_path / "large.yaml")).data
    assert isinstance(data, NpyData)
    assert data.x == tmp_path / "X.npy"
