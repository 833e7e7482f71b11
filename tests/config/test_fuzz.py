"""Whatever is written into configs and settings: a config or a clean error, and soon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.config.read import load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from tests.odd_inputs import fuzz, near_valid, outcome_of, setting, texts, yaml_texts


@given(
    content=st.binary(max_size=60) | (texts | yaml_texts).map(lambda t: t.encode("utf-8", "ignore"))
)
@settings(fuzz, max_examples=300)
def test_any_file_is_a_config_or_a_clean_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    outcome_of(lambda: load_config(str(tmp_path / "c.yaml")), ConfigError)


@given(values=near_valid())
@settings(fuzz, max_examples=250)
def test_any_values_are_a_config_or_a_clean_error(
    values: Mapping[Any, Any], tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    config = outcome_of(lambda: load_config(str(tmp_path / "c.yaml")), ConfigError)
    assert config is None or isinstance(config, RunConfig)


@given(given_settings=st.lists(setting() | texts | yaml_texts.map("lr={}".format), max_size=3))
@settings(fuzz, max_examples=300)
def test_any_settings_are_a_config_or_a_clean_error(given_settings: list[str]) -> None:
    outcome_of(lambda: load_config(settings=given_settings), ConfigError)
