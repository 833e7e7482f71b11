"""Runs and groups as they lie on the disk: what their `run.json` says, and how they stand today."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gdrun.errors import ConfigError, DataError
from gdrun.results.events import Status
from gdrun.results.file_names import CONFIG, MANIFEST
from gdrun.storage.atomic import read_plain
from gdrun.storage.lock import is_locked
from gdrun.storage.manifest import current_status, read_manifest, root_of

# As in `gdrun.config.schema.METHODS`, whose schema takes longer to import than a directory to list.
METHODS = ("full", "sgd", "minibatch")


@dataclass(frozen=True)
class SavedRun:
    """A run, or a group with its runs so far, as its directory holds it.

    Attributes:
        path: its directory.
        manifest: the content of its `run.json`.
        status: how it stands today: what says `running` without a process was interrupted.
        members: the runs of a group that were begun, in their order; none of a run.
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
        """What was asked for: `compare`, `sweep`, or the method of a run."""
        return self.text("experiment" if self.is_group else "method")

    @property
    def name(self) -> str:
        """What a run is called among others of its group."""
        return self.text("name", self.text("method")) if not self.is_group else self.path.name

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config: that in `run.json` or, in a run of an older gdrun, that in `config.yaml`.

        Raises:
            DataError: it is damaged.
            OSError: it can't be read.
        """
        config = self.manifest.get("config")
        if isinstance(config, dict):
            return dict(config)
        if self.is_group or config is not None:
            raise self.damaged("holds no config")
        from gdrun.config.read import parse_layer

        path = self.path / CONFIG
        try:
            return dict(parse_layer(read_plain(path).decode(), str(path)).values)
        except FileNotFoundError:
            raise DataError(f"{path}: is missing", "put it back as it was") from None
        except UnicodeDecodeError:
            raise DataError(f"{path}: is damaged: no text") from None
        except ConfigError as error:
            raise DataError(error.problems) from None

    def text(self, key: str, missing: str | None = None) -> str:
        """A text of `run.json`.

        Raises:
            DataError: it isn't there, or is no text.
        """
        value = self.manifest.get(key, missing)
        if not isinstance(value, str):
            raise self.damaged(f"holds no {key}")
        return value

    def damaged(self, how: str) -> DataError:
        """That the `run.json` is damaged, and how."""
        return DataError(f"{self.path / MANIFEST}: is damaged: {how}")


def open_saved(path: Path) -> SavedRun:
    """The run or group in a directory.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: it is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    manifest = read_manifest(path)
    at_work = manifest["status"] == "running" and (_is_locked(root_of(path)) or _is_locked(path))
    status = current_status(manifest, at_work)
    if manifest["kind"] == "run":
        run = SavedRun(path, manifest, status)
        _check_run(run)
        return run
    members = []
    for place in _directories(path):
        own = read_manifest(place)
        if own["kind"] == "run":
            working = own["status"] == "running" and (at_work or _is_locked(place))
            members.append(SavedRun(place, own, current_status(own, working)))
            _check_run(members[-1])
    group = SavedRun(path, manifest, status, tuple(sorted(members, key=_in_order)))
    group.text("experiment")
    return group


def _directories(group: Path) -> Iterator[Path]:
    """Where the runs of a group lie; links aren't followed."""
    with os.scandir(group) as entries:
        for entry in entries:
            place = group / entry.name
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(place / MANIFEST):
                yield place


def _check_run(run: SavedRun) -> None:
    size = run.manifest.get("batch_size")
    if run.text("method") not in METHODS:
        raise run.damaged("holds no method")
    if type(size) is not int or size < 1:
        raise run.damaged("holds no batch_size")


def _in_order(run: SavedRun) -> tuple[int, int, str]:
    """Runs of a comparison by method, those of a sweep, which may share one, by batch size."""
    is_method = run.path.name in METHODS
    order = METHODS.index(run.path.name) if is_method else run.manifest["batch_size"]
    return (not is_method, order, run.path.name)


def _is_locked(path: Path) -> bool:
    """Whether a process is at work there; where that can't be told, what `run.json` says holds."""
    try:
        return is_locked(path)
    except OSError:
        return True
