"""The key `data`: where rows come from, and how they are split and scaled."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from gdrun.config.parts.base import Schema
from gdrun.config.parts.own_code import own_function
from gdrun.config.values import (
    Categorical,
    ColumnName,
    ColumnNames,
    CommentOrAuto,
    Count,
    DecimalOrAuto,
    DelimiterOrAuto,
    EncodingOrAuto,
    FilePath,
    FlagOrAuto,
    Number,
    Seed,
    Shape,
    Targets,
)


class Data(Schema):
    """The keys that every source of data has.

    `standardize` scales features and target to zero mean and unit variance by the training rows'
    mean and deviation; `val_fraction` of the rows, drawn by `seed`, are held out for validation.
    A row has the features of a tensor of some `shape`, which a network of the user's gets.
    """

    source: str
    standardize: StrictBool = False
    val_fraction: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    seed: Seed = 0
    shape: Shape | None = None


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


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError("Input should be a power of 2, such as 64")
    return value


class HadamardData(Data):
    """A regression without noise on the rows of Sylvester's Hadamard matrix, d = `rows` of them.

    Features are its d − 1 columns that aren't constant; the bias is the constant one. So the rows
    are orthogonal, and the curvature of the train loss is the same in all directions.
    """

    source: Literal["hadamard"] = "hadamard"
    rows: Annotated[Count, Field(ge=2, le=2**12), AfterValidator(_power_of_two)] = 64


class TwoClassesData(Data):
    """Points (x1, x2) of two classes: `class`, the target, is 0 or 1.

    Half of the rows are of each class; of an odd number, class 1 has one more. Both coordinates
    have normal noise of the deviation `noise`.
    """

    rows: Annotated[Count, Field(ge=2)] = 200
    noise: Annotated[Number, Field(ge=0)] = 0.1


class SpiralData(TwoClassesData):
    """Two intertwined Archimedean spirals of `turns` turns (Lang & Witbrock 1988).

    Their arms are half a unit apart, however many turns there are.
    """

    source: Literal["spiral"] = "spiral"
    turns: Annotated[Number, Field(gt=0)] = 1.5


class MoonsData(TwoClassesData):
    """Two interleaving half circles, those of scikit-learn's `make_moons`."""

    source: Literal["moons"] = "moons"


class CirclesData(TwoClassesData):
    """A circle of radius `factor` in one of radius 1, those of scikit-learn's `make_circles`."""

    source: Literal["circles"] = "circles"
    factor: Annotated[Number, Field(ge=0, lt=1)] = 0.5


class TableData(Data):
    """Columns of a table; without `features`, all columns of numbers but the target, or targets.

    `exclude` leaves columns out, and `categorical` names columns of text that are encoded as one
    column of zeros and ones for each of their categories (`all`: every column of text). Rows with a
    missing cell are left out (`missing: drop`), or their cells are filled with the mean of the
    training rows; `error` refuses them.
    """

    target: Targets
    features: Annotated[ColumnNames, Field(min_length=1)] | None = None
    exclude: ColumnNames = ()
    categorical: Categorical = ()
    missing: Literal["drop", "mean", "error"] = "drop"
    standardize: StrictBool = True

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return "the table"

    def at(self, row: int) -> str:
        """What a row is called in messages, by its number."""
        return f"row {row} (from 0)"

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def named_categories(self) -> tuple[str, ...]:
        """The columns that `categorical` names."""
        return () if self.categorical == "all" else self.categorical


class _File(Data):
    path: FilePath


class TableFile(TableData, _File):
    """A table in a file."""

    @property
    def label(self) -> str:
        """The path of the file."""
        return str(self.path)


class CsvData(TableFile):
    """A CSV file. How it is written is found out; its keys say what was guessed wrong."""

    source: Literal["csv"] = "csv"
    delimiter: DelimiterOrAuto = None
    decimal: DecimalOrAuto = None
    header: FlagOrAuto = None
    encoding: EncodingOrAuto = None
    comment: CommentOrAuto = None

    def at(self, row: int) -> str:
        """What a row is called: by the line that it begins in."""
        return f"line {row}"


