"""The trained networks of a saved run, by its last checkpoint; its data isn't needed for that."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gdrun.config.methods import updates_per_epoch
from gdrun.config.parts.own_code import OWN_CODE
from gdrun.data.dataset import Dataset
from gdrun.data.own.find import hash_of
from gdrun.data.preprocessing.record import Preprocessing, read_preprocessing
from gdrun.errors import DataError
from gdrun.experiment.checkpoint import last_checkpoint, most_bytes
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.make import lanes_of
from gdrun.experiment.replay.fits import plan_of, refuse_other_data
from gdrun.experiment.resume import refuse_other_code
from gdrun.experiment.trained.networks import TrainedNetworks
from gdrun.results.file_names import CHECKPOINT, PREPROCESSING
from gdrun.storage.saved_run import SavedRun
from gdrun.training.models.model import Params
from gdrun.training.optimizers.build import build_optimizer
from gdrun.training.patience import BestEpochs
from gdrun.training.problem import build_problem
from gdrun.training.state import Plan, TrainState, initial_state


def load_networks(
    saved: SavedRun, code: Mapping[str, str] = MappingProxyType({})
) -> TrainedNetworks:
    """The networks of all lanes of a saved run, on the processor.

    A network of the user's is built by the code that the config of the run names, as it is when the
    run is resumed.

    Args:
        saved: the run.
        code: by key of the config, where functions of the user's are now, if they were moved.

    Raises:
        GdrunError: it has no checkpoint, a file is damaged, or the user's code was changed since.
        OSError: a file can't be read.
    """
    config = saved.settings.model_copy(update={"device": "cpu", **code})
    with memory_errors():
        data = Dataset.without_rows(_preprocessing(saved), saved.description.data)
        named = {key: str(getattr(config, key)) for key in OWN_CODE}
        own = {key: (Path(reference).name, hash_of(reference)) for key, reference in named.items()}
        known = {key: (name, sha256) for key, (name, sha256) in own.items() if sha256 is not None}
        refuse_other_code(known, saved.manifest, saved.path)  # before any of it is run
        problem = build_problem(config, data)
        lanes = lanes_of(config)
        plan = Plan(lanes, batch_size=1, epochs=config.epochs, optimizer=build_optimizer(config))
        new = initial_state(problem, plan)
        checkpoint, _ = last_checkpoint(saved.path, most_bytes(new))
        if checkpoint is None:
            raise DataError(
                f"{saved.path / CHECKPOINT}: is missing, and the weights are in it", "put it back"
            )
        state = checkpoint.state
        wanted = BestEpochs.none_yet(len(lanes), new.params)
        if _shapes(state.params) != _shapes(new.params) or not state.best.fits(wanted, state.epoch):
            raise DataError(f"{saved.path / CHECKPOINT}: is of another network")
    best = _best(saved, state)
    return TrainedNetworks(problem, state.params, best.params, tuple(best.epochs))


def _preprocessing(saved: SavedRun) -> Preprocessing:
    """What was learned of the training rows; of an older gdrun's run they are read again."""
    found = read_preprocessing(saved.path)
    if found is None:
        problem = plan_of(saved).problem
        if saved.manifest.data_fingerprint is not None:
            refuse_other_data(problem, saved.manifest.data_fingerprint)
        found = problem.data.preprocessing
    about = saved.description
    sizes = (len(found.features), len(found.targets), len(found.classes))
    if sizes != (len(about.features), max(1, len(about.targets)), len(about.classes)):
        raise DataError(f"{saved.path / PREPROCESSING}: is of another run", "put it back as it was")
    return found


def _best(saved: SavedRun, state: TrainState) -> BestEpochs:
    """The best epochs of all lanes, with their weights if they were kept.

    The last checkpoint is that before the closing evaluation: the epoch that it closes may be the
    best, and its weights are then the last ones.
    """
    best, manifest = state.best.clone(), saved.manifest
    drop_last = saved.settings.drop_last
    per_epoch = updates_per_epoch(saved.description.rows, manifest.batch_size, drop_last=drop_last)
    epoch, rest = divmod(state.updates, per_epoch)
    at_its_end = [
        lane
        for lane, result in enumerate(saved.lanes)
        if not rest and result.best_val_epoch == epoch and best.epochs[lane] < epoch
    ]
    best.keep(at_its_end, state.params)
    for lane in at_its_end:
        best.epochs[lane] = epoch
    return best


def _shapes(params: Params) -> list[object]:
    return [(tensor.shape, tensor.dtype) for tensor in params]
