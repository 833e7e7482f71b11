"""The key `schedule`: how the learning rates change while a run trains.

`cosine` is short for `{name: cosine}`, and `warmup+cosine` for that with a warm-up.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WrapSerializer,
)

from gdrun.config.parts.base import Schema
from gdrun.config.values import Number, Positive, Several
from gdrun.text import listed

WARMUP = "warmup+"  # before the name of a schedule
DEFAULT_WARMUP = 0.05
MAX_STEPS = 3  # that are named in words


class Schedule(Schema):
    """What every schedule has: in the first share `warmup` of the training, the rates rise."""

    name: str
    warmup: Annotated[Number, Field(ge=0, lt=1)] = 0.0

    @property
    def words(self) -> str:
        """The schedule in a few words, for captions."""
        rise = f" after {100 * self.warmup:g} % warm-up" if self.warmup else ""
        return f"{self.shape}{rise}"

    @property
    def shape(self) -> str:
        """The same without the warm-up."""
        return self.name


class ConstantSchedule(Schedule):
    """The learning rate stays as it is."""

    name: Literal["constant"] = "constant"


class _Falling(Schedule):
    """From the learning rate to `final` times it."""

    final: Annotated[Number, Field(ge=0)] = 0.0

    @property
    def shape(self) -> str:
        """With where it ends, if that isn't zero."""
        return f"{self.name} to {100 * self.final:g} %" if self.final else self.name


class LinearSchedule(_Falling):
    """In a straight line."""

    name: Literal["linear"] = "linear"


class CosineSchedule(_Falling):
    """By half a cosine (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"] = "cosine"


def _rising(shares: tuple[float, ...]) -> tuple[float, ...]:
    if list(shares) != sorted(set(shares)):
        raise ValueError("Input should be shares of the training that rise")
    return shares


class StepSchedule(Schedule):
    """Multiplied by `factor` once each of the shares `at` of the training is done."""

    name: Literal["step"] = "step"
    at: Annotated[
        tuple[Annotated[Number, Field(gt=0, lt=1)], ...],
        Field(min_length=1),
        AfterValidator(_rising),
        *Several,
    ] = (0.5, 0.75)
    factor: Positive = 0.1

    @property
    def shape(self) -> str:
        """With the factor, and where or how often it comes."""
        if len(self.at) > MAX_STEPS:
            return f"{len(self.at)} steps × {self.factor:g}"
        return f"step × {self.factor:g} at {listed([f'{100 * at:g}' for at in self.at])} %"


class InverseSchedule(Schedule):
    """Divided by 1 + k s, where a share s of the training is done (Robbins & Monro 1951)."""

    name: Literal["inverse"] = "inverse"
    k: Annotated[Number, Field(ge=0)] = 10.0

    @property
    def shape(self) -> str:
        """With its constant."""
        return f"inverse, k {self.k:g}"


def _with_name(value: Any) -> Any:
    """Read a name as a mapping, and `warmup+` before it as a warm-up."""
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict):
        if isinstance(value, Schedule):
            return value
        raise ValueError("Input should be a name such as cosine, or a mapping of keys to values")
    name = value.get("name", "constant")
    if isinstance(name, str) and name.startswith(WARMUP):
        return {"warmup": DEFAULT_WARMUP, **value, "name": name.removeprefix(WARMUP)}
    return {**value, "name": name}


def _as_written(value: Any, mapping: SerializerFunctionWrapHandler) -> Any:
    return value.name if value == ConstantSchedule() else mapping(value)


ScheduleConfig = Annotated[
    Annotated[
        ConstantSchedule | LinearSchedule | CosineSchedule | StepSchedule | InverseSchedule,
        Field(discriminator="name"),
    ],
    BeforeValidator(_with_name),
    WrapSerializer(_as_written),
]
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": ConstantSchedule,
    "linear": LinearSchedule,
    "cosine": CosineSchedule,
    "step": StepSchedule,
    "inverse": InverseSchedule,
}
SCHEDULE_NAMES = [*SCHEDULES, *(WARMUP + name for name in SCHEDULES)]


def schedule_in_words(value: ScheduleConfig) -> str:
    """A schedule in a few words; nothing if it is constant."""
    return "" if value == ConstantSchedule() else value.words