class ParquetData(TableFile):
    """A Parquet file, whose columns have types; reading it takes the extra `parquet`."""

    source: Literal["parquet"] = "parquet"


@dataclass(frozen=True, eq=False)
class Given:
    """Rows that were given from Python: the same only if they are the same object."""

    rows: Any


class MemoryData(TableData):
    """Rows that were given from Python, in memory: arrays, or a DataFrame with these columns.

    They are no part of what is saved.
    """

    source: Literal["memory"] = "memory"
    target: Targets = "y"

    _given: Given | None = PrivateAttr(default=None)

    @property
    def given(self) -> Given | None:
        """The rows; None of a saved run."""
        return self._given

    def with_rows(self, rows: Any) -> "MemoryData":
        """The same with rows."""
        copy = self.model_copy()
        copy._given = Given(rows)
        return copy


class PythonData(TableData):
    """What a function of the user's returns: arrays, or a DataFrame with these columns."""

    source: Literal["python"] = "python"
    path: Annotated[str, BeforeValidator(own_function)]
    target: Targets = "y"


class NpyData(Data):
    """Two .npy files, x (N, D) or (N,) and y (N,) or (N, T), read while they are needed."""

    source: Literal["npy"] = "npy"
    x: FilePath
    y: FilePath
    standardize: StrictBool = True


class NpzData(Data):
    """A .npz file, whose arrays `x` and `y` are called so; and `x_val` and `y_val`, if it has them.

    Their shapes are those of .npy files.
    """

    source: Literal["npz"] = "npz"
    path: FilePath
    x: ColumnName = "x"
    y: ColumnName = "y"
    standardize: StrictBool = True


def _with_source(value: Any) -> Any:
    if isinstance(value, dict) and "source" not in value:
        return {"source": "quadratic", **value}
    return value


GeneratedData = (
    QuadraticData | MeanEstimationData | HadamardData | SpiralData | MoonsData | CirclesData
)
DataConfig = Annotated[
    GeneratedData | CsvData | ParquetData | NpyData | NpzData | PythonData | MemoryData,
    Field(discriminator="source"),
    BeforeValidator(_with_source),
]
DATA_SOURCES: dict[str, type[Data]] = {
    "quadratic": QuadraticData,
    "mean_estimation": MeanEstimationData,
    "hadamard": HadamardData,
    "spiral": SpiralData,
    "moons": MoonsData,
    "circles": CirclesData,
    "csv": CsvData,
    "parquet": ParquetData,
    "npy": NpyData,
    "npz": NpzData,
    "python": PythonData,
    "memory": MemoryData,
}


# The keys of `data` that name files, by source.
_FILES_OF: dict[str, tuple[str, ...]] = {
    "csv": ("path",),
    "parquet": ("path",),
    "npy": ("x", "y"),
    "npz": ("path",),
}
FILE_SOURCES = (*_FILES_OF, "python", "memory")  # of rows that somebody has collected
# By the ends of the names of files; all others are CSV files.
SOURCE_OF = {".npy": "npy", ".npz": "npz", ".parquet": "parquet", ".pq": "parquet"}
DATA_FILES = ("path", "x", "y")
# Those that hold text as it is written, though it may look like a number or a truth value.
DATA_TEXTS = frozenset(
    ("data", key)
    for key in (
        *DATA_FILES,
        *("target", "features", "exclude", "categorical"),
        *("delimiter", "decimal", "encoding", "comment"),
    )
)


def files_of(source: object) -> tuple[str, ...]:
    """The keys of `data` that name files; all of them where the source is still to be named."""
    return _FILES_OF.get(source, DATA_FILES) if isinstance(source, str) else DATA_FILES
