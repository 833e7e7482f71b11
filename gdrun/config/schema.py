"""The schema of a config: its keys, their defaults and their limits.

A `RunConfig` is frozen and holds only what the user wrote. What follows from it (lanes, updates per
epoch, the device that `auto` picks) is computed where it is needed, and never stored in it.
`gdrun.config.read` reads a config from YAML and flags, `gdrun.config.explain` words its mistakes.
"""

import math
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from gdrun.config.ranges import expand, is_range

Method = Literal["full", "sgd", "minibatch"]
Sampling = Literal["sequential", "reshuffle", "replacement"]
Engine = Literal["auto", "eager", "compiled"]
Loss = Literal["mse", "half_mse", "l1", "huber"]
METHODS: tuple[Method, ...] = get_args(Method)
Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
# PyTorch takes 64 bits, and a product of counts must fit into a float.
MAX_COUNT = 10**15


def _number(value: Any) -> Any:
    """Refuse what Python accepts as a number but isn't written as one: true, text."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("Input should be a number")
    return value.item() if hasattr(value, "item") else value  # of a numpy number


def _text(value: Any) -> Any:
    if not isinstance(value, str | Path) or value == "" or "\0" in str(value):
        raise ValueError("Input should be the path of a file")
    return value


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except (RuntimeError, UnicodeError):
        raise ValueError("Input should be the path of a file of a known user") from None


def _several(value: Any) -> Any:
    """Read one value as a list of one."""
    if hasattr(value, "tolist"):  # an array of numpy or torch
        value = value.tolist()
    return tuple(value) if isinstance(value, list | tuple | range) else (value,)


def _rates(value: Any) -> Any:
    """Read a range as its numbers."""
    return _several(expand(value) if isinstance(value, str) and is_range(value) else value)


def _grid(value: Any) -> Any:
    """Read `auto` as None, and a range as its numbers."""
    return None if value is None or value == "auto" else _rates(value)


def _batch_sizes(value: Any) -> Any:
    """Read `auto` as None, and a range as whole numbers without repeats."""
    if isinstance(value, str) and is_range(value):
        return tuple(dict.fromkeys(map(round, expand(value))))
    return _grid(value)


def _batch_size(value: Any) -> int | Literal["full"]:
    if value == "full":
        return "full"
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 1 <= value < math.inf or value != int(value):
        raise ValueError("Input should be a whole number of at least 1, or full")
    if value > MAX_COUNT:
        raise ValueError(f"Input should be less than or equal to {MAX_COUNT}")
    return int(value)


def _all_differ(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    repeated = [value for k, value in enumerate(values or ()) if value in (values or ())[:k]]
    if repeated:
        raise ValueError(f"Input should be a list without repeats, got {repeated[0]} twice")
    return values


def _auto(value: Any) -> Any:
    """Read `auto` as None."""
    if value == "auto":
        return None
    if isinstance(value, str) or value is None:
        raise ValueError("Input should be auto or a number of rows")
    return value


def _one_or_several(values: tuple[Any, ...] | None) -> Any:
    if values is None:
        return "auto"
    return values[0] if len(values) == 1 else list(values)


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[Integer, Field(ge=1, le=MAX_COUNT)]
# torch.manual_seed takes 64 bits; this bound leaves room for `seed + k`.
Seed = Annotated[Integer, Field(ge=0, lt=2**62)]
# Absolute, so that a saved config names the same file from any directory.
FilePath = Annotated[Path, BeforeValidator(_text), AfterValidator(_absolute)]
Several = (BeforeValidator(_several), PlainSerializer(_one_or_several))
Rates = Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_all_differ)]
BatchSize = Annotated[int | Literal["full"], PlainValidator(_batch_size)]
BatchSizes = Annotated[tuple[BatchSize, ...], Field(min_length=1), AfterValidator(_all_differ)]
Auto = PlainSerializer(lambda value: "auto" if value is None else value)


class Schema(BaseModel):
    """A mapping that refuses unknown keys and never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Schema):
    """The keys that every source of data has.

    `standardize` scales features and target to zero mean and unit variance by the training rows'
    mean and deviation; `val_fraction` of the rows, drawn by `seed`, are held out for validation.
    """

    source: str
    standardize: StrictBool = False
    val_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    seed: Seed = 0


class QuadraticData(Data):
    """The article's data: x = linspace(-1, 1, rows), y = x² + noise · U[0, 1)."""

    source: Literal["quadratic"] = "quadratic"
    rows: Count = 100
    noise: Annotated[Number, Field(ge=0)] = 0.2


