"""Networks and losses of one's own: trained as by a plain loop, or refused with the reason."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gdrun.config.schema import RunConfig
from gdrun.data.order import visiting_order
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane
from gdrun.training.models.own import OwnNetwork
from gdrun.training.state import initial_state
from tests.command_line import NO_PICTURES, Invoke, in_process
from tests.experiment.own_code import NETWORKS
from tests.run_files import logs
from tests.training_runs import run, small_config

SPIRAL = {"source": "spiral", "rows": 40, "val_fraction": 0.2}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The file, in a directory of its own."""
    path = tmp_path / "code" / "net.py"
    path.parent.mkdir()
    path.write_text(NETWORKS)
    return path


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("theirs", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def config_for(net: Path, name: str, **settings: Any) -> RunConfig:
    data = {"data": SPIRAL, "epochs": 4, "batch_size": 7, "lr": 0.1, **settings}
    return small_config(model=f"{net}:{name}", **data)


def plain_loop(net: Path, name: str, config: RunConfig, lane: Lane) -> list[float]:
    """The train losses at the ends of the epochs, by torch.optim.SGD on the module itself."""
    data = plan_experiment("minibatch", config).problem.data
    x, y = data.x[:], data.y[:]
    if config.data.shape:
        x = x.view(len(x), *config.data.shape)
    torch.manual_seed(lane.seed)
    classes = len(data.classes)
    network = getattr(module_of(net), name)(data.x.shape[1], classes or 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=lane.lr, momentum=config.momentum)

    def criterion(rows: Any) -> Tensor:
        if classes:
            return F.cross_entropy(network(x[rows]), y[rows].squeeze(1).long())
        return F.mse_loss(network(x[rows]), y[rows])

    found = []
    for epoch in range(1, config.epochs + 1):
        order = visiting_order("reshuffle", len(x), [lane.seed], epoch)
        assert order is not None
        visited = order(0, len(x))[0]
        for start in range(0, len(x), int(config.batch_size)):
            optimizer.zero_grad()
            loss = criterion(visited[start : start + int(config.batch_size)])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            found.append(criterion(slice(None)).item())
    return found


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("name", "engine"),
    [
        *(("build", engine) for engine in ("eager", "compiled")),
        *(("residual", engine) for engine in ("eager", "compiled")),
        *(("tied", engine) for engine in ("eager", "compiled")),
        ("recurrent", "eager"),
        ("branching", "eager"),
    ],
)
def test_losses_are_those_of_a_plain_loop_lane_by_lane(
    name: str, engine: str, net: Path, tmp_path: Path
) -> None:
    config = config_for(net, name, lr=[0.1, 0.02], seeds=2, momentum=0.5, engine=engine)
    (result,) = run("minibatch", config, tmp_path / "run")
    assert len(result.histories) == 4
    for history in result.histories:
        found = list(history.epochs["train_loss"])[1:]
        expected = plain_loop(net, name, config, history.lane)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_small_convolutional_network_learns_digits(seeds: int, net: Path, tmp_path: Path) -> None:
    data = {"source": "csv", "path": "configs/digits.csv", "target": "digit", "shape": [1, 8, 8]}
    settings = {"loss": "cross_entropy", "batch_size": 64, "epochs": 1, "lr": 0.2}
    config = config_for(net, "convolution", seeds=seeds, **{**settings, "data": data})
    (result,) = run("minibatch", config, tmp_path / "run")
    assert result.description.network == "Sequential of net.py:convolution"
    assert result.description.parameters == 4 * 9 + 4 + 64 * 10 + 10
    for history in result.histories:
        found = list(history.epochs["train_loss"])[1:]
        expected = plain_loop(net, "convolution", config, history.lane)
        assert found == pytest.approx(expected, rel=1e-3)
        assert history.epochs["train_accuracy"][-1] > 0.6


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_the_perceptron_as_a_module_is_the_perceptron(
    engine: str, net: Path, tmp_path: Path
) -> None:
    config = config_for(net, "perceptron", seeds=2, engine=engine)
    own, built_in = config, config.model_copy(update={"model": "perceptron"})
    (one,), (other,) = (
        run("minibatch", own, tmp_path / "a"),
        run("minibatch", built_in, tmp_path / "b"),
    )
    for a, b in zip(one.histories, other.histories, strict=True):
        assert list(a.epochs["train_loss"]) == pytest.approx(list(b.epochs["train_loss"]), rel=1e-4)


