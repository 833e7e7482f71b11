"""The schema of a config: its keys, their defaults and their limits.

A `RunConfig` is frozen and holds only what the user wrote. What follows from it (lanes, updates per
epoch, the device that `auto` picks) is computed where it is needed, and never stored in it.
`gdrun.config.read` reads a config from YAML and flags, `gdrun.config.explain` words its mistakes.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from gdrun.config.values import (
    BatchSize,
    BatchSizesOrAuto,
    Categorical,
    ColumnName,
    ColumnNames,
    CommentOrAuto,
    Count,
    CountOrAuto,
    DecimalOrAuto,
    DelimiterOrAuto,
    EncodingOrAuto,
    FilePath,
    FlagOrAuto,
    GrowthOrAuto,
    HiddenSize,
    Integer,
    NetworksOrAuto,
    Number,
    PositiveOrAuto,
    Rates,
    RatesOrAuto,
    Seed,
)

Method = Literal["full", "sgd", "minibatch"]
Sampling = Literal["sequential", "reshuffle", "replacement"]
Engine = Literal["auto", "eager", "compiled"]
Loss = Literal["mse", "half_mse", "l1", "huber"]
METHODS: tuple[Method, ...] = get_args(Method)
Format = Literal["png", "svg", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
Scale = Literal["paper", "slides"]
SCALES: tuple[Scale, ...] = get_args(Scale)


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
    """A CSV file; without `features`, all columns of numbers but the target.

    `exclude` leaves columns out, and `categorical` names columns of text that are encoded as one
    column of zeros and ones for each of their categories (`all`: every column of text). Rows with a
    missing cell are left out (`missing: drop`), or their cells are filled with the mean of the
    training rows; `error` refuses them. How the file is written is found out; the other keys say
    it.
    """

    source: Literal["csv"] = "csv"
    path: FilePath
    target: ColumnName
    features: Annotated[ColumnNames, Field(min_length=1)] | None = None
    exclude: ColumnNames = ()
    categorical: Categorical = ()
    missing: Literal["drop", "mean", "error"] = "drop"
    delimiter: DelimiterOrAuto = None
    decimal: DecimalOrAuto = None
    header: FlagOrAuto = None
    encoding: EncodingOrAuto = None
    comment: CommentOrAuto = None
    standardize: StrictBool = True

    @property
    def named_categories(self) -> tuple[str, ...]:
        """The columns that `categorical` names."""
        return () if self.categorical == "all" else self.categorical


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


FILE_SOURCES = ("csv", "npy")
DATA_FILES = ("path", "x", "y")  # the keys of `data` that name files
# Those that hold text as it is written, though it may look like a number or a truth value.
DATA_TEXTS = frozenset(
    ("data", key)
    for key in (
        *DATA_FILES,
        *("target", "features", "exclude", "categorical"),
        *("delimiter", "decimal", "encoding", "comment"),
    )
)


class PlotConfig(Schema):
    """Whether and how pictures are drawn: for a page, or with text that is fit to project."""

    enabled: StrictBool = True
    format: Format = "png"
    scale: Scale = "paper"
    dpi: Annotated[Integer, Field(ge=30, le=1200)] = 150


class SweepConfig(Schema):
    """The grid of `gdrun sweep`; None, written `auto`, is chosen by the rest of the config.

    Each `batch_size` is a run (`full`: all rows), and each `lr` is a lane of every run. A training
    reaches the `target` once its train loss is at or below it.
    """

    lr: RatesOrAuto = None
    batch_size: BatchSizesOrAuto = None
    target: PositiveOrAuto = None


class CompareConfig(Schema):
    """The runs of `gdrun compare`; None, written `auto`, are the three methods on one network.

    Each `batch_size` is a run (`full`: all rows) and, if there are several networks, each
    `hidden_size` with each of these.
    """

    batch_size: BatchSizesOrAuto = None
    hidden_size: NetworksOrAuto = None


class RunConfig(Schema):
    """Everything that determines a run, except the method.

    Each value in `lr` makes one lane, and so does each of the `seeds` consecutive seeds from `seed`
    on. `batch_size` is what `minibatch` uses: a number of rows, or `full` for all of them.
    `momentum`, `nesterov` and `weight_decay` mean what they mean in `torch.optim.SGD`.

    At most `chunk_rows` rows of a batch go through the network at a time; None, written `auto`, is
    as many as is fastest. `engine` executes updates one by one (`eager`) or many at a time in one
    compiled program (`compiled`); `auto` is whichever is expected to finish first. `log_every` is 1
    if it is `auto`, and in a sweep what leaves a few rows of each epoch.

    The train loss is evaluated at the end of every `eval_every`-th epoch, and within epochs each
    time that the updates have grown by the share `eval_growth`. That is 0, which is never, if it is
    `auto`, and in a comparison or sweep what tells the updates to a target well at little cost.
    """

    lr: Rates = (0.2,)
    hidden_size: HiddenSize = (10,)
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
    chunk_rows: CountOrAuto = None
    engine: Engine = "auto"
    eval_every: Count = 1
    eval_growth: GrowthOrAuto = None
    log_every: CountOrAuto = None
    checkpoint_every: Count | None = None
    compare: CompareConfig = CompareConfig()
    sweep: SweepConfig = SweepConfig()
    plot: PlotConfig = PlotConfig()

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0:
            raise ValueError("Input should be false unless momentum is above 0")
        return value

    @property
    def logged_every(self) -> int:
        """How many updates there are from one row of `steps.csv` to the next."""
        return self.log_every or 1
