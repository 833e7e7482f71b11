"""What anybody may write into a `run.json`: each key with values that don't belong there."""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Keys = tuple[str | int, ...]

MARK = "@@"
LEVELS = 900  # which json reads, and what follows may not
# As JSON; None leaves the key out.
HOSTILE: Sequence[str | None] = (
    None,
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "1e308",
    f"1{'0' * 400}",
    "NaN",
    "-Infinity",
    "1e999",
    "9223372036854775808",
    '""',
    f'"{"x" * 3000}"',
    r'"\u001b[31mred\u001b]0;title\u0007"',
    r'"\u009b31m\u202e\u2028\ufeff"',
    r'"a\u0000b\nerror: c\rd"',
    r'"\ud800"',
    '"[bold]x[/red]"',
    '"../../x"',
    '"9999-12-31T23:59:59"',
    "[]",
    "{}",
    r'[1, "\u001b[1m", null]',
    r'{"a": "\u001b[1m", "\u001b[2m": [[1]]}',
    "[" * LEVELS + "]" * LEVELS,
    '{"a":' * LEVELS + "1" + "}" * LEVELS,
)


def hostile_texts(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The text of a `run.json` with one value replaced; and which, in words."""
    for keys in _places(content):
        for value in HOSTILE:
            if value is not None or isinstance(keys[-1], str):
                yield f"{keys} = {str(value)[:40]}", _with(content, keys, value)


def full_manifest(directory: Path) -> dict[str, Any]:
    """What `run.json` holds, with the keys that not every run has."""
    content: dict[str, Any] = json.loads((directory / "run.json").read_text())
    when = content["started"]
    resumed = {"at": when, "command": "gdrun", "updates": 2, "stopped": when}
    if content["kind"] == "group":
        content["failures"] = [{"name": "full", "problems": ["a"], "hints": ["b"]}]
    return {**content, "resumed": [resumed], "engine": "eager", "of_a_newer_gdrun": {"a": [1]}}


def copy_run(source: Path, target: Path, text: str) -> None:
    """A run or group with another `run.json`; its CSV files are the same ones."""

    def link(path: str, other: str) -> None:
        (os.link if path.endswith(".csv") else shutil.copyfile)(path, other)

    shutil.copytree(source, target, copy_function=link)
    (target / "run.json").write_text(text, encoding="utf-8")


def _places(value: Any, above: Keys = ()) -> Iterator[Keys]:
    """All keys, and the first entries of lists, from the outside to the inside."""
    if above:
        yield above
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*above, key))
    elif isinstance(value, list) and value:
        yield from _places(value[0], (*above, 0))


def _with(content: dict[str, Any], keys: Keys, value: str | None) -> str:
    changed = json.loads(json.dumps(content))
    place = changed
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = MARK
    return json.dumps(changed).replace(json.dumps(MARK), value or "")
