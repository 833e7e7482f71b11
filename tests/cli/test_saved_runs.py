"""The commands that look at saved runs: quick to start, and clear about mistakes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import Invoke


def test_no_command_that_looks_imports_torch(outputs: Path, invoke: Invoke) -> None:
    invoke("compare", "one", "worst", "--name", "beside", "--set", "plot.enabled=false")
    script = (
        "import sys\n"
        "from gdrun.cli.app import main\n"
        "for args in (['list', '-a'], ['list', '--where', 'momentum=0'], ['show', 'one'],\n"
        "             ['show', 'beside'],\n"
        "             ['show', 'grid'], ['plot', 'one', '--x', 'epoch'],\n"
        "             ['plot', 'beside', '--dpi', '30'],\n"
        "             ['compare', 'one', 'grid', '--set', 'plot.dpi=30']):\n"
        "    sys.argv = ['gdrun', *args]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, args\n"
        "    assert 'torch' not in sys.modules, args\n"
        "    light = args[0] == 'list' or args[0] == 'show' and args[1] in ('one', 'beside')\n"
        "    assert not light or not {'numpy', 'matplotlib'} & set(sys.modules), args\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=outputs.parent,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("command", "flag", "value", "hint"),
    [("plot", "--format", "jpg", ""), ("plot", "--x", "epochs", "did you mean epoch?"),
     ("show", "--x", "foo", "")],
)  # fmt: skip
def test_a_word_that_is_none_of_those_an_option_takes_is_refused_in_one_sentence(
    command: str, flag: str, value: str, hint: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke(command, "one", flag, value)
    known = "png, svg, pdf" if flag == "--format" else "epoch, updates, samples, seconds"
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {flag} {value}: must be one of {known}\n")
    assert hint in outcome.err
    assert outputs.exists()
