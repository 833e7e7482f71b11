"""What must stay the same for a run to be resumed."""

import pytest

from gdrun.config.identity import fingerprint, refuse_changes
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from tests.training_runs import small_config


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", [0.1]), ("hidden_size", [3]), ("batch_size", 7), ("device", "cpu"), ("seed", 3),
        ("seeds", 2), ("sampling", "sequential"), ("drop_last", True), ("momentum", 0.5),
        ("weight_decay", 0.1), ("optimizer", "adam"), ("activation", "tanh"), ("loss", "l1"),
        ("eval_every", 2), ("log_every", 2), ("checkpoint_every", 2), ("chunk_rows", 5),
        ("trajectory", True), ("data", {"noise": 0.1}), ("plot", {"dpi": 30}),
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


# As computed before there were `data.missing` and other keys.
OLDER = {
    "2ff1bb8f27db49e719ea170d1dc380f1c3e527898c6ff648e59bd5b2f0cf5e16": {},
    "ea73eb7b123e03c4d6e32a913b80ea311132052f336f30e37023db5ac296f2e8": {
        "source": "csv",
        "path": "/a.csv",
        "target": "y",
    },
    "71e826d27c8a065c28ec54f9f5541b64f51dddbf0c2e26ca60286e9ed150eb10": {
        "source": "csv",
        "path": "/a.csv",
        "target": "y",
        "features": ["x", "z"],
        "val_fraction": 0.2,
    },
    "3d67e4907cf912edc64f61acbad59831e254251a395c3f21087a0d5063e7262d": {
        "source": "npy",
        "x": "/x.npy",
        "y": "/y.npy",
    },
}


@pytest.mark.parametrize("older", OLDER)
def test_older_checkpoints_are_of_the_same_config(older: str) -> None:
    config = RunConfig.model_validate({"data": OLDER[older], "log_every": 1})
    assert fingerprint(config, "sgd") == older


def test_keys_that_came_later_count_if_they_change_something() -> None:
    data = {"source": "csv", "path": "/a.csv", "target": "y"}
    config = RunConfig.model_validate({"data": data})
    for key, value in (("missing", "mean"), ("exclude", ["x"]), ("header", True)):
        other = RunConfig.model_validate({"data": {**data, key: value}})
        assert fingerprint(config, "sgd") != fingerprint(other, "sgd")
