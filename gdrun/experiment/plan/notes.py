"""What the user should know of the network, the batches and the learning rate of a plan."""

from collections.abc import Iterator, Sequence

from gdrun.config.parts.data import FILE_SOURCES
from gdrun.config.schema import RunConfig
from gdrun.errors import excerpt
from gdrun.experiment.landscape.layout import MOST_BYTES, kept_every
from gdrun.experiment.plan.runs import RunPlan
from gdrun.text import count, listed, size
from gdrun.training.models.own import OwnNetwork
from gdrun.training.problem import Problem


def notes_on(
    asked: RunConfig, config: RunConfig, problem: Problem, runs: Sequence[RunPlan]
) -> Iterator[str]:
    """What the user should know of the network, the batches, and how often weights are kept.

    Args:
        asked: the config as requested.
        config: with batches that fit the data.
        problem: that of the first run.
        runs: of the plan.
    """
    if isinstance(problem.model, OwnNetwork):
        yield from _notes_on_network(config, problem.model, runs)
    kept = (kept_every(run.config, run.problem.model.parameters) for run in runs)
    seldom = max((every or 1 for every in kept), default=1)
    if seldom > 1:
        yield (
            f"trajectory: the weights of every {seldom:,}th epoch are kept, as the file has at "
            f"most {size(MOST_BYTES)}"
        )
    rows = count(problem.data.rows, "training row")
    if asked.batch_size != config.batch_size:
        yield f"batch_size: {config.batch_size}, not {asked.batch_size}, as there are {rows}"
    left_out = [
        f"batches of {run.plan.batch_size:,} leave {problem.data.rows % run.plan.batch_size:,}"
        for run in runs
        if run.plan.drop_last and problem.data.rows % run.plan.batch_size
    ]
    if left_out:
        yield f"{listed(left_out)} of {rows} out of every epoch: drop_last: false uses them"
    ordered = any(
        run.plan.sampling == "sequential" and run.plan.batch_size < problem.data.rows
        for run in runs
    )
    column = problem.data.sorted_by if ordered and config.data.source in FILE_SOURCES else None
    if column is not None:
        yield (
            f"the rows are visited in order, and are sorted by {excerpt(column)}: each batch holds "
            "rows that are alike; sampling: reshuffle mixes them"
        )


def notes_on_rate(command: str, config: RunConfig) -> Iterator[str]:
    """What the user should know of a learning rate that nobody chose."""
    usual, name = config.optimizer.usual_lr, config.optimizer.name
    of_sweep = command == "sweep" and (config.sweep.lr or config.sweep.optimizer)
    chosen = "lr" in config.model_fields_set or of_sweep
    if usual is not None and not chosen:
        yield (
            f"lr: {config.lr[0]:g}, the default, is large for {name}; torch.optim has {usual:g} "
            "for it"
        )


def _notes_on_network(
    config: RunConfig, model: OwnNetwork, runs: Sequence[RunPlan]
) -> Iterator[str]:
    """What the user should know of a network of one's own."""
    defaults = RunConfig()
    unused = [
        key
        for key in ("hidden_size", "activation")
        if getattr(config, key) != getattr(defaults, key)
    ]
    if unused:
        yield f"{listed(unused)}: of the perceptron, and not used by {model.function.name}"
    if not model.is_batched and any(len(run.plan.lanes) > 1 for run in runs):
        yield (
            f"{model.function.name}: torch.func.vmap can't compute the lanes of {model.title} "
            "together, so they are computed one after the other"
        )
