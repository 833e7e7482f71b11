"""A checkpoint is data, too: whatever is sealed in one is resumed from, or refused by name."""

import io
import math
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gdrun.errors import DataError, GdrunError
from gdrun.experiment.checkpoint import SEAL
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from tests.command_line import assert_clean, in_process
from tests.experiment.test_checkpoint import seal
from tests.run_files import contents
from tests.training_runs import run, small_config

CONFIG = small_config(lr=[0.1, 0.2], momentum=0.9, plot={"enabled": False})

# Of other types, sizes and kinds than any that a checkpoint holds.
HOSTILE: Mapping[str, Callable[[], Any]] = {
    "none": lambda: None,
    "yes": lambda: True,
    "negative": lambda: -1,
    "fraction": lambda: 1.5,
    "nan": lambda: math.nan,
    "infinite": lambda: math.inf,
    "huge": lambda: 10**400,
    "larger than the plan": lambda: 2**62,
    "text": lambda: "\x1b[31m../../x",
    "list": list,
    "nested": lambda: [[[[1]]]],
    "mapping": lambda: {"\x1b[31m": 1},
    "list of numbers": lambda: [1, 2],
    "list of large numbers": lambda: [2**62, 2**62],
    "tensor": lambda: torch.ones(2, 2),
    "tensors": lambda: (torch.ones(2, 2),) * 4,
    "no number": lambda: torch.empty(0),
    "other type": lambda: torch.ones(2, dtype=torch.int8),
    "expanded": lambda: torch.zeros(1).expand(10**12),
    "expanded tensors": lambda: (torch.zeros(1).expand(10**6, 10**6),) * 4,
    "meta": lambda: torch.empty(10**6, 10**6, device="meta"),
    "sparse": lambda: torch.eye(2).to_sparse(),
    "with gradient": lambda: torch.zeros(2, dtype=torch.float64, requires_grad=True),
    "parameter": lambda: torch.nn.Parameter(torch.zeros(2, dtype=torch.float64)),
    "complex": lambda: torch.zeros(2, dtype=torch.complex64),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
}

# What a key might as well hold.
HARMLESS = {
    *(("begun", "yes"), ("seconds", "fraction"), ("diverged_at", "list of numbers")),
    # An older gdrun knew no best epochs; and any losses may have been the lowest.
    *(("best", "none"), ("epochs", "list of numbers"), ("stopped_at", "list of numbers")),
    *(("losses", "list of numbers"), ("losses", "list of large numbers")),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped, as `outputs/a` in a directory."""
    place = tmp_path_factory.mktemp("stopped") / "outputs/a"
    place.parent.mkdir()
    run("sgd", CONFIG, place, stop_after=3)
    (place / PREVIOUS_CHECKPOINT).unlink(missing_ok=True)
    return place


@pytest.fixture
def place(stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(stopped, tmp_path / "outputs/a"))


def content_of(place: Path) -> dict[str, Any]:
    payload = (place / CHECKPOINT).read_bytes().rpartition(SEAL)[0]
    content: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True)
    return content


def write(place: Path, content: Any) -> None:
    torch.save(content, place / CHECKPOINT)
    seal(place / CHECKPOINT)


def keys_of(content: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in content.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *below) for below in keys_of(value))


def resume(place: Path) -> None:
    resume_experiment(plan_experiment("sgd", CONFIG), place)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.filterwarnings("ignore")  # of what PyTorch is about to give up
def test_whatever_a_key_holds_is_refused_by_name(kind: str, place: Path) -> None:
    before = contents(place)
    for keys in keys_of(content_of(place)):
        content = content_of(place)
        above = content
        for key in keys[:-1]:
            above = above[key]
        above[keys[-1]] = HOSTILE[kind]()
        write(place, content)
        changed = contents(place)
        try:
            resume(place)
        except GdrunError as error:
            said = error
            assert str(place) in said.problems[0], (keys, said)
        else:
            assert (keys[-1], kind) in HARMLESS
        assert contents(place) == changed
        (place / CHECKPOINT).write_bytes(before[place / CHECKPOINT])
    resume(place)


@pytest.mark.parametrize("keys", [*("version", "config", "data", "marks", "state"), "state.params"])
def test_what_is_missing_is_named(keys: str, place: Path) -> None:
    content = content_of(place)
    *above, key = keys.split(".")
    del (content[above[0]] if above else content)[key]
    write(place, content)
    named = "no checkpoint of gdrun" if keys == "version" else f"{keys}: is missing"
    with pytest.raises(DataError, match=f"{CHECKPOINT}: is .*{named}"):
        resume(place)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("epoch", -1, "state.epoch: must be greater than or equal to 0, got -1"),
        ("begun", "\x1b", "state.begun: must be true or false"),
        ("loss_sum", [1.0], "state.loss_sum: must be a tensor, got list"),
        ("params", (torch.ones(2, 2),), "of another network, or of another plan"),
        ("samples", 5, "of another network, or of another plan"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    key: str, value: Any, expected: str, place: Path
) -> None:
    content = content_of(place)
    content["state"][key] = value
    write(place, content)
    outcome = in_process("sgd", "--resume", "outputs/a")
    assert_clean(outcome)
    assert outcome.code == 2
    assert expected in outcome.err


def test_digests_lead_to_no_other_file(place: Path) -> None:
    content = content_of(place)
    digest = content["marks"].pop("steps.csv")
    content["marks"]["../../secret"] = digest
    write(place, content)
    with pytest.raises(DataError, match=r"marks\.\.\./\.\./secret: must be 'epochs.csv', 'ev"):
        resume(place)


@pytest.mark.parametrize("trick", ["packed", "overlapping", "old format", "no content"])
def test_little_never_becomes_much(trick: str, place: Path) -> None:
    """What `torch.load` would unpack, though `torch.save` never packs, is refused before."""
    payload = (place / CHECKPOINT).read_bytes().rpartition(SEAL)[0]
    made = io.BytesIO()
    if trick == "old format":
        torch.save(content_of(place), made, _use_new_zipfile_serialization=False)
    else:
        kind = zipfile.ZIP_DEFLATED if trick == "packed" else zipfile.ZIP_STORED
        with (
            zipfile.ZipFile(io.BytesIO(payload)) as old,
            zipfile.ZipFile(made, "w", kind) as new,
        ):
            for part in old.infolist() if trick != "no content" else ():
                new.writestr(part.filename, old.read(part))
            if trick == "overlapping":
                new.filelist += [new.filelist[-1]] * 10**5
            elif trick == "packed":
                new.writestr("archive/data/99", bytes(10**8))
    (place / CHECKPOINT).write_bytes(made.getvalue())
    seal(place / CHECKPOINT)
    with pytest.raises(DataError, match=r"no checkpoint of gdrun|is damaged: .* bytes"):
        resume(place)
