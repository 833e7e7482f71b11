"""The key `sweep.optimizer`: optimizers that a sweep puts side by side.

Each is written as `optimizer` is, with momentum and weight decay in its mapping; and with an `lr`,
its own learning rates, since the useful ones of two optimizers lie orders of magnitude apart.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StrictBool

from gdrun.config.parts.optimizer import (
    AdagradConfig,
    AdamConfig,
    AdamWConfig,
    NotNegative,
    RMSpropConfig,
    SGDConfig,
    Share,
    as_mapping,
)
from gdrun.config.values import RatesOrAuto


class SweptSGD(SGDConfig):
    """Without a value, momentum, nesterov and weight decay are those of the config."""

    momentum: Share | None = None
    nesterov: StrictBool | None = None
    weight_decay: NotNegative | None = None
    lr: RatesOrAuto = None


class SweptAdam(AdamConfig):
    """As above."""

    weight_decay: NotNegative | None = None
    lr: RatesOrAuto = None


class SweptAdamW(AdamWConfig):
    """As above."""

    weight_decay: NotNegative | None = None
    lr: RatesOrAuto = None


class SweptRMSprop(RMSpropConfig):
    """As above."""

    momentum: Share | None = None
    weight_decay: NotNegative | None = None
    lr: RatesOrAuto = None


class SweptAdagrad(AdagradConfig):
    """As above."""

    weight_decay: NotNegative | None = None
    lr: RatesOrAuto = None


AnySwept = SweptSGD | SweptAdam | SweptAdamW | SweptRMSprop | SweptAdagrad


def _several(value: Any) -> Any:
    """Read `auto` as None, and one optimizer as a list of one."""
    if value is None or value == "auto":
        return None
    values = value if isinstance(value, list | tuple) else (value,)
    return tuple({"name": "sgd", **_mapping(each)} for each in values)


def _mapping(value: Any) -> Any:
    if not isinstance(value, str | Mapping):
        raise ValueError("Input should be a list of names such as adam, or of mappings")
    return as_mapping(value)


def _as_written(values: tuple[AnySwept, ...] | None) -> Any:
    """The names alone, or with what is set."""
    if values is None:
        return "auto"
    options = [
        value.model_dump(mode="json", exclude={"name"}, exclude_defaults=True) for value in values
    ]
    return [
        {"name": value.name, **own} if own else value.name
        for value, own in zip(values, options, strict=True)
    ]


def _all_differ(values: tuple[AnySwept, ...] | None) -> tuple[AnySwept, ...] | None:
    """Refuse the same optimizer twice; with other learning rates it is the same."""
    alike = [value.model_copy(update={"lr": None}) for value in values or ()]
    repeated = [value.name for k, value in enumerate(alike) if value in alike[:k]]
    if repeated:
        raise ValueError(f"Input should be a list without repeats, got {repeated[0]} twice")
    return values


OptimizersOrAuto = Annotated[
    Annotated[
        tuple[Annotated[AnySwept, Field(discriminator="name")], ...],
        Field(min_length=1),
        AfterValidator(_all_differ),
    ]
    | None,
    BeforeValidator(_several),
    PlainSerializer(_as_written),
]
