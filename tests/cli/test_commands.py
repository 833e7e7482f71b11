"""The commands as a user meets them: what they train, write and report."""

import json
import re
import shutil
from pathlib import Path

import pytest

from gdrun.storage.run_dir import free_bytes
from gdrun.text import size
from tests.command_line import COMMANDS, NO_PICTURES, SHORT, Invoke


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_trains_writes_and_reports(command: str, invoke: Invoke) -> None:
    outcome = invoke(command, *SHORT, *NO_PICTURES)
    assert outcome.code == 0
    assert "written to out/run" in outcome.out
    assert "train" in outcome.out
    methods = COMMANDS[:3] if command == "compare" else (command,)
    for method in methods:
        assert re.search(rf"^{method} .*epoch 0/3", outcome.err, re.MULTILINE)
        assert re.search(rf"^{method} .*epoch 3/3", outcome.err, re.MULTILINE)
        assert re.search(rf"^{method} ", outcome.out, re.MULTILINE)


@pytest.mark.parametrize("command", ["sgd", "compare"])
def test_what_the_logs_take_is_reported(command: str, invoke: Invoke) -> None:
    outcome = invoke(command, *SHORT, *NO_PICTURES)
    taken = sum(path.stat().st_size for path in Path("out/run").rglob("*.csv"))
    assert f"written to out/run ({size(taken)} of logs)\n" in outcome.out
    found = json.loads(invoke(command, "--resume", "out/run", "--epochs", "5", "--json").out)
    longer = sum(path.stat().st_size for path in Path("out/run").rglob("*.csv"))
    assert found["log_bytes"] == longer > taken
    assert f"  ({size(longer)} of logs)\n" in invoke("show", "out/run").out
    assert json.loads(invoke("show", "out/run", "--json").out)["log_bytes"] == longer


def test_a_comparison_of_saved_runs_has_no_logs(invoke: Invoke) -> None:
    for method in ("full", "sgd"):
        invoke(method, "--epochs", "2", "-o", "out", "--name", method, *NO_PICTURES)
    compared = invoke("compare", "out/full", "out/sgd", "-o", "out", "--name", "both")
    assert "written to out/both\n" in compared.out
    assert "of logs" not in invoke("show", "out/both").out


def test_pictures_are_drawn_and_named(invoke: Invoke) -> None:
    outcome = invoke("compare", *SHORT, "--set", "plot.dpi=40", "--set", "plot.format=svg")
    assert outcome.code == 0
    assert "compare.svg  fit.svg" in outcome.out
    for name in ("compare.svg", "fit.svg", "sgd/loss.svg", "sgd/fit.svg"):
        assert Path("out/run", name).stat().st_size > 1000


def test_a_model_without_features_is_trained_and_drawn(invoke: Invoke) -> None:
    asked = ("compare", "--config", "mean_estimation", *SHORT)
    planned = invoke(*asked, "--dry-run")
    head = "constant model (1 parameter) on random numbers of mean 1 and variance 1, 100 rows\n"
    assert planned.code == 0
    assert head + "half MSE · lr 0.1 · replacement" in planned.out
    outcome = invoke(*asked, "--set", "data.standardize=true", "--set", "data.val_fraction=0.2")
    assert outcome.code == 0
    assert "half MSE ÷ variance of x; 0.5 = predicting the mean" in outcome.err
    assert "warning" not in outcome.err
    assert Path("out/run/compare.png").stat().st_size > 1000
    assert not list(Path("out/run").rglob("fit.png"))
    assert invoke("compare", "--resume", "out/run", "--epochs", "5").code == 0


