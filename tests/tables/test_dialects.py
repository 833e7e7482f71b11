"""However a table is written, it is read as pandas reads it when it is told how."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.errors import DataError
from tests.odd_inputs import fuzz
from tests.tables.csv_files import csv, numbers_of, table_of, target_of

FRAME = pd.DataFrame(
    {
        "height (cm, net)": [1.5, -2.25, 3.125, 4.0, 1250.75, 0.5],
        "half; or more": [3, 1, 4, 1, 5, 9],
        "a note": ["one, two", 'say "no"', "a;b", "x\ty", "5 | 6", "last"],
        "y": [0.25, 1.5, 2.75, 3.5, 4.25, 6.125],
    }
)
NUMBERS = {name: FRAME[name].tolist() for name in ("height (cm, net)", "half; or more", "y")}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
@pytest.mark.parametrize("quoting", [0, 1, 2], ids=["where needed", "all", "text"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_are_told_by_the_rows(
    delimiter: str, quoting: int, end: str, tmp_path: Path
) -> None:
    text = FRAME.to_csv(sep=delimiter, index=False, quoting=quoting, lineterminator=end)
    assert numbers_of(table_of(csv(tmp_path, text), "y")) == NUMBERS


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_decimal_commas_are_found_and_said(delimiter: str, tmp_path: Path) -> None:
    text = FRAME.to_csv(sep=delimiter, index=False, decimal=",")
    table = table_of(csv(tmp_path, text), "y")
    assert numbers_of(table) == NUMBERS
    assert any("decimal comma" in note for note in table.notes)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,234.5", "12,345,678", "7"], [1234.5, 12345678, 7]),
        (["1.234,5", "12.345.678", "7"], [1234.5, 12345678, 7]),
        (["1 234,5", "12 345 678", "7"], [1234.5, 12345678, 7]),
        (["1'234.5", "12'345'678", "7"], [1234.5, 12345678, 7]),
        (["1\u202f234,5", "-12\u202f345", "7"], [1234.5, -12345, 7]),
    ],
)
def test_thousands(cells: list[str], expected: list[float], tmp_path: Path) -> None:
    rows = "\n".join(f'"{cell}";{k}' for k, cell in enumerate(cells))
    table = table_of(csv(tmp_path, f"x;y\n{rows}\n"), "y")
    assert numbers_of(table)["x"] == expected
    assert any("thousands" in note for note in table.notes)


def test_a_thousand_or_little_more_than_one_is_asked(tmp_path: Path) -> None:
    path = csv(tmp_path, "x;y\n1,234;1\n2,345;2\n3,456;3\n")
    with pytest.raises(DataError, match=r"is 1,234 more than a thousand.*decimal comma") as caught:
        table_of(path, "y")
    assert "data.decimal" in caught.value.hints[0]
    assert numbers_of(table_of(path, "y", decimal=","))["x"] == [1.234, 2.345, 3.456]
    assert numbers_of(table_of(path, "y", decimal="."))["x"] == [1234, 2345, 3456]
    quoted = csv(tmp_path, 'x,y\n"1,234",1\n"2,345",2\n', "quoted.csv")
    assert numbers_of(table_of(quoted, "y"))["x"] == [1234, 2345]  # no mark for two uses


def archive_of(**files: str) -> bytes:
    """A zip archive of files by name."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def zipped(content: bytes) -> bytes:
    return archive_of(**{"deep/a.csv": content.decode(), "__MACOSX/._a.csv": "x"})


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
}
LETTERS = FRAME.rename(columns={"half; or more": "Größe € ñ"})


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_packed_files_are_told_by_their_content(packer: str, name: str, tmp_path: Path) -> None:
    path = csv(tmp_path, PACKERS[packer](FRAME.to_csv(index=False).encode()), name)
    assert numbers_of(table_of(path, "y")) == NUMBERS


