"""Ranges of numbers, such as log:0.001:1:7."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.read import load_config
from gdrun.config.values import MAX_NUMBERS, expand, is_range
from gdrun.errors import ConfigError


@given(
    first=st.floats(1e-6, 1e6),
    last=st.floats(1e-6, 1e6),
    number=st.integers(2, 60),
    scale=st.sampled_from(["log", "lin"]),
)
def test_a_range_has_its_ends_exactly_and_even_steps_to_three_digits(
    first: float, last: float, number: int, scale: str
) -> None:
    found = expand(f"{scale}:{first!r}:{last!r}:{number}")
    assert (found[0], found[-1], len(found)) == (first, last, number)
    for k, value in enumerate(found[1:-1], 1):
        part = k / (number - 1)
        exact = first + (last - first) * part
        if scale == "log":
            exact = first ** (1 - part) * last**part
        # Half of the third digit, and the rounding of floats.
        assert value == pytest.approx(exact, rel=0.0051)
        assert value == float(f"{value:.3g}")


@given(
    st.text(max_size=30)
    | st.lists(st.text("0123456789.einflog-", max_size=6) | st.just("1e308"), max_size=6).map(
        lambda parts: ":".join(["log", *parts])
    )
    | st.tuples(
        st.sampled_from(["lin", "log"]), st.floats(), st.floats(), st.integers(-5, 2 * MAX_NUMBERS)
    ).map(lambda parts: ":".join(map(str, parts)))
)
def test_a_text_is_a_range_of_finite_numbers_or_a_mistake(text: str) -> None:
    try:
        found = expand(text)
    except ValueError:  # and no other error
        return
    assert is_range(text)
    assert 2 <= len(found) <= MAX_NUMBERS
    assert all(map(math.isfinite, found))


@pytest.mark.parametrize("ends", ["1e308:1.79e308", "-1e308:1e308", "5e-324:1e308"])
@pytest.mark.parametrize("scale", ["lin", "log"])
def test_a_range_of_batch_sizes_out_of_all_proportion_is_a_mistake(scale: str, ends: str) -> None:
    with pytest.raises(ConfigError, match=r"^sweep.batch_size"):
        load_config(None, [f"sweep.batch_size={scale}:{ends}:5"])
