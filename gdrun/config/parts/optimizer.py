"""The key `optimizer`: how a gradient moves the weights.

It is a name, or a mapping of the name and of options that only this optimizer has, such as
`{name: adam, eps: 1e-6}`. What several optimizers have, momentum and weight decay, stands beside
it, in keys of the run; in the mapping these are read, too, and lifted out of it.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, StrictBool

from gdrun.config.parts.base import Schema
from gdrun.config.values import Number, Pair

# Keys of the run that say more of its optimizer. All optimizers have a weight decay.
OF_RUN = ("momentum", "nesterov", "weight_decay")

Share = Annotated[Number, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Share, Share], *Pair]
# What keeps a division from one by zero, in 32 bits.
Eps = Annotated[Number, Field(ge=1e-30, le=1)]
NotNegative = Annotated[Number, Field(ge=0)]


class _Kind(Schema):
    """An optimizer; its options are those that it alone has.

    `has` are those keys of the run that not all optimizers have, `decay` is its `weight_decay`
    where the run has none, `usual_lr` the learning rate that `torch.optim` has for it, if any, and
    `lrs` those of a sweep in which it stands beside others. The steps of all but SGD are about as
    large as the learning rate, whatever the gradient is: that is why these are the same for all
    problems.
    """

    name: str
    has: ClassVar[tuple[str, ...]] = ()
    decay: ClassVar[float] = 0.0
    usual_lr: ClassVar[float | None] = None
    lrs: ClassVar[str]


class SGDConfig(_Kind):
    """Stochastic gradient descent; all of its options are keys of the run."""

    name: Literal["sgd"] = "sgd"
    has: ClassVar[tuple[str, ...]] = ("momentum", "nesterov")
    lrs: ClassVar[str] = "log:0.00632:6.32:7"


class _AdamKind(_Kind):
    """`betas` are the shares that the two running means keep in an update."""

    betas: Betas = (0.9, 0.999)
    eps: Eps = 1e-8
    amsgrad: StrictBool = False
    usual_lr: ClassVar[float | None] = 0.001
    lrs: ClassVar[str] = "log:0.0001:0.1:7"


class AdamConfig(_AdamKind):
    """Adam."""

    name: Literal["adam"] = "adam"


class AdamWConfig(_AdamKind):
    """Adam with a weight decay that is no part of the gradient."""

    name: Literal["adamw"] = "adamw"
    decay: ClassVar[float] = 0.01


class RMSpropConfig(_Kind):
    """RMSprop: `alpha` is the share that the running mean keeps in an update."""

    name: Literal["rmsprop"] = "rmsprop"
    alpha: Share = 0.99
    eps: Eps = 1e-8
    centered: StrictBool = False
    has: ClassVar[tuple[str, ...]] = ("momentum",)
    usual_lr: ClassVar[float | None] = 0.01
    lrs: ClassVar[str] = "log:0.0001:0.1:7"


class AdagradConfig(_Kind):
    """Adagrad, whose learning rate falls with the sum of squares, and by `lr_decay`."""

    name: Literal["adagrad"] = "adagrad"
    lr_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: Eps = 1e-10
    usual_lr: ClassVar[float | None] = 0.01
    lrs: ClassVar[str] = "log:0.001:1:7"


AnyOptimizer = SGDConfig | AdamConfig | AdamWConfig | RMSpropConfig | AdagradConfig
OPTIMIZERS: dict[str, type[AnyOptimizer]] = {
    "sgd": SGDConfig,
    "adam": AdamConfig,
    "adamw": AdamWConfig,
    "rmsprop": RMSpropConfig,
    "adagrad": AdagradConfig,
}


def as_mapping(value: Any) -> Any:
    """A name, in whatever case, as a mapping."""
    if isinstance(value, str):
        return {"name": value.lower()}
    if isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return {**value, "name": value["name"].lower()}
    return value


def _as_written(value: AnyOptimizer) -> Any:
    """The name alone, or with the options that aren't the usual ones."""
    options = value.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
    return {"name": value.name, **options} if options else value.name


def _name_or_mapping(value: Any) -> Any:
    if not isinstance(value, str | Mapping | Schema):
        raise ValueError("Input should be a name such as adam, or a mapping")
    value = as_mapping(value)
    return {"name": "sgd", **value} if isinstance(value, Mapping) else value


OptimizerConfig = Annotated[
    Annotated[AnyOptimizer, Field(discriminator="name")],
    BeforeValidator(_name_or_mapping),
    PlainSerializer(_as_written),
]


def name_of(value: Any) -> Any:
    """The name of an optimizer, as it may be written or as it was read."""
    found = as_mapping(value)
    return found.get("name", "sgd") if isinstance(found, Mapping) else getattr(found, "name", None)


def clashes(values: Mapping[str, Any]) -> Iterator[str]:
    """The keys of a run that differ inside `optimizer` and beside it."""
    inside = values.get("optimizer")
    if isinstance(inside, Mapping):
        both = (key for key in OF_RUN if key in inside and key in values)
        yield from (key for key in both if inside[key] != values[key])


def lifted(values: Any) -> Any:
    """The values of a config with the keys of the run beside `optimizer`, and its own decay there.

    Raises:
        ValueError: one is there, too, and differs.
    """
    if not isinstance(values, Mapping) or "optimizer" not in values:
        return values
    for key in clashes(values):
        raise ValueError(f"{key} and optimizer.{key} differ, got both")
    found, optimizer = dict(values), as_mapping(values["optimizer"])
    if isinstance(optimizer, Mapping):
        found |= {key: optimizer[key] for key in OF_RUN if key in optimizer}
        found["optimizer"] = {k: value for k, value in optimizer.items() if k not in OF_RUN}
    name = name_of(optimizer)
    decay = OPTIMIZERS[name].decay if isinstance(name, str) and name in OPTIMIZERS else 0.0
    return {"weight_decay": decay, **found} if decay else found


def in_words(optimizer: AnyOptimizer, momentum: float, nesterov: bool, weight_decay: float) -> str:
    """The name of an optimizer, and what differs from its usual options: `sgd momentum 0.9`."""
    differing = optimizer.model_dump(exclude={"name"}, exclude_defaults=True)
    options = {key: getattr(optimizer, key) for key in differing}
    if momentum:
        options["momentum"] = momentum
    if nesterov:
        options["nesterov"] = True
    if weight_decay != optimizer.decay:
        options["weight_decay"] = weight_decay
    parts: list[str] = [optimizer.name]
    for key, value in options.items():
        values = value if isinstance(value, tuple) else () if value is True else (value,)
        parts += [key.replace("_", "-"), *(f"{number!r}" for number in values)]
    return " ".join(parts)
