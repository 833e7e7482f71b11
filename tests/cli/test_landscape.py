"""`gdrun landscape RUN…` draws the loss around saved runs."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gdrun.cli import preview
from gdrun.diagnostics.surface import surface
from gdrun.experiment.landscape import explore as exploring
from gdrun.results.file_names import is_own
from tests.command_line import GDRUN, Invoke
from tests.run_files import contents, edit, log_another_loss

SHORT = ("--epochs", "4", "--set", "plot.enabled=false", "--set", "data.rows=20")


def pictures() -> list[str]:
    return sorted(str(path) for path in Path("outputs").rglob("landscape*"))


@pytest.mark.parametrize("run", ["one", "both/sgd", "both"])
def test_the_picture_lies_with_the_run_and_its_numbers_are_printed(
    run: str, outputs: Path, invoke: Invoke
) -> None:
    before = contents(outputs)
    outcome = invoke("landscape", run)
    path = f"outputs/{run}/landscape.png"
    assert outcome.code == 0
    *lines, last = outcome.out.splitlines()
    assert last == path
    assert pictures() == [path]
    with Image.open(path) as picture:
        assert picture.format == "PNG"
    runs = ["full", "sgd", "minibatch"] if run == "both" else [run.rpartition("/")[2]]
    for name in runs:
        (own,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert "lane 0 (lr 0.05, seed 0), 4 points" in own or run == "one"
        assert f"training {name} again" in outcome.err
    assert sum("the plane explains" in line for line in lines) == 1
    assert "warning" not in outcome.err
    after = contents(outputs)
    assert {key: after[key] for key in before} == before
    assert not list(outputs.rglob("*.partial"))


def test_quiet_prints_the_path_alone(outputs: Path, invoke: Invoke) -> None:
    assert outputs.exists()
    outcome = invoke("landscape", "one", "-q")
    assert (outcome.code, outcome.out, outcome.err) == (0, "outputs/one/landscape.png\n", "")


def test_json_has_the_numbers(outputs: Path, invoke: Invoke) -> None:
    assert outputs.exists()
    found = json.loads(invoke("landscape", "both", "--json", "-q").out)
    assert found["schema"] == 1
    assert found["path"] == "outputs/both/landscape.png"
    assert 0 < sum(found["explained"]) <= 1
    assert 0 < found["random_walk"] <= 1
    assert isinstance(found["shows_nothing"], bool)
    assert [run["name"] for run in found["runs"]] == ["full", "sgd", "minibatch"]
    for run in found["runs"]:
        count = len(run["epochs"])
        assert count == len(run["losses"]) == len(run["plane_losses"]) == len(run["x"]) == 4
        signs = run["end"]["curvature"]
        assert signs["negative"] + signs["zero"] + signs["positive"] == 31
        assert run["end"]["gradient"] > 0
    assert found["notes"][0].startswith("the plane explains")
    alone = json.loads(invoke("landscape", "both/full", "--random", "--json", "-q").out)
    assert (alone["explained"], alone["random_walk"], alone["seed"]) == (None, None, 0)
    assert alone["path"] == "outputs/both/full/landscape-random.png"
    assert alone["runs"][0]["losses"] == [found["runs"][0]["losses"][-1]]


def test_kept_weights_are_read_and_give_the_same_picture(invoke: Invoke) -> None:
    drawn = {}
    for name, kept in (("kept", "true"), ("not", "false")):
        invoke("compare", *SHORT, "--name", name, "--set", f"trajectory={kept}")
        outcome = invoke("landscape", name, "--json")
        assert outcome.code == 0
        assert ("again" in outcome.err) == (kept == "false")
        found = json.loads(outcome.out)
        drawn[name] = ({**found, "path": ""}, Path(found["path"]).read_bytes())
    assert drawn["kept"] == drawn["not"]


def test_what_the_weights_take_is_said_before(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "weights at the ends" not in invoke("compare", "-n").out
    outcome = invoke("compare", "-n", "--set", "trajectory=true")
    assert "weights at the ends of epochs: 42.6 kB\n" in outcome.out
    assert "the logs will take" not in outcome.err
    monkeypatch.setattr(preview, "LARGE_LOGS", 40_000)
    outcome = invoke("full", "-n", "--set", "trajectory=true", "--seeds", "200")
    assert "most of that is the weights that are kept: trajectory: false keeps none" in (
        outcome.out + outcome.err
    )


@pytest.mark.parametrize("lane", [None, 0, 1])
def test_the_lane_is_the_first_of_the_best_rate_or_the_one_that_is_named(
    lane: int | None, outputs: Path, invoke: Invoke
) -> None:
    assert outputs.exists()
    given = () if lane is None else ("--lane", str(lane))
    found = json.loads(invoke("landscape", "both/sgd", "--json", "-q", *given).out)
    (run,) = found["runs"]
    assert (run["lane"], run["lr"], run["seed"]) == (lane or 0, 0.05, lane or 0)


def test_runs_of_several_groups_have_names_that_differ(invoke: Invoke) -> None:
    for name in ("a", "b"):
        invoke("compare", *SHORT, "--name", name, "--seed", "1")
    outcome = invoke("landscape", "a/sgd", "b/sgd", "b/full", "--output", "c.pdf", "--json", "-q")
    found = json.loads(outcome.out)
    assert [run["name"] for run in found["runs"]] == ["a/sgd", "b/sgd", "b/full"]
    assert found["runs"][0]["x"] == found["runs"][1]["x"]
    assert Path("c.pdf").read_bytes().startswith(b"%PDF")
    assert pictures() == []
    outcome = invoke("landscape", "a", "b", "--format", "svg", "--scale", "slides", "-q")
    assert (outcome.code, outcome.out) == (0, "outputs/a/landscape.svg\n")


def test_a_comparison_of_saved_runs_stands_for_them(outputs: Path, invoke: Invoke) -> None:
    assert outputs.exists()
    invoke("compare", "both/sgd", "both/full", "--name", "same")
    outcome = invoke("landscape", "same", "-q")
    assert (outcome.code, outcome.out) == (0, "outputs/same/landscape.png\n")


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (["nope"], 2, "nope: no such run"),
        (["one", "--seed", "3"], 2, "--seed: is of a random plane"),
        (["one", "--format", "bmp"], 2, "--format bmp: must be one of png"),
        (["one", "--scale", "huge"], 2, "--scale huge: must be one of"),
        (["one", "--output", "a.gif"], 2, "expected the name of a file that ends in"),
        (["one", "--output", "no/a.png"], 1, "no/a.png: can't be written: No such file"),
        (["one", "--lane", "1"], 2, "lane 1: the run has only lane 0"),
        (["both", "--random"], 2, "3 runs, and --random is around the weights of one run"),
        (["worst"], 2, "outputs/worst: lane 0 diverged: after the first of its epochs"),
        (["worst", "--random"], 2, "the last loss of lane 0 isn't finite: it diverged"),
        (["both", "one"], 2, "error: they are of different problems"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_drawn(
    args: list[str], code: int, part: str, outputs: Path, invoke: Invoke
) -> None:
    assert outputs.exists()
    outcome = invoke("landscape", *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert part in outcome.err
    assert pictures() == []


def test_more_than_six_runs_are_refused_and_six_are_not(invoke: Invoke) -> None:
    sizes = ("1", "2", "4", "5", "10", "20")
    grid = [f"--batch-size={','.join(sizes)}", "--set", "sweep.lr=[0.1]"]
    invoke("sweep", *SHORT, "--name", "s", *grid)
    assert invoke("landscape", "s", "-q").code == 0
    invoke("sgd", *SHORT, "--name", "one")
    outcome = invoke("landscape", "s", "one", "-q")
    assert outcome.code == 2
    assert "error: 7 runs, and at most 6 have room: outputs/s/batch-1, " in outcome.err
    assert "name some of them: GROUP/RUN" in outcome.err


def test_other_networks_and_other_data_are_named(invoke: Invoke) -> None:
    invoke("sgd", *SHORT, "--name", "a")
    invoke("sgd", *SHORT, "--name", "b", "--hidden-size", "4")
    invoke("sgd", *SHORT, "--name", "c", "--set", "data.noise=0.1")
    outcome = invoke("landscape", "a", "b")
    assert outcome.code == 2
    assert "network: 1 → 10 → 1 ReLU network in a, 1 → 4 → 1 ReLU network in b" in outcome.err
    outcome = invoke("landscape", "a", "c")
    assert outcome.code == 2
    assert "error: data.noise: 0.2 in a, 0.1 in c" in outcome.err


def test_changed_data_and_changed_code_are_refused(invoke: Invoke) -> None:
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    given = ("--data", "a.csv", "--target", "y", "--batch-size", "2", "--epochs", "2")
    Path("net.py").write_text(
        "from torch import nn\nprint('run')\ndef build(features, outputs):\n"
        "    return nn.Sequential(nn.Linear(features, 3), nn.Tanh(), nn.Linear(3, outputs))\n"
    )
    invoke("minibatch", *given, "--name", "a", "--model", "net.py:build")
    outcome = invoke("landscape", "a", "--json")
    assert outcome.code == 0
    assert invoke("landscape", "a", "--random").code == 0
    Path("net.py").write_text(Path("net.py").read_text() + "print('changed')\n")
    outcome = invoke("landscape", "a")
    assert outcome.code == 2
    assert "model: the file of net.py:build was changed since the run was begun" in outcome.err
    assert "changed\n" not in outcome.out
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,9\n")
    invoke("minibatch", *given, "--name", "b")
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    outcome = invoke("landscape", "b")
    assert outcome.code == 2
    assert "the data is not what the run was begun with" in outcome.err


def test_an_interrupted_run_is_drawn_as_far_as_its_log_goes(outputs: Path, invoke: Invoke) -> None:
    place = outputs / "one"
    lines = (place / "epochs.csv").read_text().splitlines(keepends=True)
    (place / "epochs.csv").write_text("".join(lines[:3]))  # epochs 0 and 1
    edit(place, status="running", lanes=[])
    found = json.loads(invoke("landscape", "one", "--json", "-q").out)
    assert found["runs"][0]["epochs"] == [0, 1]
    (place / "epochs.csv").write_text("".join(lines[:2]))
    outcome = invoke("landscape", "one")
    assert outcome.code == 2
    assert "has ended no epoch of training yet" in outcome.err


def test_losses_that_differ_from_the_log_are_said(outputs: Path, invoke: Invoke) -> None:
    log_another_loss(outputs / "one")
    outcome = invoke("landscape", "one")
    assert outcome.code == 0
    assert "its train losses differ by up to 20 % from those in its log" in outcome.err


def test_pictures_go_with_their_run_and_when_they_no_longer_fit(invoke: Invoke) -> None:
    invoke("sgd", *SHORT, "--name", "a", "--set", "trajectory=true")
    for more in ((), ("--random",)):
        assert invoke("landscape", "a", "-q", *more).code == 0
    outcome = invoke("sgd", "--resume", "a", "--epochs", "5")
    assert "landscape.png" in outcome.err
    assert pictures() == []
    assert invoke("landscape", "a", "-q").code == 0
    assert invoke("rm", "a", "--yes").code == 0
    assert not Path("outputs/a").exists()
    assert is_own("landscape-random.svg")
    assert not is_own("landscape.gif")


def test_a_damaged_file_of_weights_is_named(invoke: Invoke) -> None:
    invoke("sgd", *SHORT, "--name", "a", "--set", "trajectory=true")
    path = Path("outputs/a/trajectory.bin")
    path.write_bytes(path.read_bytes()[:-1])
    outcome = invoke("landscape", "a")
    assert outcome.code == 2
    assert "error: outputs/a/trajectory.bin: is damaged: ends within a record" in outcome.err
    assert "or remove it: without the file, gdrun landscape trains the run again" in outcome.err


def test_ctrl_c_ends_it_at_once_and_leaves_nothing(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outputs.exists()

    def interrupted(*args: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return surface(*args)

    monkeypatch.setattr(exploring, "surface", interrupted)
    outcome = invoke("landscape", "one")
    assert (outcome.code, outcome.out) == (130, "")
    assert pictures() == []


@pytest.mark.usefixtures("outputs")
def test_it_needs_no_display_and_no_settings_of_the_users() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    environment |= {"MPLBACKEND": "TkAgg", "COLUMNS": "80"}
    done = subprocess.run(
        [*GDRUN, "landscape", "one"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("outputs/one/landscape.png\n")
    shutil.rmtree("outputs")
