"""Configs: presets, precedence, and every mistake named with its key, its place and what to do."""

import time
from pathlib import Path

import pytest
import yaml

from gdrun.config.read import configure, dump_config, load_config, preset_directory, preset_names
from gdrun.config.schema import CsvData, QuadraticData, RunConfig
from gdrun.errors import ConfigError
from gdrun.experiment.plan import prepare


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_can_be_trained(name: str) -> None:
    assert prepare("compare", load_config(name)).members


def test_shipped_presets() -> None:
    assert preset_names() == ["article", "diabetes", "mean_estimation", "shuffled"]
    article, shuffled = load_config("article"), load_config("shuffled")
    assert shuffled == article.model_copy(update={"sampling": "reshuffle", "drop_last": False})


def test_mean_estimation_is_a_constant_model_on_numbers() -> None:
    experiment = prepare("compare", load_config("mean_estimation"))
    description = experiment.description
    assert (description.network, description.parameters) == ("constant model", 1)
    assert description.data == "random numbers of mean 1 and variance 1"
    assert experiment.members[2].plan.samples_after(5, 100) == 100  # whole batches alone


def test_hidden_units_need_features() -> None:
    with pytest.raises(ConfigError, match="no features that hidden units could work on") as caught:
        prepare("full", load_config(settings=["data.source=mean_estimation"]))
    (hint,) = caught.value.hints
    assert "hidden_size to []" in hint
    settings = ["data.source=mean_estimation", "hidden_size=[]"]
    assert prepare("full", load_config(settings=settings)).problem.network.sizes == (0, 1)


def test_diabetes_is_the_data_of_efron_et_al() -> None:
    data = prepare("full", load_config("diabetes")).problem.data
    assert (data.rows, len(data.x_val)) == (354, 88)
    assert data.features == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    rows = (preset_directory() / "diabetes.csv").read_text().splitlines()[1:]
    target = [float(row.rsplit(",", 1)[1]) for row in rows]
    assert len(rows) == 442
    # Efron et al. 2004, table 1: the first patients; the mean is known from many textbooks.
    assert rows[0] == "59,2,32.1,101,157,93.2,38,4,4.8598,87,151"
    assert sum(target) / 442 == pytest.approx(152.13, abs=0.01)


def test_starter_holds_the_schemas_defaults() -> None:
    import gdrun

    starter = Path(gdrun.__file__).parent / "config" / "starter.yaml"
    assert load_config(str(starter)) == RunConfig()
    assert set(yaml.safe_load(starter.read_text())) == set(RunConfig.model_fields)


def test_starters_csv_example_is_valid_once_uncommented(tmp_path: Path) -> None:
    import gdrun

    text = (Path(gdrun.__file__).parent / "config" / "starter.yaml").read_text()
    example = text[text.index("# data:") : text.index("# Data larger")].replace("\n# ", "\n")[2:]
    config = load_config(write(tmp_path / "mine.yaml", example))
    assert isinstance(config.data, CsvData)
    assert config.data.path == tmp_path / "houses.csv"


def test_schemas_defaults_follow_good_practice() -> None:
    config = RunConfig()
    assert (config.sampling, config.drop_last) == ("reshuffle", False)


def test_flags_win_over_settings_over_the_file_over_defaults(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "lr: 0.1\nepochs: 7\nseed: 1\n")
    config = load_config(path, ["epochs=8", "seed=2"], {"seed": ("--seed 3", "3")})
    assert (config.lr, config.epochs, config.seed, config.batch_size) == ((0.1,), 8, 3, 16)


@pytest.mark.parametrize("text", ["1e-3", "0.001", "1E-3", "1.0e-3", "+1e-3"])
def test_scientific_notation_is_a_number(text: str, tmp_path: Path) -> None:
    assert load_config(write(tmp_path / "c.yaml", f"lr: {text}")).lr == (1e-3,)
    assert load_config(settings=[f"lr={text}"]).lr == (1e-3,)
    assert load_config(flags={"lr": ("--lr", text)}).lr == (1e-3,)


def test_a_comma_in_a_flag_makes_a_list() -> None:
    config = load_config(flags={"lr": ("--lr", "0.1,0.2"), "hidden_size": ("--hidden-size", "8,4")})
    assert config.lr == (0.1, 0.2)
    assert config.hidden_size == (8, 4)


def test_another_data_source_starts_afresh() -> None:
    config = load_config(settings=["data.source=csv", "data.path=a.csv", "data.target=y"])
    assert config.data == CsvData(path=Path("a.csv"), target="y")
    config = load_config(settings=["data.rows=7"])
    assert config.data == QuadraticData(rows=7)