@pytest.mark.parametrize("packer", ["gzip", "bz2", "xz", "zip"])
def test_damaged_packed_files_are_refused(packer: str, tmp_path: Path) -> None:
    whole = PACKERS[packer](FRAME.to_csv(index=False).encode() * 50)
    for content in (whole[: len(whole) // 2], whole[:40] + b"\xaa" * 30 + whole[70:]):
        with pytest.raises(DataError, match=r"can't be unpacked|is not valid CSV"):
            table_of(csv(tmp_path, content), "y")


def test_an_archive_of_several_tables_is_refused(tmp_path: Path) -> None:
    content = archive_of(**{"a.csv": "x,y\n1,2\n", "b.csv": "x,y\n1,2\n"})
    with pytest.raises(DataError, match=r"holds 2 files, expected one table: a\.csv, b\.csv"):
        table_of(csv(tmp_path, content), "y")


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "iso8859-15"],
)
def test_encodings(encoding: str, tmp_path: Path) -> None:
    path = csv(tmp_path, LETTERS.to_csv(index=False).encode(encoding))
    table = table_of(path, "y")
    assert list(numbers_of(table).values()) == list(NUMBERS.values())
    said = any("data.encoding" in note for note in table.notes)
    assert said == (encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"))
    told = table_of(path, "y", encoding=encoding)
    assert "Größe € ñ" in numbers_of(told)
    assert not any("data.encoding" in note for note in told.notes)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp949", "키와 몸무게를 적은 열"), ("cp1251", "рост человека в сантиметрах")],
)
def test_other_alphabets_are_guessed(encoding: str, name: str, tmp_path: Path) -> None:
    text = FRAME.rename(columns={"half; or more": name}).to_csv(index=False)
    assert name in numbers_of(table_of(csv(tmp_path, text.encode(encoding)), "y"))


def test_text_that_is_not_in_the_encoding_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not utf-8 text") as caught:
        table_of(csv(tmp_path, b"x,y\n\xff,1\n"), "y", encoding="utf-8")
    assert "data.encoding" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PAR1....", "a Parquet file"),
        (b"\x93NUMPY\x01", r"a \.npy file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel workbook"),
        (b"%PDF-1.7", "a PDF file"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"SQLite format 3\0", "an SQLite database"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"is {what}, not a CSV file"):
        table_of(csv(tmp_path, content), "y")


def test_a_workbook_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a workbook"):
        table_of(csv(tmp_path, archive_of(**{"[Content_Types].xml": "<x/>"})), "y")


SAME = {"x": [0.0, 1.0, 2.0], "y": [1.0, 3.0, 5.0]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# made by a logger, v3\nx,y\n0,1\n1,3\n2,5\n", "# are comments"),
        ("x,y\n0,1\n# a pause\n1,3\n2,5\n", "# are comments"),
        ("% x y\n0 1\n1 3\n2 5\n", "separated by spaces"),
        ("# x,y\n0,1\n1,3\n2,5\n", "# are comments"),
        ("Data of a station\n\nx,y\n0,1\n1,3\n2,5\n", "1 line above the table skipped"),
        ("One\nmade on 2024-01-02\nx,y\n0,1\n1,3\n2,5\n", "2 lines above the table skipped"),
        ("x,y\n0,1\n1,3\n2,5\n\nSource: a station\n", "1 line below the table skipped"),
        ("sep=;\nx;y\n0;1\n1;3\n2;5\n", "separated by semicolons"),
        ("x,y,\n0,1\n1,3\n2,5\n", ""),
        ("x,y\n0,1,\n1,3,\n2,5,\n", ""),
        ("x;y;\n0;1;\n1;3;\n2;5;\n", "separated by semicolons"),
        ("x,y\n7,0,1\n8,1,3\n9,2,5\n", "without a name"),
        (",x,y\n7,0,1\n8,1,3\n9,2,5\n", "without a name"),
        ("Unnamed: 0,x,y\n7,0,1\n8,1,3\n9,2,5\n", "without a name"),
        ('"name", "x", "y"\n"n, 0", 0, 1\n"n, 1", 1, 3\n"n, 2", 2, 5\n', "(text): name"),
        ('name,x,y\n"n \\"0\\" z",0,1\n"n \\"1\\"",1,3\n"\\"2\\"",2,5\n', "(text): name"),
        ("day,x,y\n2024-01-01,0,1\n2024-01-02,1,3\n2024-01-03,2,5\n", "(dates): day"),
        ("k,x,y\n80,0,1\n80,1,3\n80,2,5\n", "(the same in all rows): k"),
        ("  x  ,  y \n 0 , 1 \n 1 , 3 \n 2 , 5 \n", ""),
        ("x  y\n0    1\n1    3\n2    5\n", "separated by spaces"),
    ],
)
def test_what_is_around_a_table_is_left_out_and_said(text: str, said: str, tmp_path: Path) -> None:
    table = table_of(csv(tmp_path, text), "y")
    found = numbers_of(table)
    assert {name.removeprefix("# "): values for name, values in found.items()} == SAME
    assert any(said in note for note in table.notes) or not said


def test_words_among_the_rows_are_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y\n0,1\nA pause\nof a day\n1,3\n2,5\n")
    with pytest.raises(DataError) as caught:
        table_of(path, "y")
    assert [problem.split(", ")[1] for problem in caught.value.problems] == [
        "line 3: has 1 cell",
        "line 4: has 1 cell",
    ]


