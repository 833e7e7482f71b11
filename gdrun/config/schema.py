"""The schema of a config: its keys, their defaults and their limits.

A `RunConfig` is frozen and holds only what the user wrote. What follows from it (lanes, updates per
epoch, the device that `auto` picks) is computed where it is needed, and never stored in it.
`gdrun.config.read` reads a config from YAML and flags, `gdrun.config.explain` words its mistakes.
"""

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    Field,
    PlainValidator,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gdrun.config.parts.base import Schema
from gdrun.config.parts.data import DataConfig, QuadraticData
from gdrun.config.parts.groups import CompareConfig, PlotConfig, SweepConfig
from gdrun.config.parts.optimizer import (
    OPTIMIZERS,
    NotNegative,
    OptimizerConfig,
    SGDConfig,
    Share,
    in_words,
    lifted,
)
from gdrun.config.parts.own_code import DEFAULT_MODEL, name_or_function
from gdrun.config.parts.probes import Probes
from gdrun.config.parts.schedule import ConstantSchedule, ScheduleConfig
from gdrun.config.values import (
    BatchSize,
    Count,
    CountOrAuto,
    GrowthOrAuto,
    HiddenSize,
    Rates,
    Seed,
)

Method = Literal["full", "sgd", "minibatch"]
Sampling = Literal["sequential", "reshuffle", "replacement"]
Engine = Literal["auto", "eager", "compiled"]
Loss = Literal["mse", "half_mse", "l1", "huber", "cross_entropy", "bce"]
LossOrFunction = Annotated[str, PlainValidator(name_or_function(get_args(Loss)))]
ModelOrFunction = Annotated[str, PlainValidator(name_or_function((DEFAULT_MODEL,)))]
CLASSIFICATION: tuple[Loss, ...] = ("cross_entropy", "bce")  # the losses of classes
METHODS: tuple[Method, ...] = get_args(Method)


class RunConfig(Schema):
    """Everything that determines a run, except the method.

    Each value in `lr` makes one lane, and so does each of the `seeds` consecutive seeds from `seed`
    on. `batch_size` is what `minibatch` uses: a number of rows, or `full` for all of them.
    `momentum`, `nesterov` and `weight_decay` mean what they mean in the class of `torch.optim` that
    the `optimizer` is; where `weight_decay` isn't set, it is that class's own.

    `model` is a perceptron, which `hidden_size` and `activation` describe, or a function of the
    user's that makes a network; `loss` may be a function of the user's, too.

    At most `chunk_rows` rows of a batch go through the network at a time; None, written `auto`, is
    as many as is fastest. `engine` executes updates one by one (`eager`) or many at a time in one
    compiled program (`compiled`); `auto` is whichever is expected to finish first. `log_every` is 1
    if it is `auto`, and in a sweep what leaves a few rows of each epoch.

    A lane is stopped once its validation loss hasn't been lower than before for `patience` epochs.

    The train loss is evaluated at the end of every `eval_every`-th epoch, and within epochs each
    time that the updates have grown by the share `eval_growth`. That is 0, which is never, if it is
    `auto`, and in a comparison or sweep what tells the updates to a target well at little cost.

    `probes` are measured at epoch 0, at the end of every `probe_every`-th epoch and of the last.

    `trajectory` keeps the weights at the ends of epochs in a file.
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
    optimizer: OptimizerConfig = SGDConfig()
    momentum: Share = 0.0
    nesterov: StrictBool = False
    weight_decay: NotNegative = 0.0
    schedule: ScheduleConfig = ConstantSchedule()
    activation: Literal["relu", "tanh", "sigmoid", "gelu"] = "relu"
    model: ModelOrFunction = DEFAULT_MODEL
    loss: LossOrFunction = "mse"
    data: DataConfig = QuadraticData()
    chunk_rows: CountOrAuto = None
    engine: Engine = "auto"
    eval_every: Count = 1
    eval_growth: GrowthOrAuto = None
    patience: Count | None = None
    log_every: CountOrAuto = None
    checkpoint_every: Count | None = None
    probes: Probes = ()
    probe_every: Count = 10
    trajectory: StrictBool = False
    compare: CompareConfig = CompareConfig()
    sweep: SweepConfig = SweepConfig()
    plot: PlotConfig = PlotConfig()

    @model_validator(mode="before")
    @classmethod
    def _lift_what_optimizers_share(cls, values: Any) -> Any:
        return lifted(values)

    @field_validator("momentum", "nesterov")
    @classmethod
    def _optimizer_has_it(cls, value: float, info: ValidationInfo) -> float:
        optimizer, key = info.data.get("optimizer"), str(info.field_name)
        if value and optimizer and key not in optimizer.has:
            others = [name for name, kind in OPTIMIZERS.items() if key in kind.has]
            raise ValueError(f"{optimizer.name} has none; {key} is for {' and '.join(others)}")
        return value

    @field_validator("nesterov")
    @classmethod
    def _nesterov_needs_momentum(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("momentum") == 0:
            raise ValueError("Input should be false unless momentum is above 0")
        return value

    @property
    def may_be_extended(self) -> bool:
        """Whether there may be more epochs: where no update depends on how many there are."""
        return self.schedule == ConstantSchedule()

    @property
    def rule(self) -> str:
        """The optimizer in words, with what differs from its usual options."""
        return in_words(self.optimizer, self.momentum, self.nesterov, self.weight_decay)

    @property
    def logged_every(self) -> int:
        """How many updates there are from one row of `steps.csv` to the next."""
        return self.log_every or 1
