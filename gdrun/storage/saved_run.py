"""A run or group as its directory holds it: what its `run.json` says, and its status today."""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gdrun.config.foreign import first_mistake, saved_config
from gdrun.config.layers import Layer, parse_layer
from gdrun.config.parts.groups import PlotConfig
from gdrun.config.schema import METHODS, RunConfig
from gdrun.config.yaml_loader import MAX_CHARACTERS
from gdrun.errors import ConfigError, DataError
from gdrun.results.description import Description
from gdrun.results.events import Status
from gdrun.results.file_names import CONFIG, MANIFEST
from gdrun.results.run import LaneResult
from gdrun.storage.atomic import read_plain
from gdrun.storage.manifest import (
    ComparedRun,
    ComparisonManifest,
    GroupManifest,
    Manifest,
    RunManifest,
    current_status,
    from_json,
    is_comparison,
    read_comparison,
    read_manifest,
)
from gdrun.storage.run_dir import is_locked, root_of

COMPARED_BY = "compared"  # the command of a comparison of saved runs
MAX_BYTES = 4 * MAX_CHARACTERS  # of a `config.yaml`: no character of UTF-8 takes more


@dataclass(frozen=True)
class _Saved:
    """What runs and groups share.

    Attributes:
        path: its directory.
        manifest: what its `run.json` says.
        status: its status today; see `gdrun.storage.manifest.current_status`.
    """

    path: Path
    manifest: Manifest
    status: Status

    @property
    def description(self) -> Description:
        """The network, the data and the loss."""
        return self.manifest.problem

    @cached_property
    def settings(self) -> RunConfig:
        """The config, without keys that this version of gdrun doesn't know.

        Raises:
            DataError: it is damaged.
            OSError: it can't be read.
        """
        return self.manifest.settings or saved_config(self.config)

    @property
    def plot(self) -> PlotConfig:
        """How its pictures are drawn.

        Raises:
            DataError: its config is damaged.
            OSError: it can't be read.
        """
        return self.settings.plot

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config as it is written: in `run.json` or, by an older gdrun, in `config.yaml`.

        Raises:
            DataError: it is damaged.
            OSError: it can't be read.
        """
        if self.manifest.config is not None:
            return dict(self.manifest.config)
        damaged = f"{self.path / CONFIG}: is damaged"
        try:
            values = from_json(json.dumps(_config_file(self.path).values))
            saved_config(values)
        except ConfigError as error:
            raise DataError(error.problems) from None
        except ValidationError as error:
            raise DataError(f"{damaged}: {first_mistake(error)}") from None
        except (TypeError, ValueError):  # a date, or infinite
            raise DataError(f"{damaged}: holds what no config does") from None
        return dict(values)


@dataclass(frozen=True)
class SavedRun(_Saved):
    """A run, by itself or in a group."""

    manifest: RunManifest

    @property
    def runs(self) -> tuple["SavedRun", ...]:
        """The run itself."""
        return (self,)

    @property
    def members(self) -> tuple["SavedRun", ...]:
        """It has none."""
        return ()

    @property
    def experiment(self) -> str:
        """The command that trains it."""
        return self.manifest.method

    @property
    def name(self) -> str:
        """Its name in its group."""
        return self.manifest.name or self.manifest.method

    @property
    def lanes(self) -> tuple[LaneResult, ...]:
        """How its lanes ended; empty for a run that hasn't ended, or was killed."""
        return self.manifest.lanes


@dataclass(frozen=True)
class SavedGroup(_Saved):
    """A group with the runs that it has so far.

    Attributes:
        members: the runs that were started, in their order.
    """

    manifest: GroupManifest
    members: tuple[SavedRun, ...]

    @property
    def runs(self) -> tuple[SavedRun, ...]:
        """Its runs."""
        return self.members

    @property
    def experiment(self) -> str:
        """The command that trained it."""
        return self.manifest.experiment


