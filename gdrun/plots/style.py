"""gdrun's style of figures, which is in force whenever one is made, drawn or saved.

It starts from matplotlib's defaults, so that no setting of the user's changes a picture: only the
fonts are hers, and letters that these lack come from any installed font that has them.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from typing import Any

import matplotlib as mpl
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
# What a picture does not depend on, and the fonts.
KEPT = ("backend", "font.", "interactive", "toolbar")

# With a fixed height, titles aren't laid out around the ticks, which takes long.
TITLE: Any = {"loc": "left", "y": 1.01}


GENERIC = ("sans-serif", "serif", "monospace", "cursive", "fantasy")
COMMON = "DejaVu Sans"  # comes with matplotlib, and has every letter of gdrun's own texts
BLANK = ("Last Resort", "LastResort", ".LastResort", "Adobe Blank")  # a box for any letter
MAX_SHOWN = 20  # letters in a warning

_said: set[str] = set()  # letters that a warning has named, once for all pictures of a process


@contextmanager
def styled() -> Iterator[None]:
    """The style, in force for a block or, as a decorator, for a function."""
    defaults: Any = mpl.rcParamsDefault
    settings = {key: value for key, value in defaults.items() if not key.startswith(KEPT)}
    settings |= styled_families()
    with mpl.rc_context(settings | STYLE):
        yield


class _Canvas(FigureCanvasAgg):
    """A canvas that keeps the style while a file is opened: its format decides how text is kept."""

    def print_figure(self, *args: Any, **options: Any) -> Any:
        """Save the figure."""
        with styled(), _missing_letters_are_said_elsewhere():
            return super().print_figure(*args, **options)


class StyledFigure(Figure):
    """A figure that keeps gdrun's style, and that a notebook shows by itself."""

    def __init__(self, width: float, height: float, enlarged: float = 1.0) -> None:
        """Begin a figure of so many inches, which is shown `enlarged`, on a slide."""
        self.enlarged = enlarged
        with styled():
            super().__init__(figsize=(width, height))
        _Canvas(self)

    def draw(self, renderer: RendererBase) -> None:
        """Draw with the style in force: matplotlib creates ticks and texts only now."""
        with styled(), _missing_letters_are_said_elsewhere():
            self._complete_fonts()
            super().draw(renderer)

    def _complete_fonts(self) -> None:
        """Add the fonts that are needed for letters that the usual ones lack."""
        texts = [text for text in self.findobj(Text) if isinstance(text, Text)]
        usual = mpl.rcParams["font.family"]
        needed = families_for(letter for text in texts for letter in text.get_text())
        if more := [family for family in needed if family not in usual]:
            mpl.rcParams["font.family"] = needed
            for text in texts:
                text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *more])))

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save the figure, as matplotlib does but with the style in force.

        Raises:
            OSError: the file can't be written.
            ValueError: matplotlib doesn't know the format.
        """
        with styled():
            super().savefig(fname, **options)

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()


@contextmanager
def _missing_letters_are_said_elsewhere() -> Iterator[None]:
    """Without matplotlib's warnings, one for each missing letter whenever it is measured."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")
        yield


def families_for(text: Iterable[str]) -> list[str]:
    """The families to write a text in, the user's first; each letter is of the first that has it.

    Warns of letters that no installed font has, once in the life of a process.
    """
    families = _of_user()
    missing = {letter for letter in set(text) if letter.isprintable() and letter != " "}
    for family in families:
        if missing:
            missing = _lacking(_path_of(family), missing)
    for family, path in _others() if missing else ():
        if len(left := _lacking(path, missing)) < len(missing):
            families.append(family)
            missing = left
        if not missing:
            break
    _warn_of(missing - _said)
    return families


def styled_families() -> dict[str, list[str]]:
    """The user's choice of families as settings, without those that aren't installed."""
    settings: Any = mpl.rcParams
    installed = set(fontManager.get_font_names())
    choices = {
        f"font.{generic}": [name for name in settings[f"font.{generic}"] if name in installed]
        or [COMMON]
        for generic in GENERIC
    }
    return {**choices, "font.family": _of_user()}


def _of_user() -> list[str]:
    """The user's families that are installed, and the common one."""
    installed = {*fontManager.get_font_names(), *GENERIC}
    own = [family for family in mpl.rcParams["font.family"] if family in installed]
    return list(dict.fromkeys([*own, COMMON]))


def _path_of(family: str) -> str:
    return str(fontManager.findfont(FontProperties(family=[family])))


def _others() -> Iterator[tuple[str, str]]:
    """The families and files of all installed fonts, upright ones of normal weight first."""
    usual = sorted(
        (font for font in fontManager.ttflist if not font.name.startswith(BLANK)),
        key=lambda font: (font.style != "normal", str(font.weight) not in ("400", "normal")),
    )
    yield from dict.fromkeys((font.name, font.fname) for font in usual)


def _lacking(path: str, letters: set[str]) -> set[str]:
    """Those letters that a font lacks."""
    return {letter for letter in letters if not _has(path, letter)}


@lru_cache(2**14)
def _has(path: str, letter: str) -> bool:
    return _font(path).get_char_index(ord(letter)) > 0


@lru_cache(8)
def _font(path: str) -> FT2Font:
    return FT2Font(path)


def _warn_of(letters: set[str]) -> None:
    if letters:
        _said.update(letters)
        shown = sorted(letters)
        more = "" if len(shown) <= MAX_SHOWN else f" and {len(shown) - MAX_SHOWN} more"
        warnings.warn(
            f"no installed font has {' '.join(shown[:MAX_SHOWN])}{more}: pictures show boxes",
            stacklevel=2,
        )
