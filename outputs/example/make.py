"""Make the README's pictures from real runs: `python outputs/example/make.py`."""

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.cli.preview import how, progress_of_runs
from gdrun.config.read import load_config
from gdrun.experiment.execute import execute
from gdrun.experiment.prepare import prepare_command
from gdrun.plots.pictures import pictures
from gdrun.results.compare import compare_results
from gdrun.results.progress import RunProgress
from gdrun.results.run import RunResult
from gdrun.terminal.live import LiveView
from gdrun.terminal.tables import result_notes, result_table

HERE = Path(__file__).parent


def main() -> None:
    """Keep the pictures of the article's experiment, of the diabetes preset, and of its sweep."""
    compare()
    sweep()


def sweep() -> None:
    """Train the grid of the diabetes preset; keep its pictures, not those of its runs."""
    config = load_config("diabetes", ["seeds=16"])
    events = list(execute(prepare_command("sweep", config).experiment))
    results = [event for event in events if isinstance(event, RunResult)]
    (result,) = (event for event in events if isinstance(event, SweepResult))
    for picture in pictures(results, HERE, config.plot, result):
        picture.draw().savefig(HERE / f"sweep-{picture.path.name}", dpi=110)


def compare() -> None:
    """Train the article's experiment and the diabetes preset."""
    for preset, settings in (("article", []), ("diabetes", ["seeds=8"])):
        config = load_config(preset, settings)
        experiment = prepare_command("compare", config).experiment
        screen = Console(file=StringIO(), width=92, height=24, force_terminal=True)
        view = LiveView(screen)
        view.begin(experiment.description, how(experiment), progress_of_runs(experiment))
        frame = None
        results: list[RunResult] = []
        for event in execute(experiment):
            if isinstance(event, RunResult):
                results.append(event)
            elif isinstance(event, RunProgress):
                view.show(event)
                if frame is None and event.series.method == "sgd" and event.epoch == 60:
                    frame = view.render()
        comparison = compare_results(results)
        if preset == "article":
            assert frame is not None
            command = Text("$ gdrun compare\n", style="bold")
            table = result_table(comparison, screen)
            notes = [Text(note, style="dim") for note in result_notes(comparison, results)]
            svg = Console(file=StringIO(), record=True, width=92)
            svg.print(
                command, frame, Text("\n… and when it is done:\n", style="italic"), table, *notes
            )
            svg.save_svg(str(HERE / "live.svg"), title="gdrun")
        for picture in pictures(results, HERE, config.plot):
            name = f"{preset}-{picture.path.name}"
            picture.draw().savefig(HERE / name, dpi=110)


if __name__ == "__main__":
    main()
