"""Odd configs, settings and tables, and the time that each may take."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from gdrun.config.parts.data import DATA_SOURCES
from gdrun.config.schema import RunConfig
from gdrun.errors import GdrunError

SECONDS, TRIES = 2.0, 3  # of the processor, for one input
T = TypeVar("T")


# Each input replaces the one before it in the directory of the test.
fuzz = settings(print_blob=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


def soon(call: Callable[[], T]) -> T:
    """What a call returns that takes little of the processor's time, or else when it is repeated.

    An input that takes long does so each time; a collection of the garbage of other tests doesn't.
    Their idle threads may spin meanwhile, so that the time is that of this one.
    """
    for _ in range(TRIES):
        start = time.thread_time()
        found = call()
        if time.thread_time() - start < SECONDS:
            return found
    raise AssertionError(f"an input took more than {SECONDS:g} s, {TRIES} times")


def outcome_of(call: Callable[[], object], error: type[GdrunError]) -> object:
    """What a call returns, or None after a clean error; all else fails the test."""

    def returned() -> tuple[object, GdrunError | None]:
        try:
            return call(), None
        except error as refusal:
            return None, refusal

    found, refusal = soon(returned)
    if refusal:
        assert refusal.problems
        assert all(0 < len(line) < 1000 for line in (*refusal.problems, *refusal.hints))
    return found


texts = st.text(max_size=12) | st.text(st.characters(categories=["Cc", "Cf", "Cs"]), max_size=4)
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, 1, 2, 0.5, 2**62, 2**63, 10**16, 10**30, -(10**400), 1e308, 5e-324])
)
atoms = st.none() | st.booleans() | numbers | texts | st.dates() | st.datetimes() | st.binary()
odd: st.SearchStrategy[Any] = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)
WORDS = "a.csv y sgd half_mse relu tanh svg cpu mps cuda:99 ~nobody/a.csv"
words = st.sampled_from([*DATA_SOURCES, *WORDS.split()])


# Sizes are small or absurd, so that a valid config asks for no more memory than there is.
SIZES = {"rows", "seeds", "hidden_size", "epochs", "batch_size"}
sizes = st.sampled_from(
    [1, 7, 40, 3.0, 0, -1, 1.5, 10**16, 10**30, [2, 3], [], "x", "full", None, True]
)


def value_of(key: str) -> st.SearchStrategy[Any]:
    return sizes if key in SIZES else odd | words


DATA = {field for source in DATA_SOURCES.values() for field in source.model_fields}
PATHS = sorted({*RunConfig.model_fields, *(f"data.{key}" for key in DATA), "plot.dpi"})


@st.composite
def near_valid(draw: st.DrawFn) -> dict[Any, Any]:
    """A config with a few keys of the schema, and now and then one that isn't."""
    values: dict[Any, Any] = {}
    for path in draw(st.lists(st.sampled_from([*PATHS, "hiden_size"]), max_size=3, unique=True)):
        above, _, key = path.rpartition(".")
        place = values.setdefault(above, {}) if above else values
        if isinstance(place, dict):
            place[key] = draw(value_of(key))
    keys = texts | st.integers() | st.none() | st.dates()
    return values | draw(st.just({}) | st.dictionaries(keys, odd, max_size=2))


TOKENS = """
    [ ] { } , : ? - & * ! | > % @ ` # " ' \\ = ~ . <<: &a *a &b *b !!int !!float !!bool !!null
    !!timestamp !!binary !!set !!omap !!pairs !!str !!map !!seq !!python/name:os.system !x 0 1 9
    0x 0b1 1e 1:1 1:1:1:1.5 _ .inf .nan 2001-01-01 2001-99-99 --- ... %YAML %TAG \\x1b
    lr: data: plot: seed: "\\ud800" "\\UFFFFFFFF" "\\0"
"""
BLANKS = [" ", " ", "\n", "\n  ", "\t", "\x85", "\ufeff", "\x1b", "\u202e"]
LONG = ["x" * 200, "9" * 5000]
syntax = st.lists(st.sampled_from([*TOKENS.split(), *BLANKS, *LONG]), max_size=12).map("".join)
spaced = st.lists(st.sampled_from(TOKENS.split()), max_size=6).map(" ".join)
yaml_texts = (
    syntax | spaced | st.tuples(st.sampled_from(["lr", "data", "1"]), spaced).map(": ".join)
)


@st.composite
def setting(draw: st.DrawFn) -> str:
    key = draw(st.sampled_from(PATHS))
    value = draw(value_of(key.split(".")[-1]))
    text = yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n")
    return f"{key}={text.strip()}"


ODD_CELLS = """
    1 2.5 -3e4 1e300 5e-324 1e999 nan inf 1,5 1_0 x 0x10 ١٢ a;b é "1" " ' ""
"""
cells = st.sampled_from(
    [*ODD_CELLS.split(), "", " ", '"a\nb"', "\0", "9" * 400, "\t", "\r", "\ufeff"]
)
names = (
    st.sampled_from(["x", "y", "z", "", "x ", '"a,b"', "[bold]", "\x1b[31m", "$a$", "1"]) | texts
)


@st.composite
def table(draw: st.DrawFn) -> bytes:
    """A table that is almost right."""
    width = draw(st.integers(1, 4))
    header = draw(st.lists(names, min_size=width, max_size=width, unique=draw(st.booleans())))
    header[-1] = "y" if draw(st.booleans()) else draw(names)
    row = st.just([]) if draw(st.booleans()) else st.lists(cells, max_size=width + 1)
    lines = [header]
    scale = draw(st.sampled_from([["1", "-2", "7"], ["1e-200", "3e-200"], ["1e200", "-2e38"]]))
    for _ in range(draw(st.integers(0, 6))):
        good = draw(st.lists(st.sampled_from(scale), min_size=width, max_size=width))
        lines.append(draw(st.just(good) | row))
    delimiter, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(delimiter.join(line) for line in lines)
    return draw(st.sampled_from(["", "\ufeff", "\n"])).encode() + text.encode("utf-8", "replace")
