"""Rows that a function of the user's returns: found, called where one trains, and nowhere else."""

import json
from pathlib import Path

import pytest
import torch

import gdrun
from gdrun.config.read import load_config
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError, DataError, GdrunError, UserCodeError
from tests.command_line import NO_PICTURES, Invoke, in_process
from tests.training_runs import small_config

LOAD = """\
from pathlib import Path

import numpy as np

with Path(__file__).with_name("calls").open("a") as file:
    file.write("x")


def load():
    x = np.linspace(-1, 1, 20).reshape(-1, 1)
    return x, x[:, 0] ** 2
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load.py").write_text(LOAD)
    return tmp_path


def calls(place: Path) -> int:
    return len((place / "calls").read_text())


def raised(place: Path, text: str, error: type[GdrunError], name: str = "load.py:load") -> str:
    (place / "load.py").write_text(text)
    with pytest.raises(error) as caught:
        gdrun.train("full", data={"source": "python", "path": name}, epochs=1)
    return str(caught.value)


def test_a_config_names_a_file_beside_it(place: Path) -> None:
    (place / "below").mkdir()
    (place / "load.py").rename(place / "below" / "load.py")
    (place / "below" / "c.yaml").write_text("data: {source: python, path: load.py:load}")
    config = load_config("below/c.yaml").data
    data = load_data(config)
    assert (data.rows, data.features, data.title) == (20, ("x",), "load.py:load")
    x = torch.linspace(-1, 1, 20).unsqueeze(1)
    torch.testing.assert_close(data.x[:], x / x.std(correction=0))


def test_a_package_and_a_frame_are_taken_too(place: Path) -> None:
    (place / "pack").mkdir()
    (place / "pack" / "__init__.py").write_text("")
    (place / "pack" / "rows.py").write_text(
        "import pandas\n"
        "def load():\n"
        "    columns = {'a': [1, 2, 3], 'b': ['u', 'v', 'u'], 'price': [1.0, 2, 4]}\n"
        "    return pandas.DataFrame(columns)\n"
    )
    data = {"source": "python", "path": "pack.rows:load", "target": "price", "categorical": "all"}
    assert load_data(small_config(data=data).data).features == ("a", "b=u", "b=v")


def test_commands_that_look_at_runs_do_not_call_it(place: Path, invoke: Invoke) -> None:
    options = ("--epochs", "2", "--name", "run")
    assert invoke("full", "--data", "load.py:load", *options).code == 0
    before = calls(place)
    assert before >= 1
    for command in ("list", "show run", "plot run", "show run --json", "compare run run"):
        invoke(*command.split())
    assert calls(place) == before
    assert "would run the code of" in invoke("plot", "run").err
    assert (place / "outputs" / "run" / "fit.png").exists()


def test_a_run_has_the_hash_of_the_file_and_is_not_resumed_with_another(
    place: Path, invoke: Invoke
) -> None:
    options = ("--epochs", "2", "--name", "run", *NO_PICTURES)
    assert invoke("full", "--data", "load.py:load", *options).code == 0
    code = json.loads((place / "outputs" / "run" / "run.json").read_text())["code"]
    assert list(code) == ["data"]
    more = ("full", "--resume", "run", "--epochs", "4")
    (place / "load.py").write_text(LOAD + "# another\n")
    outcome = invoke(*more)
    assert outcome.code == 2
    assert "data: the file of load.py:load was changed" in outcome.err
    (place / "load.py").write_text(LOAD)
    assert invoke(*more).code == 0


def test_data_that_changed_behind_the_file_is_noticed(place: Path, invoke: Invoke) -> None:
    (place / "power").write_text("2")
    (place / "load.py").write_text(LOAD.replace("** 2", "** int(Path('power').read_text())"))
    options = ("--epochs", "2", "--name", "run", *NO_PICTURES)
    assert invoke("full", "--data", "load.py:load", *options).code == 0
    (place / "power").write_text("3")
    outcome = invoke("full", "--resume", "run", "--epochs", "4")
    assert (outcome.code, "is not what the run was begun with" in outcome.err) == (2, True)


def test_each_mistake_has_words_of_its_own(place: Path) -> None:
    for name, text, said in (
        ("none.py:load", LOAD, "no such file"),
        (".py/x:load", LOAD, "no such file"),
        ("no_such_module:load", LOAD, "there is no module 'no_such_module'"),
        ("load.py:lod", LOAD, "did you mean load?"),
        ("load.py:load", "load = 3", "is int, and can't be called"),
        ("load.py:load", "def load(path): ...", "takes other arguments than ()"),
        ("load.py", LOAD, "must be FILE.py:NAME or package.module:NAME"),
        ("a b:load", LOAD, "must be FILE.py:NAME or package.module:NAME"),
    ):
        assert said in raised(place, text, ConfigError, name), name
    for text, said in (
        ("def load(): pass", "load.py:load returned: expected (x, y)"),
        ("def load(): return [1, 2], [1]", "x has 2 rows, and y has 1"),
        ("def load(): return {'x': [1]}", "expected a mapping of x and y, got one of x"),
        ("def load(): yield 1", "expected (x, y)"),
        ("def load(): return [1, float('nan')], [1, 2]", "returned: x, row 1 (from 0)"),
    ):
        assert said in raised(place, text, DataError), text


@pytest.mark.parametrize("text", ["1 / 0", "def load():\n    return 1 / 0", "def load(:"])
def test_an_exception_shows_the_users_traceback_alone(text: str, place: Path) -> None:
    assert "raised" in raised(place, text, UserCodeError)
    outcome = in_process("full", "--data", "load.py:load")
    assert outcome.code == 1
    assert "load.py" in outcome.err
    assert str(Path(gdrun.__file__).parent) not in outcome.err
    assert "defect" not in outcome.err


def test_many_runs_call_it_once(place: Path, invoke: Invoke) -> None:
    assert invoke("compare", "--data", "load.py:load", "--epochs", "1", *NO_PICTURES).code == 0
    assert calls(place) == 1
