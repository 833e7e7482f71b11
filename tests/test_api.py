"""Training from Python."""

from pathlib import Path

import pytest
import torch

from gdrun.api import train
from gdrun.errors import ConfigError


def test_python_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for method in ("minibach", "compare"):
        with pytest.raises(ConfigError, match="must be one of full, sgd, minibatch"):
            train(method, output_dir=tmp_path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_config_may_be_a_mapping_and_a_list_an_array() -> None:
    result = train("full", {"epochs": 1}, lr=torch.tensor([0.25, 0.5]))
    assert [lane.lr for lane in result.lanes] == [0.25, 0.5]


def test_a_name_needs_a_place() -> None:
    with pytest.raises(ConfigError, match="needs an output_dir"):
        train("full", name="x")
