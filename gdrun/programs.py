"""Compiled programs on the disk: built once, by a process of its own, and found again.

They lie in the user's cache directory, or that which the environment variable GDRUN_CACHE names,
by a hash of all that they depend on: the program, the code that it is traced from, the version of
PyTorch and the processor.
"""

import hashlib
import os
import pickle
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
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
# What programs are made of.
SOURCES = ("building", "gradients", "inductor", "models", "program", "sgd")


def find(program: Program) -> Run | None:
    """The program, if it was built before and can be loaded."""
    path = _path(program)
    if not os.path.exists(path):  # noqa: PTH110 (a place that can't be read is none)
        return None
    try:
        run = inductor.load(path)
    except (RuntimeError, OSError):  # damaged, or of a system that was changed since
        return None
    with suppress(OSError):
        path.touch()  # used lately
    return run


def why_not() -> str | None:
    """Why no program can be built on this machine; None if nothing is known to be in the way."""
    if platform.system() not in ("Linux", "Darwin"):
        return f"programs are not compiled on {platform.system()}"
    compilers = [os.environ.get("CXX") or "g++", "clang++"]
    if not any(map(shutil.which, compilers)):
        return f"there is no C++ compiler ({' or '.join(dict.fromkeys(compilers))})"
    return None


def build(programs: Iterable[Program], stop: Callable[[], bool]) -> dict[Program, str]:
    """Compile programs, some at once, and put them where `find` finds them; why some failed.

    Raises:
        KeyboardInterrupt: `stop` said so, or the user did; nothing is left behind.
    """
    waiting, failures = list(dict.fromkeys(programs)), {}
    try:
        cache_directory().mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        reason = f"{error.filename}: can't be made: {error.strerror}"
        return dict.fromkeys(waiting, reason)
    running: list[_Build] = []
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                running.append(_Build(waiting.pop(0)))
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
        package = Path(__file__).parent.parent
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._errors = (self._place / "errors").open("wb+")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gdrun.building", str(self._place / "package.pt2")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(paths),
                "TORCHINDUCTOR_CACHE_DIR": str(self._place / "inductor"),
            },
            start_new_session=True,  # Ctrl-C is for this process to act on
        )
        assert self._process.stdin
        with self._process.stdin as stdin:
            stdin.write(pickle.dumps(program))

    def wait(self, seconds: float) -> str | None:
        """Wait so long for the end: None while it is to come, then what went wrong, or nothing."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        made = self._place / "package.pt2"
        try:
            if code == 0 and made.exists():
                made.replace(_path(self.program))
                return ""
            return self._complaint(code)
        finally:
            self._clear()

    def kill(self) -> None:
        """End it and the compilers that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._clear()

    def _complaint(self, code: int) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if "Error" in line and not line.startswith(" ")]
        return said[-1][:200] if said else f"PyTorch's compiler ended with code {code}"

    def _clear(self) -> None:
        self._errors.close()
        shutil.rmtree(self._place, ignore_errors=True)


def cache_directory() -> Path:
    """Where programs are kept."""
    if named := os.environ.get("GDRUN_CACHE"):
        return Path(named).expanduser().absolute()
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "gdrun"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gdrun"


def _path(program: Program) -> Path:
    named = repr((program, _surroundings()))
    return cache_directory() / f"{hashlib.sha256(named.encode()).hexdigest()[:32]}.pt2"


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
    """Leave those that were used last."""
    with suppress(OSError):
        packages = sorted(cache_directory().glob("*.pt2"), key=lambda path: -path.stat().st_mtime)
        for old in packages[KEPT:]:
            old.unlink(missing_ok=True)
