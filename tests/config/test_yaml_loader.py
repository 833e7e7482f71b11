"""Config files that are broken, explode or hold odd keys."""

import time
from pathlib import Path

import pytest

from gdrun.config.parts.data import CsvData
from gdrun.config.read import load_config
from gdrun.errors import ConfigError
from tests.config.config_files import write

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
]


@pytest.mark.parametrize(("text", "expected"), BROKEN)
def test_broken_files_name_file_line_and_column(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert path in caught.value.problems[0]
    assert expected in caught.value.problems[0]
    assert len(caught.value.problems[0]) < len(path) + 300


LAUGHS = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 30)
)


# Each: a text that is YAML, or nearly, and what the message must hold.
EXPLOSIVE = {
    "billion laughs": (LAUGHS, "line 1, column 5: holds the anchor &a0"),
    "merged laughs": (
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 30)),
        "line 1, column 5: holds the anchor &a0",
    ),
    "an anchor in itself": ("lr: &a [1, *a]\n", "line 1, column 5: holds the anchor &a"),
    "a mapping in itself": ("data: &a\n  rows: *a\n", "line 1, column 7: holds the anchor &a"),
    "an anchor for a key": ("&a lr: 1\n", "line 1, column 1: holds the anchor &a"),
    "an alias of nothing": ("lr: *" + "a" * 5000 + "\n", "line 1, column 5: holds the alias *aaaa"),
    "a merged mapping": ("plot: {<<: {dpi: 50}}\n", "line 1, column 8: holds the merge key <<"),
    "brackets": ("lr: " + "[" * 10_000 + "\n", "holds more levels of brackets"),
    "braces": ("lr: " + "{" * 10_000 + "\n", "holds more levels of brackets"),
    "dashes": ("- " * 10_000 + "\n", "holds more levels of brackets"),
    "digits": ("seed: " + "9" * 5000 + "\n", "line 1, column 7: holds a number of 5,000 char"),
    "hexadecimal digits": ("seed: 0x" + "f" * 5000 + "\n", "holds a number of 5,002 characters"),
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


def test_signs_of_anchors_are_plain_text_inside_of_values(tmp_path: Path) -> None:
    text = "data: {source: csv, path: 'a&b.csv', target: x*y}\n"
    data = load_config(write(tmp_path / "c.yaml", text)).data
    assert data == CsvData(path=tmp_path / "a&b.csv", target="x*y")


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


@pytest.mark.parametrize("text", ["1:30", "1:30.5", "1" + ":1" * 100_000, "2024-01-01", "0o17"])
def test_what_yaml_1_1_took_for_numbers_is_text(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"line 1\): must be a number, got") as caught:
        load_config(write(tmp_path / "c.yaml", f"seed: {text}\n"))
    assert len(caught.value.problems[0]) < len(str(tmp_path)) + 300


@pytest.mark.parametrize(
    ("text", "value"), [("010", 10), ("1_000", 1000), ("0x1f", 31), ("+7", 7), ("1e3", 1000)]
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: int, tmp_path: Path) -> None:
    assert load_config(write(tmp_path / "c.yaml", f"seed: {text}\n")).seed == value
    assert load_config(settings=[f"seed={text}"]).seed == value


NAMES = ["NO", "YES", "1957", "010", "1e3", "1:30", "true", "~x", "2024-01-01", "x y", "ä", "a:b"]
QUOTED = ["#n", "a: b", "% of x", "@x", "*x", "&x", "!x", "| x", "> x", "`x`", "? x", "- x", "[x"]


@pytest.mark.parametrize("name", NAMES + QUOTED[:-1])
def test_names_of_columns_are_text_as_written(name: str, tmp_path: Path) -> None:
    settings = ["data.source=csv", "data.path=a.csv"]
    data = load_config(settings=[*settings, f"data.target={name}"]).data
    assert isinstance(data, CsvData)
    assert data.target == name
    text = f"data:\n  source: csv\n  path: a.csv\n  target: {name!r}\n  features: [x, {name!r}]\n"
    data = load_config(write(tmp_path / "c.yaml", text)).data
    assert isinstance(data, CsvData)
    assert (data.target, data.features) == (name, ("x", name))


@pytest.mark.parametrize("name", NAMES)
def test_names_need_no_quotes_in_yaml(name: str, tmp_path: Path) -> None:
    text = f"data:\n  source: csv\n  path: a.csv\n  target: {name}\n  features:\n    - {name}\n"
    data = load_config(write(tmp_path / "c.yaml", text)).data
    assert isinstance(data, CsvData)
    assert (data.target, data.features) == (name, (name,))
    flow = load_config(settings=[f"data={{source: csv, path: a, target: {name}}}"]).data
    assert isinstance(flow, CsvData)
    assert flow.target == name


@pytest.mark.parametrize("name", QUOTED)
def test_names_that_yaml_reads_otherwise_get_a_hint(name: str, tmp_path: Path) -> None:
    text = f"data:\n  source: csv\n  path: a.csv\n  target: {name}\n"
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path / "c.yaml", text))
    assert any("needs quotes" in hint for hint in caught.value.hints)


def test_a_number_is_the_name_of_a_column_in_python() -> None:
    data = CsvData.model_validate({"path": "a.csv", "target": 1957, "features": [1.5, "x"]})
    assert (data.target, data.features) == ("1957", ("1.5", "x"))
