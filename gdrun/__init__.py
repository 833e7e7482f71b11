"""Train one network with full-batch, stochastic and mini-batch gradient descent, and compare.

    from gdrun import compare, compare_figure
    results = compare(lr=0.1, epochs=50)
    compare_figure(results).savefig("compare.png")

What is listed below is imported when it is first used, so that `import gdrun` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gdrun._version import __version__

if TYPE_CHECKING:
    from gdrun.analysis.sweep_result import SweepResult as SweepResult
    from gdrun.api import compare as compare
    from gdrun.api import sweep as sweep
    from gdrun.api import train as train
    from gdrun.errors import ConfigError as ConfigError
    from gdrun.errors import DataError as DataError
    from gdrun.errors import GdrunError as GdrunError
    from gdrun.errors import GdrunWarning as GdrunWarning
    from gdrun.errors import OutputError as OutputError
    from gdrun.figures import compare_figure as compare_figure
    from gdrun.figures import curves_figure as curves_figure
    from gdrun.figures import fit_figure as fit_figure
    from gdrun.figures import heatmap_figure as heatmap_figure
    from gdrun.figures import loss_figure as loss_figure
    from gdrun.figures import scaling_figure as scaling_figure
    from gdrun.figures import why_figure as why_figure
    from gdrun.loading import LoadedRun as LoadedRun
    from gdrun.loading import load as load
    from gdrun.notebook import RunConfig as RunConfig
    from gdrun.notebook import compare_results as compare_results
    from gdrun.notebook import explain as explain
    from gdrun.results.named import Results as Results
    from gdrun.results.run import RunResult as RunResult

_HOMES = {
    "gdrun.analysis.sweep_result": ("SweepResult",),
    "gdrun.api": ("compare", "sweep", "train"),
    "gdrun.errors": ("ConfigError", "DataError", "GdrunError", "GdrunWarning", "OutputError"),
    "gdrun.figures": (
        *("compare_figure", "curves_figure", "fit_figure", "heatmap_figure"),
        *("loss_figure", "scaling_figure", "why_figure"),
    ),
    "gdrun.loading": ("LoadedRun", "load"),
    "gdrun.notebook": ("RunConfig", "compare_results", "explain"),
    "gdrun.results.named": ("Results",),
    "gdrun.results.run": ("RunResult",),
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