class MeanEstimationData(Data):
    """Normal random numbers with exactly this mean and variance (with 1/N); no features.

    Under the loss `half_mse` a constant model has ℓ_i(θ) = ½(θ − x_i)², for which gradient descent
    has a closed form.
    """

    source: Literal["mean_estimation"] = "mean_estimation"
    mean: Number = 1.0
    variance: Annotated[Number, Field(ge=0)] = 1.0
    rows: Count = 100

    @field_validator("rows")
    @classmethod
    def _rows_can_vary(cls, value: int, info: ValidationInfo) -> int:
        if value == 1 and info.data.get("variance"):
            raise ValueError("Input should be at least 2 unless data.variance is 0")
        return value


class CsvData(Data):
    """A CSV file with a header line; without `features`, all numeric columns but the target."""

    source: Literal["csv"] = "csv"
    path: FilePath
    target: str
    features: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    standardize: StrictBool = True


class NpyData(Data):
    """Two .npy files, x (N, D) or (N,) and y (N,) or (N, 1), read while they are needed."""

    source: Literal["npy"] = "npy"
    x: FilePath
    y: FilePath
    standardize: StrictBool = True


def _with_source(value: Any) -> Any:
    if isinstance(value, dict) and "source" not in value:
        return {"source": "quadratic", **value}
    return value


DataConfig = Annotated[
    QuadraticData | MeanEstimationData | CsvData | NpyData,
    Field(discriminator="source"),
    BeforeValidator(_with_source),
]
DATA_SOURCES: dict[str, type[Data]] = {
    "quadratic": QuadraticData,
    "mean_estimation": MeanEstimationData,
    "csv": CsvData,
    "npy": NpyData,
}


DATA_FILES = ("path", "x", "y")  # the keys of `data` that name files


class PlotConfig(Schema):
    """Whether and how pictures are drawn."""

    enabled: StrictBool = True
    format: Format = "png"
    dpi: Annotated[Integer, Field(ge=30, le=1200)] = 150


class SweepConfig(Schema):
    """The grid of `gdrun sweep`; None, written `auto`, is chosen by the rest of the config.

    Each `batch_size` is a run (`full`: all rows), and each `lr` is a lane of every run. A training
    reaches the `target` once its train loss is at or below it.
    """

    lr: Annotated[Rates | None, BeforeValidator(_grid), PlainSerializer(_one_or_several)] = None
    batch_size: Annotated[
        BatchSizes | None, BeforeValidator(_batch_sizes), PlainSerializer(_one_or_several)
    ] = None
    target: Annotated[
        Positive | None, BeforeValidator(lambda value: None if value == "auto" else value), Auto
    ] = None


class RunConfig(Schema):
    """Everything that determines a run, except the method.

    Each value in `lr` makes one lane, and so does each of the `seeds` consecutive seeds from `seed`
    on. `batch_size` is what `minibatch` uses: a number of rows, or `full` for all of them.
    `momentum`, `nesterov` and `weight_decay` mean what they mean in `torch.optim.SGD`.

    At most `chunk_rows` rows of a batch go through the network at a time; None, written `auto`, is
    as many as is fastest. `engine` executes updates one by one (`eager`) or many at a time in one
    compiled program (`compiled`); `auto` is whichever is expected to finish first.
    """

    lr: Annotated[Rates, BeforeValidator(_rates), PlainSerializer(_one_or_several)] = (0.2,)
    hidden_size: Annotated[tuple[Count, ...], *Several] = (10,)
    batch_size: BatchSize = 16
    epochs: Count = 100
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    seed: Seed = 0
    seeds: Annotated[Count, Field(le=100_000)] = 1
    sampling: Sampling = "reshuffle"
    drop_last: StrictBool = False
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    nesterov: StrictBool = False
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    activation: Literal["relu", "tanh", "sigmoid", "gelu"] = "relu"
    loss: Loss = "mse"
    data: DataConfig = QuadraticData()
    chunk_rows: Annotated[Count | None, BeforeValidator(_auto), Auto] = None
    engine: Engine = "auto"
    eval_every: Count = 1
    log_every: Count = 1
    checkpoint_every: Count | None = None
    sweep: SweepConfig = SweepConfig()
    plot: PlotConfig = PlotConfig()

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0:
            raise ValueError("Input should be false unless momentum is above 0")
        return value
