"""Config files for tests."""

from pathlib import Path


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)
