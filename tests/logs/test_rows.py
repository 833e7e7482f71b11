"""Rows are read as they were written, or the first line that is no row of the run is named."""

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.logs.lines import MAX_ROW_BYTES, BadRowError
from tests.logs.log_files import as_text, logs, parsed, table_by_csv, table_of

FILES = st.sampled_from(["epochs", "steps"])


@given(
    lanes=st.sampled_from([1, 2, 3, 17, 40]),
    epochs=st.integers(0, 12),
    seed=st.integers(0, 9999),
    eval_every=st.sampled_from([1, 4]),
    block_bytes=st.sampled_from([50, 300, 2000, 2**17]),
    name=FILES,
)
@settings(max_examples=100)
def test_what_is_read_is_what_another_reader_finds(
    lanes: int, epochs: int, seed: int, eval_every: int, block_bytes: int, name: str
) -> None:
    made = logs(lanes, epochs, seed, eval_every)
    text = getattr(made, name)
    found = table_of(made.series, parsed(made.series, text, block_bytes))
    assert as_text(found) == as_text(table_by_csv(text))


@given(
    lanes=st.sampled_from([1, 3, 20]),
    seed=st.integers(0, 99),
    cut=st.integers(0, 5000),
    name=FILES,
)
@settings(max_examples=50)
def test_of_a_file_that_is_being_written_the_whole_rows_are_read(
    lanes: int, seed: int, cut: int, name: str
) -> None:
    made = logs(lanes, 8, seed)
    text = getattr(made, name)
    start = text.index("\n") + 1
    text = text[: start + cut % (len(text) - start + 1)]
    whole = text[: text.rindex("\n") + 1]
    found = table_of(made.series, parsed(made.series, text, 200))
    assert as_text(found) == as_text(table_by_csv(whole))


NOTHING: list[bytes] = [b"", b"\x00", b"\xff", b"\x1b[2J", "é".encode(), b" ", b"_", b'"', b"\r\n"]
NUMBERS = [b"nan", b"inf", b"1e400", b"9" * 30, b"1" + b"0" * 400, b"0x1", b"-", b"+", b"e"]
MUTATIONS = [*NOTHING, *NUMBERS, b",", b"\n"]


@contextmanager
def suppress_bad_row() -> Iterator[list[int]]:
    """The line that is named as bad inside `with`, if one is."""
    named: list[int] = []
    try:
        yield named
    except BadRowError as error:
        named.append(error.line)


@given(
    lanes=st.sampled_from([1, 2, 20]),
    seed=st.integers(0, 10**6),
    name=FILES,
    block_bytes=st.sampled_from([200, 2**17]),
)
@settings(max_examples=400)
def test_of_a_damaged_file_a_line_is_named_or_its_rows_are_as_they_say(
    lanes: int, seed: int, name: str, block_bytes: int
) -> None:
    made, draws = logs(lanes, 6, seed % 7), random.Random(seed)
    content = getattr(made, name).encode()
    header = content.index(b"\n") + 1
    start = draws.randrange(header, len(content))
    end = min(len(content), start + draws.choice([0, 1, 5, 60]))
    damaged = content[:start] + draws.choice(MUTATIONS) + content[end:]
    line = damaged.count(b"\n", 0, start) + 1
    with suppress_bad_row() as named:
        found = table_of(made.series, parsed(made.series, damaged, block_bytes))
    if named:
        # The next rows may be those that have lost their place.
        assert line <= named[0] <= line + 2 * lanes + 1
        return
    whole = damaged[: damaged.rindex(b"\n") + 1].decode()
    assert as_text(found) == as_text(table_by_csv(whole))
    assert not re.search(r"[^\w.,+\n-]", whole)


ROW = "sgd,1,0.1,0,5,15,30,0.005000,0.5,0.25,0.125\n"


@pytest.mark.parametrize(
    "row",
    [
        "\n",
        "x\n",
        ROW.replace("sgd", "full"),
        ROW.replace("sgd,1,", "sgd,2,"),
        ROW.replace("0.1,0,5", "0.3,0,5"),
        ROW.replace("0.1,0,5", "0.1,7,5"),
        ROW.replace("0,5,15", "0,6,18"),
        ROW.replace("0,5,15", "0,4,12"),
        ROW.replace("5,15,30", "5,16,30"),
        ROW.replace("5,15,30", "5,15,31"),
        ROW.replace("5,15,30", "-5,15,30"),
        ROW.replace("5,15,30", "5.0,15,30"),
        ROW.replace("5,15,30", "5,1" + "0" * 30 + ",30"),
        ROW.replace("0.005000", "nan"),
        ROW.replace("0.005000", "inf"),
        ROW.replace("0.005000", "-1"),
        ROW.replace("0.25", "-nan"),
        ROW.replace("0.25", "0.2-5"),
        ROW.replace("0.25", "1e400"),
        ROW.replace("0.25", "-inf"),
        ROW.replace("0.25", "0.2_5"),
        ROW.replace("0.25", "infinity"),
        ROW.replace("0.125", "0.125,"),
        ROW.replace(",0.125", ""),
        ROW.replace("0.25", "\x00"),
        ROW.replace("0.25", "\x1b[31m"),
        ROW.replace("0.25", "é"),
        ROW.replace("0.25", "1" + "0" * 5000),
        "0" * 100_000,
    ],
)
def test_a_row_that_gdrun_does_not_write_is_named_by_its_line(row: str) -> None:
    made = logs(1, 4)
    valid = made.epochs
    assert table_of(made.series, parsed(made.series, valid + ROW))
    text = valid + row + ROW
    with pytest.raises(BadRowError) as caught:
        list(parsed(made.series, text))
    assert caught.value.line == valid.count("\n") + 1


def test_a_line_without_an_end_is_not_read_into_memory() -> None:
    made, read = logs(1, 4), 0

    def count(size: int) -> None:
        nonlocal read
        read += size

    with pytest.raises(BadRowError):
        list(parsed(made.series, made.epochs + "0" * 10**7, 2**12, count))
    assert read < len(made.epochs) + MAX_ROW_BYTES + 2 * 2**12


def test_rows_of_one_epoch_without_end_are_refused() -> None:
    made = logs(2, 4)
    lines = made.epochs.splitlines(keepends=True)
    with pytest.raises(BadRowError):
        list(parsed(made.series, "".join([*lines[:3], *[lines[1]] * 100_000])))