def test_each_lane_starts_as_torch_would(net: Path) -> None:
    experiment = plan_experiment("minibatch", config_for(net, "residual", seeds=3, seed=5))
    state = initial_state(experiment.problem, experiment.runs[0].plan)
    for lane, seed in enumerate((5, 6, 7)):
        torch.manual_seed(seed)
        module = module_of(net).residual(2, 1)
        for own, expected in zip(state.params, module.parameters(), strict=True):
            assert torch.equal(own[lane], expected)


def test_what_cannot_be_computed_together_is_said(net: Path) -> None:
    experiment = plan_experiment("minibatch", config_for(net, "branching", seeds=2))
    model = experiment.problem.model
    assert isinstance(model, OwnNetwork)
    assert not model.is_batched
    assert "vmap can't compute the lanes of Branching together" in " ".join(experiment.notes)
    other = plan_experiment("minibatch", config_for(net, "build", seeds=2))
    assert not any("vmap" in note for note in other.notes)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("batch_norm", "has batch normalisation, BatchNorm1d (1)"),
        ("dropout", "has dropout, Dropout (1)"),
        ("no_module", "returns int, expected a torch.nn.Module"),
        ("no_weights", "Flatten has no parameters to train"),
        ("too_flat", "gives outputs of shape (3,), expected (3, 1) (no squeeze at the end?)"),
        ("too_many", "gives outputs of shape (3, 2), expected (3, 1)"),
        ("double", "parameter weight is torch.float64 on cpu, expected torch.float32"),
        ("by_chance", "gives other weights each time, though torch.manual_seed is called"),
        ("unused", "parameter other.weight plays no part in the outputs"),
        ("counting", "changes calls whenever it is called"),
        ("mixing", "the outputs of a row depend on the other rows of its batch"),
        ("drawing", "gives other outputs for the same rows each time"),
        ("one_argument", "takes other arguments than (features, outputs)"),
        ("number", "'number' is int, and can't be called"),
        ("biuld", "there is no 'biuld' in"),
    ],
)
def test_what_cannot_be_trained_exactly_is_refused(
    name: str, message: str, net: Path, invoke: Invoke
) -> None:
    outcome = invoke("sgd", "--set", "data.source=spiral", "--model", f"{net}:{name}")
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nett.py:build", "nett.py:build: no such file"),
        ("nowhere.net:build", "there is no module 'nowhere'"),
        ("net", "must be 'perceptron' or FILE.py:NAME, got 'net'"),
        ("net.py:a-b", "must be FILE.py:NAME or package.module:NAME"),
        (".:build", "must be FILE.py:NAME or package.module:NAME"),
    ],
)
def test_what_is_not_there_is_named(reference: str, message: str, invoke: Invoke) -> None:
    outcome = invoke("sgd", "--model", reference)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())


@pytest.mark.parametrize(
    ("name", "raised", "line"),
    [
        ("failing", "ValueError: no such layer", 'raise ValueError("no such layer")'),
        ("wrong_sizes", "RuntimeError: mat1 and mat2", "return self.layer(x)"),
    ],
)
def test_an_exception_in_their_code_shows_their_traceback_alone(
    name: str, raised: str, line: str, net: Path
) -> None:
    outcome = in_process("sgd", "--set", "data.source=spiral", "--model", f"{net}:{name}")
    assert outcome.code == 1
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    first = outcome.err.splitlines()[1]
    assert str(net) in first
    assert line in outcome.err
    assert f"error: net.py:{name} raised {raised}" in outcome.err
    assert "gdrun/" not in outcome.err.replace(str(net), "")