@dataclass(frozen=True)
class SavedComparison:
    """A comparison of saved runs, with those of them that are still there.

    Attributes:
        path: its directory.
        manifest: what its `compared.json` says.
        status, experiment: as of runs.
    """

    path: Path
    manifest: ComparisonManifest
    status: Status = "done"
    experiment: str = COMPARED_BY

    @property
    def config(self) -> dict[str, Any]:
        """It has none of its own."""
        return {}

    @property
    def plot(self) -> PlotConfig:
        """How its picture is drawn."""
        return self.manifest.plot

    @cached_property
    def named_runs(self) -> Mapping[str, SavedRun]:
        """Its runs that are still there, by what they are called in it.

        Raises:
            DataError: a `run.json` is damaged, or of a newer version of gdrun.
            OSError: one can't be read.
        """
        found = {}
        for run in self.manifest.runs:
            places = [self.path / run.path] if run.path is not None else []
            for place in (*places, Path(run.directory)):
                with suppress(ConfigError):
                    saved = open_saved(place)
                    if isinstance(saved, SavedRun):
                        found[run.name] = saved
                        break
        return found

    @property
    def runs(self) -> tuple[SavedRun, ...]:
        """Its runs that are still there."""
        return tuple(self.named_runs.values())

    @property
    def missing(self) -> list[ComparedRun]:
        """Its runs that aren't there any more."""
        return [run for run in self.manifest.runs if run.name not in self.named_runs]


Saved = SavedRun | SavedGroup
AnySaved = Saved | SavedComparison


def named_runs(saved: AnySaved) -> list[tuple[str | None, SavedRun]]:
    """The runs of a run, group or comparison, each with what it is called if not by its name."""
    if isinstance(saved, SavedComparison):
        return list(saved.named_runs.items())
    return [(None, run) for run in saved.runs]


def open_any(path: Path) -> AnySaved:
    """The run, group or comparison in a directory.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: a file is damaged, or of a newer version of gdrun.
        OSError: one can't be read.
    """
    return SavedComparison(path, read_comparison(path)) if is_comparison(path) else open_saved(path)


def open_saved(path: Path) -> Saved:
    """The run or group in a directory.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: a `run.json` is damaged, or of a newer version of gdrun.
        OSError: one can't be read.
    """
    manifest = read_manifest(path)
    at_work = manifest.status == "running" and (_is_locked(root_of(path)) or _is_locked(path))
    status = current_status(manifest, at_work)
    if isinstance(manifest, RunManifest):
        return SavedRun(path, manifest, status)
    members = []
    for place in _directories(path):
        own = read_manifest(place)
        if isinstance(own, RunManifest):
            working = own.status == "running" and (at_work or _is_locked(place))
            members.append(SavedRun(place, own, current_status(own, working)))
    trained = {name: place for place, name in enumerate(manifest.members)}
    members.sort(key=lambda run: (trained.get(run.name, len(trained)), *_in_order(run)))
    return SavedGroup(path, manifest, status, tuple(members))


def _directories(group: Path) -> Iterator[Path]:
    """The directories of the runs of a group; links aren't followed."""
    with os.scandir(group) as entries:
        for entry in entries:
            place = group / entry.name
            if entry.is_dir(follow_symlinks=False) and os.path.lexists(place / MANIFEST):
                yield place


def _in_order(run: SavedRun) -> tuple[int, int, list[str | int]]:
    """Sorts runs of a group that hasn't ended: by method, or by batch size; then by network."""
    name = run.path.name
    by_network = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]
    method = name.partition("-")[0]
    if method in METHODS:
        return 0, METHODS.index(method), by_network
    return 1, run.manifest.batch_size, by_network


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
    made_by = manifest.method if isinstance(manifest, RunManifest) else manifest.experiment
    if made_by != command:
        raise ConfigError(
            f"--resume {directory}: was made by gdrun {made_by}, not gdrun {command}",
            f"gdrun {made_by} --resume {shlex.quote(str(directory))}",
        )
    if isinstance(manifest, RunManifest):
        return _config_file(directory)
    return Layer(
        manifest.config, dict.fromkeys(_places(manifest.config), str(directory / MANIFEST))
    )


def _places(config: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Where keys are in a config, which is two levels deep."""
    for key, own in config.items():
        yield (key,)
        if isinstance(own, dict):
            yield from ((key, below) for below in own)


def _config_file(directory: Path) -> Layer:
    """The `config.yaml` of a run.

    Raises:
        ConfigError: it isn't valid YAML, or no mapping.
        DataError: it is missing, too large, or no text.
        OSError: it can't be read.
    """
    path = directory / CONFIG
    try:
        return parse_layer(read_plain(path, MAX_BYTES).decode(), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing", "put it back as it was") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is damaged: not UTF-8 text") from None
