"""What a script or a notebook is given: short texts, pictures, help, and errors of gdrun alone."""

import copy
import datetime
import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import gdrun
from gdrun.config import schema
from gdrun.text import unseen

SMALL: dict[str, Any] = {"epochs": 1, "data": {"rows": 9}, "batch_size": 2}
FIGURES = ("loss", "compare", "fit", "curves", "heatmap", "scaling", "why")
PUBLIC = [
    *("train", "compare", "sweep", "load", "compare_results", "explain"),
    *(f"{name}_figure" for name in FIGURES),
]
ODD = [
    3, -1, 1.5, None, True, [], [1], {}, {"a": 1}, {3: 4}, "", "x", "a\0b", b"x", object(),
    np.array([1, 2]), np.array(3), torch.tensor([1.0]), float("nan"), float("inf"), 10**400,
    "é" * 5000, len, {1, 2}, (1,), datetime.date(2020, 1, 1), "log:1:2:3", range(3), ..., Path("x"),
    {"source": "csv", "path": 5}, "full", [[1], [2]], Exception,
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One of each kind that is returned."""
    place = tmp_path_factory.mktemp("runs")
    found: dict[str, Any] = {
        "run": gdrun.train("sgd", **SMALL),
        "lanes": gdrun.train("full", lr=[0.1, 1e9], seeds=2, name="a", output_dir=place, **SMALL),
        "runs": gdrun.compare(**SMALL),
        "many": gdrun.compare(batch_sizes=[1, 2, 3, 4, 5, 6], **SMALL),
        "diverged": gdrun.train("full", lr=1e30, **SMALL),
        "sweep": gdrun.sweep(lr=[0.1, 0.2], name="s", output_dir=place, **SMALL),
    }
    found["loaded"] = gdrun.load("a", output_dir=place)
    found["loaded sweep"] = gdrun.load("s", output_dir=place)
    return found


def test_results_are_short_as_text_and_pictures_in_a_notebook(results: dict[str, Any]) -> None:
    for name, result in results.items():
        lines = repr(result).splitlines()
        assert 1 < len(lines) <= 5, name
        assert max(map(len, lines)) <= 110, name
        assert not unseen(repr(result)) - {"\n"}
        assert result._repr_png_().startswith(b"\x89PNG"), name
    assert isinstance(results["run"], gdrun.RunResult)
    assert isinstance(results["sweep"], gdrun.SweepResult)
    assert isinstance(results["runs"], tuple)
    run = results["run"]
    text = repr(run)
    assert "sgd: batch size 1, lr 0.2, 1 seed, done" in text
    assert f"train loss {run.lanes[0].train_loss:.3g} after 1 epoch, 9 updates" in text


@pytest.mark.parametrize("kind", ["runs", "many", "sweep", "loaded", "loaded sweep"])
def test_a_result_is_found_by_the_name_of_its_run(kind: str, results: dict[str, Any]) -> None:
    found = getattr(results[kind], "results", results[kind])
    for k, result in enumerate(found):
        assert found[result.series.name] is found[k] is found[k - len(found)] is result
        assert result.series.name in found
        assert result in found
    assert [*found[1:]] == [*found][1:]
    assert type(found[:1]) is type(found)
    assert type(copy.copy(found)) is type(found)


def test_a_name_that_no_run_has_is_said_with_those_there_are(results: dict[str, Any]) -> None:
    with pytest.raises(gdrun.ConfigError) as error:
        results["runs"]["batch-2"]
    assert error.value.problems == ("results['batch-2']: no run has that name",)
    assert error.value.hints == ("names: full, sgd, minibatch",)
    assert "batch-2" not in results["runs"]
    with pytest.raises(IndexError):
        results["runs"][3]


def test_what_has_no_row_yet_is_no_picture(tmp_path: Path) -> None:
    gdrun.train("sgd", **SMALL, output_dir=tmp_path, name="a")
    for name in ("epochs.csv", "steps.csv"):
        (tmp_path / "a" / name).write_text("")
    text = (tmp_path / "a/run.json").read_text()
    text = re.sub(r'"lanes": \[.*?\n  \]', '"lanes": []', text, flags=re.DOTALL)
    (tmp_path / "a/run.json").write_text(text.replace('"done"', '"running"'))
    loaded = gdrun.load("a", output_dir=tmp_path)
    assert loaded._repr_png_() is None
    assert "none with a row yet" in repr(loaded)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_in_the_help(name: str) -> None:
    function = getattr(gdrun, name)
    explained = inspect.getdoc(function) or ""
    arguments = explained[explained.index("Args:") : explained.index("Raises:")]
    own = re.findall(r"^    (\w+): ", arguments, re.MULTILINE)
    assert own == list(inspect.signature(function).parameters)
    if "settings" in own:
        listed = set(re.findall(r"\w+", arguments.partition("settings: ")[2]))
        assert set(schema.RunConfig.model_fields) <= listed | set(own)


def assert_refused_or_done(do: Callable[[], object]) -> None:
    """It works, or says what is wrong in words of gdrun."""
    with suppress(gdrun.GdrunError):
        do()


KEYS = [*schema.RunConfig.model_fields, "foo", "learning_rate", "batch_sizes"]
DATA_KEYS = ("source", "path", "rows", "noise", "target", "foo", "val_fraction", "seed")


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: type(odd).__name__)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_arguments_raise_nothing_but_errors_of_gdrun(
    odd: Any, results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"output_dir": tmp_path / "o", **SMALL}
    calls: list[Callable[[], object]] = [
        lambda: gdrun.train(odd, **SMALL),
        lambda: gdrun.train("sgd", odd, **SMALL),
        lambda: gdrun.train("sgd", name=odd, **given),
        lambda: gdrun.train("sgd", **{**given, "output_dir": odd}),
        lambda: gdrun.load(odd),
        lambda: gdrun.load("x", output_dir=odd),
        lambda: gdrun.curves_figure(results["run"], x=odd),
        lambda: gdrun.curves_figure(results["run"], log_x=bool if odd is None else None),  # type: ignore[arg-type]
        lambda: gdrun.compare_figure(results["runs"], note=odd),
        lambda: gdrun.compare_results(results["runs"], odd),
    ]
    for name in ("compare_results", "explain", *(f"{name}_figure" for name in FIGURES)):
        function = getattr(gdrun, name)
        calls += [lambda f=function: f(odd), lambda f=function: f([odd, results["run"]])]  # type: ignore[misc]
    for key in KEYS:
        if not (key in ("epochs", "seeds") and isinstance(odd, int) and odd > 100):
            calls.append(lambda key=key: gdrun.train("full", **{**SMALL, key: odd}))  # type: ignore[misc]
            calls.append(lambda key=key: gdrun.RunConfig(**{key: odd}))  # type: ignore[misc]
    for key in DATA_KEYS:
        data = {"rows": 9, key: odd}
        calls.append(lambda data=data: gdrun.train("full", epochs=1, data=data))  # type: ignore[misc]
    for key in ("batch_sizes", "hidden_sizes"):
        calls.append(lambda key=key: gdrun.compare(**{**SMALL, key: odd}))  # type: ignore[misc]
    for key in ("lr", "batch_size", "target"):
        grid = {"lr": [0.1], **SMALL, key: odd}
        calls.append(lambda grid=grid: gdrun.sweep(**grid))  # type: ignore[misc]
    for call in calls:
        assert_refused_or_done(call)


def test_what_is_drawn_may_be_loaded_or_several_or_one(results: dict[str, Any]) -> None:
    for name, result in results.items():
        is_sweep = "sweep" in name
        for figure in ("heatmap", "scaling"):
            draw = getattr(gdrun, f"{figure}_figure")
            if is_sweep:
                assert draw(result).axes
            else:
                with pytest.raises(gdrun.ConfigError, match=r"must be what gdrun\.sweep returns"):
                    draw(result)
        if not is_sweep:
            assert gdrun.compare_figure(result).axes
            assert gdrun.curves_figure(result, x="samples").axes
            assert gdrun.compare_results(result).rows
    with pytest.raises(gdrun.ConfigError, match="heatmap_figure"):
        gdrun.compare_figure(results["sweep"])
    with pytest.raises(gdrun.ConfigError, match="compare_figure draws several"):
        gdrun.loss_figure(results["runs"])
    with pytest.raises(gdrun.ConfigError, match="no results"):
        gdrun.compare_figure([])


def test_what_was_trained_in_memory_is_explained_as_what_was_saved(tmp_path: Path) -> None:
    probed: dict[str, Any] = {"epochs": 20, "probes": "all", "seeds": 3}
    results = gdrun.compare(**probed, output_dir=tmp_path, name="c")
    saved = gdrun.load("c", output_dir=tmp_path)
    found, loaded = gdrun.explain(results), gdrun.explain(saved)
    assert loaded is saved.explanation
    assert found.sentences == loaded.sentences != ()
    assert found.text.splitlines()[:-1] == loaded.text.splitlines()[:-1]  # the last is the command
    assert found.next_step
    assert found.next_step.command.startswith("gdrun.sweep(…, ")
    assert repr(found).startswith("Explanation: 3 runs, ")
    assert str(found) == found.text
    assert gdrun.explain(gdrun.train("sgd", **SMALL)).probe == 'gdrun.train("sgd", …, probes="all")'


def test_a_sweep_in_memory_is_explained_and_drawn_as_a_saved_one(tmp_path: Path) -> None:
    grid: dict[str, Any] = {"lr": [0.1, 0.01], "batch_size": [4, "full"]}
    grid["optimizer"] = ["sgd", "adam"]
    result = gdrun.sweep(**grid, epochs=20, probes="all", output_dir=tmp_path, name="s")
    saved = gdrun.load("s", output_dir=tmp_path)
    found = gdrun.explain(result)
    assert found.sentences == saved.explanation.sentences
    best = result.recommended
    assert best
    assert found.next_step
    assert found.next_step.command == (
        f'gdrun.train("minibatch", …, optimizer="{best.optimizer}", batch_size=4, '
        f"lr={best.lr}, seeds=1)"
    )
    assert found.cautions[0] in found.text
    for shown in (result, saved):
        assert len(gdrun.why_figure(shown).axes) == 3
    with pytest.raises(gdrun.ConfigError, match="without its runs"):
        gdrun.explain(saved.answer)  # type: ignore[arg-type]


def test_a_config_is_checked_and_read_back() -> None:
    values: dict[str, Any] = {"lr": 0.1, "data": {"rows": 9}, "epochs": 1}
    losses = [
        gdrun.train("full", config).epochs["train_loss"]
        for config in (values, gdrun.RunConfig(**values))
    ]
    assert losses[0] == losses[1]
    with pytest.raises(gdrun.ConfigError) as caught:
        gdrun.RunConfig(lr=-1, learning_rate=3)
    assert len(caught.value.problems) == 2
    assert "learning_rate: did you mean lr?" in caught.value.hints
