"""The trained networks of a run's directory, read when one is first asked for, as is PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdrun.experiment.trained.networks import TrainedNetworks


@dataclass(frozen=True)
class SavedNetworks:
    """Those of the run in a directory."""

    directory: Path

    def network(self, lane: int, *, last: bool) -> Any:
        """That of a lane, an `nn.Module`.

        Raises:
            GdrunError: its files are damaged or gone.
        """
        return self._read().network(lane, last=last)

    def predict(self, rows: Any, lane: int, *, last: bool) -> dict[str, list[Any]]:
        """The predictions of a lane's network for rows, as columns by name.

        Raises:
            GdrunError: its files are damaged or gone, or the rows can't be used.
        """
        return self._read().predict(rows, lane, last=last)

    def _read(self) -> "TrainedNetworks":
        from gdrun.experiment.trained.saved import load_networks
        from gdrun.storage.atomic import output_errors
        from gdrun.storage.saved_run import SavedRun, open_saved

        with output_errors(self.directory, "read"):
            saved = open_saved(self.directory)
            assert isinstance(saved, SavedRun)
            return load_networks(saved)
