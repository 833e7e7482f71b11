"""The names of the files in a run's or a group's directory, for whoever writes or mentions them."""

from collections.abc import Iterable
from typing import Final

from gdrun.config.parts.groups import FORMATS
from gdrun.config.schema import METHODS

MANIFEST = "run.json"
CONFIG = "config.yaml"
EPOCHS, EVALUATIONS, STEPS = "epochs.csv", "evaluations.csv", "steps.csv"
PROBES = "probes.csv"
SWEEP = "sweep.csv"
CHECKPOINT, PREVIOUS_CHECKPOINT = "checkpoint.pt", "checkpoint.previous.pt"
COMPARED = "compared.json"
PREPROCESSING = "preprocessing.json"
TRAJECTORY = "trajectory.bin"
LOCK = ".lock"
MARK = ".ranks"  # there while ranks find out whether they share a file system
# Pictures have one of the formats at their end. Some are panels of others, alone.
PICTURES = (
    *("loss", "fit", "compare", "heatmap", "scaling", "why"),
    *("train-epoch", "train-updates", "train-samples", "train-seconds"),
    *("loss-batch", "loss-train", "heatmap-train", "heatmap-validation"),
    *("scaling-updates", "scaling-samples", "scaling-seconds", "compare-validation"),
    *("why-sharpness", "why-noise", "why-gradient"),
    *("compare-epoch", "compare-updates", "compare-samples", "compare-seconds"),
    *("landscape", "landscape-random"),
)
LOGS = (EPOCHS, EVALUATIONS, STEPS, PROBES)
ANIMATION = "animation"
FILMS: Final = ("gif", "mp4")  # formats of an animation
FILES = (
    *(MANIFEST, CONFIG, *LOGS, SWEEP, CHECKPOINT, PREVIOUS_CHECKPOINT, PREPROCESSING, COMPARED),
    TRAJECTORY,
)


def picture_names(runs: Iterable[str] = ()) -> set[str]:
    """The names of all pictures that gdrun draws into a directory of its own, that of some runs.

    Moving ones, too.
    """
    panels = (f"compare-{run.replace('/', '-')}" for run in (*METHODS, *runs))
    pictures = {f"{name}.{kind}" for name in (*PICTURES, *panels) for kind in FORMATS}
    return pictures | {f"{ANIMATION}.{kind}" for kind in FILMS}


def is_own(name: str, runs: Iterable[str] = ()) -> bool:
    """Whether gdrun writes a file of that name into the directory of a run, or of some runs."""
    whole = name.removesuffix(".partial")
    return name in (LOCK, MARK) or whole in FILES or whole in picture_names(runs)
