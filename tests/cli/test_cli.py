"""The command line as a user meets it: exit codes, messages, pipes, pseudo-terminals, Ctrl-C."""

import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pexpect
import pytest

import gdrun
from gdrun.cli.startup import loading
from tests.conftest import Invoke, Outcome, slow

COMMANDS = ("full", "sgd", "minibatch", "compare")
# In processes of their own, which take a second to start.
SEPARATELY = (slow("full"), slow("minibatch"), "sgd", "compare")
SHORT = ("--epochs", "3", "-o", "out", "--name", "run")
NO_PICTURES = ("--set", "plot.enabled=false")


def python(*args: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """`python -m gdrun ARGS` in a process of its own, its output piped."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gdrun", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        **more,
    )


# --------------------------------------------------------------------------- what commands do


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
    def fail(*_: object) -> None:
        raise RuntimeError("no ink")

    monkeypatch.setattr("gdrun.plots.figures.loss_figure", fail)
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
    assert "No such option" in outcome.err


def test_dry_run_says_what_would_be_run_and_writes_nothing(invoke: Invoke) -> None:
    outcome = invoke("compare", "-n", "--seeds", "4", "--name", "later", "-o", "out")
    assert outcome.code == 0
    assert "lr: 0.2\n" in outcome.out
    assert "full: batch size 100, 4 lanes, 1 update an epoch, 100 in all" in outcome.out
    assert "sgd: batch size 1, 4 lanes, 100 updates an epoch, 10,000 in all" in outcome.out
    assert "minibatch: batch size 16, 4 lanes, 6 updates an epoch, 600 in all" in outcome.out
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
    assert "note: no features, for want of numbers or a name: [bold]city" in outcome.err


# ------------------------------------------------------------------------------------- mistakes

CSV = "data: {source: csv, path: a.csv, target: y}\nbatch_size: 1\n"

MISTAKES = [
    (["--set", "hiden_size=3"], {}, ["hiden_size", "did you mean hidden_size?"]),
    (["--lr", "fast"], {}, ["lr (--lr fast)", "must be a number"]),
    (["--lr", "0"], {}, ["lr (--lr 0)", "must be greater than 0"]),
    (["--epochs", "0"], {}, ["epochs (--epochs 0)", "greater than or equal to 1"]),
    (["--batch-size", "0"], {}, ["batch_size (--batch-size 0)"]),
    (["--batch-size", "101"], {}, ["batch_size: 101 is larger than the 100 training rows"]),
    (["--set", "data.noise=-1"], {}, ["data.noise (--set data.noise=-1)"]),
    (["-c", "none.yaml"], {}, ["--config none.yaml: no such file", "presets: article"]),
    (["-c", "a.yaml"], {"a.yaml": "lr: [1\nb: 2\n"}, ["a.yaml, line 2, column 2"]),
    (["-c", "a.yaml"], {"a.yaml": "- lr\n"}, ["holds a list, expected a mapping"]),
    (["-c", "a.yaml"], {"a.yaml": CSV}, ["a.csv can't be read: No such file"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,z\n1,2\n"}, ["has no column 'y'"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,b\n3,4\n"}, ["line 3, column 'y'"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,\n3,4\n"}, ["got an empty cell"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,nan\n3,4\n"}, ["got 'nan'"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n"}, ["has no rows"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n1,3\n"}, ["'x' is constant"]),
    (["--device", "tpu"], {}, ["device (--device tpu)", "must be auto, cpu, cuda"]),
    (["--device", "cuda:9"], {}, ["device: cuda:9 is not there", "cpu or auto"]),
    (["--name", "../a"], {}, ["--name '../a': expected a plain directory name"]),
    (["--set", "lr"], {}, ["--set lr: expected KEY=VALUE"]),
]


@pytest.mark.parametrize(("args", "files", "expected"), MISTAKES)
def test_mistakes_exit_with_2_and_write_nothing(
    args: list[str], files: dict[str, str], expected: list[str], invoke: Invoke
) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    outcome = invoke("compare", *args)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    for part in expected:
        assert part in outcome.err
    assert {path.name for path in Path.cwd().iterdir()} == set(files)


def test_a_taken_name_is_refused(invoke: Invoke) -> None:
    invoke("full", *SHORT, *NO_PICTURES)
    before = Path("out/run/epochs.csv").read_bytes()
    outcome = invoke("full", *SHORT)
    assert outcome.code == 2
    assert "out/run exists, and runs are never overwritten" in outcome.err
    assert Path("out/run/epochs.csv").read_bytes() == before


def test_a_place_that_cannot_be_written_exits_with_1(invoke: Invoke) -> None:
    Path("file").write_text("")
    outcome = invoke("sgd", "--epochs", "1", "-o", "file")
    assert outcome.code == 1
    assert "file: is no directory" in outcome.err
    assert "--output-dir" in outcome.err


def test_divergence_exits_with_3_only_if_every_lane_diverged(invoke: Invoke) -> None:
    outcome = invoke("sgd", *SHORT, "--lr", "1000000", "--set", "plot.dpi=40")
    assert outcome.code == 3
    assert "diverged" in outcome.out
    assert "try a smaller learning rate" in outcome.out
    assert invoke("sgd", "--epochs", "3", "--lr", "0.1,1000000", *NO_PICTURES).code == 0


def test_unexpected_failures_are_a_line_and_a_hint(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gdrun.experiment.plan.prepare", defect)
    outcome = invoke("sgd")
    assert outcome.code == 1
    assert "error: unexpected ZeroDivisionError: oh" in outcome.err
    assert "GDRUN_DEBUG=1" in outcome.err


def test_debugging_shows_where_an_unexpected_failure_happened(tmp_path: Path) -> None:
    script = (
        "import gdrun.experiment.plan, sys\n"
        "gdrun.experiment.plan.prepare = lambda *_: 1 / 0\n"
        "sys.argv = ['gdrun', 'sgd']\n"
        "from gdrun.__main__ import main; main()"
    )
    for debug in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "GDRUN_DEBUG": "1" if debug else ""},
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == debug
        assert "unexpected ZeroDivisionError" in done.stderr


# -------------------------------------------------------------------------- what names may hold

RED, RAW = "[bold]x[red]\x1b[31m\u202e", r"[bold]x[red]\x1b[31m\u202e"


def write_table(directory: Path) -> None:
    """A config and a table whose name and columns would steer a screen, were they let."""
    directory.mkdir()
    rows = "".join(f"{k},{k * k % 7},a\n" for k in range(8))
    (directory / f"{RED}.csv").write_text(f"{RED},y{RED},z{RED}\n{rows}", encoding="utf-8")
    data = {"source": "csv", "path": f"{RED}.csv", "target": f"y{RED}"}
    text = json.dumps({"batch_size": 2, "data": data})
    (directory / "c.yaml").write_text(text, encoding="utf-8")


def assert_shows(outcome: Outcome, *parts: str) -> None:
    both = outcome.out + outcome.err
    assert "\x1b" not in both
    assert "\u202e" not in both
    for part in parts:
        assert part in both


def test_names_from_files_are_shown_as_text(invoke: Invoke) -> None:
    write_table(Path(RED))
    config = Path(RED, "c.yaml")
    outcome = invoke("compare", "-c", config, "--epochs", "2", "-o", RED, "--name", "run")
    assert outcome.code == 0
    assert_shows(
        outcome,
        f"network (31 parameters) on {RAW}.csv, 8 rows",
        f"MSE ÷ variance of y{RAW}",
        f"for want of numbers or a name: z{RAW}",
        f"written to {RAW}/run",
    )
    assert "warning" not in outcome.err
    assert Path(RED, "run", "fit.png").exists()
    plan = invoke("sgd", "-n", "-c", config, "-o", RED)
    assert_shows(plan, f"on {RAW}.csv, 8 rows", f"would be written to {RAW}/", "target: ")
    assert plan.code == 0


def test_names_in_messages_are_shown_as_text(invoke: Invoke) -> None:
    assert_shows(invoke("sgd", "-c", f"{RED}.yaml"), f"error: --config {RAW}.yaml: no such file")
    assert_shows(invoke("sgd", "--set", f"{RED}=3"), f"error: {RAW} (--set {RAW}=3): unknown key")
    assert_shows(invoke("sgd", "--set", "lr=[/bold]x"), "--set lr=[/bold]x: '[/bold]x' is not")
    assert_shows(invoke("sgd", "--lr", RED), f"error: lr (--lr {RAW}): must be a number")
    assert_shows(invoke("sgd", "--set", RED), f"error: --set {RAW}: expected KEY=VALUE")
    assert_shows(invoke("init", f"{RED}/a.yaml"), f"error: {RAW}/a.yaml: can't be written")
    assert_shows(invoke("init", RED), f"wrote {RAW}; try: gdrun compare --config")
    write_table(Path("a"))
    hint = f"hint: its columns: {RAW}, y{RAW}, z{RAW}"
    assert_shows(invoke("sgd", "-c", "a/c.yaml", "--set", "data.target=price"), hint)


def test_output_for_programs_is_as_it_is(invoke: Invoke) -> None:
    quiet = invoke("sgd", "--epochs", "1", "-o", RED, "--name", "a", *NO_PICTURES, "--quiet")
    assert quiet.out == f"{RED}/a\n"
    outcome = invoke("sgd", "--epochs", "1", "-o", RED, "--name", "b", *NO_PICTURES, "--json")
    assert json.loads(outcome.out)["directory"] == f"{RED}/b"


def test_many_columns_left_out_are_counted(invoke: Invoke) -> None:
    words = [f"c{k}" for k in range(50)]
    Path("a.csv").write_text(f"x,y,{','.join(words)}\n1,2,{','.join(words)}\n2,3{',' * 50}\n")
    Path("a.yaml").write_text("data: {source: csv, path: a.csv, target: y}\nbatch_size: 1\n")
    assert "c18, c19 and 30 more\n" in invoke("sgd", "-n", "-c", "a.yaml").out


# -------------------------------------------------------------------- processes and terminals


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['gdrun', *sys.argv[1:]]\n"
        "from gdrun.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for args in (
        ["--help"],
        ["compare", "-h"],
        ["--version"],
        ["init"],
        ["--show-completion", "bash"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "SHELL": "/bin/bash",
                "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
            },
        )
        assert done.returncode == 0, done.stderr


def test_no_garbage_is_collected_while_libraries_are_loaded_and_is_afterwards() -> None:
    def load(*, well: bool) -> None:
        with loading():
            assert not gc.isenabled()
            if not well:
                raise ImportError

    try:
        load(well=True)
        assert gc.isenabled()
        assert gc.get_freeze_count()
        with pytest.raises(ImportError):
            load(well=False)
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_version_and_help() -> None:
    here = Path.cwd()
    assert python("--version", cwd=here).stdout == f"gdrun {gdrun.__version__}\n"
    for args in ([], ["-h"], ["--help"]):
        help_ = python(*args, cwd=here)
        for command in (*COMMANDS, "init"):
            assert command in help_.stdout
    page = python("compare", "-h", cwd=here).stdout
    for flag in (
        "--config",
        "--lr",
        "--hidden-size",
        "--batch-size",
        "--epochs",
        "--device",
        "--seed",
    ):
        assert flag in page
    for flag in ("--seeds", "--set", "--output-dir", "--name", "--dry-run", "--quiet", "--json"):
        assert flag in page


@pytest.mark.parametrize("command", SEPARATELY)
def test_in_a_pipe_output_is_plain_text(command: str, tmp_path: Path) -> None:
    done = python(command, *SHORT, "--set", "plot.dpi=40", cwd=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "Warning" not in done.stderr
    method = "sgd" if command == "compare" else command
    assert sum(line.startswith(method) for line in done.stderr.splitlines()) == 2
    assert "written to out/run" in done.stdout


def terminal(tmp_path: Path, *args: str, **env: str) -> "pexpect.spawn[str]":
    """`python -m gdrun ARGS` under a pseudo-terminal of 80 × 24."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "gdrun", *args],
        cwd=str(tmp_path),
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "TERM": "xterm-256color", **env},
    )


