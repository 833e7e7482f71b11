"""Build programs: their C is generated, and compiled by the machine's C compiler."""

import os
import platform
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.compiler.spec import ProgramSpec

SOURCES = Path(__file__).parent  # of updates.c and numbers.h
LIBRARY, ERRORS = "program.so", "errors"  # what a compiler writes
POLL_SECONDS = 0.005
# Sums may be reordered, but infinities and NaN are kept: they show that a lane diverges.
OPTIONS = (
    *("-O2", "-ftree-vectorize", "-fvect-cost-model"),
    *("-std=gnu11", "-shared", "-fPIC", "-pthread", "-w"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *("-fassociative-math", "-fno-signed-zeros", "-freciprocal-math"),
    "-falign-functions=64",  # where a short loop happens to lie is worth 5 % of a small update
)
# Short loops are unrolled, which is up to a third faster, in programs of up to so many characters:
# it takes a compiler long, and most of all for the many loops of a deep network.
UNROLL = "-fpeel-loops"
MAX_UNROLLED = 20_000


class BuildError(Exception):
    """Why a program couldn't be built."""


def no_compiler() -> str | None:
    """Why no program can be built on this machine; None if nothing is known to prevent it."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"programs are not compiled on {platform.system()}"
    return None if shutil.which(compiler()[0]) else f"there is no C compiler {compiler()[0]}"


def compiler() -> list[str]:
    """The C compiler's command with its arguments: $CC, as make reads it, or cc."""
    return os.environ.get("CC", "").split() or ["cc"]


def command(lanes: int, characters: int) -> list[str]:
    """The compiler's command with all options of a program.

    Args:
        lanes: how many it computes together.
        characters: the length of the C that was generated for it.
    """
    x86 = platform.machine() in ("x86_64", "AMD64")
    native = "-march=native" if x86 else "-mcpu=native"  # all instructions of this processor
    unroll = [UNROLL] if characters <= MAX_UNROLLED else []
    return [*compiler(), *OPTIONS, *unroll, native, f"-DLANES={lanes}", f"-I{SOURCES}"]


def compile_programs(
    specs: Sequence[ProgramSpec],
    directory: Path,
    stop: Callable[[], bool],
    meanwhile: Callable[[], None],
) -> dict[ProgramSpec, Path | BuildError]:
    """Build programs side by side in an empty directory: their libraries, or why there is none.

    Args:
        specs: of the programs.
        directory: where to build them.
        stop: asked all the time.
        meanwhile: called once, while compilers are at work.

    Raises:
        KeyboardInterrupt: `stop` returned True, or the user pressed Ctrl-C; no compiler is left.
    """
    finished: dict[ProgramSpec, Path | BuildError] = {}
    waiting, running = deque(enumerate(specs)), dict[ProgramSpec, _Compilation]()
    is_idle = True
    try:
        while waiting or running:
            if stop():
                raise KeyboardInterrupt
            while waiting and len(running) < (os.cpu_count() or 1):
                number, spec = waiting.popleft()
                try:
                    running[spec] = _start(spec, directory / str(number))
                except BuildError as error:
                    finished[spec] = error
            if is_idle:
                meanwhile()
                is_idle = False
            for spec, compilation in list(running.items()):
                if compilation.process.poll() is not None:
                    finished[spec] = running.pop(spec).result()
            time.sleep(POLL_SECONDS)
    finally:
        for compilation in running.values():
            compilation.kill()
    return finished


@dataclass(frozen=True)
class _Compilation:
    """A compiler at work, in a process group of its own."""

    process: subprocess.Popen[bytes]
    directory: Path

    def result(self) -> Path | BuildError:
        """What the compiler left when it ended."""
        library, code = self.directory / LIBRARY, self.process.returncode
        if code == 0 and library.exists():
            return library
        return BuildError(_first_error((self.directory / ERRORS).read_text(errors="replace"), code))

    def kill(self) -> None:
        """End the compiler and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _start(spec: ProgramSpec, directory: Path) -> _Compilation:
    """Generate the C of a program, and start the compiler on it.

    Raises:
        BuildError: the C couldn't be generated or written, or the compiler not started.
    """
    try:
        from gdrun.compiler.lower import functions

        header = functions(spec)
    except Exception as error:  # whatever changes in PyTorch's private parts lead to
        raise BuildError(f"{type(error).__name__}: {error}") from error
    files = [f"-I{directory}", str(SOURCES / "updates.c"), "-o", str(directory / LIBRARY), "-lm"]
    try:
        directory.mkdir()
        (directory / "functions.h").write_text(header)
        with (directory / ERRORS).open("wb") as stderr:
            process = subprocess.Popen(
                [*command(spec.lanes, len(header)), *files],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, "TMPDIR": str(directory)},  # deleted with all that is in it
                start_new_session=True,  # Ctrl-C reaches this process alone, which stops it
            )
    except OSError as error:
        raise BuildError(f"{error.filename}: {error.strerror}") from error
    return _Compilation(process, directory)


def _first_error(output: str, code: int) -> str:
    errors = [line.strip() for line in output.split("\n") if "error" in line.lower()]
    return errors[0][:200] if errors else f"{compiler()[0]} ended with code {code}"
