"""A file of text: unpacked if it is compressed, and decoded; what is no text is named."""

import bz2
import codecs
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import IO, TextIO, cast
from zlib import error as ZlibError

from gdrun.errors import DataError, excerpt, unreadable

MAX_BYTES = 1_000_000_000  # of a file
USE_NPY = (
    "convert it once to two .npy files and use data: {source: npy, x: X.npy, y: y.npy}, "
    "which are read block by block"
)
AS_CSV = "save the table as CSV (UTF-8) and name that file in data.path"
BLOCK_BYTES = 2**20
GUESSED_BYTES = 100_000  # from which an encoding is guessed
# Of such a guess. In a few words of English letters with accents it is below, and at times wrong.
MIN_CONFIDENCE = 0.1
MIN_ZEROS = 0.3  # share of the zero bytes in text of two bytes a letter, most of it Latin

Opener = Callable[[Path], IO[bytes]]
COMPRESSED: dict[bytes, Opener] = {
    b"\x1f\x8b": lambda path: cast(IO[bytes], gzip.GzipFile(path)),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"PK\x03\x04": lambda path: _open_zip(path),
}
NO_TEXT = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"FEA1": "a Feather file",
    b"\x93NUMPY": "a .npy file",
    b"\x89HDF": "an HDF5 file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}
PAGES = (b"<!doctype html", b"<html")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins as UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
UNPACKING_ERRORS = (gzip.BadGzipFile, EOFError, lzma.LZMAError, ZlibError, zipfile.BadZipFile)


@dataclass(frozen=True)
class TextFile:
    """A file that can be read as text.

    Attributes:
        path: the file.
        encoding: how letters are written in it, as Python calls it.
        note: what was assumed of the encoding; nothing if it is UTF-8 or says what it is.
    """

    path: Path
    encoding: str
    note: str
    _open_bytes: Opener

    @contextmanager
    def open(self) -> Iterator[TextIO]:
        """The text from its beginning; line ends are left to the reader.

        Raises:
            DataError: it can't be read, unpacked or decoded.
        """
        with (
            _errors(self.path),
            self._open_bytes(self.path) as file,
            TextIOWrapper(cast(BufferedReader, file), self.encoding, newline="") as text,
        ):
            try:
                yield text
            except UnicodeDecodeError:
                raise DataError(
                    f"{self.path}: is not {self.encoding} text",
                    "name its encoding in data.encoding, such as utf-8, latin-1 or utf-16",
                ) from None


def find_text(path: Path, encoding: str | None = None) -> TextFile:
    """Look at a file to learn how it is compressed, and how its text is encoded.

    Args:
        path: the file.
        encoding: what the user says of it; None looks for a byte order mark, tries UTF-8, and then
            guesses.

    Raises:
        DataError: it can't be read, is too large, or is no text.
    """
    with _errors(path):
        _refuse_large(path)
        with path.open("rb") as file:
            head = file.read(64)
        openers = [opener for magic, opener in COMPRESSED.items() if head.startswith(magic)]
        opener: Opener = openers[0] if openers else (lambda path: path.open("rb"))
        with opener(path) as unpacked:
            _refuse_no_text(path, unpacked.read(64))
        if encoding is not None:
            return TextFile(path, encoding, "", opener)
        found, note = _encoding_of(path, opener)
    return TextFile(path, found, note, opener)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except UNPACKING_ERRORS as error:
        raise _damaged(path, error) from None
    except UnicodeEncodeError as error:  # no file can have that name
        raise unreadable("data.path", path, error.reason) from None
    except OSError as error:
        if error.errno is None:  # what bz2 raises
            raise _damaged(path, error) from None
        raise unreadable("data.path", path, error.strerror or error) from None


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path}: can't be unpacked: {excerpt(str(error))}", "copy it again, or unpack it"
    )


def _refuse_large(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise DataError(f"data.path: {path} is not a regular file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path}: has {size / 1e6:,.0f} MB; CSV files are read up to {MAX_BYTES / 1e6:,.0f} MB",
            USE_NPY,
        )


def _refuse_no_text(path: Path, head: bytes) -> None:
    for magic, what in NO_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"{path}: is {what}, not a CSV file", AS_CSV)
    if head.lstrip().lower().startswith(PAGES):
        raise DataError(
            f"{path}: is a web page, not a CSV file", "download the file itself, the raw data"
        )


def _open_zip(path: Path) -> IO[bytes]:
    """The one table in a zip archive, which is closed with it.

    Raises:
        DataError: there is none, or more than one.
    """
    with zipfile.ZipFile(path) as archive:
        names = [
            name
            for name in archive.namelist()
            if not name.endswith("/") and not name.startswith(("__MACOSX", "."))
        ]
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise DataError(f"{path}: is a workbook or a document, not a CSV file", AS_CSV)
        tables = [name for name in names if name.lower().endswith((".csv", ".tsv", ".txt"))]
        for found in (tables, names):
            if len(found) == 1:
                return archive.open(found[0])
    listed = ", ".join(excerpt(name) for name in names[:5]) or "nothing"
    raise DataError(
        f"{path}: holds {len(names):,} files, expected one table: {listed}",
        "unpack it, and name the file in data.path",
    )


def _encoding_of(path: Path, opener: Opener) -> tuple[str, str]:
    """The encoding of a text, and a note on how it was found."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opener(path) as file:
        block = file.read(BLOCK_BYTES)
        for mark, encoding in BYTE_ORDER_MARKS.items():
            if block.startswith(mark):
                return encoding, ""
        wide = _wide(block)
        if wide:
            return wide, f"{path.name} was read as {wide} (data.encoding names another encoding)"
        size = 0
        while block:
            size += len(block)
            if size > MAX_BYTES:
                raise DataError(
                    f"{path}: unpacked, it has more than the {MAX_BYTES / 1e6:,.0f} MB that CSV "
                    "files are read up to",
                    USE_NPY,
                )
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                guess = _guess(block[max(0, error.start - GUESSED_BYTES // 2) :][:GUESSED_BYTES])
                note = f"{path.name} is not UTF-8 and was read as {guess}"
                return guess, f"{note} (data.encoding names another encoding)"
            block = file.read(BLOCK_BYTES)
    return "utf-8", ""


def _wide(block: bytes) -> str | None:
    """The encoding if every letter has two bytes, of which one is mostly zero."""
    even, odd = block[::2].count(0), block[1::2].count(0)
    if max(even, odd) < MIN_ZEROS * len(block) / 2:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _guess(sample: bytes) -> str:
    """The encoding of bytes that aren't UTF-8, judged by the lines with letters beyond ASCII."""
    import chardet

    lines = [line for line in sample.splitlines(keepends=True) if not line.isascii()]
    encoding = None
    with suppress(RuntimeError):  # which chardet 7.0 raises where it has no guess at all
        found = chardet.detect(b"".join(lines))
        encoding = found["encoding"] if (found["confidence"] or 0.0) >= MIN_CONFIDENCE else None
    for candidate in (encoding, "cp1252"):
        with suppress(UnicodeDecodeError, LookupError):
            if candidate:
                sample.decode(candidate)
                return codecs.lookup(candidate).name
    return "latin-1"  # in which every byte is a letter
