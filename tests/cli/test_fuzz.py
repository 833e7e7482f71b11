"""Whatever is written into configs, settings and CSV files: a plan or a clean error, and soon."""

import sys
import unicodedata
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.__main__ import main
from gdrun.text import UNSEEN
from tests.command_line import Outcome
from tests.odd_inputs import fuzz, near_valid, setting, soon, table, texts, yaml_texts


def gdrun(*args: str) -> Outcome:
    """`gdrun ARGS…` as a process would see it: streams of bytes and an exit code."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        soon(),
        patch.multiple(sys, argv=["gdrun", *args], stdout=out, stderr=err),
        patch("gc.freeze"),
        patch.dict("os.environ", {"COLUMNS": "100"}),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Outcome(int(exit_.value.code or 0), *texts)


def is_clean(outcome: Outcome) -> bool:
    """Whether a command planned a run or said what is wrong, with nothing that steers a screen."""
    both = outcome.out + outcome.err
    assert outcome.code in (0, 1, 2), both
    assert "defect of gdrun" not in outcome.err, both
    assert "Traceback" not in both, both
    steering = {char for char in both if unicodedata.category(char) in UNSEEN} - {"\n"}
    assert not steering, both
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
