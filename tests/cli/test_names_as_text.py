"""Names may hold anything, and are shown as text."""

import json
from pathlib import Path

from tests.command_line import NO_PICTURES, Invoke, Outcome, completions
from tests.run_files import edit, manifest

RED, RAW = "[bold]x[red]\x1b[31m\u202e", r"[bold]x[red]\x1b[31m\u202e"


def write_table(directory: Path) -> None:
    """A config and a table whose name and columns would steer a screen, were they let."""
    directory.mkdir()
    rows = "".join(f"{k},{k * k % 7},a\n" for k in range(8))
    (directory / f"{RED}.csv").write_text(f"{RED},y{RED},z{RED}\n{rows}", encoding="utf-8")
    data = {"source": "csv", "path": f"{RED}.csv", "target": f"y{RED}"}
    text = json.dumps({"batch_size": 2, "data": data})
    (directory / "c.yaml").write_text(text, encoding="utf-8")


def assert_shows(outcome: Outcome, *parts: str) -> None:
    both = outcome.out + outcome.err
    assert "\x1b" not in both
    assert "\u202e" not in both
    for part in parts:
        assert part in both


def test_names_from_files_are_shown_as_text(invoke: Invoke) -> None:
    write_table(Path(RED))
    config = Path(RED, "c.yaml")
    outcome = invoke("compare", "-c", config, "--epochs", "2", "-o", RED, "--name", "run")
    assert outcome.code == 0
    assert_shows(
        outcome,
        f"network (31 parameters) on {RAW}.csv, 8 rows",
        f"MSE ÷ variance of y{RAW}",
        f"(text): z{RAW}",
        f"written to {RAW}/run",
    )
    assert "warning" not in outcome.err
    assert Path(RED, "run", "fit.png").exists()
    plan = invoke("sgd", "-n", "-c", config, "-o", RED)
    assert_shows(plan, f"on {RAW}.csv, 8 rows", f"would be written to {RAW}/", "target: ")
    assert plan.code == 0


def test_names_in_messages_are_shown_as_text(invoke: Invoke) -> None:
    assert_shows(invoke("sgd", "-c", f"{RED}.yaml"), f"error: --config {RAW}.yaml: no such file")
    assert_shows(invoke("sgd", "--set", f"{RED}=3"), f"error: {RAW} (--set {RAW}=3): unknown key")
    assert_shows(invoke("sgd", "--set", "lr=[/bold]x"), "--set lr=[/bold]x: '[/bold]x' is not")
    assert_shows(invoke("sgd", "--lr", RED), f"error: lr (--lr {RAW}): must be a number")
    assert_shows(invoke("sgd", "--set", RED), f"error: --set {RAW}: expected KEY=VALUE")
    assert_shows(invoke("init", f"{RED}/a.yaml"), f"error: {RAW}/a.yaml: can't be written")
    assert_shows(invoke("init", RED), f"wrote {RAW}; try: gdrun compare --config")
    write_table(Path("a"))
    hint = f"hint: its columns: {RAW}, y{RAW}, z{RAW}"
    assert_shows(invoke("sgd", "-c", "a/c.yaml", "--set", "data.target=price"), hint)


def test_output_for_programs_is_as_it_is(invoke: Invoke) -> None:
    quiet = invoke("sgd", "--epochs", "1", "-o", RED, "--name", "a", *NO_PICTURES, "--quiet")
    assert quiet.out == f"{RED}/a\n"
    outcome = invoke("sgd", "--epochs", "1", "-o", RED, "--name", "b", *NO_PICTURES, "--json")
    assert json.loads(outcome.out)["directory"] == f"{RED}/b"


def test_many_columns_left_out_are_counted(invoke: Invoke) -> None:
    words = [f"c{k}" for k in range(50)]
    Path("a.csv").write_text(f"x,y,{','.join(words)}\n1,2,{','.join(words)}\n2,3{',' * 50}\n")
    Path("a.yaml").write_text("data: {source: csv, path: a.csv, target: y}\nbatch_size: 1\n")
    assert (
        "c18, c19 and 30 more; data.categorical: [c0, c1, c2] uses them"
        in invoke("sgd", "-n", "-c", "a.yaml").out
    )


def test_names_of_directories_are_shown_as_text(outputs: Path, invoke: Invoke) -> None:
    (outputs / "one").rename(outputs / RED)
    edit(outputs / RED, name=RED, command=RED, host=RED, versions={RED: RED}, git_commit=RED)
    problem = {**manifest(outputs / RED)["problem"], "network": RED, "data": RED, "device": RED}
    edit(outputs / RED, problem=problem)
    Path("new.csv").write_text("x\n0.5\n")
    for args in (
        ("list",),
        ("show", RED),
        ("plot", RED),
        ("plot", RED, "--x", "updates"),
        ("animate", RED),
        ("landscape", RED),
        ("predict", RED, "new.csv", "--output", RED + ".csv"),
        ("compare", "worst", RED, "--force", "-n"),
        ("compare", "worst", RED, "--force", "--name", "both-of-them"),
    ):
        outcome = invoke(*args)
        assert outcome.code == 0, outcome.err
        assert_shows(outcome, RAW)
    for told in (("list", "--json"), ("show", RED, "--json")):
        outcome = invoke(*told)
        assert_shows(outcome)
        assert RED in json.dumps(json.loads(outcome.out), ensure_ascii=False).replace(
            "\\u001b", "\x1b"
        )


def test_names_that_would_steer_the_terminal_are_not_completed(outputs: Path) -> None:
    (outputs / "one").rename(outputs / f"o{RED}")
    (outputs / "worst").rename(outputs / "other")
    assert completions("gdrun show o", outputs.parent) == ["other"]