def test_a_picture_that_fails_is_a_warning(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("gdrun.plots.pictures.loss_figure", fail)
    outcome = invoke("sgd", *SHORT)
    assert outcome.code == 0
    assert "warning: out/run/loss.png was not drawn: RuntimeError: no ink" in outcome.err
    assert Path("out/run/fit.png").exists()


def test_flags_reach_the_config(invoke: Invoke) -> None:
    flags = ("--lr", "0.1,0.2", "--hidden-size", "4,3", "--batch-size", "8", "--seed", "5")
    more = ("--seeds", "2", "--device", "cpu", "--set", "momentum=0.5", "--set", "data.rows=40")
    outcome = invoke("minibatch", *SHORT, *NO_PICTURES, *flags, *more)
    assert outcome.code == 0
    config = Path("out/run/config.yaml").read_text()
    for line in ("hidden_size:\n- 4\n- 3", "batch_size: 8", "seed: 5", "momentum: 0.5", "rows: 40"):
        assert line in config
    lanes = json.loads(Path("out/run/run.json").read_text())["lanes"]
    assert [(lane["lr"], lane["seed"]) for lane in lanes] == [
        (0.1, 5),
        (0.1, 6),
        (0.2, 5),
        (0.2, 6),
    ]
    assert "best rate · median of 2 seeds" in outcome.err
    assert "medians of 2 seeds" in outcome.out


@pytest.mark.parametrize("command", ["full", "sgd"])
def test_only_mini_batches_have_a_size(command: str, invoke: Invoke) -> None:
    outcome = invoke(command, "--batch-size", "4")
    assert outcome.code == 2
    hint = "hint: gdrun minibatch --batch-size 4 trains with that batch size"
    assert f"error: batch_size (--batch-size 4): {command} trains on " in outcome.err
    assert hint in outcome.err
    outcome = invoke(command, "--set", "batch_size=4")
    assert (outcome.code, outcome.out) == (2, "")
    assert f"error: batch_size (--set batch_size=4): {command} trains on " in outcome.err
    assert hint in outcome.err
    assert "--batch-size" not in invoke(command, "-h").out
    own = "full" if command == "full" else "1"
    assert invoke(command, "--set", f"batch_size={own}", "-n").code == 0
    assert invoke(command, "-c", "diabetes", "-n").code == 0  # which is for all methods
    invoke(command, "--epochs", "1", "--name", "a", *NO_PICTURES)
    again = invoke(command, "--resume", "a", "--set", "batch_size=4")
    assert hint in again.err


def test_dry_run_says_what_would_be_run_and_writes_nothing(invoke: Invoke) -> None:
    outcome = invoke("compare", "-n", "--seeds", "4", "--name", "later", "-o", "out")
    assert outcome.code == 0
    assert "lr: 0.2\n" in outcome.out
    assert "full: batch size 100, 4 lanes, 1 update per epoch, 100 in all" in outcome.out
    assert "sgd: batch size 1, 4 lanes, 100 updates per epoch, 10,000 in all" in outcome.out
    assert "minibatch: batch size 16, 4 lanes, 6 updates per epoch, 600 in all" in outcome.out
    assert "would be written to out/later" in outcome.out
    assert list(Path.cwd().iterdir()) == []


def test_json_is_all_of_stdout(invoke: Invoke) -> None:
    outcome = invoke("compare", *SHORT, "--set", "plot.dpi=40", "--json")
    content = json.loads(outcome.out)
    assert (content["schema"], content["status"]) == (1, "done")
    assert [run["method"] for run in content["runs"]] == ["full", "sgd", "minibatch"]
    for path in [content["directory"], *content["pictures"]]:
        assert Path(path).exists()
    assert {row["method"] for row in content["comparison"]["rows"]} == {"full", "sgd", "minibatch"}


def test_quiet_prints_the_directory_alone(invoke: Invoke) -> None:
    outcome = invoke("sgd", *SHORT, *NO_PICTURES, "--quiet")
    assert (outcome.code, outcome.out, outcome.err) == (0, "out/run\n", "")


def test_names_are_made_from_date_time_and_command(invoke: Invoke) -> None:
    for _ in range(2):
        invoke("full", "--epochs", "1", *NO_PICTURES)
    names = sorted(path.name for path in Path("outputs").iterdir())
    assert len(names) == 2
    assert all(re.match(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_full", name) for name in names)


def test_init_writes_a_config_that_works_and_never_overwrites(invoke: Invoke) -> None:
    assert invoke("init").code == 0
    before = Path("gdrun.yaml").read_text()
    assert invoke("sgd", "-c", "gdrun.yaml", *SHORT, *NO_PICTURES).code == 0
    outcome = invoke("init")
    assert outcome.code == 2
    assert "gdrun.yaml: exists, and is not overwritten" in outcome.err
    assert Path("gdrun.yaml").read_text() == before
    assert invoke("init", "other.yaml").code == 0
    assert invoke("init", "nowhere/other.yaml").code == 1


def test_columns_that_are_no_numbers_are_named(invoke: Invoke) -> None:
    Path("a.csv").write_text("x,[bold]city,y\n1,a,2\n2,b,3\n4,c,1\n")
    Path("a.yaml").write_text("data: {source: csv, path: a.csv, target: y}\nbatch_size: 2\n")
    outcome = invoke("compare", "-c", "a.yaml", *SHORT, *NO_PICTURES)
    assert outcome.code == 0
    assert (
        "note: columns left out (text): [bold]city; data.categorical: [[bold]city] uses them"
        in outcome.err
    )


SWEPT = ("--lr", "0.1,0.2", "--batch-size", "1,full")
MANY = ("--seeds", "40", "--epochs", "1000", "--set", "engine=eager")


@pytest.mark.parametrize(
    ("args", "remedy"),
    [
        (("sgd", *MANY), "--set log_every=10 logs every 10th update"),
        (("sgd", *MANY, "--set", "log_every=3"), ""),
        (("sgd", *MANY, "--epochs", "100000", "--set", "log_every=3"), "log_every=300 logs every"),
        (("full", *MANY, "--epochs", "100000"), "fewer epochs take less"),
        (("sweep", *MANY, *SWEPT, "--set", "log_every=1"), "log_every=10 logs"),
        (("sweep", *MANY, *SWEPT), ""),
        (("sgd",), ""),
    ],
)
def test_large_logs_are_announced(args: tuple[str, ...], remedy: str, invoke: Invoke) -> None:
    outcome = invoke(*args, "-n")
    words = r"note: the logs will take about ([\d.]+) ([MG]B), .* a second or more"
    found = re.search(words, outcome.out)
    assert bool(found) == bool(remedy)
    assert remedy in outcome.out
    expected = json.loads(invoke(*args, "-n", "--json").out)["estimated_log_bytes"]
    assert (expected > 10**8) == bool(remedy)
    if found:
        assert float(found[1]) * {"M": 1e6, "G": 1e9}[found[2][0]] == pytest.approx(
            expected, rel=0.01
        )


def test_logs_larger_than_the_disk_are_announced_before_they_are_written(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.cli.preview.free_bytes", lambda _: 2000)
    outcome = invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    note, start = outcome.err.index("and the disk has 2 kB left"), outcome.err.index("epoch ")
    assert note < start
    assert "note: the logs will take about 9" in outcome.err
    assert "the logs" not in invoke("sgd", "--resume", "a", *NO_PICTURES).err  # nothing is left


def test_the_room_on_a_disk_is_known_before_a_directory_is_made(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    assert free_bytes(tmp_path / "not" / "there") == pytest.approx(free, rel=0.1)
