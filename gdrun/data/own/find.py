"""Finds a function of the user's: `net.py:build`, or `package.module:build`."""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gdrun.config.parts.own_code import is_file
from gdrun.data.own.traces import user_trace
from gdrun.errors import ConfigError, UserCodeError, did_you_mean, excerpt, one_line

MAX_REFERENCE = 300  # characters of a reference in a message: its end says most


@dataclass(frozen=True)
class OwnFunction:
    """A function of the user's.

    Attributes:
        reference: `file.py:name` or `package.module:name`, as in the config.
        sha256: of the file that it is in.
        function: itself.
    """

    reference: str
    sha256: str
    function: Callable[..., Any] = field(compare=False, repr=False)

    @cached_property
    def name(self) -> str:
        """The reference without the directories of its file."""
        place, _, name = self.reference.rpartition(":")
        return f"{Path(place).name}:{name}"

    def __call__(self, *arguments: Any) -> Any:
        """What it returns.

        Raises:
            UserCodeError: it raises an exception.
        """
        with user_code(self.name):
            return self.function(*arguments)


def find_function(key: str, reference: str, takes: Sequence[str]) -> OwnFunction:
    """The function that a key of the config names.

    Args:
        key: the key, for messages.
        reference: what it says.
        takes: the names of the arguments that it will be called with, by position.

    Raises:
        ConfigError: there is no such file, module or function, or it takes other arguments.
        UserCodeError: importing it raises an exception.
    """
    place, _, name = reference.rpartition(":")
    said = f"{key}: {excerpt(reference, MAX_REFERENCE)}"
    with user_code(Path(place).name):
        module = _from_file(said, Path(place)) if is_file(place) else _from_package(said, place)
    if not hasattr(module, name):
        known = [
            each
            for each, value in vars(module).items()
            if isinstance(value, FunctionType | type) and value.__module__ == module.__name__
        ]
        raise ConfigError(
            f"{said}: there is no {name!r} in {Path(place).name}",
            *did_you_mean(name, known),
            *([f"it has {', '.join(known[:10])}"] if known else []),
        )
    found = getattr(module, name)
    if not callable(found):
        raise ConfigError(
            f"{said}: {name!r} is {type(found).__name__}, and can't be called",
            f"name a function: def {name}({', '.join(takes)})",
        )
    if key == "model" and hasattr(found, "forward") and not inspect.isclass(found):
        raise ConfigError(
            f"{said}: {name!r} is a network already, and each lane has its own",
            f"name a function that makes one: def build({', '.join(takes)}): return …",
        )
    _refuse_other_arguments(said, name, found, takes)
    return OwnFunction(reference, _hash(module.__file__), found)


def hash_of(reference: str) -> str | None:
    """The hash of the file that a reference names, which isn't run; None of a package or none."""
    place = reference.rpartition(":")[0]
    return _hash(place) if is_file(place) and Path(place).is_file() else None


def _hash(file: str | None) -> str:
    source = Path(file) if file else None
    content = source.read_bytes() if source and source.is_file() else b""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def user_code(name: str, *hints: str) -> Iterator[None]:
    """Run code of the user's, whose exceptions become errors of gdrun with the user's traceback.

    The hints are theirs.

    Raises:
        UserCodeError: it raises an exception.
    """
    try:
        yield
    except (ConfigError, UserCodeError):
        raise
    except Exception as error:
        raise UserCodeError(
            f"{name} raised {type(error).__name__}: {excerpt(one_line(error), 200)}",
            *hints,
            trace=user_trace(error),
        ) from error


def _from_file(said: str, path: Path) -> ModuleType:
    """The module in a file; it may import what is beside it."""
    if not path.is_file():
        kind = "is a directory" if path.is_dir() else "no such file"
        raise ConfigError(
            f"{said}: {kind}",
            "a relative path is relative to its config file, or on the command line to the current "
            "directory",
        )
    name = f"gdrun_own_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{said}: is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses in it, and pickle, expect
    try:
        with _importable(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _from_package(said: str, name: str) -> ModuleType:
    """An installed module, or one in the current directory."""
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(
                f"{said}: there is no module {error.name!r}",
                "a file is named with its ending: net.py:build",
            ) from None
        raise


@contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """Let modules in a directory be imported: before all others meanwhile, after them later on."""
    place = str(directory)
    sys.path.insert(0, place)
    try:
        yield
    finally:
        sys.path.remove(place)
        if place not in sys.path:
            sys.path.append(place)


def _refuse_other_arguments(
    said: str, name: str, function: Callable[..., Any], takes: Sequence[str]
) -> None:
    try:
        signature = inspect.signature(function)
        signature.bind(*takes)
    except TypeError as error:
        raise ConfigError(
            f"{said}: takes other arguments than ({', '.join(takes)}): {one_line(error)}",
            _wrapped(name, function, takes),
        ) from None
    except ValueError:  # a builtin without a signature
        return
    # Of (in_dim, hidden=64, out_dim=1) the second would be given the number of outputs.
    _, *names = signature.parameters or [""]
    is_network = tuple(takes) == ("features", "outputs")
    if is_network and any(map(_is_output, names[1:])) and not _is_output(names[0]):
        raise ConfigError(
            f"{said}: its second argument is given the number of outputs, and is called {names[0]}",
            _wrapped(name, function, takes),
        )


def _is_output(name: str) -> bool:
    """Whether an argument may be the number of outputs, by its name."""
    return bool(re.search(r"out|class|target|label", name.lower()))


def _wrapped(name: str, function: Callable[..., Any], takes: Sequence[str]) -> str:
    """How a function that takes such arguments is written."""
    if not inspect.isclass(function):
        return f"def {name}({', '.join(takes)})"
    return f"name a function that makes one: def build({', '.join(takes)}): return {name}(…)"
