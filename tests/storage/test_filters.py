"""The language of `gdrun list --where`: it agrees with Python, and complains only in words."""

import operator
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.errors import ConfigError
from gdrun.storage.filters import Kind, parse_where
from gdrun.storage.listing import KEYS, kind_of

RUN: Mapping[str, Sequence[Any]] = {
    "name": ["2026-11-01_sgd"],
    "method": ["full", "sgd"],
    "status": ["done"],
    "started": ["2026-11-01 12:30:05"],
    "lr": [0.05, 0.2],
    "batch_size": [16],
    "momentum": [0.9],
    "nesterov": ["true"],
    "activation": ["relu"],
}
KINDS: dict[str, Kind] = {**KEYS, "momentum": "any", "nesterov": "any", "activation": "any"}


def holds(text: str, run: Mapping[str, Sequence[Any]] = RUN) -> bool:
    return parse_where(text, KINDS.__getitem__)(lambda key: run.get(key, ()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr<0.1", True),
        ("lr<0.05", False),
        ("lr<=0.05 and method=sgd", True),
        ("lr = 0.2 AND batch_size==16", True),
        ("lr!=0.2", True),  # for one of its rates it is so
        ("not lr=0.2", False),
        ("lr>0.1 and lr<0.1", True),
        ("method=minibatch or status=done", True),
        ("method=minibatch or method=sgd and status=failed", False),
        ("(method=minibatch or method=sgd) and status=done", True),
        ("not (method=minibatch) and not status!=done", True),
        ("name~SGD", True),
        ("name~'_sgd'", True),
        ('name="2026-11-01_sgd"', True),
        ("name~diabetes", False),
        ("batch_size=1.6e1", True),
        ("val_loss<1", False),
        ("not val_loss<1", True),
        ("val_loss=none", True),
        ("val_loss!=none", False),
        ("lr=none", False),
        ("started<2026-11-01", False),
        ("started<=2026-11-01", True),
        ("started=2026-11", True),
        ("started>2026", False),
        ("started>2026-10-31", True),
        ("started<2026-12", True),
        ("started>=2026-11-01T12:30", True),
        ('started > "2026-11-01 12:30"', False),
        ("momentum>0.8", True),
        ("nesterov=true", True),
        ("nesterov=false", False),
        ("activation=relu", True),
        ("activation~EL", True),
        ("method = 'and' or status=done", True),
    ],
)
def test_meaning(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["column 1", "expected a key, got the end"]),
        ("lr", ["column 3", "after 'lr'", "expected one of ="]),
        ("lr<", ["column 4", "expected a value, got the end"]),
        ("lr<0.1 and", ["column 11", "after 'lr<0.1 and'", "expected a key"]),
        ("lr<0.1 and and", ["column 12", "got 'and'"]),
        ("lr<0.1 method=sgd", ["column 8", "expected and, or, or the end, got 'method'"]),
        ("(lr<0.1", ["column 8", "a closing bracket"]),
        ("lr<0.1)", ["column 7", "got ')'"]),
        ("name='x", ["column 6", "the closing quote"]),
        ("lr<fast", ["column 4", "expected a number, as lr is a number, got 'fast'"]),
        ("lr<nan", ["expected a number"]),
        ("method<sgd", ["column 7", "expected =, != or ~, as method is text"]),
        ("started<yesterday", ["a date such as 2026-11-01", "'yesterday'"]),
        ("lr=<0.1", ["column 4", "expected a value"]),
        ("activation<relu", ["activation is 'relu' in a run, and < compares numbers only"]),
        ("momentum<high", ["momentum is a number in a run, got 'high'"]),
        ("(" * 200 + "lr<1" + ")" * 200, ["at most 100 nested brackets"]),
        ("not " * 200 + "lr<1", ["at most 100 nested brackets"]),
        ("lr<1 or " * 2000 + "lr<1", ["more than 10,000 characters"]),
    ],
)
def test_mistakes_say_where(text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        holds(text)
    for part in parts:
        assert part in caught.value.problems[0]


def test_an_unknown_key_is_named_with_the_closest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_where("metod=sgd", kind_of("--where"))
    assert caught.value.problems == ("--where metod: unknown key",)
    assert caught.value.hints[0] == "metod: did you mean method?"
    assert all(key in caught.value.hints[1] for key in KEYS)
    for key in ("momentum", "data.rows", "sweep.target", "plot.dpi", "hidden_size"):
        assert kind_of("--where")(key) == "any"


# ------------------------------------------------------------------- against Python's own words

SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBERS = st.sampled_from([0.0, 0.05, 0.1, 1.0, 16.0, -2.5])
COMPARISONS = st.tuples(
    st.sampled_from(["lr", "batch_size", "updates"]), st.sampled_from([*SIGNS]), NUMBERS
)
TREES: st.SearchStrategy[Any] = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3))
        | st.tuples(st.just("not"), inner)
    ),
    max_leaves=8,
)
RUNS = st.fixed_dictionaries(
    {key: st.lists(NUMBERS, max_size=3) for key in ("lr", "batch_size", "updates")}
)


def written(tree: Any) -> str:
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    if tree[0] in ("and", "or"):
        return "(" + f" {tree[0]} ".join(map(written, tree[1])) + ")"
    key, sign, number = tree
    return f"{key} {sign}{number}"


def evaluated(tree: Any, run: Mapping[str, Sequence[float]]) -> bool:
    if tree[0] == "not":
        return not evaluated(tree[1], run)
    if tree[0] in ("and", "or"):
        return {"and": all, "or": any}[tree[0]](evaluated(part, run) for part in tree[1])
    key, sign, number = tree
    return any(SIGNS[sign](own, number) for own in run[key])


@given(tree=TREES, run=RUNS)
def test_it_agrees_with_python(tree: Any, run: Mapping[str, Sequence[float]]) -> None:
    assert holds(written(tree), run) == evaluated(tree, run)


WORDS = ["lr", "method", "momentum", "and", "or", "not", "(", ")", "=", "<", "~", "!", "'", '"']
PIECES = st.lists(
    st.sampled_from([*WORDS, "0.1", "sgd", " ", "\0", "é", "none"]) | st.text(max_size=3)
)


@given(text=st.text(max_size=40) | PIECES.map("".join) | PIECES.map(" ".join))
def test_whatever_is_typed_is_understood_or_complained_of(text: str) -> None:
    with suppress(ConfigError):
        assert parse_where(text, kind_of("--where"))(lambda key: RUN.get(key, ())) in (True, False)