def test_what_cannot_be_told_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        table_of(csv(tmp_path, "x^y\n1^2\n2^3\n"), "y")
    assert any("data.delimiter" in hint for hint in caught.value.hints)
    with pytest.raises(DataError, match="no column of numbers") as caught:
        table_of(csv(tmp_path, "x;y\n1,5;2.5\n2,5;3.5\n3,5;1.5\n"), "y")
    assert any("decimal comma: data.decimal): x" in hint for hint in caught.value.hints)


def test_rows_without_a_header_are_numbered(tmp_path: Path) -> None:
    path = csv(tmp_path, "0,0,1,24.0\n3,1,5,21.6\n4,1,5,34.7\n2,0,6,33.4\n")
    table = table_of(path, "c4")
    assert numbers_of(table)["c1"] == [0, 3, 4, 2]
    assert "there is no header: the columns are called c1 to c4" in table.notes
    told = table_of(path, "24.0")  # whoever names a cell of the first line says that it is one
    assert len(target_of(told).values) == 3
    assert len(target_of(table_of(path, "24.0", header=True)).values) == 3


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.0,2.2,virginica\n", 3),
        ("sepal,petal,kind\n4.9,3.0,setosa\n6.0,2.2,virginica\n5.5,2.3,versicolor\n", 3),
        ("1957,1962,y\n1,2,3\n2,5,4\n7,8,1\n", 3),
        ("M,0.4,15\nF,0.3,7\nM,0.2,9\n", 3),
    ],
)
def test_a_header_is_told_by_its_words(text: str, rows: int, tmp_path: Path) -> None:
    first = text.split("\n")[0].split(",")
    is_header = first[1] in ("petal", "1962")
    table = table_of(csv(tmp_path, text), first[1] if is_header else "c2")
    assert len(target_of(table).values) == rows


def test_repeated_names_are_told_apart_as_pandas_does(tmp_path: Path) -> None:
    text = "x,x,x.1,y,x\n1,2,3,4,5\n2,3,1,4,0\n5,3,2,0,1\n"
    path = csv(tmp_path, text)
    table = table_of(path, "y")
    frame = pd.read_csv(path)
    assert {name: frame[name].tolist() for name in numbers_of(table)} == numbers_of(table)
    assert any("'x'" in note for note in table.notes)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("delimiter", "tab", "x\ty,z\n0\t1\n1\t3\n2\t5\n"),
        ("delimiter", ":", "x:y,z\n0:1\n1:3\n2:5\n"),
        ("comment", "//", "// a\nx,y,z\n// b\n0,1,0\n1,3,2\n2,5,1\n"),
        ("comment", "none", "#x,y,z\n0,1,0\n1,3,2\n2,5,1\n"),
        ("header", False, "0,1,0\n1,3,2\n2,5,1\n"),
        ("decimal", ",", "x;y;z\n0;1;0\n1;3;2\n2;5;1\n"),
    ],
)
def test_each_guess_can_be_overridden(key: str, value: object, text: str, tmp_path: Path) -> None:
    target = "y,z" if key == "delimiter" else "c2" if key == "header" else "y"
    table = table_of(csv(tmp_path, text), target, **{key: value})
    assert target_of(table).values.tolist() == [1, 3, 5]


words = st.text("abc ,;|'\t", min_size=1, max_size=8).filter(lambda text: text.strip("' \t"))
floats = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 4))


@given(
    numbers=st.lists(st.tuples(floats, floats, words), min_size=8, max_size=25),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([1, 2]),
    missing=st.sampled_from(["", "NA", "N/A", "?", "null", "-", ".", "nan"]),
)
@settings(fuzz, max_examples=150)
def test_tables_that_pandas_writes(
    numbers: list[tuple[float, float, str]],
    delimiter: str,
    quoting: int,
    missing: str,
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame(numbers, columns=["first, x", "y", "words"])
    frame.loc[3, "first, x"] = np.nan
    path = tmp_path / "a.csv"
    frame.to_csv(path, sep=delimiter, index=False, quoting=quoting, na_rep=missing)
    table = table_of(path, "y", features=["first, x"])
    kept = frame[frame["first, x"].notna()]
    assert numbers_of(table) == {name: kept[name].tolist() for name in ("first, x", "y")}


def test_bytes_of_which_chardet_has_no_guess_are_letters_of_latin_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: bytes) -> None:
        raise RuntimeError("pipeline must always return at least one result")

    monkeypatch.setattr("chardet.detect", fail)
    path = tmp_path / "houses.csv"
    path.write_bytes(b"a,price\n\x8d,1\n2,2\n3,3\n4,4\n")
    with pytest.raises(DataError, match="expected a number, got"):
        table_of(path)
