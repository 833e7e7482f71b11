"""`gdrun guide`, and the help pages that lead to it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from gdrun.cli.guide import (
    PAGES,
    TOPICS,
    for_terminal,
    page,
    summary_of,
    with_backticks,
)
from tests.command_line import Invoke, completions

TRAINING = ("compare", "full", "sgd", "minibatch", "sweep")
COMMANDS = (*TRAINING, "list", "show", "plot", "animate", "landscape", "init", "guide")


def spawn(*args: str, cwd: Path, **environment: str) -> "pexpect.spawn[str]":
    """`gdrun ARGS…` on a terminal of 80 columns."""
    env = {**os.environ, "TERM": "xterm-256color", **environment}
    return pexpect.spawn(
        sys.executable,
        ["-m", "gdrun", *args],
        cwd=str(cwd),
        env={key: value for key, value in env.items() if key != "COLUMNS"},
        encoding="utf-8",
        dimensions=(24, 80),
        timeout=20,
    )


def ended(child: "pexpect.spawn[str]") -> tuple[int | None, str]:
    """How a process ended, and what it had printed since it was last looked at."""
    child.expect(pexpect.EOF)
    printed = child.before
    child.close()
    assert isinstance(printed, str)
    assert "Traceback" not in printed
    return child.exitstatus, printed


def test_without_a_topic_all_are_listed(invoke: Invoke) -> None:
    outcome = invoke("guide")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    for topic, line in zip(TOPICS, lines, strict=False):
        assert line == f"{topic:{max(map(len, TOPICS))}}  {summary_of(topic)}"
        assert len(line) <= 80
    assert f"gdrun guide {TOPICS[0]}" in lines[-1]


@pytest.mark.parametrize("topic", TOPICS)
def test_a_page_is_printed_as_plain_text(topic: str, invoke: Invoke) -> None:
    outcome = invoke("guide", topic)
    assert (outcome.code, outcome.err) == (0, "")
    assert "\x1b" not in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 100
    assert page(topic).splitlines()[0].removeprefix("# ") in outcome.out
    assert summary_of(topic) in " ".join(outcome.out.split())
    assert "](" not in outcome.out
    assert "```" not in outcome.out


def test_links_and_pictures_name_topics_and_files() -> None:
    markdown = (
        "![A picture](../../outputs/a.png)\n\n[Data](data.md), [a file](../cli/app.py), "
        "[`cli/app.py`](../cli/app.py), [`cli/`](../cli), [x](sweep.md#target), [here](#there), "
        "[site](https://example.org)\n"
    )
    assert for_terminal(markdown) == (
        "[picture: outputs/a.png]\n\nData (`gdrun guide data`), a file (gdrun/cli/app.py), "
        "`cli/app.py`, `cli/`, x (`gdrun guide sweep`), here, [site](https://example.org)\n"
    )


def test_code_keeps_its_backticks_where_there_are_no_colours(
    invoke: Invoke, tmp_path: Path
) -> None:
    assert with_backticks("a `b\nc`\n\n```sh\nd `e`\n```\n\n`f`\n") == (
        "a `` `b\nc` ``\n\n```sh\nd `e`\n```\n\n`` `f` ``\n"
    )
    assert "`gdrun guide config`" in " ".join(invoke("guide", "data").out.split())
    _, printed = ended(spawn("guide", "data", cwd=tmp_path, PAGER=""))
    assert "`" not in printed
    _, printed = ended(spawn("guide", "data", cwd=tmp_path, PAGER="", NO_COLOR="1"))
    assert "`gdrun guide config`" in " ".join(re.sub(r"\x1b\[[\d;]*m", "", printed).split())


@pytest.mark.parametrize("topic", TOPICS)
def test_commands_to_copy_are_not_broken(
    topic: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page(topic), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if re.match(r"(\$ | *)(gdrun|pip|python|pytest) ", line)]
    monkeypatch.setenv("COLUMNS", "80")
    printed = [line.rstrip() for line in invoke("guide", topic).out.splitlines()]
    assert set(commands) <= set(printed)


def test_an_unknown_topic_is_refused_and_a_likely_one_named(invoke: Invoke) -> None:
    outcome = invoke("guide", "resum")
    assert (outcome.code, outcome.out) == (2, "")
    assert "error: resum: no such topic\n" in outcome.err
    assert "hint: resum: did you mean resume?\n" in outcome.err
    assert f"hint: topics: {', '.join(TOPICS)}\n" in outcome.err
    assert invoke("guide", "").code == 2
    assert invoke("guide", "../../README").code == 2


def test_topics_are_completed(tmp_path: Path) -> None:
    assert completions("gdrun guide s", tmp_path) == ["sweep", "saved-runs"]


def test_pages_are_shown_without_pytorch(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['gdrun', 'guide', 'data']\n"
        "from gdrun.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "assert not {'torch', 'numpy', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)


def test_a_reader_that_leaves_early_is_no_failure(tmp_path: Path) -> None:
    command = f"{sys.executable} -m gdrun guide config | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


# -------------------------------------------------------------------------------- on a terminal


def test_a_pager_gets_the_page(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "paged, $1"\ncat\n')
    pager.chmod(0o755)
    code, printed = ended(spawn("guide", "data", cwd=tmp_path, PAGER=f"{pager} 'as told'"))
    assert code == 0
    assert "paged, as told" in printed
    assert "\x1b[1m" not in printed  # which not every pager shows as bold
    assert "Data larger than memory" in printed


def test_less_is_used_where_there_is_no_other(tmp_path: Path) -> None:
    less = tmp_path / "less"
    less.write_text('#!/bin/sh\necho "less with $LESS"\ncat\n')
    less.chmod(0o755)
    child = spawn("guide", "data", cwd=tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    code, printed = ended(child)
    assert code == 0
    assert "less with FRX" in printed
    assert "\x1b[1m" in printed


@pytest.mark.parametrize("pager", ["true", "head -1", "false", "sh -c 'exec 0<&-; exit 3'"])
def test_a_pager_that_is_left_early_is_no_failure(pager: str, tmp_path: Path) -> None:
    code, _ = ended(spawn("guide", "config", cwd=tmp_path, PAGER=pager))
    assert code == 0


@pytest.mark.parametrize("pager", ["", "no-such-pager", "an 'open quote"])
def test_without_a_pager_the_page_is_printed(pager: str, tmp_path: Path) -> None:
    code, printed = ended(spawn("guide", "data", cwd=tmp_path, PAGER=pager))
    assert code == 0
    assert "Data larger than memory" in printed


def test_ctrl_c_is_for_the_pager(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text(
        "#!/bin/sh\ntrap 'echo caught' INT\ncat > /dev/null\necho ready\n"
        "read answer < /dev/tty\nread answer < /dev/tty\necho left\n"
    )
    pager.chmod(0o755)
    child = spawn("guide", "data", cwd=tmp_path, PAGER=str(pager))
    child.expect("ready")
    child.sendintr()
    child.expect("caught")
    child.sendline("")
    child.sendline("")
    code, printed = ended(child)
    assert code == 0
    assert "left" in printed


# -------------------------------------------------------------------------------------- the help


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_no_type_of_a_flag_and_explains_lanes(
    command: str, columns: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    help_ = invoke(command, "-h").out
    assert "<bool>" not in help_
    assert "--help" in help_
    if command in TRAINING:
        words = " ".join(re.findall(r"[\w-]+", help_))
        assert words.index("a lane is a pair of learning rate and seed") > 0
        order = ["--config", "--lr", "--epochs", "--seeds", "--name", "--resume", "--json"]
        places = [re.search(rf"{option} ", help_) for option in order]
        starts = [place.start() for place in places if place]
        if command != "sweep":  # whose grid comes first
            assert len(starts) == len(order)
            assert starts == sorted(starts)


def test_the_first_help_page_has_examples_first_and_commands_by_purpose(invoke: Invoke) -> None:
    help_ = invoke("-h").out
    assert "<bool>" not in help_
    parts = ("Examples", "─ Options", "─ Train", "─ Saved runs", "─ Help")
    places = [help_.index(part) for part in parts]
    assert places == sorted(places)
    assert [line.split()[1] for line in help_.splitlines() if re.match(r"│ [a-z]", line)] == [
        *("compare", "full", "sgd", "minibatch", "sweep"),
        *("list", "show", "plot", "animate", "landscape", "explain", "predict", "rm"),
        *("init", "guide", "check"),
    ]


def test_pages_name_no_place_of_this_machine() -> None:
    for path in PAGES.glob("*.md"):
        assert not re.search(r"/(tmp|work|home)/", path.read_text(encoding="utf-8"))
