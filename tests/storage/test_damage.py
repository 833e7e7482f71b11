"""Saved runs that are damaged are named, and listed as broken."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gdrun.errors import GdrunError
from gdrun.loading import load
from tests.command_line import Invoke
from tests.run_files import edit


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text(text)


def link(name: str) -> Callable[[Path], object]:
    def replace_by_link(run: Path) -> None:
        (run / name).rename(run / "elsewhere")
        (run / name).symlink_to(run / "elsewhere")

    return replace_by_link


def append(name: str, line: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text() + line)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (write("run.json", ""), "run.json: is damaged: not valid JSON"),
    (
        write("run.json", "\udc80".encode("utf-8", "surrogatepass").decode("latin-1")),
        "not valid JSON",
    ),
    (write("run.json", "[1]"), "run.json: is not a run.json of gdrun"),
    (write("run.json", '{"schema": 99}'), "run.json: was written by a newer gdrun"),
    (
        lambda run: edit(run, kind="pair"),
        "run.json: is damaged: kind: must be run or group, got 'pair'",
    ),
    (
        lambda run: edit(run, method="adam"),
        "run.json: is damaged: method: must be 'full', 'sgd' or 'minibatch', got 'adam'",
    ),
    (
        lambda run: edit(run, batch_size="many"),
        "run.json: is damaged: batch_size: must be a whole number, got 'many'",
    ),
    (lambda run: edit(run, problem={}), "run.json: is damaged: problem.network: is missing"),
    (lambda run: edit(run, lanes=[{"lr": 1}]), "run.json: is damaged: lanes[0].seed: is missing"),
    (lambda run: edit(run, lanes=7), "run.json: is damaged: lanes: must be a list, got 7"),
    (
        lambda run: edit(run, resumed=[5]),
        "run.json: is damaged: resumed[0]: must be a mapping of keys to values, got 5",
    ),
    (link("run.json"), "run.json: can't be read"),
]


CSV_DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda run: (run / "epochs.csv").unlink(), "epochs.csv: is missing"),
    (write("epochs.csv", "a,b\n"), "epochs.csv: is damaged: expected method,batch_size"),
    (write("epochs.csv", ""), "epochs.csv: is damaged"),
    (append("epochs.csv", "x\n"), "epochs.csv, line 6: is damaged: no row of this run"),
    (append("epochs.csv", "sgd,1,0.3,0,4,1,1,1,1,1,\n"), "epochs.csv, line 6: is damaged"),
    (append("epochs.csv", "sgd,1,0.2,0,4,1,1,1,é,1,\n"), "epochs.csv, line 6: is damaged"),
    (link("epochs.csv"), "epochs.csv: can't be read"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES + CSV_DAMAGES)
def test_what_is_broken_is_named(
    damage: Callable[[Path], object], message: str, outputs: Path, invoke: Invoke
) -> None:
    damage(outputs / "one")
    with pytest.raises(GdrunError) as caught:
        load(outputs / "one")
    assert message in caught.value.problems[0]
    assert str(outputs / "one") in caught.value.problems[0]
    outcome = invoke("show", "one")
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_is_broken_is_listed_as_broken(
    damage: Callable[[Path], object], message: str, outputs: Path, invoke: Invoke
) -> None:
    damage(outputs / "one")
    outcome = invoke("list")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[1:]] == [
        "grid",
        "worst",
        "both",
        "one",
    ]
    assert message in outcome.err
    content = {run["name"]: run for run in json.loads(invoke("list", "--json").out)["runs"]}
    assert message in content["one"]["problem"]
    assert content["one"]["status"] == "broken"