@pytest.mark.parametrize("command", SEPARATELY)
def test_on_a_terminal_there_is_a_live_view_and_a_table(command: str, tmp_path: Path) -> None:
    child = terminal(tmp_path, command, *SHORT, *NO_PICTURES)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    screen = child.before or ""
    assert "loading PyTorch" in screen
    assert "\x1b[?25l" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    assert "\x1b[38;" in screen
    assert "written to out/run" in screen


def test_no_color_and_dumb_terminals_are_respected(tmp_path: Path) -> None:
    child = terminal(tmp_path, "sgd", *SHORT, *NO_PICTURES, NO_COLOR="1")
    child.expect(pexpect.EOF)
    assert "\x1b[38;" not in (child.before or "")
    child = terminal(tmp_path, "sgd", "--epochs", "2", *NO_PICTURES, TERM="dumb")
    child.expect(pexpect.EOF)
    assert "\x1b" not in (child.before or "")
    assert "epoch 2/2" in (child.before or "")


def test_ctrl_c_saves_what_was_finished_and_leaves_a_clean_screen(tmp_path: Path) -> None:
    child = terminal(tmp_path, "compare", "-o", "out", "--name", "run", "--epochs", "1000000")
    child.expect("waiting")
    time.sleep(3)  # what draws is loaded by then
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    screen = child.before or ""
    assert "\x1b[?25h" in screen  # the cursor is back
    assert "interrupted: what was finished is saved" in screen
    assert "Traceback" not in screen
    for name in ("run.json", "full/run.json"):
        assert json.loads((tmp_path / "out/run" / name).read_text())["status"] == "interrupted"
    assert (tmp_path / "out/run/compare.png").exists()
    last = (tmp_path / "out/run/full/epochs.csv").read_text().splitlines()[-1]
    assert len(last.split(",")) == 11


def test_sigterm_is_an_interrupt(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gdrun",
            "full",
            "-o",
            "out",
            "--name",
            "run",
            "--epochs",
            "1000000",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("full"):
            break
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "written to out/run" in out
    assert "interrupted" in err


def test_completion_is_offered(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "_GDRUN_COMPLETE": "complete_bash",
        "COMP_WORDS": "gdrun compare --config d",
        "COMP_CWORD": "3",
    }
    script = "import sys; sys.argv = ['gdrun']; from gdrun.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, env=env
    )
    assert "diabetes" in done.stdout


def test_output_that_cannot_show_a_character_shows_another(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = python("full", *SHORT, *NO_PICTURES, cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert "train loss ? " in done.stdout
