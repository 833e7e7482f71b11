"""Train one network with full-batch, stochastic and mini-batch gradient descent, and compare.

    from gdrun import compare, compare_figure
    results = compare(lr=0.1, epochs=50)
    compare_figure(results).savefig("compare.png")

What is listed below is imported when it is first used, so that `import gdrun` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gdrun.answer import Answer as Answer
    from gdrun.api import compare as compare
    from gdrun.api import sweep as sweep
    from gdrun.api import train as train
    from gdrun.axisplots import curves_figure as curves_figure
    from gdrun.config import RunConfig as RunConfig
    from gdrun.errors import ConfigError as ConfigError
    from gdrun.errors import DataError as DataError
    from gdrun.errors import GdrunError as GdrunError
    from gdrun.errors import OutputError as OutputError
    from gdrun.heatmap import heatmap_figure as heatmap_figure
    from gdrun.loaded import Saved as Saved
    from gdrun.loaded import load as load
    from gdrun.plots import compare_figure as compare_figure
    from gdrun.plots import fit_figure as fit_figure
    from gdrun.plots import loss_figure as loss_figure
    from gdrun.results import RunResult as RunResult
    from gdrun.results import compare_results as compare_results
    from gdrun.scalingplot import scaling_figure as scaling_figure

_HOMES = {
    "gdrun.answer": ("Answer",),
    "gdrun.api": ("compare", "sweep", "train"),
    "gdrun.axisplots": ("curves_figure",),
    "gdrun.config": ("RunConfig",),
    "gdrun.errors": ("ConfigError", "DataError", "GdrunError", "OutputError"),
    "gdrun.heatmap": ("heatmap_figure",),
    "gdrun.loaded": ("Saved", "load"),
    "gdrun.plots": ("compare_figure", "fit_figure", "loss_figure"),
    "gdrun.results": ("RunResult", "compare_results"),
    "gdrun.scalingplot": ("scaling_figure",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "__version__",
    *_HOME_OF,
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gdrun' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
