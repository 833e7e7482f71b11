"""The texts of a picture are the same in every format, and can be read back from the file."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from pypdf import PdfReader

from gdrun.api import compare
from gdrun.loading import load
from gdrun.plots.figures import compare_figure, curves_figure, loss_figure
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.sweeps.heatmap import heatmap_figure
from gdrun.plots.sweeps.scaling import scaling_figure
from tests.command_line import Invoke
from tests.plots.drawn import texts_of
from tests.sweep_results import mixed


def plain(text: str) -> str:
    """A text as it is seen: words with one space between them, powers written out."""
    text = re.sub(r"\$\\mathdefault\{(.*?)\}\$", r"\1", text)
    return " ".join(re.sub(r"[$^{}\\]", "", text).replace("-", "−").split())


def seen(figure: Figure) -> set[str]:
    """The texts of a figure as it is drawn."""
    lines = (line for text in texts_of(figure) for line in text.get_text().split("\n"))
    return {plain(line) for line in lines} - {""}


def in_svg(svg: bytes) -> str:
    found = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join(plain("".join(part.strip() for part in text.itertext())) for text in found)


def in_pdf(pdf: bytes) -> str:
    return "\n".join(map(plain, PdfReader(BytesIO(pdf)).pages[0].extract_text().split("\n")))


READERS: dict[str, Callable[[bytes], str]] = {"svg": in_svg, "pdf": in_pdf}


@pytest.mark.parametrize("kind", READERS)
def test_every_text_of_every_picture_is_in_the_file(kind: str) -> None:
    results = compare("article", epochs=3, lr=[0.1, 0.2], seeds=3)
    for figure in (
        compare_figure(results), loss_figure(results[1]), fit_figure(results),
        curves_figure(results), heatmap_figure(mixed()), scaling_figure(mixed()),
    ):  # fmt: skip
        file = BytesIO()
        figure.savefig(file, format=kind)
        found = READERS[kind](file.getvalue())
        assert {text for text in seen(figure) if text not in found} == set()


def test_a_canvas_of_another_kind_keeps_the_text_too() -> None:
    """As IPython prints figures, and as `savefig(backend=…)` does."""
    figure = loss_figure(compare("article", epochs=2)[1])
    printed, saved, switched = BytesIO(), BytesIO(), BytesIO()
    figure.canvas.print_figure(printed, format="pdf", bbox_inches="tight")
    figure.savefig(saved, format="pdf", backend="pdf")
    FigureCanvasPdf(figure)
    figure.savefig(switched, format="pdf")
    for file in (printed, saved, switched):
        found = in_pdf(file.getvalue())
        assert {text for text in seen(figure) if text not in found} == set()


@pytest.mark.parametrize("kind", READERS)
def test_the_command_line_writes_the_same_texts(kind: str, outputs: Path, invoke: Invoke) -> None:
    assert invoke("plot", "both", "--format", kind).code == 0
    found = READERS[kind]((outputs / f"both/compare.{kind}").read_bytes())
    figure = compare_figure(load(outputs / "both").results)
    assert {text for text in seen(figure) if text not in found} == set()
