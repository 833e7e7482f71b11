"""What was predicted: in words, as JSON, as CSV."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.cli.saved.network import ChosenLane
from gdrun.config.parts.data import TableData
from gdrun.results.run import SCHEMA_VERSION, finite
from gdrun.storage.atomic import output_errors, replacing
from gdrun.terminal.console import write, write_json
from gdrun.text import count, number, visible

if TYPE_CHECKING:
    from gdrun.data.preprocessing.new_rows import NewRows
    from gdrun.experiment.trained.networks import TrainedNetworks
    from gdrun.experiment.trained.predict import Predictions


@dataclass(frozen=True)
class Predicted:
    """The predictions of a network for the rows of a file.

    Attributes:
        chosen: which network it is.
        networks: those of its run.
        rows: of the file.
        found: the predictions.
    """

    chosen: ChosenLane
    networks: "TrainedNetworks"
    rows: "NewRows"
    found: "Predictions"

    def in_words(self, file: str) -> Iterator[str]:
        """What was assumed of a file, which network predicts, and how good it is."""
        found = self.found
        for note in self.rows.notes:
            yield f"note: {file}: {note}"
        yield self.chosen.in_words(self.networks)
        if found.lacking:
            rows = count(len(self.rows), "row")
            data = self.chosen.run.settings.data
            may_be_filled = isinstance(data, TableData) and data.missing == "drop"
            how = "; a run with data.missing=mean fills it" if may_be_filled else ""
            yield f"no prediction for {found.lacking:,} of {rows}, in which a cell is missing{how}"
        if found.score:
            about, (loss, *metrics) = self.chosen.result.description, found.score
            shown = [f"{about.loss_name}: {number(found.score[loss])}"]
            shown += [f"{name}: {number(found.score[name])}" for name in metrics]
            yield f"in {count(found.scored, 'row')} with {about.target}, {', '.join(shown)}"

    def report(self, output: Path | None, *, as_json: bool) -> None:
        """Write the CSV to a file, or print it; or print JSON.

        Raises:
            OutputError: the file can't be written.
        """
        if output is not None:
            with (
                output_errors(output, "written"),
                replacing(output) as partial,
                partial.open("x", encoding="utf-8", newline="") as file,
            ):
                file.writelines(self._csv())
        if as_json:
            write_json({"schema": SCHEMA_VERSION, **self._facts(output)})
        elif output is not None:
            write(visible(str(output)) + "\n")
        else:
            for text in self._csv():
                write(text)

    def _csv(self) -> Iterator[str]:
        """The cells of the file, if it was CSV, and the predictions."""
        from gdrun.tables.csv_text.write import csv_text

        layout = self.rows.layout
        return csv_text(
            layout, self.found.names, self.found.cells(layout.decimal if layout else ".")
        )

    def _facts(self, output: Path | None) -> dict[str, Any]:
        """What was predicted by which network, and where it was written, or the predictions."""
        chosen, found = self.chosen, self.found
        lane = {"position": chosen.position, "lr": chosen.lane.lr, "seed": chosen.lane.seed}
        return {
            "run": str(chosen.run.path),
            "lane": lane,
            "epoch": chosen.epoch(self.networks),
            "rows": len(self.rows),
            "rows_without_prediction": found.lacking,
            "rows_with_target": found.scored,
            "score": {name: finite(value) for name, value in found.score.items()},
            **({"predictions": found.columns} if output is None else {"path": str(output)}),
        }