@pytest.mark.parametrize("name", preset_names())
def test_dumped_config_reads_back_equal(name: str, tmp_path: Path) -> None:
    config = load_config(name, ["lr=[0.1,1e-5]", "hidden_size=[3,2]", "momentum=0.5"])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(path)) == config


def test_from_python() -> None:
    base = RunConfig(epochs=4)
    config = configure(base, {"lr": [0.1, 0.3], "data": {"rows": 5}})
    assert config == RunConfig(epochs=4, lr=(0.1, 0.3), data=QuadraticData(rows=5))
    with pytest.raises(ConfigError, match="argument lr"):
        configure(None, {"lr": 0})


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
    ("batch_size=0", "batch_size", "must be greater than or equal to 1, got 0"),
    ("hidden_size=0", "hidden_size", "must be greater than or equal to 1, got 0"),
    ("seed=-1", "seed", "must be greater than or equal to 0, got -1"),
    ("seeds=0", "seeds", "must be greater than or equal to 1, got 0"),
    ("momentum=1", "momentum", "must be less than 1, got 1"),
    ("nesterov=true", "nesterov", "must be false unless momentum is above 0, got true"),
    ("weight_decay=-0.1", "weight_decay", "must be greater than or equal to 0"),
    ("drop_last=3", "drop_last", "must be true or false, got 3"),
    ("sampling=random", "sampling", "must be 'sequential', 'reshuffle' or 'replacement'"),
    ("activation=relo", "activation", "got 'relo'"),
    ("loss=rmse", "loss", "must be 'mse', 'half_mse', 'l1' or 'huber', got"),
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


