"""Make the README's pictures from real runs: `python outputs/example/make.py`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import gdrun
from gdrun.analysis.sweep_result import SweepResult
from gdrun.cli.app import app
from gdrun.config.read import load_config
from gdrun.experiment.execute import execute
from gdrun.experiment.prepare import prepare_command
from gdrun.plots.pictures import pictures
from gdrun.results.run import RunResult

HERE = Path(__file__).parent


def main() -> None:
    """Keep the pictures of the article's experiment, of the diabetes preset, and of its sweep."""
    compare()
    sweep()
    landscape()


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
    for preset, settings in (("article", []), ("diabetes", ["seeds=8", "probes=all"])):
        config = load_config(preset, settings)
        events = list(execute(prepare_command("compare", config).experiment))
        results = [event for event in events if isinstance(event, RunResult)]
        for picture in pictures(results, HERE, config.plot):
            name = f"{preset}-{picture.path.name}"
            picture.draw().savefig(HERE / name, dpi=110)


def landscape() -> None:
    """Train the article's experiment once more, and draw the paths of its three methods."""
    with TemporaryDirectory() as place:
        gdrun.compare("article", output_dir=place, name="article", plot={"dpi": 110})
        picture = str(HERE / "article-landscape.png")
        app(["landscape", "article", "-o", place, "--output", picture], standalone_mode=False)


if __name__ == "__main__":
    main()
