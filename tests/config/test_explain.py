"""Every mistake in a config is named with its key, its place and what to do."""

from pathlib import Path

import pytest

from gdrun.config.read import load_config
from gdrun.errors import ConfigError
from tests.config.config_files import write

# Each: what is set, and what the message must hold.
MISTAKES = [
    ("lr=0", "lr", "must be greater than 0, got 0"),
    ("lr=-1", "lr", "must be greater than 0, got -1"),
    ("lr=fast", "lr", "must be a number, got 'fast'"),
    ("lr=.nan", "lr", "must be a finite number, got nan"),
    ("lr=true", "lr", "must be a number, got true"),
    ("lr=[0.1,-2]", "lr[1]", "must be greater than 0, got -2"),
    ("lr=[]", "lr", "must hold at least one value"),
    ("lr=[0.1,0.1]", "lr", "without repeats"),
    ("lr={a: 1}", "lr", "must be a number, got a mapping"),
    ("epochs=0", "epochs", "must be greater than or equal to 1, got 0"),
    ("epochs=1.5", "epochs", "must be a whole number, got 1.5"),
    ("epochs=null", "epochs", "must be a number, got null"),
    ("batch_size=0", "batch_size", "must be a whole number of at least 1, or full, got 0"),
    ("batch_size=1.5", "batch_size", "must be a whole number of at least 1, or full, got 1.5"),
    ("batch_size=all", "batch_size", "must be a whole number of at least 1, or full, got 'all'"),
    ("batch_size=true", "batch_size", "must be a whole number of at least 1, or full, got true"),
    ("hidden_size=0", "hidden_size", "must be greater than or equal to 1, got 0"),
    ("seed=-1", "seed", "must be greater than or equal to 0, got -1"),
    ("seeds=0", "seeds", "must be greater than or equal to 1, got 0"),
    ("momentum=1", "momentum", "must be less than 1, got 1"),
    ("nesterov=true", "nesterov", "must be false unless momentum is above 0, got true"),
    ("weight_decay=-0.1", "weight_decay", "must be greater than or equal to 0"),
    ("drop_last=3", "drop_last", "must be true or false, got 3"),
    ("sampling=random", "sampling", "must be 'sequential', 'reshuffle' or 'replacement'"),
    ("activation=relo", "activation", "got 'relo'"),
    (
        "loss=rmse",
        "loss",
        "must be 'mse', 'half_mse', 'l1', 'huber', 'cross_entropy', 'bce' or FILE.py:NAME, got",
    ),
    ("device=gpu", "device", "must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
    ("data.noise=-0.1", "data.noise", "must be greater than or equal to 0, got -0.1"),
    ("data.rows=0", "data.rows", "must be greater than or equal to 1, got 0"),
    ("data.val_fraction=1", "data.val_fraction", "must be less than 1, got 1"),
    ("data=5", "data", "must be a mapping of keys to values, got 5"),
    ("plot=false", "plot", "must be a mapping of keys to values, got false"),
    ("plot.format=jpg", "plot.format", "must be 'png', 'svg' or 'pdf', got 'jpg'"),
    ("data.source=csv", "data.path", "missing; the source 'csv' needs it"),
]


@pytest.mark.parametrize(("setting", "key", "expected"), MISTAKES)
def test_mistakes_name_key_place_and_value(setting: str, key: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[setting])
    lines = [line for line in caught.value.problems if line.startswith(f"{key} (--set {setting})")]
    assert len(lines) == 1
    assert expected.lower() in lines[0].lower()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rows=1", "must be at least 2 unless data.variance is 0, got 1"),
        ("variance=-1", "must be greater than or equal to 0, got -1"),
        ("mean=.inf", "must be a finite number, got inf"),
    ],
)
def test_mistakes_of_mean_estimation(setting: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("mean_estimation", [f"data.{setting}"])
    key = setting.split("=")[0]
    assert caught.value.problems == (f"data.{key} (--set data.{setting}): {expected}",)


@pytest.mark.parametrize(
    ("source", "setting", "expected"),
    [
        ("moons", "rows=1", "must be greater than or equal to 2, got 1"),
        ("spiral", "noise=-1", "must be greater than or equal to 0, got -1"),
        ("spiral", "turns=0", "must be greater than 0, got 0"),
        ("circles", "factor=1", "must be less than 1, got 1"),
        ("circles", "factor=-0.1", "must be greater than or equal to 0, got -0.1"),
    ],
)
def test_mistakes_of_two_classes(source: str, setting: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[f"data.source={source}", f"data.{setting}"])
    key = setting.split("=")[0]
    assert caught.value.problems == (f"data.{key} (--set data.{setting}): {expected}",)


UNKNOWN = [
    ("hiden_size=3", "hiden_size: did you mean hidden_size?"),
    ("gravity=3", "known keys: lr, "),
    ("noise=3", "noise: did you mean data.noise?"),
    ("plot.fromat=svg", "plot.fromat: did you mean plot.format?"),
    ("data.path=x.csv", "data.path belongs to another source: set data.source to csv"),
    ("data.mean=2", "data.mean belongs to another source: set data.source to mean_estimation"),
    ("data.source=mean_estimate", "mean_estimate: did you mean mean_estimation?"),
    ("data.source=cvs", "cvs: did you mean csv?"),
    ("data.source=make_moons", "make_moons: did you mean moons?"),
    ("data.source=two_spirals", "two_spirals: did you mean spiral?"),
    ("data.turns=2", "data.turns belongs to another source: set data.source to spiral"),
    ("data.factor=2", "data.factor belongs to another source: set data.source to circles"),
]


@pytest.mark.parametrize(("setting", "hint"), UNKNOWN)
def test_unknown_keys_get_a_hint(setting: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[setting])
    assert any(hint in line for line in caught.value.hints)


def test_all_mistakes_come_in_one_report_with_their_lines(tmp_path: Path) -> None:
    text = "lr: -1\nhiden_size: 3\nepochs: many\n\ndata:\n  source: quadratic\n  noise: -1\n"
    path = write(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, flags={"seeds": ("--seeds 0", "0")})
    problems = "\n".join(caught.value.problems)
    for part in (
        f"lr ({path}, line 1)",
        f"hiden_size ({path}, line 2)",
        f"epochs ({path}, line 3)",
        f"data.noise ({path}, line 7)",
        "seeds (--seeds 0)",
    ):
        assert part in problems
    assert len(caught.value.problems) == 5


def test_many_mistakes_are_counted_and_long_ones_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "".join(f"key{k}: 1\n" for k in range(4000)))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "… and 3,980 more such mistakes"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path / "d.yaml", f"lr: {'x' * 5000}\n? {'k' * 5000}\n: 1\n"))
    assert all(len(line) < 300 for line in caught.value.problems)
    path = write(tmp_path / "e.yaml", "lr: 1\n" * 4000)
    with pytest.raises(ConfigError, match="… and 3,994 more such keys"):
        load_config(path)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("epochs=1e30", "epochs (--set epochs=1e30): must be a smaller number, got 1e+30"),
        ("epochs=1000000000000001", "must be less than or equal to 1000000000000000"),
        ("lr=0x" + "f" * 900, "got a number of more than 60 digits"),
        ("seed=2001-02-03", "must be a number, got 2001-02-03"),
        ("data={1: 2}", "must have text as keys, got 1"),
        ('device="\\ud800"', r"must be text, got '\ud800'"),
    ],
)
def test_odd_values_are_named_in_words(setting: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[setting])
    (problem,) = caught.value.problems
    assert expected in problem


@pytest.mark.parametrize(
    ("key", "meant"),
    [("data.n_samples", "data.rows"), ("data.num_rows", "data.rows"), ("data.lrs", "lr"),
     ("data.normalize", "data.standardize"), ("sweep.batch_sizes", "sweep.batch_size"),
     ("optimizer.wd", "optimizer.weight_decay")],
)  # fmt: skip
def test_a_key_by_another_name_is_known_in_its_section(key: str, meant: str) -> None:
    with pytest.raises(ConfigError) as got:
        load_config(settings=[f"{key}=3"])
    assert f"{key}: did you mean {meant}?" in got.value.hints
