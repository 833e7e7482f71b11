"""Numbers and names as text, the same in the terminal and in pictures."""

import json
import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MAX_RATES = 8  # learning rates that are listed; of more, the range is given
MAX_BATCHES = 6  # batch sizes that are listed; the rest are counted

METHOD_NAMES = {
    "full": "full batch",
    "sgd": "stochastic",
    "minibatch": "mini-batch",
}

# Unicode's categories of characters that control a terminal or a layout instead of being seen:
# control, format (bidirectional, zero width), lone surrogates, separators of lines.
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}

MAX_NAMES = 3  # in a list of names; the rest are counted


def number(value: float | None, missing: str = "–") -> str:
    """Three significant digits: 0.00512, 1.23e-05, 18,900."""
    if value is None or value != value:
        return missing
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.2e}"
    digits = f"{value:.3g}"
    return f"{float(digits):,.0f}" if abs(value) >= 100 else digits


def digits(value: float) -> str:
    """Three significant digits, zeros too: 0.500, 12.0."""
    return f"{value:#.3g}" if 1e-4 <= abs(value) < 100 else number(value)


def short(value: float) -> str:
    """A rate or count in at most five characters: 950, 18.9k, 1.20M."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * factor:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.0f}"


def duration(value: float | None, missing: str = "–") -> str:
    """A duration with its unit: 19 ms, 1.25 s, 12:04, 3:20:00."""
    if value is None:
        return missing
    if value < 0.9995:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 60 else clock(value)


def size(count: float) -> str:
    """Bytes with a unit: 48 MB, 1.2 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.3g} TB"


def clock(value: float) -> str:
    """Whole seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rates_in_words(rates: Sequence[float], schedule: str = "") -> str:
    """The learning rates or, of many, how many there are and their range; and how they change."""
    if not rates:
        return "no lane yet"
    after = f", {schedule}" if schedule else ""
    if len(rates) > MAX_RATES:
        return f"{len(rates)} learning rates from {min(rates):g} to {max(rates):g}{after}"
    return f"lr {', '.join(f'{rate:g}' for rate in rates)}{after}"


def count(number: int, noun: str) -> str:
    """A number of things: 1 row, 1,000 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = MAX_NAMES) -> str:
    """Some names, the first few and how many more there are.

    >>> listed(["a", "b"]), listed("abcde")
    ('a and b', 'a, b, c and 2 more')
    """
    more = len(names) - most
    first, last = (names[:most], f"{more} more") if more > 0 else (names[:-1], names[-1])
    return f"{', '.join(first)} and {last}" if first else last


def differences(
    facts: Mapping[str, Mapping[str, Any]], show: Callable[[Any], str] | None = None
) -> list[str]:
    """One line for each key whose values differ: which names have which, as JSON without `show`.

    >>> differences({"rows": {"a": 5, "b": 5}, "threads": {"a": 1, "b": 2, "c": 1}})
    ['threads: 1 in a and c, 2 in b']
    """
    lines = []
    for key, values in facts.items():
        by_value: dict[str, list[str]] = {}
        for name, value in values.items():
            text = show(value) if show else json.dumps(value, ensure_ascii=False)
            by_value.setdefault(text, []).append(name)
        if len(by_value) > 1:
            parts = (f"{text} in {listed(names)}" for text, names in by_value.items())
            lines.append(f"{key}: {', '.join(parts)}")
    return lines


def span(numbers: Iterable[int]) -> str:
    """A number, or the smallest and the largest of several: 3, 1 to 3."""
    low, high = min(found := [*numbers]), max(found)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def exact(lr: float) -> str:
    """A learning rate in as few digits as give exactly this number again."""
    short = f"{lr:g}"
    return short if float(short) == lr else repr(lr)


def accuracy(share: float | None, missing: str = "–") -> str:
    """A share of rows as people compare them: 100 % is all of them."""
    if share is None or not math.isfinite(share):
        return missing
    text = f"{100 * share:.1f} %"
    return "> 99.9 %" if text == "100.0 %" and share < 1 else text


def percent(share: float) -> str:
    """A share: 15 %."""
    return f"{100 * share:.0f} %"


def batches(sizes: Sequence[int]) -> str:
    """Batch sizes in a sentence."""
    listed = [f"{size:,}" for size in sizes[:MAX_BATCHES]]
    if len(sizes) > MAX_BATCHES:
        listed[-1] = f"{len(sizes) - MAX_BATCHES + 1} more"
    together = " and ".join([*([", ".join(listed[:-1])] if listed[1:] else []), listed[-1]])
    return f"batch{'es' if len(sizes) > 1 else ''} {together}"


def visible(text: str) -> str:
    r"""Text from outside, with control characters as escapes: \x1b, \n."""
    if text.isprintable():
        return text
    for char in unseen(text):
        text = text.replace(char, char.encode("unicode_escape").decode())
    return text


def unseen(text: str) -> set[str]:
    """The characters of a text that control a terminal or a layout."""
    return {char for char in set(text) if unicodedata.category(char) in UNSEEN}


def rounded(size: float) -> str:
    """A fitted batch size, which is known to two digits at most."""
    return "∞" if math.isinf(size) else f"{float(f'{size:.2g}'):,g}"