def test_an_exception_on_import_is_theirs_too(net: Path) -> None:
    net.write_text("import torch\n1 / 0\n")
    outcome = in_process("sgd", "--model", f"{net}:build")
    assert outcome.code == 1
    assert f'File "{net}", line 2' in outcome.err
    assert "ZeroDivisionError" in outcome.err


def test_a_path_is_relative_to_its_config(net: Path, invoke: Invoke) -> None:
    config = net.with_name("own.yaml")
    config.write_text("model: net.py:build\nloss: net.py:rows\ndata: {source: spiral}\n")
    assert invoke("sgd", "--config", config, "--epochs", "2", "--name", "a", *NO_PICTURES).code == 0
    saved = json.loads(Path("outputs/a/run.json").read_text())
    assert saved["config"]["model"] == f"{net}:build"
    assert set(saved["code"]) == {"model", "loss"}


@pytest.mark.usefixtures("_many_segments")
def test_it_is_resumed_exactly_and_not_with_a_changed_file(net: Path, tmp_path: Path) -> None:
    config = config_for(net, "residual", seeds=2, momentum=0.9)
    run("minibatch", config, tmp_path / "whole")
    place = tmp_path / "stopped"
    for stop in (3, 9, None):
        run("minibatch", config, place, stop_after=stop)
    assert logs(place) == logs(tmp_path / "whole")
    net.write_text(NETWORKS + "# changed\n")
    with pytest.raises(Exception, match=r"model: the file of net\.py:residual was"):
        run("minibatch", config.model_copy(update={"epochs": 9}), place)


def test_looking_at_a_run_does_not_execute_its_code(net: Path, invoke: Invoke) -> None:
    assert invoke("sgd", "--model", f"{net}:build", "--epochs", "2", "--name", "a").code == 0
    assert Path("outputs/a/fit.png").exists()
    net.write_text("from pathlib import Path\nPath('executed').touch()\n" + NETWORKS)
    Path("outputs/a/fit.png").unlink()
    for command in (["show", "a"], ["list"], ["plot", "a"], ["compare", "a", "--name", "b"]):
        outcome = invoke(*command)
        assert outcome.code == 0, outcome.err
    assert not Path("executed").exists()


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_loss_of_ones_own_is_trained_as_the_same_of_gdruns(
    engine: str, net: Path, tmp_path: Path
) -> None:
    config = small_config(data=SPIRAL, epochs=4, batch_size=7, lr=[0.1, 0.3], engine=engine)
    (expected,) = run("minibatch", config, tmp_path / "a")
    own = config.model_copy(update={"loss": f"{net}:square"})
    (found,) = run("minibatch", own, tmp_path / "b")
    for a, b in zip(found.histories, expected.histories, strict=True):
        assert list(a.steps["loss"]) == pytest.approx(list(b.steps["loss"]), rel=1e-4)
    assert found.description.loss_name == "net.py:square"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mean", "returns a tensor of shape (); expected a tensor of 4 losses, one of each row"),
        ("relative", "the loss of a row depends on other rows"),
        ("constant", "has no gradient: it doesn't depend on the outputs"),
        ("nothing", "returns NoneType; expected a tensor of 4 losses"),
    ],
)
def test_a_loss_that_is_none_is_refused(name: str, message: str, net: Path, invoke: Invoke) -> None:
    outcome = invoke("sgd", "--loss", f"{net}:{name}")
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("name", "operation"), [("recurrent", "zeros"), ("branching", "_local_scalar_dense")]
)
def test_the_first_unknown_operation_is_named(
    name: str, operation: str, net: Path, invoke: Invoke
) -> None:
    settings = ["--set", "data.source=spiral", "--epochs", "1", *NO_PICTURES]
    outcome = invoke("full", *settings, "--model", f"{net}:{name}", "--engine", "compiled")
    assert f"engine: eager (the compiler doesn't know the operation {operation})" in outcome.err


