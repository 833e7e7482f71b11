"""What is seen to around a command: the width of its output, the loading of libraries, its end."""

import atexit
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdrun.errors import ConfigError

COLUMNS = range(20, 1000)  # widths at which what is printed can be read
HELP_COLUMNS = 60  # at least, for the pages of help: less would cut words


def use_sensible_width() -> None:
    """Take what $COLUMNS says for what can be read: Rich prints nothing in no columns at all."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns[:9]):
        os.environ["COLUMNS"] = str(min(max(int(columns[:9]), COLUMNS.start), COLUMNS.stop))
    else:
        os.environ.pop("COLUMNS", None)
    if shutil.get_terminal_size().columns < HELP_COLUMNS:
        os.environ["TERMINAL_WIDTH"] = str(HELP_COLUMNS)  # which Typer reads


def require_current_directory() -> None:
    """Check that the current directory exists: without one, PyTorch ends the process.

    Raises:
        ConfigError: it was removed.
    """
    try:
        Path.cwd()
    except OSError:
        raise ConfigError(
            "the current directory was removed", "change to one that exists: cd ~"
        ) from None


def silence() -> None:
    """Print nothing from now on; what must be said goes to `sys.__stderr__`."""
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)


@contextmanager
def loading() -> Iterator[None]:
    """Import large libraries, or read many runs, while `with` lasts, without garbage collection.

    What that makes stays anyway. It is frozen afterwards, so that no later collection looks at it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def end_without_cleanup(code: int) -> None:
    """Let the process end with an exit code as soon as its own work is done.

    Python may crash when it takes down what an interrupt has left of an import, or it may end
    itself by the signal once more. The threads by which ranks meet may keep it from ending.
    """
    atexit.register(os._exit, code)
