"""A run or group as its directory holds it: what its `run.json` says, checked key by key."""

import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from gdrun.config.layers import Layer, parse_layer
from gdrun.config.schema import METHODS
from gdrun.errors import ConfigError, DataError
from gdrun.results.events import Status
from gdrun.results.file_names import CONFIG, MANIFEST
from gdrun.results.run import LOSS_NAMES, Description, LaneResult
from gdrun.storage.atomic import read_plain
from gdrun.storage.manifest import current_status, read_manifest
from gdrun.storage.run_dir import is_locked, root_of

# The keys of `problem` in `run.json` that hold something else than text.
PROBLEM_TYPES: Mapping[str, type] = {
    "parameters": int,
    "rows": int,
    "val_rows": int,
    "features": list,
    "standardized": bool,
}


@dataclass(frozen=True)
class SavedRun:
    """A run, or a group with the runs that it has so far.

    Attributes:
        path: its directory.
        manifest: the content of its `run.json`.
        status: its status today; see `gdrun.storage.manifest.current_status`.
        members: the runs of a group that were started, in their order; empty for a run.
    """

    path: Path
    manifest: Mapping[str, Any]
    status: Status
    members: tuple["SavedRun", ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether it is a group of runs."""
        return bool(self.manifest["kind"] == "group")

    @property
    def runs(self) -> tuple["SavedRun", ...]:
        """The runs of a group, or the run itself."""
        return self.members if self.is_group else (self,)

    @property
    def experiment(self) -> str:
        """The command that trained it: `compare`, `sweep`, or the method of a run."""
        return self.text("experiment" if self.is_group else "method")

    @property
    def name(self) -> str:
        """The name of a run in its group."""
        return self.text("name", self.text("method")) if not self.is_group else self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config: that in `run.json` or, for a run of an older gdrun, that in `config.yaml`.

        Raises:
            DataError: it is damaged.
            OSError: it can't be read.
        """
        config = self.manifest.get("config")
        if isinstance(config, dict):
            return dict(config)
        if self.is_group or config is not None:
            raise self.damaged("holds no config")
        try:
            return dict(_config_file(self.path).values)
        except ConfigError as error:
            raise DataError(error.problems) from None

    @cached_property
    def description(self) -> Description:
        """The network, the data and the loss.

        Raises:
            DataError: the `run.json` is damaged.
        """
        problem = self.manifest.get("problem")
        found: dict[str, Any] = {}
        for name in (field.name for field in fields(Description)):
            value = problem.get(name) if isinstance(problem, dict) else None
            if not isinstance(value, PROBLEM_TYPES.get(name, str)):
                raise self.damaged(f"holds no problem.{name}")
            found[name] = value
        features = found["features"] = tuple(found["features"])
        if not all(isinstance(name, str) for name in features):
            raise self.damaged("holds no valid problem.features")
        if found["loss"] not in LOSS_NAMES:
            raise self.damaged("holds no valid problem.loss")
        return Description(**found)

    @cached_property
    def lanes(self) -> tuple[LaneResult, ...]:
        """How the lanes of a run ended; empty for one that hasn't ended, or was killed.

        Raises:
            DataError: the `run.json` is damaged.
        """
        try:
            lanes = tuple(LaneResult(**lane) for lane in self.manifest.get("lanes", ()))
        except TypeError:
            raise self.damaged("holds no valid lanes") from None
        if not all(map(_is_sound, lanes)):
            raise self.damaged("holds no valid lanes")
        return lanes

    @property
    def engines(self) -> tuple[str, ...]:
        """What executed the updates of a run, one after the other; empty if it doesn't say."""
        found = self.manifest.get("engines")
        if found is None:
            config = self.manifest.get("config")
            found = [config.get("engine")] if isinstance(config, dict) else []
        if not isinstance(found, list):
            raise self.damaged("holds no valid engines")
        return tuple(str(engine) for engine in found if engine not in (None, "auto"))

    def text(self, key: str, missing: str | None = None) -> str:
        """A text of `run.json`.

        Raises:
            DataError: the key is missing, or holds something else.
        """
        value = self.manifest.get(key, missing)
        if not isinstance(value, str):
            raise self.damaged(f"holds no {key}")
        return value

    def damaged(self, how: str) -> DataError:
        """The error that its `run.json` is damaged, and how."""
        return DataError(f"{self.path / MANIFEST}: is damaged: {how}")


def _is_sound(lane: LaneResult) -> bool:
    losses = (lane.train_loss, lane.best_train_loss, lane.val_loss)
    return (
        isinstance(lane.lr, float | int)
        and isinstance(lane.updates, int)
        and isinstance(lane.seconds, float | int)
        and all(isinstance(loss, float | int | None) for loss in losses)
    )


def open_saved(path: Path) -> SavedRun:
    """The run or group in a directory.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: a `run.json` is damaged, or of a newer version of gdrun.
        OSError: one can't be read.
    """
    manifest = read_manifest(path)
    at_work = manifest["status"] == "running" and (_is_locked(root_of(path)) or _is_locked(path))
    status = current_status(manifest, at_work)
    if manifest["kind"] == "run":
        return _checked(SavedRun(path, manifest, status))
    members = []
    for place in _directories(path):
        own = read_manifest(place)
        if own["kind"] == "run":
            working = own["status"] == "running" and (at_work or _is_locked(place))
            members.append(_checked(SavedRun(place, own, current_status(own, working))))
    group = SavedRun(path, manifest, status, tuple(sorted(members, key=_in_order)))
    group.text("experiment")
    return group


def _directories(group: Path) -> Iterator[Path]:
    """The directories of the runs of a group; links aren't followed."""
    with os.scandir(group) as entries:
        for entry in entries:
            place = group / entry.name
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(place / MANIFEST):
                yield place


def _checked(run: SavedRun) -> SavedRun:
    size = run.manifest.get("batch_size")
    if run.text("method") not in METHODS:
        raise run.damaged("holds no method")
    if type(size) is not int or size < 1:
        raise run.damaged("holds no batch_size")
    return run


def _in_order(run: SavedRun) -> tuple[int, int, str]:
    """Sorts the runs of a comparison by method, and those of a sweep by batch size."""
    if run.path.name in METHODS:
        return 0, METHODS.index(run.path.name), run.path.name
    return 1, run.manifest["batch_size"], run.path.name


def _is_locked(path: Path) -> bool:
    """Whether a process is training it; if that can't be found out, what `run.json` says holds."""
    try:
        return is_locked(path)
    except OSError:
        return True


# ----------------------------------------------------------------------------------------- config


def saved_layer(directory: Path, command: str) -> Layer:
    """The config of the run or group that a command resumes.

    Raises:
        ConfigError: the directory isn't one of gdrun's, or another command made it.
        DataError: a file is damaged, or of a newer version of gdrun.
        OSError: one can't be read.
    """
    manifest = read_manifest(directory)
    made_by = manifest.get("experiment" if manifest["kind"] == "group" else "method")
    if not isinstance(made_by, str):
        raise DataError(f"{directory / MANIFEST}: is damaged: doesn't say which command made it")
    if made_by != command:
        raise ConfigError(
            f"--resume {directory}: was made by gdrun {made_by}, not gdrun {command}",
            f"gdrun {made_by} --resume {shlex.quote(str(directory))}",
        )
    if manifest["kind"] == "run":
        return _config_file(directory)
    if not isinstance(manifest.get("config"), dict):
        raise DataError(f"{directory / MANIFEST}: is damaged: holds no config")
    return Layer(manifest["config"])


def _config_file(directory: Path) -> Layer:
    """The `config.yaml` of a run.

    Raises:
        ConfigError: it isn't valid YAML, or no mapping.
        DataError: it is missing, or no text.
        OSError: it can't be read.
    """
    path = directory / CONFIG
    try:
        return parse_layer(read_plain(path).decode(), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing", "put it back as it was") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is damaged: not UTF-8 text") from None
