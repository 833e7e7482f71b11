"""`gdrun compare` with saved runs."""

import json
import shutil
from pathlib import Path

import pytest

from gdrun.loading import load
from tests.command_line import Invoke, assert_clean, listed_names
from tests.run_files import edit


def test_compare_lays_saved_runs_side_by_side(outputs: Path, invoke: Invoke) -> None:
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}
    outcome = invoke(
        "compare", "one", "grid", "grid/batch-2", "--name", "n", "--set", "plot.dpi=40"
    )
    assert outcome.code == 0
    assert "written to outputs/n\n  compared.json  compare.png\n" in outcome.out
    record = json.loads((outputs / "n/compared.json").read_text())
    assert [run["name"] for run in record["runs"]] == ["one", "grid/batch-2", "grid/batch-9"]
    assert [Path(run["directory"]) for run in record["runs"]] == [
        outputs / "one",
        outputs / "grid/batch-2",
        outputs / "grid/batch-9",
    ]
    assert (outputs / "n/compare.png").stat().st_size > 1000
    assert "times are not comparable: lanes trained together: 1 in one, 4 in grid/b" in outcome.err
    assert "n" in listed_names(invoke("list").out)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_comparison_is_a_run_too(outputs: Path, invoke: Invoke) -> None:
    given = ("--name", "n", "--set", "plot.dpi=40", "--set", "plot.format=svg")
    made = invoke("compare", "one", "both/sgd", "--force", *given)
    table = made.out.partition("written to")[0].splitlines()
    (entry,) = json.loads(invoke("list", "--where", "kind=comparison", "--json").out)["runs"]
    assert entry["name"] == "n"
    assert entry["command"] == "compared"
    assert entry["method"] == ["sgd"]
    for name in ("n", "latest", "outputs/n"):
        shown = invoke("show", name)
        assert shown.code == 0
        assert shown.out.startswith("outputs/n  comparison of saved runs\n")
        for line in table:
            assert line in shown.out.splitlines()
    (outputs / "n/compare.svg").unlink()
    again = invoke("plot", "n")
    assert (again.code, again.out) == (0, "outputs/n/compare.svg\n")
    assert invoke("plot", "n", "--x", "updates", "--format", "png").code == 0
    assert [r.series.name for r in load("n").results] == ["one", "both/sgd"]
    both = json.loads(invoke("compare", "n", "worst", "--force", "--json", "-n").out)["runs"]
    assert [Path(run["directory"]).name for run in both] == ["one", "sgd", "worst"]
    assert "isn't trained" in invoke("sgd", "--resume", "n").err
    assert "outputs/grid" in invoke("sgd", "--resume", "latest").err  # the latest that was trained


def test_a_comparison_whose_runs_changed_says_so(outputs: Path, invoke: Invoke) -> None:
    plain = ("--set", "plot.dpi=40", "--epochs", "3")
    invoke("sgd", "--name", "a", *plain)
    invoke("full", "--name", "b", *plain)
    invoke("compare", "a", "b", "--name", "n", "--set", "plot.dpi=40")
    said = "its runs were trained further since; to draw it again:\n  gdrun plot outputs/n\n"
    before = (outputs / "n/compare.png").read_bytes()
    assert said not in invoke("show", "n").out
    invoke("full", "--resume", "b", "--epochs", "5")
    assert said in invoke("show", "n").out
    assert invoke("plot", "n").code == 0
    assert said not in invoke("show", "n").out
    assert (outputs / "n/compare.png").read_bytes() != before
    shutil.copytree(outputs, "copied")  # where it finds the copies
    shutil.rmtree(outputs / "a")
    gone = invoke("show", "n")
    assert gone.code == 0
    assert f"missing  a: is no longer at {outputs / 'a'}\n" in gone.out
    assert gone.out.count("100") > 0
    refused = invoke("plot", "n")
    assert refused.code == 2
    assert f"error: a: is no longer at {outputs / 'a'}\n" in refused.err
    assert invoke("plot", "n", "-o", "copied").code == 0
    assert json.loads(invoke("show", "n", "--json").out)["missing"] == ["a"]


def test_comparisons_of_an_older_gdrun_are_shown_and_drawn(outputs: Path, invoke: Invoke) -> None:
    invoke("compare", "one", "both/sgd", "--force", "--name", "n", "--set", "plot.dpi=40")
    path = outputs / "n/compared.json"
    record = json.loads(path.read_text())
    del record["plot"]
    for run in record["runs"]:
        del run["path"]
    path.write_text(json.dumps(record))
    assert invoke("show", "n").code == 0
    assert invoke("plot", "n").code == 0


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 9}, {"runs": []}, {"runs": 3}, {"comparison": {}}, {"kind": "run"},
        {"comparison": {"target": None, "rows": []}}, {"plot": {"dpi": 1e9}}, {"made": "soon"},
        {"runs": [{"name": "\x1b[31m", "directory": "\0"}]},
    ],
)  # fmt: skip
def test_a_damaged_comparison_is_broken(
    change: dict[str, object], outputs: Path, invoke: Invoke
) -> None:
    invoke("compare", "one", "both/sgd", "--force", "--name", "n", "--set", "plot.enabled=false")
    path = outputs / "n/compared.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    for args in (("list",), ("show", "n"), ("plot", "n"), ("compare", "n", "one", "-n")):
        assert_clean(invoke(*args))
    if "runs" not in change or not isinstance(change["runs"], list) or not change["runs"]:
        assert "broken: " in invoke("list").err
        assert invoke("show", "n").code == 2
    assert invoke("rm", "n", "-y").code in (0, 2)


