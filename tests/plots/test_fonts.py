"""Letters that a font lacks: taken from another font, or said once."""

import logging
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from gdrun.api import train
from gdrun.plots import style
from gdrun.plots.figures import loss_figure
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.style import families_for
from tests.command_line import Invoke

HANGUL = "집값"
FAMILY = "gdrun test Hangul"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(style, "_said", set())


@pytest.fixture
def _hangul(tmp_path: Path) -> Iterator[None]:
    """As on a system with a font whose only letters are two of Hangul, each a black square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    square = pen.glyph()
    names = [".notdef", *(f"uni{ord(letter):04X}" for letter in HANGUL)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(
        {ord(letter): name for letter, name in zip(HANGUL, names[1:], strict=True)}
    )
    builder.setupGlyf(dict.fromkeys(names, square))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": FAMILY, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "hangul.ttf")
    known = list(fontManager.ttflist)
    fontManager.addfont(tmp_path / "hangul.ttf")
    yield
    fontManager.ttflist[:] = known


@pytest.fixture
def korean(tmp_path: Path) -> Figure:
    rows = "".join(f"{k},{k * k}\n" for k in range(9))
    (tmp_path / "a.csv").write_text(f"{HANGUL},y\n{rows}", encoding="utf-8")
    data = {"source": "csv", "path": tmp_path / "a.csv", "target": "y"}
    return fit_figure(train("full", epochs=2, data=data))


@pytest.mark.usefixtures("_hangul")
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_letters_come_from_an_installed_font_that_has_them(kind: str, korean: Figure) -> None:
    korean.savefig(file := BytesIO(), format=kind)  # warnings are errors
    assert FAMILY in korean.axes[0].xaxis.label.get_fontfamily()
    if kind == "svg":
        assert HANGUL in file.getvalue().decode()


@pytest.mark.usefixtures("_hangul")
def test_other_letters_stay_in_the_font_of_the_user() -> None:
    assert families_for("loss → ▲") == ["sans-serif", "DejaVu Sans"]
    assert families_for(f"loss {HANGUL}") == ["sans-serif", "DejaVu Sans", FAMILY]
    with mpl.rc_context({"font.family": ["no such font", "cmr10"]}):
        assert families_for("loss → ▲")[:2] == ["cmr10", "DejaVu Sans"]


def test_letters_that_no_font_has_are_said_once(
    korean: Figure, caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING):
        warnings.simplefilter("always")
        for kind in ("png", "pdf", "svg", "png"):
            korean.savefig(BytesIO(), format=kind)
        korean.canvas.draw()
    (only,) = caught
    assert str(only.message) == "no installed font has 값 집: pictures show boxes"
    assert not caplog.records


def test_a_font_that_is_not_installed_is_passed_over_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    result = train("full", epochs=2)
    with mpl.rc_context({"font.family": ["no such font"]}), caplog.at_level(logging.WARNING):
        loss_figure(result).savefig(BytesIO())
    with mpl.rc_context({"font.sans-serif": ["no such font"]}), caplog.at_level(logging.WARNING):
        loss_figure(result).savefig(BytesIO())
    assert not caplog.records


def test_the_command_line_says_it_once_for_all_pictures(tmp_path: Path, invoke: Invoke) -> None:
    rows = "".join(f"{k},{k * k}\n" for k in range(9))
    (tmp_path / "a.csv").write_text(f"{HANGUL},y\n{rows}", encoding="utf-8")
    outcome = invoke(
        "compare", "--epochs", "2", "--batch-size", "3", "--set", "data.source=csv", "--set",
        f"data.path={tmp_path / 'a.csv'}", "--set", "data.target=y",
    )  # fmt: skip
    assert outcome.code == 0
    assert outcome.err.count("no installed font has") == 1
    assert "Glyph" not in outcome.err