UNKNOWN = [
    ("hiden_size=3", "hiden_size: did you mean hidden_size?"),
    ("learning_rate=3", "known keys: lr, "),
    ("noise=3", "noise: did you mean data.noise?"),
    ("plot.fromat=svg", "plot.fromat: did you mean plot.format?"),
    ("data.path=x.csv", "data.path belongs to another source: set data.source to csv"),
    ("data.mean=2", "data.mean belongs to another source: set data.source to mean_estimation"),
    ("data.source=mean_estimate", "mean_estimate: did you mean mean_estimation?"),
    ("data.source=cvs", "cvs: did you mean csv?"),
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


BROKEN = [
    ("lr: [0.1\nepochs: 3\n", "line 2, column 7: is not valid YAML"),
    ("lr: 0.1\n\tepochs: 3\n", "line 2, column 1: is not valid YAML"),
    ("lr 0.1\nepochs: 3\n", "line 2, column 7: is not valid YAML"),
    ("- lr: 0.1\n", "holds a list, expected a mapping"),
    ("just text\n", "holds text, expected a mapping"),
    ("lr: 0.1\nlr: 0.2\n", "line 2): is set twice, first in"),
    ("a: 1\n---\nb: 2\n", "is not valid YAML"),
    ("lr: !!python/object:os.system {}\n", "line 1, column 5: is not valid YAML"),
    ("seed: 2001-99-99\n", "is not valid YAML"),
    ("lr: \x07\n", "is not valid YAML"),
    ("lr: !!int ''\n", "line 1, column 5: is not valid YAML: '' is no int"),
    ("lr: !!bool maybe\n", "'maybe' is no bool"),
    ("lr: !!timestamp x\n", "'x' is no timestamp"),
    ('lr: "\\UFFFFFFFF"\n', "is not valid YAML"),
    ("lr: *" + "a" * 5000 + "\n", "found undefined alias 'aaaa"),
    ("lr: " + "1:" * 300 + "1.5\n", "line 1, column 5: is not valid YAML"),
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_broken_files_name_file_line_and_column(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert path in caught.value.problems[0]
    assert expected in caught.value.problems[0]
    assert len(caught.value.problems[0]) < len(path) + 300


def test_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_config(write(tmp_path / "c.yaml", "# nothing\n")) == RunConfig()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for name, expected in (("nowhere.yaml", "no such file"), (str(tmp_path), "can't be read")):
        with pytest.raises(ConfigError, match=expected):
            load_config(name)
    (tmp_path / "latin.yaml").write_bytes(b"lr: 0.1 # \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(str(tmp_path / "latin.yaml"))


def test_misspelt_preset_gets_a_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("diabetis")
    assert "diabetis: did you mean diabetes?" in caught.value.hints


@pytest.mark.parametrize("setting", ["lr", "=3", "lr.=3", "lr=[1,"])
def test_malformed_settings(setting: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        load_config(settings=[setting])


def test_relative_data_path_is_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep").mkdir()
    text = "data: {source: csv, path: a.csv, target: y}\n"
    write(tmp_path / "deep" / "c.yaml", text)
    monkeypatch.chdir(tmp_path)
    data = load_config("deep/c.yaml").data
    assert isinstance(data, CsvData)
    assert data.path == tmp_path / "deep" / "a.csv"


def test_home_directories_are_found_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = "data: {source: csv, path: ~/a.csv, target: y}\n"
    data = load_config(write(tmp_path / "c.yaml", text)).data
    assert isinstance(data, CsvData)
    assert data.path == tmp_path / "a.csv"
    with pytest.raises(ConfigError, match="path of a file of a known user"):
        load_config(write(tmp_path / "d.yaml", text.replace("~", "~nobody-there")))


def test_numbers_of_numpy_are_numbers() -> None:
    import numpy as np

    config = configure(None, {"epochs": np.int64(3), "lr": np.array([0.1, 0.2])})
    assert (config.epochs, config.lr) == (3, (0.1, 0.2))


LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 30)
)

# Each: a text that is YAML, or nearly, and what the message must hold.
EXPLOSIVE = {
    "billion laughs": (LAUGHS, "line 5, column 5: holds more than 10,000 values"),
    "merged laughs": (
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 30)),
        "holds more than 10,000 values",
    ),
    "an anchor in itself": ("lr: &a [1, *a]\n", "line 1, column 5: holds an alias of what it"),
    "a mapping in itself": ("data: &a\n  rows: *a\n", "holds an alias of what it stands in"),
    "brackets": ("lr: " + "[" * 10_000 + "\n", "holds more levels of brackets"),
    "braces": ("lr: " + "{" * 10_000 + "\n", "holds more levels of brackets"),
    "dashes": ("- " * 10_000 + "\n", "holds more levels of brackets"),
    "digits": ("seed: " + "9" * 5000 + "\n", "line 1, column 7: holds a number of 5,000 char"),
    "hexadecimal digits": ("seed: 0x" + "f" * 5000 + "\n", "holds a number of 5,002 characters"),
    "sixties": ("seed: 1" + ":1" * 100_000 + "\n", "holds a number of 200,001 characters"),
    "values": (f"lr: [{'1,' * 400_000}]\n", "holds more than 10,000 values"),
}


@pytest.mark.parametrize("name", EXPLOSIVE)
def test_what_would_explode_is_refused_before_it_does(name: str, tmp_path: Path) -> None:
    text, expected = EXPLOSIVE[name]
    path = write(tmp_path / "c.yaml", text)
    start = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    with pytest.raises(ConfigError):
        load_config(settings=[f"data={text.replace('a0:', 'a0 :')}"])
    assert time.process_time() - start < 3
    (problem,) = caught.value.problems
    assert problem.startswith(path)
    assert expected in problem
    assert "a config is a few flat keys" in caught.value.hints[0]


@pytest.mark.parametrize(
    "text", ["&a [1, *a]", "[" * 10_000, "9" * 5000, "!!python/object:os.a {}"]
)
def test_explosive_and_unsafe_settings_and_flags_are_refused(text: str) -> None:
    for arguments in ({"settings": [f"lr={text}"]}, {"flags": {"lr": (f"--lr {text}", text)}}):
        with pytest.raises(ConfigError, match="lr") as caught:
            load_config(**arguments)
        assert all(len(line) < 300 for line in caught.value.problems)


def test_aliases_that_stand_for_little_are_welcome(tmp_path: Path) -> None:
    text = "lr: &rates [0.1, 0.2]\nplot: {<<: &p {dpi: 50, format: svg}, dpi: 60}\n"
    config = load_config(write(tmp_path / "c.yaml", text))
    assert (config.lr, config.plot.dpi, config.plot.format) == ((0.1, 0.2), 60, "svg")
    config = load_config(write(tmp_path / "d.yaml", "lr: &n 3\nepochs: *n\nbatch_size: *n\n"))
    assert (config.lr, config.epochs, config.batch_size) == ((3,), 3, 3)


@pytest.mark.parametrize("key", ["1", "null", "2001-01-01", ".nan"])
def test_keys_that_are_no_text_are_refused(key: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must have text as keys, got "):
        load_config(write(tmp_path / "c.yaml", f"{key}: 2\n"))


def test_files_too_large_for_a_config_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "#" * 1_000_000 + "\n")
    for large in (path, "/dev/zero"):
        with pytest.raises(ConfigError, match="larger than 1,000,000 bytes"):
            load_config(large)


def test_paths_that_no_file_can_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config("x" * 300 + ".yaml")
    for path in ("a\\0b", "~\\0b", "~\\ud800"):
        with pytest.raises(ConfigError, match=r"data\.path .*: must be the path of a file"):
            load_config(
                settings=["data.source=csv", "data.target=y", f'data.path="{path}"'],
            )


def test_keys_of_many_parts_take_no_memory() -> None:
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        load_config(settings=["a." * 50_000 + "b=1"])


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
