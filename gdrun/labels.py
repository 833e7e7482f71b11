"""Names, colours and numbers as people see them, the same on the screen and in pictures."""

import unicodedata

# Okabe and Ito's blue, vermillion and bluish green: told apart by all common forms of colour
# vision.
METHOD_COLORS = {"full": "#0072B2", "sgd": "#D55E00", "minibatch": "#009E73"}

METHOD_NAMES = {
    "full": "full batch",
    "sgd": "stochastic",
    "minibatch": "mini-batch",
}

# Unicode's categories of characters that steer a terminal or a layout instead of being seen:
# control, format (bidirectional, zero width), lone surrogates, separators of lines.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def number(value: float | None, missing: str = "–") -> str:
    """Three significant digits: 0.00512, 1.23e-05, 18,900."""
    if value is None or value != value:
        return missing
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = f"{value:.3g}"
    return f"{float(digits):,.0f}" if abs(value) >= 100 else digits


def short(value: float) -> str:
    """A rate or count in at most five characters: 950, 18.9k, 1.20M."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.0f}"


def seconds(value: float | None, missing: str = "–") -> str:
    """A duration with its unit: 19 ms, 1.25 s, 12:04, 3:20:00."""
    if value is None:
        return missing
    if value < 0.9995:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 60 else clock(value)


def clock(value: float) -> str:
    """Whole seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str) -> str:
    """A number of things: 1 row, 1,000 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    r"""Text from outside, with what steers instead of being seen as escapes: \x1b, \n."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in UNSEEN else char
        for char in text
    )
