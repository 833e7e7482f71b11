"""The key `optimizer`, and the keys beside it that several optimizers share."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.identity import LATER, fingerprint, refuse_changes
from gdrun.config.parts.optimizer import OPTIMIZERS, AdamConfig, AdamWConfig, SGDConfig
from gdrun.config.read import configure, dump_config, load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from tests.config.config_files import write
from tests.training_runs import small_config

NESTEROV = {"name": "sgd", "momentum": 0.9, "nesterov": True}
READ: list[tuple[dict[str, Any], str]] = [
    ({}, "sgd"),
    ({"optimizer": "sgd", "momentum": 0.9}, "sgd momentum 0.9"),
    ({"optimizer": NESTEROV}, "sgd momentum 0.9 nesterov"),
    ({"optimizer": {"momentum": 0.9}}, "sgd momentum 0.9"),
    ({"optimizer": "Adam"}, "adam"),
    ({"optimizer": {"name": "adam", "betas": [0.8, 0.9]}}, "adam betas 0.8 0.9"),
    ({"optimizer": {"name": "adam", "eps": 1e-6, "amsgrad": True}}, "adam eps 1e-06 amsgrad"),
    ({"optimizer": "adamw"}, "adamw"),
    ({"optimizer": "adamw", "weight_decay": 0}, "adamw weight-decay 0.0"),
    ({"optimizer": {"name": "adamw", "weight_decay": 0.1}}, "adamw weight-decay 0.1"),
    ({"optimizer": {"name": "rmsprop", "momentum": 0.5}}, "rmsprop momentum 0.5"),
    ({"optimizer": {"name": "adagrad", "lr_decay": 0.1}}, "adagrad lr-decay 0.1"),
]


@pytest.mark.parametrize(("settings", "rule"), READ, ids=str)
def test_a_name_or_a_mapping_is_read_dumped_and_read_back(
    settings: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    config = configure({}, settings)
    assert config.rule == rule
    assert config == RunConfig.model_validate(settings)
    text = dump_config(config)
    again = load_config(str(write(tmp_path / "config.yaml", text)))
    assert again == config
    assert dump_config(again) == text
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    assert configure(config, {}) == config


def test_plain_sgd_is_written_as_its_name() -> None:
    assert "\noptimizer: sgd\nmomentum: 0.0\n" in dump_config(RunConfig())
    assert "\noptimizer: adam\n" in dump_config(configure({}, {"optimizer": "adam"}))


def test_decay_is_that_of_the_optimizer_unless_it_is_set() -> None:
    decays = {name: configure({}, {"optimizer": name}).weight_decay for name in OPTIMIZERS}
    assert decays == {"sgd": 0, "adam": 0, "adamw": 0.01, "rmsprop": 0, "adagrad": 0}
    assert configure({"weight_decay": 0.3}, {"optimizer": "adamw"}).weight_decay == 0.3


LAYERS: list[tuple[str, list[str], str]] = [
    ("optimizer: adam", ["optimizer.eps=1e-6"], "adam eps 1e-06"),
    ("optimizer: {name: adam, eps: 1e-6}", ["optimizer=adam"], "adam eps 1e-06"),
    ("optimizer: {name: adam, eps: 1e-6}", ["optimizer=sgd"], "sgd"),
    ("optimizer: {name: sgd, momentum: 0.9}", ["optimizer=adam"], "adam"),
    ("optimizer: {name: sgd, momentum: 0.9}", ["momentum=0.5"], "sgd momentum 0.5"),
    ("momentum: 0.9", ["optimizer.momentum=0.5"], "sgd momentum 0.5"),
    ("momentum: 0.9", ["optimizer={name: sgd, momentum: 0}"], "sgd"),
    ("lr: 1", ["optimizer=adam", "optimizer.eps=1e-6"], "adam eps 1e-06"),
    ("lr: 1", ["optimizer.eps=1e-6", "optimizer.name=adam"], "adam eps 1e-06"),
    ("optimizer: sgd", ["optimizer.momentum=0.9", "momentum=0.9"], "sgd momentum 0.9"),
    ("data: {rows: 9}", ["optimizer=adagrad"], "adagrad"),
]


@pytest.mark.parametrize(("file", "settings", "rule"), LAYERS)
def test_a_later_layer_wins_inside_and_beside_the_mapping(
    file: str, settings: list[str], rule: str, tmp_path: Path
) -> None:
    assert load_config(str(write(tmp_path / "c.yaml", file)), settings).rule == rule


def test_the_flag_wins_over_settings() -> None:
    config = load_config(None, ["optimizer=sgd"], {"optimizer": ("--optimizer adam", "adam")})
    assert config.optimizer == AdamConfig()


MISTAKES = [
    ("momentum: 0.9\noptimizer: adam", "momentum (FILE, line 1): adam has none; momentum is for"),
    ("optimizer: {name: adam, momentum: 0.9}", "momentum (FILE, line 1): adam has none"),
    (
        "optimizer:\n  name: rmsprop\n  momentum: 0.9\n  nesterov: true",
        "nesterov (FILE, line 4): r",
    ),
    (
        "optimizer:\n  name: sgd\n  momentum: 0.9\nmomentum: 0.8",
        "momentum (FILE, line 4) and optimizer.momentum (FILE, line 3) differ",
    ),
    ("optimizer:\n  name: lion", "optimizer (FILE, line 2): must be one of sgd, adam, adamw"),
    ("optimizer:\n  name: 3", "optimizer (FILE, line 2): must be one of sgd, adam, adamw"),
    ("optimizer: 3", "optimizer (FILE, line 1): must be a name such as adam, or a mapping, got 3"),
    (
        "optimizer: [adam]",
        "optimizer (FILE, line 1): must be a name such as adam, or a mapping, go",
    ),
    ("optimizer:\n  name: adam\n  esp: 1", "optimizer.esp (FILE, line 3): unknown key"),
    ("optimizer:\n  name: adam\n  eps: 0", "optimizer.eps (FILE, line 3): must be greater than or"),
    ("optimizer:\n  name: adam\n  betas: [1, 0.9]", "optimizer.betas[0] (FILE, line 3): must be l"),
    ("optimizer:\n  name: adam\n  betas: 0.9", "optimizer.betas (FILE, line 3): must be a list of"),
    ("optimizer:\n  weight_decay: -1", "weight_decay (FILE, line 2): must be greater than or eq"),
]


@pytest.mark.parametrize(("text", "said"), MISTAKES)
def test_mistakes_name_the_key_and_where_it_was_written(
    text: str, said: str, tmp_path: Path
) -> None:
    path = str(write(tmp_path / "c.yaml", text))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (problem,) = caught.value.problems
    assert problem.startswith(said.replace("FILE", path))


HINTS = [
    ("optimizer.esp=1", "optimizer.esp: did you mean optimizer.eps?"),
    ("optimizer.alpha=0.9", "belongs to another optimizer: set optimizer to rmsprop"),
    ("eps=1", "eps: did you mean optimizer.eps?"),
    ("betas=[0.9,0.9]", "betas: did you mean optimizer.betas?"),
    ("beta1=0.9", "beta1: did you mean optimizer.betas?"),
    ("optim=adam", "optim: did you mean optimizer?"),
    ("optimizer.lr=0.1", "optimizer.lr: did you mean lr?"),
    ("optimizer.momentun=0.1", "optimizer.momentun: did you mean optimizer.momentum?"),
    ("optimizer=adm", "adm: did you mean adam?"),
]


@pytest.mark.parametrize(("setting", "hint"), HINTS)
def test_unknown_keys_of_an_optimizer_get_a_hint(setting: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["optimizer.name=adam", setting])
    assert any(hint in line for line in caught.value.hints)


@pytest.mark.parametrize(
    "optimizer", ["adam", {"name": "adam", "eps": 1e-6}, {"name": "sgd", "momentum": 0.9}]
)
def test_a_run_goes_on_with_its_optimizer_alone(optimizer: object) -> None:
    plain, other = small_config(), small_config(optimizer=optimizer)
    with pytest.raises(ConfigError, match=r"^(optimizer|momentum): ") as caught:
        refuse_changes(plain, other)
    assert len(caught.value.problems) == 1
    assert fingerprint(plain, "sgd") != fingerprint(other, "sgd")
    refuse_changes(other, small_config(optimizer=optimizer))


def test_a_config_from_before_there_were_optimizers_is_of_sgd() -> None:
    values = RunConfig().model_dump(mode="json")
    assert values.pop("optimizer") == LATER["optimizer"]
    assert RunConfig.model_validate(values) == RunConfig()


def test_models_are_read_as_they_are() -> None:
    assert RunConfig(optimizer=AdamWConfig()).weight_decay == 0.01
    assert RunConfig(optimizer=SGDConfig(), momentum=0.9).rule == "sgd momentum 0.9"


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats()
        | st.text(max_size=5)
        | st.sampled_from([*OPTIMIZERS]),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["name", "eps", "betas", "momentum", "weight_decay", "x"]), inner
            )
        ),
        max_leaves=6,
    )
)
def test_whatever_is_written_is_read_or_refused(value: object) -> None:
    with suppress(ConfigError):
        config = configure({}, {"optimizer": value})
        assert configure({}, config.model_dump()) == config
