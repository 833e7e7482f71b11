"""The functions that a saved run has learned, by its last checkpoint; and its plan, made again."""

from gdrun.config.parts.data import PythonData
from gdrun.config.parts.own_code import OWN_CODE, is_own
from gdrun.errors import DataError
from gdrun.experiment.checkpoint import last_checkpoint, most_bytes
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import RunPlan
from gdrun.results.file_names import CHECKPOINT
from gdrun.results.fits import Fit, Regions
from gdrun.storage.saved_run import SavedRun
from gdrun.training.outcome import learned
from gdrun.training.problem import Problem
from gdrun.training.state import initial_state


def fit_of(saved: SavedRun) -> Fit | Regions | None:
    """What a saved run has learned, by its last checkpoint.

    None where a picture can't show it: of many features, or several targets.

    Raises:
        GdrunError: it has no checkpoint, this is damaged, or the data is not what it was.
        OSError: a file can't be read.
    """
    about = saved.description
    if not (about.has_fit or about.has_regions):
        return None
    refuse_own_code(saved)
    with memory_errors():
        run = plan_of(saved)
        problem, new = run.problem, initial_state(run.problem, run.plan)
        checkpoint, _ = last_checkpoint(saved.path, most_bytes(new))
        if checkpoint is None:
            raise DataError(f"{saved.path / CHECKPOINT}: is missing")
        refuse_other_data(problem, checkpoint.data)
        if not checkpoint.state.fits(new, run.plan, problem.data.rows):
            raise DataError(f"{saved.path / CHECKPOINT}: is of another network, or of another plan")
        return learned(problem, checkpoint.state.params, about)


def refuse_own_code(saved: SavedRun) -> None:
    """Refuse to run code of the user's for a picture: only who trains has asked for that.

    Raises:
        DataError: the network, the loss or the data of a run comes from such code.
    """
    named = [getattr(saved.settings, key) for key in OWN_CODE]
    if isinstance(saved.settings.data, PythonData):
        named.append(saved.settings.data.path)
    for reference in filter(is_own, named):
        raise DataError(
            f"{saved.path}: what it learned isn't drawn again, since that would run the code of "
            f"{reference}",
            "gdrun draws it where the run is trained",
        )


def plan_of(saved: SavedRun) -> RunPlan:
    """The plan of a saved run by itself, on the processor, with the data as it is today.

    Raises:
        GdrunError: its config is damaged, or the data can't be read or used.
        OSError: a file can't be read.
    """
    config = saved.settings.model_copy(update={"device": "cpu"})
    (run,) = plan_experiment(saved.experiment, config).runs
    return run


def refuse_other_data(problem: Problem, fingerprint: str) -> None:
    """Refuse data that has another fingerprint.

    Raises:
        DataError: it has.
    """
    if not problem.data.is_as(fingerprint):
        raise DataError(f"{problem.data.title}: the data is not what the run was begun with")
