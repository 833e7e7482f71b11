"""The key `schedule`: a name or a mapping, and how files, settings and flags go together."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.foreign import saved_config
from gdrun.config.identity import fingerprint, refuse_changes
from gdrun.config.layers import parse_layer
from gdrun.config.parts.schedule import (
    SCHEDULE_NAMES,
    SCHEDULES,
    ConstantSchedule,
    CosineSchedule,
    InverseSchedule,
    LinearSchedule,
    ScheduleConfig,
    StepSchedule,
    schedule_in_words,
)
from gdrun.config.read import configure, dump_config, load_config, validate
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.training.optimizers import schedule as training
from tests.config.config_files import write

shares = st.floats(0, 1, exclude_max=True)
at = st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), min_size=1, unique=True)
numbers = st.floats(0, 1e30)
schedules = st.one_of(
    st.builds(ConstantSchedule, warmup=shares),
    st.builds(LinearSchedule, warmup=shares, final=numbers),
    st.builds(CosineSchedule, warmup=shares, final=numbers),
    st.builds(
        StepSchedule,
        warmup=shares,
        at=at.map(sorted).map(tuple),
        factor=st.floats(0, 1e30, exclude_min=True),
    ),
    st.builds(InverseSchedule, warmup=shares, k=numbers),
)


@given(schedule=schedules)
def test_a_config_that_is_written_reads_back_equal(schedule: ScheduleConfig) -> None:
    config = RunConfig(schedule=schedule)
    text = dump_config(config)
    assert validate(parse_layer(text, "config.yaml")) == config
    assert saved_config(config.model_dump(mode="json")) == config
    assert configure(config, {}) == config
    assert configure({}, {"schedule": schedule}) == config
    is_plain = schedule == ConstantSchedule()
    assert ("schedule: constant\n" in text) == is_plain
    assert (schedule_in_words(schedule) == "") == is_plain


@given(schedule=schedules)
def test_the_training_has_a_schedule_with_the_same_numbers(schedule: ScheduleConfig) -> None:
    own = training.schedule_of(schedule)
    assert vars(own) == {key: value for key, value in schedule if key != "name"}
    assert (own == training.CONSTANT) == (schedule == ConstantSchedule())
    assert hash(own) == hash(training.schedule_of(schedule.model_copy()))


def test_all_schedules_have_names_and_defaults_of_their_own() -> None:
    for name, model in SCHEDULES.items():
        assert RunConfig.model_validate({"schedule": name}).schedule == model()  # type: ignore[call-arg]
        warm = RunConfig.model_validate({"schedule": f"warmup+{name}"}).schedule
        assert warm == model(warmup=0.05)  # type: ignore[call-arg]
        assert training.schedule_of(model()) == training.SCHEDULES[name]()  # type: ignore
    assert [*SCHEDULES] == [*training.SCHEDULES]
    assert len(SCHEDULE_NAMES) == 2 * len(SCHEDULES)


STEP = "{name: step, at: [0.3], warmup: 0.2}"
STEPS = StepSchedule(at=(0.3,), warmup=0.2)
# What a file has, settings, the flag, and what comes of it.
MERGED: list[tuple[str, list[str], str | None, ScheduleConfig]] = [
    ("cosine", ["schedule.final=0.1"], None, CosineSchedule(final=0.1)),
    ("warmup+cosine", ["schedule.final=0.1"], None, CosineSchedule(final=0.1, warmup=0.05)),
    ("warmup+cosine", ["schedule.warmup=0.1"], None, CosineSchedule(warmup=0.1)),
    ("warmup+cosine", ["schedule=cosine"], None, CosineSchedule()),
    ("cosine", [], "warmup+cosine", CosineSchedule(warmup=0.05)),
    (STEP, [], "step", STEPS),
    (STEP, [], "warmup+step", STEPS),
    (STEP, [], "cosine", CosineSchedule()),
    (STEP, [], "constant", ConstantSchedule()),
    (STEP, ["schedule={factor: 0.5}"], None, StepSchedule(at=(0.3,), warmup=0.2, factor=0.5)),
    ("cosine", ["schedule={name: linear, final: 0.5}"], None, LinearSchedule(final=0.5)),
    ("constant", ["schedule=cosine", "schedule.final=0.1"], None, CosineSchedule(final=0.1)),
    ("constant", ["schedule.final=0.1", "schedule=cosine"], None, CosineSchedule(final=0.1)),
    ("step", ["schedule.final=0.1"], "linear", LinearSchedule(final=0.1)),
    ("cosine", ["schedule=step"], "inverse", InverseSchedule()),
    ("cosine", ["schedule.warmup=0.1"], "inverse", InverseSchedule(warmup=0.1)),
]


@pytest.mark.parametrize(("file", "settings", "flag", "expected"), MERGED)
def test_names_and_mappings_go_together(
    file: str, settings: list[str], flag: str | None, expected: ScheduleConfig, tmp_path: Path
) -> None:
    path = write(tmp_path / "c.yaml", f"schedule: {file}")
    flags = {"schedule": (f"--schedule {flag}", flag)} if flag else {}
    assert load_config(path, settings, flags).schedule == expected
    # Likewise from Python, where a mapping is the file.
    if not flag and len(settings) == 1:
        key, _, value = settings[0].partition("=")
        given: Any = yaml.safe_load(value)
        given = {key.partition(".")[2]: given} if "." in key else given
        assert (
            configure(yaml.safe_load(f"schedule: {file}"), {"schedule": given}).schedule == expected
        )


MISTAKES = [
    ("schedule: cosin", "schedule", "must be one of constant, linear, cosine, step, inverse, got"),
    ("schedule: 5", "schedule", "must be a name such as cosine, or a mapping of keys to values"),
    ("schedule: [cosine]", "schedule", "must be a name such as cosine, or a mapping"),
    ("schedule: null", "schedule", "got null"),
    ("schedule: {name: 3}", "schedule", "got 3"),
    ("schedule: {name: cosine, final: -1}", "schedule.final", "greater than or equal to 0, got -1"),
    ("schedule: {name: cosine, final: x}", "schedule.final", "must be a number, got 'x'"),
    ("schedule: {name: cosine, final: .inf}", "schedule.final", "must be a finite number"),
    ("schedule: {name: cosine, warmup: 1}", "schedule.warmup", "must be less than 1, got 1"),
    ("schedule: {name: inverse, k: -1}", "schedule.k", "greater than or equal to 0, got -1"),
    ("schedule: {name: step, factor: 0}", "schedule.factor", "must be greater than 0, got 0"),
    ("schedule: {name: step, at: []}", "schedule.at", "must hold at least one value"),
    ("schedule: {name: step, at: [0.5, 1]}", "schedule.at[1]", "must be less than 1, got 1"),
    ("schedule: {name: step, at: 0}", "schedule.at", "must be greater than 0, got 0"),
    (
        "schedule: {name: step, at: [0.5, 0.2]}",
        "schedule.at",
        "must be shares of the training that",
    ),
    (
        "schedule: {name: step, at: [0.5, 0.5]}",
        "schedule.at",
        "must be shares of the training that",
    ),
    ("schedule: {name: step, final: 1}", "schedule.final", "unknown key"),
    ("schedule: {final: 1}", "schedule.final", "unknown key"),
]


@pytest.mark.parametrize(("text", "key", "expected"), MISTAKES)
def test_mistakes_name_key_line_and_value(
    text: str, key: str, expected: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "c.yaml", f"lr: 0.1\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    (line,) = caught.value.problems
    assert line.startswith(f"{key} ({path}, line 2): ")
    assert expected in line


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("schedule=cosin", "cosin: did you mean cosine?"),
        ("schedule=warmup+linaer", "linaer: did you mean linear?"),
        (
            "schedule.final=0.1",
            "schedule.final belongs to another schedule: set schedule to linear",
        ),
        ("schedule.at=0.1", "schedule.at belongs to another schedule: set schedule to step"),
        ("schedule.warm_up=0.1", "schedule.warm_up: did you mean schedule.warmup?"),
        ("schedule.kind=1", "known keys of schedule: name, warmup"),
    ],
)
def test_hints(setting: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[setting])
    assert hint in caught.value.hints


def test_a_schedule_is_what_a_run_is_of_and_older_runs_are_constant() -> None:
    constant, cosine = RunConfig(), RunConfig(schedule=CosineSchedule())
    refuse_changes(constant, constant)
    for one, other in ((constant, cosine), (cosine, RunConfig(schedule=CosineSchedule(final=0.1)))):
        with pytest.raises(ConfigError, match=r"^schedule: the run has ") as caught:
            refuse_changes(one, other)
        assert len(caught.value.problems) == 1
        assert fingerprint(one, "sgd") != fingerprint(other, "sgd")


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("constant", ""),
        ("warmup+constant", "constant after 5 % warm-up"),
        ("cosine", "cosine"),
        ({"name": "warmup+linear", "final": 0.1}, "linear to 10 % after 5 % warm-up"),
        ({"name": "step", "at": [0.5]}, "step × 0.1 at 50 %"),
        ("step", "step × 0.1 at 50 and 75 %"),
        ({"name": "step", "at": [0.2, 0.4, 0.6, 0.8], "factor": 0.5}, "4 steps × 0.5"),
        ("inverse", "inverse, k 10"),
    ],
)
def test_schedules_in_words(schedule: object, words: str) -> None:
    assert schedule_in_words(RunConfig.model_validate({"schedule": schedule}).schedule) == words
