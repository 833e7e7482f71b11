"""The sections of a config of which there are several kinds, each with keys of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gdrun.config.parts.base import Schema
from gdrun.config.parts.data import DATA_SOURCES
from gdrun.config.parts.optimizer import OPTIMIZERS
from gdrun.config.parts.schedule import SCHEDULES, WARMUP


@dataclass(frozen=True)
class Kinds:
    """What kinds a section may be of.

    Attributes:
        key: the key in it that says the kind.
        models: by kind, which keys there are; the first kind is the default.
        noun: what a kind is called.
        named: whether the kind alone stands for the section: `cosine` for `{name: cosine}`.
        prefix: what may stand before a kind, and leaves it the same.
    """

    key: str
    models: Mapping[str, type[Schema]]
    noun: str
    named: bool = False
    prefix: str = ""

    @property
    def default(self) -> str:
        """The kind of a section that doesn't say it."""
        return next(iter(self.models))

    def of(self, section: Any) -> Any:
        """The kind of a section as it is written; it may be anything."""
        section = self.as_mapping(section)
        kind = section.get(self.key, self.default) if isinstance(section, dict) else self.default
        return kind.removeprefix(self.prefix) if isinstance(kind, str) else kind

    def model(self, section: Any) -> type[Schema]:
        """Which keys a section has, as it is written; those of the default if it is of no kind."""
        return self.models.get(str(self.of(section)), self.models[self.default])

    def as_mapping(self, section: Any) -> Any:
        """A section with the kind as a key, if it is the kind alone."""
        return {self.key: section} if self.named and isinstance(section, str) else section


def as_mappings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as it is written, with a mapping for every section that is a name."""
    return {
        key: KINDS[key].as_mapping(value) if key in KINDS else value
        for key, value in config.items()
    }


KINDS: Mapping[str, Kinds] = {
    "optimizer": Kinds("name", OPTIMIZERS, "optimizer", named=True),
    "schedule": Kinds("name", SCHEDULES, "schedule", named=True, prefix=WARMUP),
    "data": Kinds("source", DATA_SOURCES, "source"),
}
