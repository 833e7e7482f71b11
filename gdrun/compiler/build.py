"""Build a program: its C is generated and compiled by the machine's C compiler."""

import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from gdrun.compiler.spec import ProgramSpec

SOURCES = Path(__file__).parent  # of updates.c and numbers.h
POLL_SECONDS = 0.005
# Sums may be reordered, but infinities and NaN are kept: they show that a lane diverges.
OPTIONS = (
    *("-O3", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-w"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *("-fassociative-math", "-fno-signed-zeros", "-freciprocal-math"),
)


class BuildError(Exception):
    """Why a program couldn't be built."""


def obstacle() -> str | None:
    """Why no program can be built on this machine; None if nothing is known to prevent it."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"programs are not compiled on {platform.system()}"
    return None if shutil.which(compiler()[0]) else f"there is no C compiler {compiler()[0]}"


def compiler() -> list[str]:
    """The C compiler's command with its arguments: $CC, as make reads it, or cc."""
    return os.environ.get("CC", "").split() or ["cc"]


def command(lanes: int) -> list[str]:
    """The compiler's command with all options of a program that computes `lanes` together."""
    x86 = platform.machine() in ("x86_64", "AMD64")
    native = "-march=native" if x86 else "-mcpu=native"  # all instructions of this processor
    return [*compiler(), *OPTIONS, native, f"-DLANES={lanes}", f"-I{SOURCES}"]


def compile_program(spec: ProgramSpec, directory: Path, stop: Callable[[], bool]) -> Path:
    """Build a program in an empty directory; its shared library.

    Raises:
        BuildError: its C couldn't be generated or compiled.
        KeyboardInterrupt: `stop` returned True, or the user pressed Ctrl-C; the compiler is gone.
        OSError: the compiler couldn't be started, or a file not written.
    """
    try:
        from gdrun.compiler.lower import functions

        header = functions(spec)
    except Exception as error:  # whatever changes in PyTorch's private parts lead to
        raise BuildError(f"{type(error).__name__}: {error}") from error
    (directory / "functions.h").write_text(header)
    library, errors = directory / "program.so", directory / "errors"
    files = [f"-I{directory}", str(SOURCES / "updates.c"), "-o", str(library), "-lm"]
    code = _run([*command(spec.lanes), *files], errors, stop)
    if code or not library.exists():
        raise BuildError(_first_error(errors.read_text(errors="replace"), code))
    return library


def _run(argv: list[str], errors: Path, stop: Callable[[], bool]) -> int:
    """Run the compiler in a process group of its own, which ends with this call; its exit code."""
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "TMPDIR": str(errors.parent)},  # deleted with all that is in it
            start_new_session=True,  # Ctrl-C reaches this process alone, which stops the compiler
        )
    try:
        while process.poll() is None:
            if stop():
                raise KeyboardInterrupt
            time.sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its children, too
        process.wait()
    return process.returncode


def _first_error(output: str, code: int) -> str:
    errors = [line.strip() for line in output.split("\n") if "error" in line.lower()]
    return errors[0][:200] if errors else f"{compiler()[0]} ended with code {code}"
