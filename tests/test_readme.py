"""What the README and the pages of the guide promise, run."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from gdrun import compare
from gdrun.cli.guide import PAGES, TOPICS
from gdrun.config.parts.base import Schema
from gdrun.config.parts.data import CsvData, NpyData, NpzData, PythonData
from gdrun.config.parts.groups import CompareConfig, PlotConfig, SweepConfig
from gdrun.config.parts.kinds import KINDS
from gdrun.config.parts.schedule import SCHEDULES
from gdrun.config.read import load_config
from gdrun.config.schema import RunConfig
from tests.command_line import Invoke

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GUIDE = [PAGES / f"{topic}.md" for topic in TOPICS]
DOCUMENTS = [README, *GUIDE]
LINKED = [*DOCUMENTS, *sorted((ROOT / "tests" / "benchmarks").rglob("*.md"))]
COMMANDS = (
    *("compare", "full", "sgd", "minibatch", "sweep"),
    *("list", "show", "plot", "animate", "landscape", "predict", "rm", "init", "guide", "check"),
)
LANGUAGES = {"", "sh", "python", "yaml"}


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(language: str, *pages: Path) -> list[str]:
    """The code blocks in a language, page after page."""
    return [
        block
        for page in pages or DOCUMENTS
        for own, block in re.findall(
            r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL
        )
        if own == language
    ]


def shown(command: str, *pages: Path) -> str:
    """What a page shows that a command prints."""
    (block,) = [block for block in blocks("", *pages) if block.startswith(f"$ {command}\n")]
    return block.partition("\n")[2]


def table_rows(text: str) -> list[list[str]]:
    """The methods of a comparison: batch, train loss, best loss, updates, updates to target."""
    return re.findall(
        r"^(full|sgd|minibatch) +(\d+) +([\d.]+) +([\d.]+) +([\d,]+) .*? (not reached|[\d,]+)  +\S",
        text,
        re.MULTILINE,
    )


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---------------------------------------------------------------------------------------- form


def test_every_page_is_a_topic_with_a_title_and_a_line_on_what_it_is_about() -> None:
    assert {page.name for page in PAGES.glob("*.md")} == {f"{topic}.md" for topic in TOPICS}
    for page in GUIDE:
        title, blank, summary, below = text_of(page).splitlines()[:4]
        assert title.startswith("# ")
        assert (blank, below) == ("", "")
        assert len(summary) + max(map(len, TOPICS)) + 2 < 80


def test_the_readme_links_every_page() -> None:
    linked = set(re.findall(r"\]\(gdrun/guide/([\w-]+)\.md", text_of(README)))
    assert linked == set(TOPICS)


def test_the_readme_is_short() -> None:
    assert len(text_of(README).splitlines()) <= 220


def test_the_glossary_has_at_most_twenty_words_each_once() -> None:
    glossary = text_of(README).partition("| term | meaning |\n|---|---|\n")[2].partition("\n\n")[0]
    terms = re.findall(r"^\| ([\w ]+) \| .+ \|$", glossary, re.MULTILINE)
    assert len(terms) == len(glossary.splitlines())
    assert 10 <= len(terms) <= 20
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_code_blocks_are_in_a_language_that_is_tested(page: Path) -> None:
    fences = re.findall(r"^```(.*)$", text_of(page), re.MULTILINE)
    assert len(fences) % 2 == 0
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


# ------------------------------------------------------------------------------------ commands


def test_the_two_commands_stand_there_as_they_are_run() -> None:
    commands = blocks("sh", README)
    assert "pip install -e . && gdrun compare\n" in commands
    assert "pip install -e '.[test]' && pytest\n" in commands
    assert "pip install -e '.[test]' && pytest\n" in (ROOT / ".ci" / "run").read_text()
    assert len(commands) == 3  # and that which installs PyTorch for the processor
    versions = re.search(r'"torch(\S+)"', (ROOT / "pyproject.toml").read_text())
    assert versions
    assert f"pip install 'torch{versions[1]}' --index-url" in commands[0]


def test_commands_and_options_that_are_named_exist(invoke: Invoke) -> None:
    pages = "\n".join(map(text_of, DOCUMENTS))
    # Not "gdrun from Python" at the start of a line, nor what an option of `gdrun` itself follows.
    lines = re.findall(r"(?:^|`|\$ |&& |  )gdrun ([a-z]+)((?: [^`\n]*)?)", pages, re.MULTILINE)
    lines = [(command, rest) for command, rest in lines if command in COMMANDS or "--" in rest]
    helps = {command: invoke(command, "-h").out for command in {name for name, _ in lines}}
    assert set(helps) == set(COMMANDS)
    for command, arguments in lines:
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", arguments.partition(" # ")[0]):
            assert re.search(rf"{option}\b", helps[command]), f"gdrun {command} {option}"


def test_contracts_are_named_as_they_are() -> None:
    names = re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    contracts = [name for name in names if name != "gdrun"]
    assert len(contracts) == 2
    for page in (README, PAGES / "architecture.md"):
        assert all(f"*{name}*" in " ".join(text_of(page).split()) for name in contracts)


def test_every_room_is_in_the_tables() -> None:
    rooms = {path.parent.name for path in (ROOT / "gdrun").glob("*/__init__.py")}
    readme, page = text_of(README), text_of(PAGES / "architecture.md")
    listed = " ".join(re.findall(r"^\| (`.+?`) \|", readme, re.MULTILINE))
    assert rooms <= set(re.findall(r"`(\w+)`", listed))
    assert rooms == set(re.findall(r"\(\.\./(\w+)\) *(?:,.*)?\|", page))


# ----------------------------------------------------------------------------- what is printed


def test_compare_prints_the_losses_shown(invoke: Invoke) -> None:
    first, changed = invoke("compare"), invoke("compare", "--lr", "0.02")
    (printed,) = [block for block in blocks("", README) if "written to" in block]
    target = "target: train loss ≤ 0.00465, within 10 % of the best final loss 0.00423"
    assert target in printed
    assert target in first.out
    assert len(table_rows(printed)) == 3
    assert table_rows(printed) == table_rows(first.out)
    assert table_rows(shown("gdrun compare --lr 0.02", README)) == table_rows(changed.out)


@pytest.mark.slow
def test_sweep_finds_the_losses_and_says_the_words_shown(invoke: Invoke) -> None:
    def grid(text: str) -> list[list[str]]:
        lines = text[text.index("lr \\ batch") :].splitlines()[1:8]
        return [line.replace("*", " ").split() for line in lines]

    command = "gdrun sweep --config diabetes --seeds 16 --name rates"
    outcome = invoke(*command.split()[1:], "--set", "plot.enabled=false")
    assert outcome.code == 0
    page = shown(command, PAGES / "sweep.md")
    own_grid, found = grid(page), grid(outcome.out)
    assert len(own_grid) == 7
    for own, other in zip(own_grid, found, strict=True):
        assert [cell == "diverged" for cell in own] == [cell == "diverged" for cell in other]
        numbers = [[float(c) for c in row if c != "diverged"] for row in (own, other)]
        # Processors round differently, and what is close to diverging feels it.
        assert numbers[0] == pytest.approx(numbers[1], rel=0.1)

    def words(text: str) -> list[str]:
        start = text.index("The target, a train loss of")
        return re.findall(r"[a-zA-Z]+", text[start : text.index("  gdrun ", start)])

    assert words(page) == words(outcome.out)
    # The README leaves out some of it.
    excerpts = shown(command, README).partition("  gdrun ")[0].split("…")
    said = " ".join(words(outcome.out))
    for excerpt in excerpts:
        assert " ".join(re.findall(r"[a-zA-Z]+", excerpt)) in said


def test_a_landscape_has_the_numbers_shown(invoke: Invoke) -> None:
    invoke("compare", "--name", "three", "--set", "trajectory=true", "--set", "plot.enabled=false")
    first, _, *others = shown("gdrun landscape three", PAGES / "landscape.md").splitlines()
    found = invoke("landscape", "three").out.splitlines()
    assert first in found
    assert [line for line in found if line.startswith("the plane")] == others


def test_mistakes_are_reported_as_shown(invoke: Invoke) -> None:
    command = "compare --set hiden_size=3 --lr 0"
    outcome = invoke(*command.split())
    assert outcome.err == shown(f"gdrun {command}", PAGES / "config.md")


def test_a_word_among_numbers_is_reported_as_shown(invoke: Invoke) -> None:
    (config,) = [block for block in blocks("yaml", README) if "houses.csv" in block]
    Path("gdrun.yaml").write_text(config)
    Path("houses.csv").write_text("price,area,rooms\n1,2,3\n2,3,4\n3,4,5\n4,big,6\n5,6,7\n")
    command = "compare --config gdrun.yaml"
    found = invoke(*command.split()).err.replace(str(Path.cwd()), "…")
    assert found == shown(f"gdrun {command}", PAGES / "data.md")


def test_rows_are_predicted_as_shown(invoke: Invoke) -> None:
    (page,) = [block for block in blocks("", PAGES / "predict.md") if "points.csv" in block]
    shown_lines = page.partition("points.csv\n")[2].splitlines()
    remarks, lines = shown_lines[:-5], shown_lines[-5:]
    Path("points.csv").write_text("".join(",".join(line.split(",")[:3]) + "\n" for line in lines))
    invoke("minibatch", "-c", "moons", "--name", "moons", "--set", "plot.enabled=false")
    done = invoke("predict", "moons", "points.csv")
    assert done.out.splitlines()[0] == lines[0]
    for own, found in zip(lines[1:], done.out.splitlines()[1:], strict=True):
        assert own.split(",")[:4] == found.split(",")[:4]
        pairs = zip(own.split(",")[4:], found.split(",")[4:], strict=True)
        assert all(a == b or float(a) == pytest.approx(float(b), rel=1e-2) for a, b in pairs)
    network, lacking = done.err.splitlines()[-2:]
    assert re.sub(r"[\d.]+", "0", network) == re.sub(r"[\d.]+", "0", remarks[0])
    assert lacking == remarks[1]


def test_different_problems_are_reported_as_shown(invoke: Invoke) -> None:
    short = ("--epochs", "1", "--set", "plot.enabled=false", "-q")
    houses = "".join(f"{k},{k}\n" for k in range(200))
    Path("houses.csv").write_text(f"price,area\n{houses}")
    data = ("source=csv", "path=houses.csv", "target=price", "val_fraction=0.2")
    settings = [part for setting in data for part in ("--set", f"data.{setting}")]
    invoke("sgd", "--lr", "0.02,0.2", "--name", "two", *short)
    invoke("compare", "--name", "houses", *settings, *short)
    command = "compare two houses"
    assert invoke(*command.split()).err == shown(f"gdrun {command}", PAGES / "saved-runs.md")


def test_the_script_that_makes_the_pictures_can_still_be_loaded() -> None:
    runpy.run_path(str(ROOT / "outputs" / "example" / "make.py"))  # its main isn't called


# ------------------------------------------------------------------------------ code and configs


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = re.findall(r"^# (\{.*\})$", code, re.MULTILINE)
    assert done.stdout.splitlines() == printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", blocks("yaml"))
def test_config_examples_are_valid(text: str, tmp_path: Path) -> None:
    (tmp_path / "gdrun.yaml").write_text(text)
    data = load_config(str(tmp_path / "gdrun.yaml")).data
    match data:
        case CsvData():
            assert data.path in {tmp_path / "houses.csv", tmp_path / "customers.csv"}
        case PythonData():
            assert data.path == f"{tmp_path / 'load.py'}:load"
        case NpzData():
            assert data.path == tmp_path / "data.npz"
        case NpyData():
            assert data.x == tmp_path / "X.npy"
        case _:
            pytest.fail("an example that reads no file")


def test_a_list_of_learning_rates_is_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "gdrun.yaml").write_text(blocks("yaml", PAGES / "config.md")[0])
    assert load_config(str(tmp_path / "gdrun.yaml")).lr == (0.01, 0.05)


def test_every_key_of_a_config_is_explained() -> None:
    explained = " ".join(map(text_of, (PAGES / "config.md", PAGES / "data.md", PAGES / "sweep.md")))
    sections = (CompareConfig, SweepConfig, PlotConfig)
    schemas: list[type[Schema]] = [
        *(RunConfig, *sections),
        *(model for kinds in KINDS.values() for model in kinds.models.values()),
    ]
    for schema in schemas:
        for key in schema.model_fields:
            assert re.search(rf"\b{key}\b", explained), key


def test_schedules_and_their_defaults_are_as_explained() -> None:
    text = text_of(PAGES / "config.md")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \|(.*)\|$", text, re.MULTILINE))
    for name, model in SCHEDULES.items():
        fields = model.model_fields.items()
        own = {key: field.default for key, field in fields if key not in ("name", "warmup")}
        written = yaml.safe_load("{" + rows[name].replace("`", "") + "}")
        assert {key: as_list(value) for key, value in own.items()} == written


def as_list(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def test_what_schedules_do_to_the_articles_experiment_is_as_said() -> None:
    losses = {
        (name, result.series.name): f"{result.epochs['train_loss'][-1]:.2g}"
        for name in ("constant", "cosine")
        for result in compare(schedule=name)
    }
    assert losses["constant", "sgd"] == "0.01"
    assert losses["cosine", "sgd"] == "0.0037"
    assert losses["constant", "full"] == "0.0085"
    assert losses["cosine", "full"] == "0.032"
    for number in (losses["cosine", "sgd"], losses["constant", "full"], losses["cosine", "full"]):
        assert number in text_of(PAGES / "config.md")


def test_defaults_are_as_explained() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", text_of(PAGES / "config.md"), re.MULTILINE)
    defaults = RunConfig().model_dump(mode="json")
    assert len(rows) > 10
    for key, value in rows:
        if key in defaults:
            own = "null" if defaults[key] is None else str(defaults[key]).lower()
            assert own == value, key
