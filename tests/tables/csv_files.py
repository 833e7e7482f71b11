"""Small CSV files."""

from pathlib import Path
from typing import Any

from gdrun.config.parts.data import CsvData
from gdrun.tables.selection import Numbers, Table
from gdrun.tables.table import read_table

TABLE = "area,rooms,city,price\n50,2,Oslo,100\n80,3,Bergen,180\n60,2,Oslo,120\n90,5,Moss,210\n"


def csv(tmp_path: Path, text: str | bytes, name: str = "houses.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table_of(path: Path, target: str = "price", **more: Any) -> Table:
    """The table in a file, whose config is read as from YAML."""
    return read_table(CsvData.model_validate({"path": path, "target": target, **more}))


def target_of(table: Table) -> Numbers:
    """Its target, which is of numbers."""
    (target,) = table.targets
    assert isinstance(target, Numbers)
    return target


def numbers_of(table: Table) -> dict[str, list[float]]:
    """Its columns of numbers, by name, the target last."""
    columns = [column for column in table.features if isinstance(column, Numbers)]
    return {column.name: column.values.tolist() for column in (*columns, target_of(table))}
