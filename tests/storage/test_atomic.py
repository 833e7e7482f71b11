"""Files are replaced as a whole or not at all."""

from pathlib import Path

import pytest

from gdrun.storage.atomic import replacing


def test_nothing_is_left_beside_a_file_that_was_not_finished(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def stop_in_the_middle() -> None:
        with replacing(tmp_path / "a") as partial:
            partial.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_in_the_middle()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]
