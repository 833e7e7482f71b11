"""Compiled programs on the disk: built once, by a process of its own, and found again.

They lie in the user's cache directory, or that which the environment variable GDRUN_CACHE names,
by a hash of all that they depend on: the program, the code that it is traced from, the version of
PyTorch and the processor.
"""

import errno
import hashlib
import os
import pickle
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from gdrun import inductor
from gdrun.inductor import Run
from gdrun.program import Program

KEPT = 50  # packages, of two megabytes each
AT_ONCE = 2  # compilers take half a gigabyte each
POLL_SECONDS = 0.05
A_DAY = 86_400  # seconds, longer than any build
# What programs are made of.
SOURCES = ("batches", "building", "gradients", "inductor", "models", "program", "sgd")


def find(program: Program) -> Run | None:
    """The program, if it was built before and can be loaded."""
    with suppress(OSError, RuntimeError):  # there is no place, or it's of a system changed since
        for path in cache_directory().glob(f"{_key(program)}-*.pt2"):
            if path.name != _named(program, path.read_bytes()):
                path.unlink()  # damaged: it might crash the process
                continue
            run = inductor.load(path)
            with suppress(OSError):
                path.touch()  # used lately
            return run
    return None


def why_not() -> str | None:
    """Why no program can be built on this machine; None if nothing is known to be in the way."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"programs are not compiled on {platform.system()}"
    compiler = os.environ.get("CXX") or ("clang++" if platform.system() == "Darwin" else "g++")
    return None if shutil.which(compiler) else f"there is no C++ compiler {compiler}"


def build(programs: Iterable[Program], stop: Callable[[], bool]) -> dict[Program, str]:
    """Compile programs, some at once, and put them where `find` finds them; why some failed.

    Raises:
        KeyboardInterrupt: `stop` said so, or the user did; nothing is left behind.
    """
    waiting = list(dict.fromkeys(programs))
    failures: dict[Program, str] = {}
    running: list[_Build] = []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                program = waiting.pop(0)
                try:
                    cache_directory().mkdir(parents=True, exist_ok=True, mode=0o700)
                    running.append(_Build(program))
                except OSError as error:
                    failures[program] = f"{error.filename}: {error.strerror}"
            if stop():
                raise KeyboardInterrupt
            for each in list(running):
                ended = each.wait(POLL_SECONDS)
                if ended is not None:
                    running.remove(each)
                    if ended:
                        failures[each.program] = ended
    finally:
        for each in running:
            each.kill()
    _prune()
    return failures


class _Build:
    """A process that compiles a program in a directory of its own."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._place = Path(tempfile.mkdtemp(prefix="build-", dir=cache_directory()))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._start()
        except BaseException:
            self.kill()
            raise

    def _start(self) -> "subprocess.Popen[bytes]":
        paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        asked = self._place / "program"
        asked.write_bytes(pickle.dumps(self.program))
        with asked.open("rb") as stdin, self._errors.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "gdrun.building", str(self._package)],
                stdin=stdin,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(paths),
                    "TORCHINDUCTOR_CACHE_DIR": str(self._place / "inductor"),
                },
                start_new_session=True,  # Ctrl-C is for this process to act on
            )

    @property
    def _package(self) -> Path:
        return self._place / "package.pt2"

    @property
    def _errors(self) -> Path:
        return self._place / "errors"

    def wait(self, seconds: float) -> str | None:
        """Wait so long for the end: None while it is to come, then what went wrong, or nothing."""
        assert self._process
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        try:
            if code == 0 and self._package.exists():
                named = _named(self.program, self._package.read_bytes())
                self._package.replace(cache_directory() / named)
                return ""
            return self._complaint(code)
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        finally:
            self._clear()

    def kill(self) -> None:
        """End it and the compilers that it started."""
        if self._process:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._clear()

    def _complaint(self, code: int) -> str:
        lines = self._errors.read_text(errors="replace").split("\n")
        said = [line.strip() for line in lines if "Error" in line and not line.startswith(" ")]
        return said[-1][:200] if said else f"PyTorch's compiler ended with code {code}"

    def _clear(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)


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


def _key(program: Program) -> str:
    """A hash of all that the program depends on."""
    return hashlib.sha256(repr((program, _surroundings())).encode()).hexdigest()[:32]


def _named(program: Program, package: bytes) -> str:
    """The name of a program's file, which says what it holds, too."""
    return f"{_key(program)}-{hashlib.sha256(package).hexdigest()[:32]}.pt2"


@cache
def _surroundings() -> tuple[str, ...]:
    """What a program depends on beside itself."""
    here = Path(__file__).parent
    sources = hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in SOURCES))
    features = ""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().split("\n")
        features = next((line for line in lines if line.startswith("flags")), "")
    machine = platform.machine(), torch.backends.cpu.get_cpu_capability(), features
    return (sources.hexdigest(), torch.__version__, *machine)


def _prune() -> None:
    """Leave the programs that were used last, and what is being built."""
    with suppress(OSError):
        packages = sorted(cache_directory().glob("*.pt2"), key=lambda path: -path.stat().st_mtime)
        for old in packages[KEPT:]:
            old.unlink(missing_ok=True)
        for left in cache_directory().glob("build-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > A_DAY:
                shutil.rmtree(left, ignore_errors=True)
