"""How ranks divide the work of a command, in words."""

from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.text import count
from gdrun.training.ranks import Division, Ranks


def division_notes(experiment: ExperimentPlan, size: int) -> list[str]:
    """What so many ranks do of what is left of an experiment; nothing if there is nothing to say.

    How many runs of a sweep are trained at a time is said with how long that takes.
    """
    left = experiment.left
    if size == 1 or not left or experiment.command == "sweep":
        return []
    if not experiment.is_group:
        return [_of_run(left[0], size)]
    return [f"{count(size, 'rank')}: each takes the next run when it is done with its last"]


def _of_run(run: RunPlan, size: int) -> str:
    """How the work of a run is divided among so many ranks, in words."""
    lanes, batch = len(run.plan.lanes), run.plan.batch_size
    if Division(lanes, Ranks(size)).by_rows.size == 1:
        return f"{count(size, 'rank')}: each trains {_about(lanes, size)} of {lanes:,} lanes"
    if batch < size:
        return (
            f"{count(size, 'rank')}, too many for a batch of {count(batch, 'row')}: one process is "
            "faster"
        )
    return (
        f"{count(size, 'rank')}: each has {_about(batch, size)} of the {batch:,} rows of a batch, "
        "and all sum their gradients after each"
    )


def _about(number: int, size: int) -> str:
    least, most = number // size, -(-number // size)
    return f"{most:,}" if least == most else f"{least:,} or {most:,}"
