"""The language of `--where`: `lr<0.1 and (method=sgd or status!=done)`, and what it selects.

    expression  = conjunction {"or" conjunction}
    conjunction = term {"and" term}
    term        = "not" term | "(" expression ")" | KEY OPERATOR VALUE

A run has any number of values of a key: a comparison holds if it holds for any of them, and `none`
means that there is none. A date may be incomplete: `started>2026-10` is any later month.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gdrun.errors import ConfigError, did_you_mean, excerpt

Kind = Literal["number", "text", "date", "any"]
Value = float | str
Lookup = Callable[[str], Sequence[Value]]
Predicate = Callable[[Lookup], bool]

MAX_LENGTH = 10_000  # characters of an expression
MAX_DEPTH = 100  # nested brackets and negations
NONE = "none"

_ORDERS: Mapping[str, Callable[[Value, Value], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<quoted>"[^"]*"|'[^']*')
    |(?P<operator>!=|<=|>=|==|[=<>~])
    |(?P<bracket>[()])
    |(?P<word>[^\s()=<>~!"']+)
    |(?P<end>$)
    )""",
    re.VERBOSE,
)
EXPECTED = "such as lr<0.1, method=sgd or name~diabetes; join them with and, or, not and brackets"


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int  # in the expression, from 0


def parse_where(text: str, kind_of: Callable[[str], Kind]) -> Predicate:
    """Parse an expression; the predicate tells whether it holds for a run.

    Args:
        text: the expression.
        kind_of: what kind of values a key has; raises ConfigError if there is no such key.

    Returns:
        A function of a lookup, which gives the run's values of a key. It raises ConfigError where
        text would have to be ordered.

    Raises:
        ConfigError: the expression is wrong; it says where.
    """
    return _Parser(text, kind_of).parse()


def unknown_key(flag: str, key: str, known: Sequence[str]) -> ConfigError:
    """The error that a flag names a key that doesn't exist."""
    return ConfigError(
        f"{flag} {excerpt(key)}: unknown key",
        *did_you_mean(key, known),
        f"keys: {', '.join(known)}; or any key of a config, such as momentum or data.rows",
    )


