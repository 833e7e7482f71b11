"""Compiled programs on the disk: built once by the machine's C compiler, and found again.

They lie in the user's cache directory, or that which the environment variable GDRUN_CACHE names,
by a hash of all that they depend on: the program, the code that it is made by, the version of
PyTorch, the compiler's name and the processor.
"""

import ctypes
import errno
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from gdrun.compiler.spec import ProgramSpec

KEPT = 500  # programs, of some 20 kilobytes each
FEATURES = ("flags", "Features", "CPU implementer", "CPU part")  # in /proc/cpuinfo
POLL_SECONDS = 0.005
A_DAY = 86_400  # seconds, longer than any build
HERE = Path(__file__).parent
# Sums in any order, but what isn't finite stays so: lanes that diverge are to be seen.
OPTIONS = (
    *("-O3", "-std=gnu11", "-shared", "-fPIC", "-pthread", "-w"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
    *("-fassociative-math", "-fno-signed-zeros", "-freciprocal-math"),
)


class Updates(ctypes.Structure):
    """The `struct updates` of updates.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("laps", "updates", "batch", "last")),
        *((name, ctypes.c_int64) for name in ("lanes", "visitors", "threads")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "rows", "weights", "velocity", "lr")),
        *((name, ctypes.c_void_p) for name in ("losses", "ends_w", "ends_v")),
    )


# Takes the updates; whatever its pointers point to has to be kept until it returns.
Run = Callable[[Updates], None]


def find(program: ProgramSpec) -> Run | None:
    """The program, if it was built before and can be loaded."""
    with suppress(OSError):  # there is no place, or it's of a system changed since
        for path in cache_directory().glob(f"{_key(program)}-*.so"):
            if path.name != _named(program, path.read_bytes()):
                path.unlink()  # damaged: it might crash the process
                continue
            run = _load(path)
            with suppress(OSError):
                path.touch()  # used lately
            return run
    return None


def _load(path: Path) -> Run:
    function = ctypes.CDLL(str(path)).run
    function.argtypes, function.restype = [ctypes.POINTER(Updates)], ctypes.c_int

    def run(updates: Updates) -> None:
        if function(ctypes.byref(updates)):
            raise MemoryError

    return run


def why_not() -> str | None:
    """Why no program can be built on this machine; None if nothing is known to be in the way."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"programs are not compiled on {platform.system()}"
    return None if shutil.which(_compiler()[0]) else f"there is no C compiler {_compiler()[0]}"


def _compiler() -> list[str]:
    """The command, which may have arguments, as make takes it."""
    return os.environ.get("CC", "").split() or ["cc"]


def native() -> str:
    """The option for all that this processor can do."""
    return "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"


def build(programs: Iterable[ProgramSpec], stop: Callable[[], bool]) -> dict[ProgramSpec, str]:
    """Compile programs and put them where `find` finds them; why some failed.

    Raises:
        KeyboardInterrupt: `stop` said so, or the user did; nothing is left behind.
    """
    failures: dict[ProgramSpec, str] = {}
    for program in dict.fromkeys(programs):
        try:
            cache_directory().mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(prefix="build-", dir=cache_directory()) as place:
                failed = _compile(program, Path(place), stop)
            if not failed and find(program) is None:  # nothing may be executed from there
                failed = f"what was built in {cache_directory()} can't be loaded"
        except OSError as error:
            failed = f"{error.filename}: {error.strerror}"
        if failed:
            failures[program] = failed
    _prune()
    return failures


def _compile(program: ProgramSpec, place: Path, stop: Callable[[], bool]) -> str:
    """Build a program in a directory of its own; what went wrong, or nothing."""
    try:
        from gdrun.compiler.lower import functions

        (place / "functions.h").write_text(functions(program))
    except Exception as error:  # updates one by one need nothing that is private to PyTorch
        return f"{type(error).__name__}: {error}"
    built, errors = place / "program.so", place / "errors"
    command = [
        *_compiler(),
        *OPTIONS,
        native(),
        f"-DLANES={program.lanes}",
        f"-I{place}",
        f"-I{HERE}",
    ]
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, str(HERE / "updates.c"), "-o", str(built), "-lm"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "TMPDIR": str(place)},  # which goes with all that is in it
            start_new_session=True,  # Ctrl-C is for this process to act on
        )
    try:
        while process.poll() is None:
            if stop():
                raise KeyboardInterrupt
            time.sleep(POLL_SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
        process.wait()
    if process.returncode or not built.exists():
        return _complaint(errors.read_text(errors="replace"), process.returncode)
    built.replace(cache_directory() / _named(program, built.read_bytes()))
    return ""


def _complaint(said: str, code: int) -> str:
    errors = [line.strip() for line in said.split("\n") if "error" in line.lower()]
    return errors[0][:200] if errors else f"{_compiler()[0]} ended with code {code}"


def cache_directory() -> Path:
    """Where programs are kept.

    Raises:
        OSError: nobody knows where the user's files are.
    """
    try:
        if named := os.environ.get("GDRUN_CACHE"):
            return Path(named).expanduser().absolute()
        if platform.system() == "Darwin":
            return Path.home() / "Library" / "Caches" / "gdrun"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdrun"
    except RuntimeError:
        raise OSError(errno.ENOENT, "is not known", "the home directory") from None


def _key(program: ProgramSpec) -> str:
    """A hash of all that the program depends on."""
    return hashlib.sha256(repr((program, _surroundings())).encode()).hexdigest()[:32]


def _named(program: ProgramSpec, built: bytes) -> str:
    """The name of a program's file, which says what it holds, too."""
    return f"{_key(program)}-{hashlib.sha256(built).hexdigest()[:32]}.so"


@cache
def _surroundings() -> tuple[str, ...]:
    """What a program depends on beside itself."""
    sources = hashlib.sha256()
    for room in (HERE, HERE.with_name("training")):  # all that programs are made of and by
        for path in sorted([*room.glob("*.py"), *room.glob("*.[ch]")]):
            sources.update(path.read_bytes())
    features = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        features += sorted({line for line in lines if line.startswith(FEATURES)})
    return (sources.hexdigest(), torch.__version__, *_compiler(), *features)


def _prune() -> None:
    """Leave the programs that were used last, and what is being built."""
    with suppress(OSError):
        built = sorted(cache_directory().glob("*.so"), key=lambda path: -path.stat().st_mtime)
        for old in built[KEPT:]:
            old.unlink(missing_ok=True)
        for left in cache_directory().glob("build-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > A_DAY:
                shutil.rmtree(left, ignore_errors=True)
