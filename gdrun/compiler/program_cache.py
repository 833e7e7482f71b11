"""Compiled programs on the disk: built once, then found and loaded.

They lie in the user's cache directory, or the one that the environment variable GDRUN_CACHE names.
A file's name has a hash of everything that the program depends on (its specification, the code
that generates it, the version of PyTorch, the compiler, the processor) and a hash of its content.
"""

import ctypes
import errno
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from gdrun.compiler.build import SOURCES, BuildError, compile_program, compiler
from gdrun.compiler.spec import ProgramSpec

MAX_PROGRAMS = 500  # that are kept, of some 20 kilobytes each
DAY = 86_400  # seconds, longer than any build
CPU_FEATURES = ("flags", "Features", "CPU implementer", "CPU part")  # in /proc/cpuinfo


class UpdateArguments(ctypes.Structure):
    """The `struct update_arguments` of updates.c, which says what each is."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("epochs", "updates", "batch", "last_batch")),
        *((name, ctypes.c_int64) for name in ("padded_lanes", "index_lanes", "threads")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "indices", "weights", "velocity", "lr")),
        *((name, ctypes.c_void_p) for name in ("losses", "epoch_weights", "epoch_velocity")),
    )


@dataclass(frozen=True)
class Program:
    """A compiled program, loaded.

    Attributes:
        spec: what it was compiled from.
        execute: executes updates. What the pointers of its arguments point to must be kept until
            it returns. It raises MemoryError where there is no memory for the computation.
    """

    spec: ProgramSpec
    execute: Callable[[UpdateArguments], None]


def find(spec: ProgramSpec) -> Program | None:
    """The program of a specification, if it was built before and can be loaded."""
    with suppress(OSError):  # there is no cache, or the system has changed since
        for path in cache_directory().glob(f"{_key(spec)}-*.so"):
            if path.name != _file_name(spec, path.read_bytes()):
                path.unlink()  # damaged: it might crash the process
                continue
            program = Program(spec, _load(path))
            with suppress(OSError):
                path.touch()  # the time of its last use
            return program
    return None


def _load(path: Path) -> Callable[[UpdateArguments], None]:
    function = ctypes.CDLL(str(path)).execute_updates
    function.argtypes, function.restype = [ctypes.POINTER(UpdateArguments)], ctypes.c_int

    def execute(arguments: UpdateArguments) -> None:
        if function(ctypes.byref(arguments)):
            raise MemoryError

    return execute


def build(specs: Iterable[ProgramSpec], stop: Callable[[], bool]) -> dict[ProgramSpec, str]:
    """Build programs and put them where `find` finds them; those that failed, and why.

    Raises:
        KeyboardInterrupt: `stop` returned True, or the user pressed Ctrl-C; no file is left behind.
    """
    failures: dict[ProgramSpec, str] = {}
    for spec in dict.fromkeys(specs):
        try:
            _build_one(spec, stop)
        except BuildError as error:
            failures[spec] = str(error)
        except OSError as error:
            failures[spec] = f"{error.filename}: {error.strerror}"
    _prune()
    return failures


def _build_one(spec: ProgramSpec, stop: Callable[[], bool]) -> None:
    directory = cache_directory()
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="build-", dir=directory) as scratch:
        library = compile_program(spec, Path(scratch), stop)
        library.replace(directory / _file_name(spec, library.read_bytes()))
    if find(spec) is None:  # the file system may forbid executing its files
        raise BuildError(f"what was built in {directory} can't be loaded")


def cache_directory() -> Path:
    """Where programs are kept.

    Raises:
        OSError: the user's home directory is not known.
    """
    try:
        if path := os.environ.get("GDRUN_CACHE"):
            return Path(path).expanduser().absolute()
        if platform.system() == "Darwin":
            return Path.home() / "Library" / "Caches" / "gdrun"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gdrun"
    except RuntimeError:
        raise OSError(errno.ENOENT, "is not known", "the home directory") from None


def _key(spec: ProgramSpec) -> str:
    """A hash of everything that a program depends on."""
    return hashlib.sha256(repr((spec, _environment())).encode()).hexdigest()[:32]


def _file_name(spec: ProgramSpec, content: bytes) -> str:
    """The name of a program's file, with a hash of its content."""
    return f"{_key(spec)}-{hashlib.sha256(content).hexdigest()[:32]}.so"


@cache
def _environment() -> tuple[str, ...]:
    """What every program depends on: gdrun's code, PyTorch, compiler and processor."""
    sources = hashlib.sha256()
    for room in (SOURCES, SOURCES.with_name("training")):  # where an update is written
        for path in sorted([*room.glob("*.py"), *room.glob("*.[ch]")]):
            sources.update(path.read_bytes())
    features = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        features += sorted({line for line in lines if line.startswith(CPU_FEATURES)})
    return (sources.hexdigest(), torch.__version__, *compiler(), *features)


def _prune() -> None:
    """Delete all but the most recently used programs, and what killed builds have left."""
    with suppress(OSError):
        programs = sorted(cache_directory().glob("*.so"), key=lambda path: -path.stat().st_mtime)
        for path in programs[MAX_PROGRAMS:]:
            path.unlink(missing_ok=True)
        for directory in cache_directory().glob("build-*"):
            if time.time() - directory.stat().st_mtime > DAY:
                shutil.rmtree(directory, ignore_errors=True)
