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
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from gdrun.compiler.build import SOURCES, BuildError, compile_programs, compiler, no_compiler
from gdrun.compiler.lower import functions
from gdrun.compiler.spec import ProgramSpec
from gdrun.storage.atomic import open_plain

MAX_PROGRAMS = 500  # that are kept, of some 20 kilobytes each
OTHERS_WRITE = "others may write to"
MAX_BYTES = 2**26  # of a program; a larger file is none
DAY = 86_400  # seconds, longer than any build
CPU_FEATURES = ("flags", "Features", "CPU implementer", "CPU part")  # in /proc/cpuinfo


class UpdateArguments(ctypes.Structure):
    """The `struct update_arguments` of updates.c, which says what each is."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("epochs", "updates")),
        ("ends", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("batch", "last_batch")),
        *((name, ctypes.c_int64) for name in ("padded_lanes", "index_lanes", "threads")),
        *((name, ctypes.c_void_p) for name in ("x", "y", "indices", "weights", "buffers", "lr")),
        ("factors", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in ("losses", "end_weights", "end_buffers")),
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
    for path in _sound(spec):
        with suppress(OSError, AttributeError):  # the system has changed, or it is no program
            program = Program(spec, _load(path))
            path.touch()  # the time of its last use
            return program
    return None


def is_built(spec: ProgramSpec) -> bool:
    """Whether a program was built before; it isn't loaded."""
    return next(_sound(spec), None) is not None


def _sound(spec: ProgramSpec) -> Iterator[Path]:
    """The files of a program: the user's own, and as they were written."""
    with suppress(OSError):  # there is no cache
        for path in _own_directory().glob(f"{key(spec)}-*.so"):
            with suppress(OSError), os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
                if _distrust(os.fstat(file.fileno())):
                    continue
                if path.name == _file_name(spec, file.read(MAX_BYTES)):
                    yield path
                else:
                    path.unlink()  # damaged: it might crash the process


def obstacle() -> str | None:
    """Why no program can be built or loaded here; None if nothing is known to prevent it."""
    if missing := no_compiler():
        return missing
    with suppress(OSError):  # it will be made, or said why not
        directory = cache_directory()
        if why := _distrust(directory.stat()):
            hint = f"or `chmod go-w {directory}`" if why == OTHERS_WRITE else "of your own"
            return (
                f"programs would be kept in {directory}, which {why}: "
                f"name another directory in GDRUN_CACHE, {hint}"
            )
    return None


def _distrust(status: os.stat_result) -> str | None:
    """Why others may have put anything into a file or directory; None if they can't."""
    if status.st_uid != os.geteuid():
        return "belongs to another user"
    return OTHERS_WRITE if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else None


def _own_directory() -> Path:
    """The cache directory.

    Raises:
        OSError: there is none, or others may have put anything there.
    """
    directory = cache_directory()
    if why := _distrust(directory.stat()):
        raise PermissionError(errno.EPERM, why, str(directory))
    return directory


def _load(path: Path) -> Callable[[UpdateArguments], None]:
    function = ctypes.CDLL(str(path)).execute_updates
    function.argtypes, function.restype = [ctypes.POINTER(UpdateArguments)], ctypes.c_int

    def execute(arguments: UpdateArguments) -> None:
        if function(ctypes.byref(arguments)):
            raise MemoryError

    return execute


def build(
    specs: Iterable[ProgramSpec],
    stop: Callable[[], bool],
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[ProgramSpec, str]:
    """Build programs and put them where `find` finds them; those that failed, and why.

    Args:
        specs: of the programs.
        stop: asked all the time.
        meanwhile: called once, while compilers are at work.

    Raises:
        KeyboardInterrupt: `stop` returned True, or the user pressed Ctrl-C; no file is left behind.
    """
    wanted = list(dict.fromkeys(specs))
    failures: dict[ProgramSpec, str] = {}
    try:
        cache_directory().mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = _own_directory()
        with tempfile.TemporaryDirectory(prefix="build-", dir=directory) as scratch:
            built = compile_programs(wanted, Path(scratch), stop, meanwhile)
            for spec, library in built.items():
                if isinstance(library, BuildError):
                    failures[spec] = str(library)
                    continue
                library.chmod(0o700)  # whatever the umask is: others may not write to it
                library.replace(directory / _file_name(spec, library.read_bytes()))
                if find(spec) is None:  # the file system may forbid executing its files
                    failures[spec] = f"what was built in {directory} can't be loaded"
    except OSError as error:
        missing = [spec for spec in wanted if spec not in failures and find(spec) is None]
        failures |= dict.fromkeys(missing, f"{error.filename}: {error.strerror}")
    _prune()
    return failures


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


def key(spec: ProgramSpec) -> str:
    """A hash of everything that a program depends on: another program has another key."""
    own = functions(spec) if spec.has_own_code else ""  # what it imports may have changed
    return hashlib.sha256(repr((spec, _environment(), own)).encode()).hexdigest()[:32]


def _file_name(spec: ProgramSpec, content: bytes) -> str:
    """The name of a program's file, with a hash of its content."""
    return f"{key(spec)}-{hashlib.sha256(content).hexdigest()[:32]}.so"


@cache
def _environment() -> tuple[str, ...]:
    """What every program depends on: gdrun's code, PyTorch, compiler and processor."""
    sources = hashlib.sha256()
    for room in (SOURCES, SOURCES.with_name("training")):  # where an update is written
        for path in sorted([*room.rglob("*.py"), *room.glob("*.[ch]")]):
            sources.update(path.read_bytes())
    features = [platform.machine(), platform.processor()]
    if found := shutil.which(compiler()[0]):  # an upgrade has another name or size
        file = Path(found).resolve()
        features += [str(file), str(file.stat().st_size)]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        features += sorted({line for line in lines if line.startswith(CPU_FEATURES)})
    return (sources.hexdigest(), torch.__version__, *compiler(), *features)


def _prune() -> None:
    """Delete all but the most recently used programs, and what killed builds have left."""
    with suppress(OSError):
        directory = _own_directory()
        programs = sorted(directory.glob("*.so"), key=lambda path: -path.stat().st_mtime)
        for path in programs[MAX_PROGRAMS:]:
            path.unlink(missing_ok=True)
        for scratch in directory.glob("build-*"):
            if time.time() - scratch.stat().st_mtime > DAY:
                shutil.rmtree(scratch, ignore_errors=True)
