"""Whatever is written into configs, settings and CSV files: a plan or a clean error, and soon."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command_line import Outcome, assert_clean, in_process
from tests.odd_inputs import fuzz, near_valid, setting, soon, table, texts, yaml_texts


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What commands import when it is first needed is no time that an input takes."""
    place = tmp_path_factory.mktemp("first")
    (place / "a.csv").write_text("x;y\n1,5;2\né;3\n", encoding="latin-1")
    (place / "c.yaml").write_text("data: {source: csv, path: a.csv, target: y}\n")
    for args in (("-c", str(place / "c.yaml")), ("--set=lr=x",), ()):
        in_process("compare", "-n", *args)


def gdrun(*args: str) -> Outcome:
    """`gdrun ARGS…`, soon."""
    return soon(lambda: in_process(*args))


def is_clean(outcome: Outcome) -> bool:
    """Whether a command planned a run or said what is wrong, with nothing that steers a screen."""
    assert_clean(outcome)
    return (outcome.code == 0) == ("error: " not in outcome.err)


@given(values=near_valid(), content=table())
@settings(fuzz, max_examples=150)
def test_any_config_file_is_planned_or_refused(
    values: dict[Any, Any], content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert is_clean(gdrun("compare", "-n", "-c", str(tmp_path / "c.yaml")))


@given(given_settings=st.lists(setting() | texts | yaml_texts.map("lr={}".format), max_size=3))
@settings(fuzz, max_examples=150)
def test_any_settings_are_planned_or_refused(given_settings: list[str]) -> None:
    # What a shell can pass on: no NUL, and of surrogates those that stand for bytes.
    passed = [text.encode("utf-8", "ignore").replace(b"\0", b"\xff") for text in given_settings]
    args = [f"--set={text.decode('utf-8', 'surrogateescape')}" for text in passed]
    assert is_clean(gdrun("sgd", "-n", *args))


@given(content=table())
@settings(fuzz, max_examples=150)
def test_any_table_is_planned_or_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    (tmp_path / "c.yaml").write_text(
        "data: {source: csv, path: a.csv, target: y}\nbatch_size: 1\n", encoding="utf-8"
    )
    assert is_clean(gdrun("compare", "-n", "-c", str(tmp_path / "c.yaml")))
