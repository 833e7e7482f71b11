"""Whatever a user has set for her own pictures, gdrun's are the same; only the fonts are hers."""

import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
from cycler import cycler
from matplotlib.figure import Figure

from gdrun.loading import load
from gdrun.plots.figures import compare_figure, loss_figure
from gdrun.plots.sweeps.heatmap import heatmap_figure
from gdrun.plots.sweeps.scaling import scaling_figure
from tests.sweep_results import mixed

HOSTILE: Any = {
    "text.usetex": True,
    "figure.constrained_layout.use": True,
    "figure.autolayout": False,
    "figure.facecolor": "black",
    "figure.dpi": 37,
    "axes.facecolor": "0.2",
    "axes.labelsize": 30,
    "axes.prop_cycle": cycler(color=["red", "yellow"]),
    "axes.formatter.use_locale": True,
    "axes.unicode_minus": False,
    "axes.titleweight": "bold",
    "axes.xmargin": 0.4,
    "font.size": 31,
    "grid.linestyle": ":",
    "image.interpolation": "bicubic",
    "legend.frameon": True,
    "legend.fontsize": 2,
    "lines.linestyle": "--",
    "lines.marker": "*",
    "lines.dashed_pattern": [1, 9],
    "path.sketch": (5, 50, 3),
    "patch.force_edgecolor": True,
    "savefig.bbox": "tight",
    "savefig.dpi": 600,
    "savefig.facecolor": "pink",
    "savefig.transparent": True,
    "text.color": "white",
    "xtick.direction": "in",
    "xtick.labelsize": "xx-large",
    "xtick.top": True,
    "ytick.labelright": True,
}


def png(figure: Figure, **options: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format="png", **options)
    return file.getvalue()


def figures(place: Path) -> list[Figure]:
    results = load(place).results
    made = [compare_figure(results), loss_figure(results[1])]
    return [*made, heatmap_figure(mixed()), scaling_figure(mixed())]


@pytest.mark.parametrize("more", [{}, {"figure.constrained_layout.use": False,
                                       "figure.autolayout": True}], ids=str)  # fmt: skip
def test_no_setting_changes_a_picture(more: Any, outputs: Path) -> None:
    usual = [png(figure, dpi=50) for figure in figures(outputs / "both")]
    with mpl.rc_context({**HOSTILE, **more}):
        assert [png(figure, dpi=50) for figure in figures(outputs / "both")] == usual
    made_before = figures(outputs / "both")
    with mpl.rc_context({**HOSTILE, **more}):
        assert [png(figure, dpi=50) for figure in made_before] == usual
        assert mpl.rcParams["axes.labelsize"] == 30  # and hers are as they were
    size = png(made_before[0])
    with mpl.rc_context(HOSTILE):
        assert png(made_before[0]) == size  # with the resolution by default, too


@pytest.mark.parametrize(
    "backend",
    ["module://matplotlib_inline.backend_inline", "module://no.such_backend", "nonsense", "tkagg",
     ""],
)  # fmt: skip
def test_no_backend_and_no_matplotlibrc_changes_a_picture(
    backend: str, outputs: Path, tmp_path: Path
) -> None:
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\nfigure.autolayout: True\nsavefig.bbox: tight\naxes.grid: False\n"
    )
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path)}
    command = [sys.executable, "-m", "gdrun", "plot", "both", "--dpi", "50"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    figure = compare_figure(load(outputs / "both").results)
    assert (outputs / "both/compare.png").read_bytes() == png(figure, dpi=50)


def test_a_valid_backend_stays_that_of_the_user() -> None:
    code = (
        "import gdrun; gdrun.compare_figure\n"
        "import os, matplotlib; print(matplotlib.get_backend(), os.environ['MPLBACKEND'])"
    )
    environment = {**os.environ, "MPLBACKEND": "svg"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["svg", "svg"]


def test_the_font_is_the_users(outputs: Path) -> None:
    usual = png(figures(outputs / "both")[0], dpi=50)
    with mpl.rc_context({"font.family": "STIXGeneral"}):
        figure = figures(outputs / "both")[0]
        assert png(figure, dpi=50) != usual
        assert figure.texts[0].get_fontfamily()[0] == "STIXGeneral"
    with mpl.rc_context({"font.family": "monospace", "font.monospace": ["no such font"]}):
        png(figures(outputs / "both")[0], dpi=50)
