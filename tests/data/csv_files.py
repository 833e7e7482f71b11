"""Small CSV files."""

from pathlib import Path

TABLE = "area,rooms,city,price\n50,2,Oslo,100\n80,3,Bergen,180\n60,2,Oslo,120\n90,5,Moss,210\n"


def csv(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "houses.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
