"""The keys that are about several runs and their pictures: `compare`, `sweep` and `plot`."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, StrictBool, model_serializer

from gdrun.config.parts.base import Schema
from gdrun.config.parts.swept import OptimizersOrAuto
from gdrun.config.values import (
    BatchSizesOrAuto,
    Integer,
    NetworksOrAuto,
    PiecesOrAuto,
    PositiveOrAuto,
    RatesOrAuto,
)

Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
Scale = Literal["paper", "slides"]
SCALES: tuple[Scale, ...] = get_args(Scale)


class PlotConfig(Schema):
    """Whether and how pictures are drawn: for a page, or with text that is fit to project."""

    enabled: StrictBool = True
    format: Format = "png"
    scale: Scale = "paper"
    dpi: Annotated[Integer, Field(ge=30, le=1200)] = 150


class SweepConfig(Schema):
    """The grid of `gdrun sweep`; None, written `auto`, is chosen by the rest of the config.

    Each `batch_size` is a run (`full`: all rows), and each `lr` is a lane of every run. A training
    reaches the `target` once its train loss is at or below it. With several of `optimizer`, each
    has a run of each batch size; `auto` is the optimizer of the config. The grid is cut into about
    so many `pieces`: a batch size that takes long becomes several runs, of some rates each; `auto`
    is one run for each batch size or, with torchrun, what lets its processes end soonest.
    """

    lr: RatesOrAuto = None
    batch_size: BatchSizesOrAuto = None
    optimizer: OptimizersOrAuto = None
    target: PositiveOrAuto = None
    pieces: PiecesOrAuto = None

    @model_serializer(mode="wrap")
    def _as_written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        for later in ("optimizer", "pieces"):  # which older versions don't know
            if values.get(later) == "auto":
                values.pop(later)
        return values


class CompareConfig(Schema):
    """The runs of `gdrun compare`; None, written `auto`, are the three methods on one network.

    Each `batch_size` is a run (`full`: all rows) and, if there are several networks, each
    `hidden_size` with each of these.
    """

    batch_size: BatchSizesOrAuto = None
    hidden_size: NetworksOrAuto = None
