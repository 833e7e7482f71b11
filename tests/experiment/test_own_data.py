"""Nobody's own data is treated as the article's by surprise, and what is left out of it is said."""

from pathlib import Path
from typing import Any

import pytest

from gdrun.api import train
from gdrun.config.read import configure, load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from tests.command_line import NO_PICTURES, Invoke
from tests.tables.csv_files import csv


@pytest.fixture
def twelve(tmp_path: Path) -> Path:
    rows = "".join(f"{7 * k % 12},{k * k % 5}\n" for k in range(12))
    return csv(tmp_path, f"x,y\n{rows}", "twelve.csv")


def settings_of(path: Path, **more: Any) -> list[str]:
    values = {"data.source": "csv", "data.path": path, "data.target": "y", **more}
    return [f"{key}={value}" for key, value in values.items()]


@pytest.mark.parametrize(
    "data",
    [
        {"source": "csv", "path": "a.csv", "target": "y"},
        {"source": "npy", "x": "x.npy", "y": "y.npy"},
        {"source": "mean_estimation"},
        {"source": "spiral"},
    ],
)
def test_data_of_another_source_takes_the_defaults_of_the_schema(data: dict[str, str]) -> None:
    expected = RunConfig.model_validate({"data": data})
    assert load_config(settings=[f"data.{key}={value}" for key, value in data.items()]) == expected
    flags = {f"data.{key}": ("--flag", value) for key, value in data.items()}
    assert load_config(flags=flags) == expected
    assert configure(None, {"data": data}) == expected
    assert configure(None, {"data": expected.data}) == expected


def test_the_articles_own_data_stays_as_it_is() -> None:
    for config in (
        load_config(settings=["data.rows=50"]),
        configure(None, {"data": {"rows": 50}}),
        load_config(settings=["data.source=quadratic", "data.rows=50"]),
    ):
        assert (config.sampling, config.drop_last, config.batch_size) == ("sequential", True, 16)


@pytest.mark.parametrize(("rows", "size"), [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4), (15, 4)])
def test_default_batches_are_lowered_for_few_rows(rows: int, size: int) -> None:
    for config in (
        RunConfig.model_validate({"data": {"rows": rows}}),
        load_config(settings=[f"data.rows={rows}"]),
    ):
        experiment = plan_experiment("minibatch", config)
        assert experiment.runs[0].plan.batch_size == experiment.config.batch_size == size
        assert any(note.startswith(f"batch_size: {size}, not 16") for note in experiment.notes)


def test_batches_that_were_asked_for_are_refused(twelve: Path, invoke: Invoke) -> None:
    settings = [part for text in settings_of(twelve) for part in ("--set", text)]
    for asked in (("--batch-size", "16"), ("--set", "batch_size=16")):
        outcome = invoke("compare", *settings, *asked)
        assert outcome.code == 2
        assert "batch_size: 16 is larger than the 12 training rows" in outcome.err
    with pytest.raises(ConfigError, match="16 is larger than the 12 training rows"):
        plan_experiment("minibatch", load_config(settings=settings_of(twelve, batch_size=16)))


def test_lowered_batches_are_said_and_saved(twelve: Path, invoke: Invoke) -> None:
    settings = [part for text in settings_of(twelve) for part in ("--set", text)]
    outcome = invoke("compare", *settings, "--epochs", "2", "--name", "a", *NO_PICTURES)
    assert outcome.code == 0
    assert "note: batch_size: 4, not 16, as there are 12 training rows" in outcome.err
    again = invoke("compare", "-c", "outputs/a/config.yaml", "--name", "b", *NO_PICTURES)
    assert again.code == 0
    assert "batch_size:" not in again.err
    names = [f"{run}/epochs.csv" for run in ("full", "sgd", "minibatch")]
    losses = [
        [[row.split(",")[9] for row in Path(f"outputs/{run}/{name}").read_text().split()]
         for name in names]
        for run in ("a", "b")
    ]  # fmt: skip
    assert losses[0] == losses[1]
    assert "batch_size: 4\n" in invoke("compare", *settings, "-n").out
    assert invoke("compare", "--resume", "outputs/a", "--epochs", "3", *NO_PICTURES).code == 0


def test_it_is_so_in_python(twelve: Path) -> None:
    result = train(
        "minibatch", data={"source": "csv", "path": str(twelve), "target": "y"}, epochs=1
    )
    assert result.series.batch_size == 4


@pytest.mark.parametrize("command", ["compare", "minibatch", "sweep"])
def test_rows_that_are_left_out_are_said(command: str, invoke: Invoke) -> None:
    outcome = invoke(command, "-n", "--set", "sweep.batch_size=[1, 16]")
    expected = "note: batches of 16 leave 4 of 100 training rows out of every epoch"
    assert expected in outcome.out
    assert expected not in invoke(command, "-n", "--set", "drop_last=false").out
    assert expected not in invoke(command, "-n", "--set", "data.rows=96").out


CAUTION = "are sorted by {}: each batch holds rows that are alike"


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("x,y\n1,5\n2,1\n3,4\n3,2\n9,9\n", "x"),
        ("x,y\n1,5\n2,4\n0,4\n3,2\n9,1\n", "y"),
        ("x,y\n1,5\n2,1\n0,4\n3,2\n9,9\n", None),
    ],
)
def test_order_on_sorted_rows_gets_a_caution(text: str, column: str | None, tmp_path: Path) -> None:
    path = csv(tmp_path, text)
    for sampling in ("sequential", "reshuffle"):
        config = load_config(settings=settings_of(path, sampling=sampling, batch_size=2))
        notes = " ".join(plan_experiment("minibatch", config).notes)
        cautioned = column is not None and sampling == "sequential"
        assert ("are sorted by" in notes) == cautioned
        if cautioned:
            assert CAUTION.format(column) in notes
    full = load_config(settings=settings_of(path, sampling="sequential", batch_size="full"))
    assert not plan_experiment("full", full).notes
