"""Files that are replaced at once: a reader finds the old one or the new one, never half of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside a file to write to, and rename it over the file when that went well.

    Raises:
        OSError: it can't be written or renamed; the old file stands, and nothing is left beside it.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
