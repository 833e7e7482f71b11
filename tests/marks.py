"""Marks of tests."""

from typing import Any

import pytest
from _pytest.mark import ParameterSet


def slow(*values: Any, **more: Any) -> ParameterSet:
    """The parameters of a test that only `pytest -m slow` runs, where others show as much."""
    return pytest.param(*values, marks=pytest.mark.slow, **more)
