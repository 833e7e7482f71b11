"""The trained networks of a run's directory, read when one is first asked for, as is PyTorch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SavedNetworks:
    """Those of the run in a directory."""

    directory: Path

    def network(self, lane: int, *, last: bool) -> Any:
        """That of a lane, an `nn.Module`.

        Raises:
            GdrunError: its files are damaged or gone.
        """
        from gdrun.experiment.trained.saved import load_networks
        from gdrun.storage.atomic import output_errors
        from gdrun.storage.saved_run import SavedRun, open_saved

        with output_errors(self.directory, "read"):
            saved = open_saved(self.directory)
            assert isinstance(saved, SavedRun)
            return load_networks(saved).network(lane, last=last)
