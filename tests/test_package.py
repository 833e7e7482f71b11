"""What is installed: the wheel, its presets, and a top level that holds nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_wheel_holds_presets_types_and_licence_and_works_from_anywhere(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "site")
    presets = {path.name for path in (ROOT / "configs").glob("*.yaml")}
    assert len(presets) == 9
    for name in (*presets, "diabetes.csv", "diabetes.md", "digits.csv", "digits.md"):
        assert f"gdrun/configs/{name}" in names
    assert {"gdrun/py.typed", "gdrun/config/starter.yaml"} <= names
    guide = {f"gdrun/guide/{path.name}" for path in (ROOT / "gdrun" / "guide").glob("*.md")}
    assert guide
    assert guide <= names
    assert any(name.endswith("licenses/gdrun/guide/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests", "outputs"))]
    script = (
        "import gdrun, sys; assert gdrun.__file__.startswith(sys.argv[1]), gdrun.__file__\n"
        "from gdrun.config.read import load_config\n"
        "assert load_config('diabetes').data.path.is_file()\n"
        "from gdrun.cli.guide import TOPICS, page\n"
        "assert all(map(page, TOPICS))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "site")]
    subprocess.run(command, cwd=tmp_path / "site", check=True)


def test_dependencies_are_those_agreed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {dependency.split(">")[0] for dependency in project["dependencies"]}
    assert names == {
        "torch",
        "typer",
        "rich",
        "matplotlib",
        "pillow",
        "pyyaml",
        "pydantic",
        "numpy",
        "filelock",
        "clevercsv",
        "chardet",
    }
    assert "torch>=2.13,<2.14" in project["dependencies"]
    assert project["license"] == "MIT"


def test_top_level_is_the_one_agreed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    agreed = {"pyproject.toml", "README.md", "gdrun", "configs", "tests", "outputs"}
    assert {name for name in top if not name.startswith(".")} == agreed