class _Parser:
    def __init__(self, text: str, kind_of: Callable[[str], Kind]) -> None:
        self._text = text
        self._kind_of = kind_of
        if len(text) > MAX_LENGTH:
            raise ConfigError(f"--where: has more than {MAX_LENGTH:,} characters")
        self._tokens = list(self._split())
        self._next = 0
        self._depth = 0

    def parse(self) -> Predicate:
        found = self._expression()
        if self._peek().kind != "end":
            raise self._mistake(self._peek(), "and, or, or the end")
        return found

    def _split(self) -> Iterator[_Token]:
        at = 0
        while True:
            match = _TOKEN.match(self._text, at)
            if match is None or match.lastgroup is None:
                start = at + len(self._text[at:]) - len(self._text[at:].lstrip())
                token = _Token("unknown", self._text[start : start + 1], start)
                what = (
                    "the closing quote" if token.text in "'\"" else "a key, an operator or a value"
                )
                raise self._mistake(token, what)
            kind = match.lastgroup
            yield _Token(kind, match[kind], match.start(kind))
            if kind == "end":
                return
            at = match.end()

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, *texts: str) -> _Token | None:
        """Go past the next token if it is of a kind and, in lower case, one of the texts."""
        token = self._peek()
        if token.kind != kind or (texts and token.text.lower() not in texts):
            return None
        self._next += 1
        return token

    def _expression(self) -> Predicate:
        terms = [self._conjunction()]
        while self._take("word", "or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda run: any(term(run) for term in terms)

    def _conjunction(self) -> Predicate:
        terms = [self._term()]
        while self._take("word", "and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda run: all(term(run) for term in terms)

    def _term(self) -> Predicate:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._mistake(self._peek(), f"at most {MAX_DEPTH} nested brackets and nots")
        try:
            if self._take("word", "not"):
                denied = self._term()
                return lambda run: not denied(run)
            if self._take("bracket", "("):
                inner = self._expression()
                if not self._take("bracket", ")"):
                    raise self._mistake(self._peek(), "and, or, or a closing bracket")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Predicate:
        key = self._take("word")
        if key is None or key.text.lower() in ("and", "or"):
            raise self._mistake(key or self._peek(), "a key")
        kind = self._kind_of(key.text)
        sign = self._take("operator")
        if sign is None:
            raise self._mistake(self._peek(), "one of = != < <= > >= ~")
        value = self._take("word") or self._take("quoted")
        if value is None or (value.kind == "word" and value.text.lower() in ("and", "or", "not")):
            raise self._mistake(value or self._peek(), "a value")
        literal = value.text[1:-1] if value.kind == "quoted" else value.text
        is_none = value.kind == "word" and literal.lower() == NONE
        symbol = "=" if sign.text == "==" else sign.text
        if is_none and symbol in ("=", "!="):
            return lambda run: (not run(key.text)) == (symbol == "=")
        if symbol == "~":
            part = literal.lower()
            return lambda run: any(part in as_text(own).lower() for own in run(key.text))
        number = _number(literal)
        if kind == "number" and number is None:
            raise self._mistake(value, f"a number, as {key.text} is a number")
        if kind == "text" and symbol in _ORDERS:
            raise self._mistake(sign, f"=, != or ~, as {key.text} is text")
        if kind == "date":
            return _date_test(key.text, symbol, literal)
        return _test(key.text, symbol, literal, number if kind != "text" else None)

    def _mistake(self, token: _Token, expected: str) -> ConfigError:
        came = "the end" if token.kind == "end" else repr(excerpt(token.text))
        where = f"column {token.start + 1}"
        before = self._text[: token.start].strip()
        after = f", after {_end_of(before)!r}" if before else ""
        return ConfigError(f"--where, {where}{after}: expected {expected}, got {came}", EXPECTED)


def as_text(value: Value) -> str:
    """A value as an expression writes it."""
    return value if isinstance(value, str) else f"{value:g}"


def _end_of(text: str, length: int = 30) -> str:
    """The last `length` characters of a text."""
    return text if len(text) <= length else "…" + text[1 - length :]


def _test(key: str, symbol: str, literal: str, number: float | None) -> Predicate:
    """A comparison of numbers if the literal and the run's value are numbers, else of texts."""

    def holds(own: Value) -> bool:
        if symbol not in _ORDERS:
            as_numbers = number is not None and not isinstance(own, str)
            return (own == number if as_numbers else as_text(own) == literal) == (symbol == "=")
        if isinstance(own, str):
            raise ConfigError(
                f"--where: {key} is {excerpt(own)!r} in a run, and {symbol} compares numbers only",
                "compare text with =, != or ~",
            )
        if number is None:
            raise ConfigError(f"--where: {key} is a number in a run, got {excerpt(literal)!r}")
        return _ORDERS[symbol](own, number)

    return lambda run: any(holds(own) for own in run(key))


def _date_test(key: str, symbol: str, literal: str) -> Predicate:
    """A comparison with a date, which may be incomplete: `started=2026-11` is all of November."""
    date = literal.replace("T", " ")
    if not re.fullmatch(r"\d{4}(-\d\d(-\d\d( \d\d(:\d\d(:\d\d)?)?)?)?)?", date):
        raise ConfigError(
            f"--where: {key}: expected a date such as 2026-11-01 or "
            f'"2026-11-01 12:30", got {excerpt(literal)!r}'
        )

    def holds(own: Value) -> bool:
        start = str(own)[: len(date)]
        if symbol in _ORDERS:
            return _ORDERS[symbol](start, date)
        return (start == date) == (symbol == "=")

    return lambda run: any(holds(own) for own in run(key))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
