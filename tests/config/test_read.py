"""Configs: presets, precedence, files and paths."""

from pathlib import Path

import pytest
import yaml

from gdrun.config.parts.data import CsvData, MeanEstimationData, QuadraticData, SpiralData
from gdrun.config.presets import preset_directory, preset_names
from gdrun.config.read import configure, dump_config, load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from tests.config.config_files import write
from tests.problems import perceptron_of


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_loads_and_can_be_trained(name: str) -> None:
    assert plan_experiment("compare", load_config(name)).runs


PRESETS = [
    "article",
    "circles",
    "diabetes",
    "digits",
    "hadamard",
    "mean_estimation",
    "moons",
    "shuffled",
    "spiral",
]


def test_shipped_presets() -> None:
    assert preset_names() == PRESETS
    article, shuffled = load_config("article"), load_config("shuffled")
    assert shuffled == article.model_copy(update={"sampling": "reshuffle", "drop_last": False})


def test_mean_estimation_is_a_constant_model_on_numbers() -> None:
    experiment = plan_experiment("compare", load_config("mean_estimation"))
    description = experiment.description
    assert (description.network, description.parameters) == ("constant model", 1)
    assert description.data == "random numbers of mean 1 and variance 1"
    assert experiment.runs[2].plan.samples_after(5, 100) == 100  # whole batches alone


def test_hidden_units_need_features() -> None:
    with pytest.raises(ConfigError, match="no features that hidden units could work on") as caught:
        plan_experiment("full", load_config(settings=["data.source=mean_estimation"]))
    (hint,) = caught.value.hints
    assert "hidden_size to []" in hint
    settings = ["data.source=mean_estimation", "hidden_size=[]"]
    assert perceptron_of(plan_experiment("full", load_config(settings=settings)).problem).sizes == (
        0,
        1,
    )


def test_diabetes_is_the_data_of_efron_et_al() -> None:
    data = plan_experiment("full", load_config("diabetes")).problem.data
    assert (data.rows, len(data.x_val)) == (354, 88)
    assert data.features == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    rows = (preset_directory() / "diabetes.csv").read_text().splitlines()[1:]
    target = [float(row.rsplit(",", 1)[1]) for row in rows]
    assert len(rows) == 442
    # Efron et al. 2004, table 1: the first patients; the mean is known from many textbooks.
    assert rows[0] == "59,2,32.1,101,157,93.2,38,4,4.8598,87,151"
    assert sum(target) / 442 == pytest.approx(152.13, abs=0.01)


def test_digits_are_the_test_set_of_alpaydin_and_kaynak() -> None:
    lines = (preset_directory() / "digits.csv").read_text().splitlines()
    names, rows = lines[0].split(","), [[*map(int, line.split(","))] for line in lines[1:]]
    assert names == [*(f"p{row}{column}" for row in range(8) for column in range(8)), "digit"]
    assert all(0 <= pixel <= 16 for row in rows for pixel in row[:64])
    # As the data's authors count them, digit by digit.
    published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert [sum(row[64] == digit for row in rows) for digit in range(10)] == published
    # The image that scikit-learn's introduction shows first, a nought.
    image = """
        0 0  5 13  9  1 0 0
        0 0 13 15 10 15 5 0
        0 3 15  2  0 11 8 0
        0 4 12  0  0  8 8 0
        0 5  8  0  0  9 8 0
        0 4 11  0  1 12 7 0
        0 2 14  5 10 12 0 0
        0 0  6 13 10  0 0 0
    """
    assert rows[0] == [*map(int, image.split()), 0]


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


@pytest.mark.parametrize("data", [MeanEstimationData(), SpiralData()])
def test_starters_examples_of_generated_data_are_the_defaults(
    data: MeanEstimationData | SpiralData, tmp_path: Path
) -> None:
    import gdrun

    text = (Path(gdrun.__file__).parent / "config" / "starter.yaml").read_text()
    start = text.index(f"# data:\n#   source: {data.source}")
    example = text[start : text.index("\n\n", start)].replace("\n# ", "\n")[2:]
    assert load_config(write(tmp_path / "mine.yaml", example)).data == data


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


def test_a_batch_size_is_a_number_of_rows_or_full(tmp_path: Path) -> None:
    config = load_config(settings=["batch_size=full"])
    assert config == configure(None, {"batch_size": "full"})
    assert config.model_dump(mode="json")["batch_size"] == "full"
    assert "batch_size: full\n" in dump_config(config)
    assert load_config(write(tmp_path / "c.yaml", dump_config(config))) == config
    assert load_config(settings=["batch_size=1e2"]).batch_size == 100
    assert plan_experiment("full", config).batch_sizes == [100]
    for command in ("minibatch", "compare"):
        with pytest.raises(ConfigError, match="minibatch needs a number of rows, got full"):
            plan_experiment(command, config)


def test_what_is_set_of_data_holds_beside_a_file_that_a_flag_names(tmp_path: Path) -> None:
    """Whichever names the source: both are of one command line."""
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    flags = {
        "data.source": ("--data a.csv", "csv"),
        "data.path": ("--data a.csv", str(tmp_path / "a.csv")),
        "data.target": ("--target y", "y"),
    }
    found = load_config(None, ["data.val_fraction=0.2", "data.categorical=all"], flags)
    assert isinstance(found.data, CsvData)
    assert (found.data.val_fraction, found.data.categorical) == (0.2, "all")
    assert found.sampling == "reshuffle"
    with pytest.raises(ConfigError, match=r"data\.rows belongs to another source"):
        load_config(None, ["data.rows=50"], flags)
    # Of a file below, another source is all that counts.
    (tmp_path / "c.yaml").write_text("data: {rows: 50, noise: 0.1}\n")
    assert load_config(str(tmp_path / "c.yaml"), ["data.seed=3"], flags).data.seed == 3
