"""Results → matplotlib figures, drawn without a screen.

Draws what `gdrun.results` and `gdrun.analysis` hold. It trains nothing, reads no weights
and imports no PyTorch.
"""

import os
import sys
from contextlib import suppress


def _import_matplotlib() -> None:
    """Import matplotlib, whatever `MPLBACKEND` says.

    Jupyter exports a name that is known in its own environment alone, and matplotlib can't be
    imported with a name that it doesn't know. A known one is in force afterwards, as ever.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


if "matplotlib" not in sys.modules:
    _import_matplotlib()
