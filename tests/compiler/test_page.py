"""The room's page shows the C that is generated, and names all modules."""

import re
from pathlib import Path

import pytest

from gdrun.compiler.build import SOURCES
from gdrun.compiler.lower import functions
from gdrun.compiler.spec import ProgramSpec
from gdrun.training.losses.regression import Regression
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.optimizers.sgd import SGD

PAGE = (SOURCES / "README.md").read_text()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [4, 8, 16])
def test_the_page_shows_the_c_of_the_articles_network(width: int) -> None:
    network = Perceptron((1, 10, 1), "relu")
    spec = ProgramSpec(
        network, Regression("mse"), 1, SGD(), factors=0, rows=1, chunks=(1,), lanes=1, width=width
    )
    (block,) = re.findall(r"```c\n(.*?)```", PAGE, re.DOTALL)
    generated = one_line(functions(spec))
    shown = [one_line(function) for function in block.split("\n\n")]
    assert [function.split("(")[0].split()[-1] for function in shown] == ["gradient_1", "descend"]
    for function in shown:
        assert function in generated


def test_the_page_names_every_module() -> None:
    steps = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`(\w+)`", steps)) - {"gradient", "descend"}
    assert named == {path.stem for path in Path(SOURCES).glob("*.py")} - {"__init__"}
