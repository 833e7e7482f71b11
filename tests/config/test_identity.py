"""What must stay the same for a run to be resumed."""

import pytest

from gdrun.config.identity import fingerprint, refuse_changes
from gdrun.errors import ConfigError
from tests.training_runs import small_config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", [0.1]), ("hidden_size", [3]), ("batch_size", 7), ("device", "cpu"), ("seed", 3),
        ("seeds", 2), ("sampling", "sequential"), ("drop_last", True), ("momentum", 0.5),
        ("weight_decay", 0.1), ("activation", "tanh"), ("loss", "l1"), ("eval_every", 2),
        ("log_every", 2), ("checkpoint_every", 2), ("chunk_rows", 5), ("data", {"noise": 0.1}),
        ("plot", {"dpi": 30}),
    ],
)  # fmt: skip
def test_every_key_but_epochs_must_stay(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{key}[.:]") as caught:
        refuse_changes(small_config(), small_config(**{key: value}))
    assert len(caught.value.problems) == 1
    assert fingerprint(small_config(), "sgd") != fingerprint(small_config(**{key: value}), "sgd")


def test_a_fingerprint_tells_methods_apart_and_epochs_not() -> None:
    assert fingerprint(small_config(), "sgd") != fingerprint(small_config(), "full")
    assert fingerprint(small_config(), "sgd") == fingerprint(small_config(epochs=99), "sgd")
