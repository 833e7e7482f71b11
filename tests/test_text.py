"""Numbers, durations and names as text."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.text import UNSEEN, duration, number, short, visible
from tests.odd_inputs import fuzz, texts


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0051234, "0.00512"),
        (1.23e-7, "1.23e-07"),
        (0.0, "0"),
        (12.3456, "12.3"),
        (18_912.0, "18,900"),
        (1e9, "1.00e+09"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value: float | None, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0 ms"), (0.0191, "19.1 ms"), (1.254, "1.25 s"), (61, "1:01"), (12_000, "3:20:00")],
)
def test_durations(value: float, expected: str) -> None:
    assert duration(value) == expected


@given(st.floats(0, 9e11))
def test_rates_are_short(value: float) -> None:
    assert len(short(value)) <= 5
    assert re.fullmatch(r"[\d.e+]+[kMG]?", short(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe in m² – 價格 [bold]", "Größe in m² – 價格 [bold]"),
        ("a\x1b[31mb\x07\x00", r"a\x1b[31mb\x07\x00"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("a\x7f\x9b\u2028", r"a\x7f\x9b\u2028"),
        ("\u202egnp.exe\u200b\ufeff", r"\u202egnp.exe\u200b\ufeff"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_steers_a_screen_is_shown_as_text(text: str, expected: str) -> None:
    assert visible(text) == expected


@given(texts)
@settings(fuzz)
def test_what_is_visible_stays_and_what_steers_is_escaped(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & UNSEEN
    assert visible(shown) == shown
    kept = "".join(char for char in text if unicodedata.category(char) not in UNSEEN)
    if kept == text:
        assert shown == text
    elif "\\" not in text:
        assert shown.encode("ascii", "backslashreplace").decode("unicode_escape") == text