def test_compare_within_a_group_uses_the_names_there(outputs: Path, invoke: Invoke) -> None:
    no_picture = ("--set", "plot.enabled=false")
    content = json.loads(invoke("compare", "both", "both/sgd", "--json", *no_picture).out)
    assert [run["name"] for run in content["runs"]] == ["full", "sgd", "minibatch"]
    shutil.copytree(outputs / "one", Path("elsewhere/one"))
    two = invoke("compare", "one", "elsewhere/one", "--quiet", *no_picture)
    assert two.code == 0
    runs = json.loads((Path(two.out.strip()) / "compared.json").read_text())["runs"]
    assert [run["name"] for run in runs] == ["outputs/one", "elsewhere/one"]
    plan = invoke("compare", "one", "-n")
    assert "would be written to outputs/" in plan.out


def test_compare_refuses_different_problems_unless_forced(outputs: Path, invoke: Invoke) -> None:
    before = sorted(outputs.iterdir())
    outcome = invoke("compare", "one", "both/sgd")
    assert (outcome.code, outcome.out) == (2, "")
    for part in (
        "data.rows: 9 in one, 12 in both/sgd",
        "validation rows: 0 in one, 3 in",
        "--force",
    ):
        assert part in outcome.err
    assert sorted(outputs.iterdir()) == before
    forced = invoke(
        "compare", "one", "both/sgd", "--force", "--name", "f", "--set", "plot.format=svg"
    )
    assert forced.code == 0
    assert "different problems: data.rows: 9 in one, 12 in both/sgd" in forced.err
    assert "to target" not in forced.out
    assert "different problems" in (outputs / "f/compare.svg").read_text()


def test_data_is_known_by_what_it_holds(outputs: Path, invoke: Invoke) -> None:
    shutil.copytree(outputs / "one", outputs / "two")
    config = json.loads((outputs / "one/run.json").read_text())["config"]
    args = ("compare", "one", "two", "-n")
    edit(outputs / "two", config={**config, "data": {**config["data"], "noise": 0.3}})
    assert invoke(*args).code == 0  # the rows are the same
    edit(outputs / "two", data_fingerprint="0" * 64)
    assert "data.noise: 0.2 in one, 0.3 in two" in invoke(*args).err
    edit(outputs / "two", config=config)
    assert "the configs say the same, but the rows differ" in invoke(*args).err
    edit(outputs / "two", data_fingerprint=None)
    assert invoke(*args).code == 0
    edit(outputs / "one", data_fingerprint=None)
    edit(outputs / "two", config={**config, "data": {**config["data"], "seed": 7}})
    assert "data.seed: 0 in one, 7 in two" in invoke(*args).err
    edit(outputs / "two", config={**config, "loss": "l1"}, data_fingerprint=None)
    assert invoke(*args).code == 0  # its description is what counts
    edit(outputs / "two", host="other", threads=77)
    assert "threads" in invoke(*args).err


def test_fingerprints_of_different_forms_say_nothing_about_each_other(
    outputs: Path, invoke: Invoke
) -> None:
    for name in ("two", "three"):
        shutil.copytree(outputs / "one", outputs / name)
    edit(outputs / "two", data_fingerprint=f"all:{'0' * 64}")
    assert invoke("compare", "one", "two", "-n").code == 0
    edit(outputs / "three", data_fingerprint=f"all:{'1' * 64}")
    for names in (("two", "three"), ("one", "two", "three")):
        assert "the configs say the same, but the rows differ" in invoke("compare", *names).err


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["one", "--lr", "0.1"], "--lr 0.1: is for training"),
        (["one", "-c", "article"], "--config article: is for training"),
        (["one", "--set", "momentum=0"], "--set momentum=0: is for training"),
        (["one", "--resume", "x"], "--resume x: is for training"),
        (["one", "--set", "plot.dpi=1"], "plot.dpi"),
        (["one", "none"], "none: no such run"),
        (["--force"], "--force: is for saved runs, and no run is named, or for probes that take"),
    ],
)
def test_compare_says_what_is_wrong(
    args: list[str], part: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke("compare", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.err
    assert len(list(outputs.iterdir())) == 4


@pytest.mark.parametrize("config", ["article", "gdrun.yaml", "none.yaml"])
def test_a_config_that_is_named_as_a_run_gets_a_hint(config: str, invoke: Invoke) -> None:
    invoke("init")
    outcome = invoke("compare", config)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"hint: a config goes behind -c: gdrun compare -c {config}\n" in outcome.err


def test_runs_of_several_numbers_of_seeds_and_lanes_are_compared_with_all_of_them_named(
    invoke: Invoke,
) -> None:
    flags = ("--epochs", "2", "--set", "plot.enabled=false")
    for name, more in (("a", ["--seeds", "3", "--lr", "0.1,0.2"]), ("b", []), ("c", [])):
        assert invoke("full", *flags, *more, "--name", name).code == 0
    out = invoke("compare", "a", "b").out
    assert "are medians of 1 to 3 seeds\n" in out
    assert "times are those of all lanes of a run (1 to 6), which are trained together\n" in out
    out = invoke("compare", "a").out
    assert "are medians of 3 seeds\n" in out
    assert "times are those of all lanes of a run (6), which" in out
    out = invoke("compare", "b", "c").out
    assert "medians" not in out
    assert "lanes" not in out
