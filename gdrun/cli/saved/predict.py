"""`gdrun predict RUN DATA`: what a trained network gives for new rows, as CSV."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gdrun.cli.saved.network import ChosenLane, choose_lane
from gdrun.cli.saved.parameters import OutputDir, Run, read_any, say
from gdrun.cli.saved.predicted import Predicted
from gdrun.cli.startup import loading, require_current_directory
from gdrun.config.layers import Layer
from gdrun.config.parts.data import SOURCE_OF, CsvData, NpzData, TableFile
from gdrun.config.parts.own_code import OWN_CODE, is_own
from gdrun.config.read import load_config
from gdrun.errors import ConfigError, DataError, did_you_mean, excerpt
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.saved_run import SavedRun
from gdrun.terminal.console import console
from gdrun.text import count

# Keys of `data` that say how a CSV file is written.
HOW_WRITTEN = ("delimiter", "decimal", "header", "encoding", "comment")


def predict_run(
    run: Run,
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A CSV file with the columns that the network was trained on; or a .parquet, "
            ".npy or .npz file.",
            show_default=False,
        ),
    ],
    output_dir: OutputDir = OUTPUTS,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where the CSV goes; without it, to stdout."),
    ] = None,
    lane: Annotated[
        int | None,
        typer.Option(
            "--lane",
            metavar="INTEGER",
            help="Which lane of the run, from 0 in the order of run.json; without it, that with "
            "the lowest validation loss.",
        ),
    ] = None,
    last: Annotated[
        bool,
        typer.Option(
            "--last", help="The weights of the last epoch, not those of the best by validation."
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="How the file is written, where that is guessed wrong: "
            f"{', '.join(f'data.{key}' for key in HOW_WRITTEN)}; or where code of yours is now: "
            "model, loss.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no remarks.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was predicted as JSON.")
    ] = False,
) -> None:
    """Predict the target of new rows, in its own units: the cells of the file, and predictions.

    Of classes, the likeliest is followed by the probability of each. If the file has the target,
    too, a line says how good the predictions are.
    """
    require_current_directory()
    _source(data, settings or [], None)
    if output is not None and output.exists() and output.samefile(data):
        raise ConfigError(f"--output {output}: is the file with the rows", "name another")
    if output is not None and not output.parent.is_dir():
        raise ConfigError(f"--output {output}: there is no directory {output.parent}")
    messages = Console(quiet=True) if quiet else console(stderr=True)

    def tell(line: str) -> None:
        if not quiet:
            say(line, "dim")

    from gdrun.terminal.live import reading, stages

    with reading(messages) as on_read:
        saved, results, _ = read_any(run, output_dir, on_read, overview=True)
    chosen = choose_lane(saved, results, lane, last)
    source = _source(data, settings or [], chosen.run)
    if code := _own_code(chosen.run, settings or []):
        tell(f"runs the code that the run's config names: {', '.join(code.values())}")
    with stages(messages) as on_progress:
        on_progress("loading PyTorch", 0.0)
        predicted = _predict(chosen, source, data, code, on_progress)
    for line in predicted.in_words(data.name):
        tell(line)
    predicted.report(output, as_json=as_json)


def check_predict(
    run: str, output_dir: Path, data: Path, settings: list[str] | None, **_: Any
) -> None:
    """What it refuses, of a command line that is wrong otherwise."""
    find_run(run, output_dir)
    _source(data, settings or [], None)


def _source(path: Path, settings: Sequence[str], run: SavedRun | None) -> TableFile | None:
    """How a table is read: as the config of the run says, where it says something; None of arrays.

    Raises:
        ConfigError: there is no such file, or a setting doesn't say how it is written.
    """
    if not path.exists():
        near = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        hints = did_you_mean(path.name, near) or ["the run comes first: gdrun predict RUN new.csv"]
        raise ConfigError(f"{path}: no such file", *hints)
    if not path.is_file():
        raise ConfigError(f"{path}: is not a regular file", "name a CSV file with the new rows")
    source = SOURCE_OF.get(path.suffix.lower(), "csv")
    known = [f"data.{key}" for key in HOW_WRITTEN] if source == "csv" else []
    known += OWN_CODE
    for text in settings:
        key = text.partition("=")[0].strip()
        if key not in known:
            raise ConfigError(
                f"--set {excerpt(text)}: only says how a CSV file is written, and where code is",
                *did_you_mean(key, known),
                f"its keys: {', '.join((*(f'data.{key}' for key in HOW_WRITTEN), *OWN_CODE))}",
            )
    if source not in ("csv", "parquet"):
        return None
    own = {}
    if source == "csv" and run and isinstance(run.settings.data, CsvData):
        own = run.settings.data.model_dump(mode="json", include={*HOW_WRITTEN})
    # Which columns are read is known from the training.
    base = {**own, "source": source, "path": str(path), "target": "y"}
    of_file = [text for text in settings if text.strip().startswith("data.")]
    config = load_config(settings=of_file, base=Layer({"data": base})).data
    assert isinstance(config, TableFile)
    return config


def _own_code(run: SavedRun, settings: Sequence[str]) -> dict[str, str]:
    """The functions of the user's that a network of the run is built with, where they are now."""
    places = load_config(
        settings=[text for text in settings if text.partition("=")[0].strip() in OWN_CODE],
        base=Layer({}),
    )
    found = {}
    for key in OWN_CODE:
        now, then = getattr(places, key), getattr(run.settings, key)
        if is_own(then):
            found[key] = now if is_own(now) else then
    return found


def _predict(
    chosen: ChosenLane,
    source: TableFile | None,
    path: Path,
    code: Mapping[str, str],
    on_progress: Callable[[str, float], None],
) -> Predicted:
    """The rows of a file, and what the network of a lane gives for them."""
    with loading():
        from gdrun.data.preprocessing.new_rows import read_new_rows
        from gdrun.experiment.trained.predict import predict
        from gdrun.experiment.trained.saved import load_networks
    with output_errors(chosen.run.path, "read"):
        networks = load_networks(chosen.run, code)
    if not networks.best:
        chosen = replace(chosen, last=True)
    found = networks.problem.data.preprocessing
    on_progress(f"reading {path.name}", 0.0)
    trained_on = chosen.run.settings.data
    array = trained_on.x if isinstance(trained_on, NpzData) else "x"
    rows = read_new_rows(path, source, found, array, lambda what: on_progress(what, 0.0))
    params = networks.params(chosen.position, last=chosen.last)
    if not all(tensor.isfinite().all() for tensor in params):
        raise DataError(
            f"{chosen.run.path}: the weights of lane {chosen.position} aren't finite: it diverged",
            "--lane names another",
        )
    doing = f"predicting {count(len(rows), 'row')}"
    predictions = predict(networks, params, rows, lambda part: on_progress(doing, part))
    return Predicted(chosen, networks, rows, predictions)