def test_a_shape_must_fit_the_row(net: Path, invoke: Invoke) -> None:
    model = ["--model", f"{net}:convolution", "--set", "data.shape=[1,8,9]"]
    outcome = invoke("full", "-c", "digits", *model)
    assert outcome.code == 2
    assert "data.shape: 1 × 8 × 9 = 72 numbers, and a row of digits.csv has 64" in outcome.err


ODD = """
import torch
from torch import nn


class Sneaky(nn.Module):
    def __init__(self, in_dim, hidden=64, out_dim=1):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_dim, hidden), nn.Linear(hidden, out_dim))

    def forward(self, x):
        return self.layers(x)


class Narrow(nn.Module):
    def __init__(self, dim):
        super().__init__()


made = nn.Linear(1, 1)


def same(features, outputs):
    return made


def convolution(features, outputs):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, outputs))


def undropped(features, outputs):
    return nn.Sequential(nn.Linear(features, 3), nn.Dropout(0.0), nn.Linear(3, outputs))
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Sneaky", "its second argument is given the number of outputs, and is called hidden"),
        ("Sneaky", "def build(features, outputs): return Sneaky(…)"),
        ("Narrow", "name a function that makes one: def build(features, outputs): return Narrow("),
        ("made", "'made' is a network already, and each lane has its own"),
        ("same", "returns the same module each time"),
        ("convolution", "it was given 3 rows of shape (1,); data.shape gives rows another shape"),
        ("nobody", "it has Sneaky, Narrow, same, convolution, undropped"),
        ("", "must be FILE.py:NAME, with the name of the function"),
    ],
)
def test_what_is_no_function_of_features_and_outputs_is_explained(
    name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    outcome = in_process("full", "--model", f"{tmp_path / 'odd.py'}:{name}", "--epochs", "1")
    assert outcome.code in (1, 2)
    assert said in outcome.err
    assert "defect" not in outcome.err


def test_dropout_that_drops_nothing_is_no_harm(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    model = ("--model", f"{tmp_path / 'odd.py'}:undropped")
    assert invoke("full", *model, "--epochs", "1", *NO_PICTURES).code == 0


def test_a_file_that_was_moved_is_the_same(net: Path, tmp_path: Path, invoke: Invoke) -> None:
    for name, epochs in (("short", "2"), ("long", "4")):
        args = ("--model", f"{net}:build", "--epochs", epochs, "--name", name, *NO_PICTURES)
        assert invoke("minibatch", *args).code == 0
    moved = tmp_path / "elsewhere.py"
    net.rename(moved)
    assert "no such file" in invoke("minibatch", "--resume", "short", "--epochs", "4").err
    done = invoke("minibatch", "--resume", "short", "--epochs", "4", "--model", f"{moved}:build")
    assert done.code == 0, done.err
    assert logs(Path("outputs/short")) == logs(Path("outputs/long"))
    Path("new.csv").write_text("x\n0.5\n")
    assert invoke("predict", "short", "new.csv").code == 0
    assert invoke("predict", "long", "new.csv").code == 2
    found = invoke("predict", "long", "new.csv", "--set", f"model={moved}:build")
    assert found.code == 0, found.err
    assert found.out == invoke("predict", "short", "new.csv").out
    moved.write_text(moved.read_text() + "# changed\n")
    for command in ("--resume", "long", "--epochs", "6"), ("--resume", "short", "--epochs", "6"):
        outcome = invoke("minibatch", *command, "--model", f"{moved}:build")
        assert outcome.code == 2
        assert "was changed since the run was begun" in outcome.err
    other = invoke("minibatch", "--resume", "short", "--model", f"{moved}:perceptron")
    assert "can't be resumed with" in other.err
