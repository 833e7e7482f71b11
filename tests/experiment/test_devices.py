"""Which device `device: auto` is, and why; the GPUs of a machine are made up."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gdrun.api import train
from gdrun.config.read import configure
from gdrun.config.timing import Timing
from gdrun.data.files.npy_file import NpyFile
from gdrun.data.rows import FileRows
from gdrun.errors import ConfigError, GdrunWarning
from gdrun.experiment import devices, prepare, workers
from gdrun.experiment.cost.by_device import bytes_on_gpu, cpu_estimate
from gdrun.experiment.cost.formulas import eager_seconds, forward_microseconds
from gdrun.experiment.cost.gpu import gpu_bytes, gpu_seconds
from gdrun.experiment.devices import (
    MPS,
    UNTRIED,
    DeviceChoice,
    Gpu,
    Machine,
    choose_device,
)
from gdrun.experiment.distributed import processes
from gdrun.experiment.distributed.processes import Processes
from gdrun.experiment.members import MemberTask
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.training import problem as problems
from gdrun.training.device import CPU
from gdrun.training.models.own import OwnNetwork
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.ranks import Ranks
from tests.command_line import NO_PICTURES, Invoke
from tests.experiment.own_code import NETWORKS
from tests.run_files import edit, manifest

H200 = Gpu("NVIDIA H200", free=10**11)
GPU = torch.device("cuda:0")
SERVER = Machine(lambda: H200)
FIGURES = {"data": {"rows": 50_000}, "hidden_size": [256, 256]}
LARGE = {"hidden_size": [1024, 1024], "batch_size": 256, "data": {"rows": 20_000}, "epochs": 10}


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formulas count them."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def planned(command: str, settings: dict[str, Any]) -> ExperimentPlan:
    return plan_experiment(command, configure({}, {"device": "auto", **settings}))


def chosen(command: str, settings: dict[str, Any], machine: Machine = SERVER) -> DeviceChoice:
    return choose_device(planned(command, settings), machine)


def a_million_rows() -> ExperimentPlan:
    """Full batches of 1,000,000 rows of 100 features, which take no memory."""
    experiment = planned("full", {})
    (run,) = experiment.runs
    x = torch.zeros(1, 100).expand(1_000_000, -1)
    data = replace(run.problem.data, x=x, y=x[:, :1])
    problem = replace(run.problem, data=data, model=Perceptron((100, 1024, 1024, 1), "relu"))
    run = replace(run, problem=problem, plan=replace(run.plan, batch_size=len(x)))
    return replace(experiment, runs=(run,))


def never() -> Gpu:
    raise AssertionError("the GPU was asked")


def broken() -> Gpu:
    raise RuntimeError("CUDA error:\nall devices are busy")


def test_without_a_gpu_the_processor_is_taken_without_a_word() -> None:
    assert chosen("compare", {}, Machine()) == DeviceChoice(CPU)
    assert choose_device(a_million_rows(), Machine()) == DeviceChoice(CPU)


@pytest.mark.parametrize(
    ("command", "settings"), [("compare", {}), ("full", {}), ("sweep", {}), ("sgd", {"seeds": 8})]
)
def test_a_small_job_stays_on_the_processor_and_waits_for_no_gpu(
    command: str, settings: dict[str, Any]
) -> None:
    choice = chosen(command, settings, Machine(never))
    assert choice.device == CPU
    assert choice.line.startswith("device: cpu (about ")
    assert ", a GPU would take about " in choice.line


def test_the_comparison_of_the_article_stays_on_the_processor() -> None:
    article = plan_experiment("compare", configure("article", {"device": "auto"}))
    assert choose_device(article, Machine(never)).device == CPU


def test_long_trainings_with_small_updates_stay_on_the_processor() -> None:
    assert chosen("compare", {"epochs": 10**6}).device == CPU
    assert chosen("minibatch", {"epochs": 10**6, "engine": "eager"}).device == CPU


@pytest.mark.usefixtures("_compiler")
def test_the_processor_is_estimated_with_the_engine_that_it_would_have() -> None:
    settings = {"epochs": 10**5}
    eager = cpu_estimate(planned("sgd", {**settings, "engine": "eager"}))
    assert cpu_estimate(planned("sgd", settings)) < eager / 20


def test_large_updates_go_to_the_gpu() -> None:
    for choice in (choose_device(a_million_rows(), SERVER), chosen("minibatch", LARGE)):
        assert choice.device == GPU
        assert choice.line.startswith("device: cuda:0, NVIDIA H200 (about ")
        assert ", the processor would take about " in choice.line


def test_the_choice_depends_on_the_gpu_but_not_on_the_pace_of_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = set()
    for pace in (0.1, 10.0):
        monkeypatch.setattr(devices, "machine_pace", lambda pace=pace: pace)
        found.add(chosen("minibatch", LARGE).device)
    assert found == {GPU}
    slow, short = Machine(lambda: replace(H200, processors=1)), {**LARGE, "epochs": 5}
    assert chosen("minibatch", short).device == GPU
    assert chosen("minibatch", short, slow).device == CPU


def test_a_process_takes_the_gpu_that_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = SimpleNamespace(name="NVIDIA H200", multi_processor_count=132)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (10**11, 10**11))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    for gpus, device in ((0, CPU), (2, torch.device("cuda:1"))):
        monkeypatch.setattr(devices, "count_gpus", lambda gpus=gpus: gpus)
        assert choose_device(a_million_rows(), devices.this_machine()).device == device


def test_data_that_dont_fit_the_gpu_stay_where_they_are() -> None:
    experiment = a_million_rows()
    held = 4 * 101 * 10**6  # bytes of the rows alone
    choice = choose_device(experiment, Machine(lambda: replace(H200, free=held)))
    assert choice.device == CPU
    assert choice.line.startswith("device: cpu (a GPU would need about ")
    assert choice.line.endswith(", and NVIDIA H200 has 404 MB left)")
    needed = bytes_on_gpu(experiment)
    (run,) = experiment.runs
    assert needed == held + gpu_bytes(run.problem, run.plan)
    assert choose_device(experiment, Machine(lambda: replace(H200, free=needed))).device == GPU


def test_processes_side_by_side_need_their_rows_each() -> None:
    experiment = planned("sweep", {"sweep": {"batch_size": [1, 16, 64], "lr": 0.1}})
    assert bytes_on_gpu(experiment, 2) == 2 * bytes_on_gpu(experiment)
    assert bytes_on_gpu(experiment, 9) == 3 * bytes_on_gpu(experiment)


def test_a_gpu_that_cant_be_used_is_left_alone() -> None:
    choice = choose_device(a_million_rows(), Machine(broken))
    line = "device: cpu (the GPU can't be used: CUDA error: all devices are busy)"
    assert choice == DeviceChoice(CPU, line)


def test_the_gpu_of_a_mac_is_left_alone() -> None:
    choice = choose_device(a_million_rows(), Machine(has_mps=True))
    assert choice.device == CPU
    assert "never tried on mps" in choice.line


@pytest.mark.parametrize(
    ("begun_on", "machine", "device", "line"),
    [
        ("cpu", Machine(never), CPU, "device: cpu (as it was begun)"),
        ("cpu", Machine(), CPU, ""),
        ("NVIDIA H200", SERVER, GPU, "device: cuda:0, NVIDIA H200 (as it was begun)"),
        ("NVIDIA H200", Machine(), CPU, ""),
        ("mps", Machine(has_mps=True), MPS, UNTRIED),
        ("mps", Machine(), CPU, ""),
    ],
)
def test_a_run_stays_where_it_was_begun_if_that_is_there(
    begun_on: str, machine: Machine, device: torch.device, line: str
) -> None:
    small, large = planned("sgd", {}), a_million_rows()
    for experiment in (small, large):
        assert choose_device(experiment, machine, begun_on) == DeviceChoice(device, line)


@pytest.mark.parametrize(("here", "gpus", "device"), [(2, 1, CPU), (2, 2, GPU), (1, 1, GPU)])
@pytest.mark.parametrize("begun_on", [None, "NVIDIA H200"])
def test_ranks_that_train_together_dont_share_a_gpu(
    here: int, gpus: int, device: torch.device, begun_on: str | None
) -> None:
    ranks = Processes(here=here, ranks=Ranks(4))
    choice = choose_device(a_million_rows(), replace(SERVER, gpus=gpus), begun_on, ranks)
    assert choice.device == device
    shared = "device: cpu (2 ranks on this machine, and 1 GPU)"
    assert (choice.line == shared) == (device == CPU)


def test_ranks_that_train_runs_of_their_own_may_share_a_gpu() -> None:
    group = planned("sweep", {"sweep": {"batch_size": [16, 256]}, **LARGE, "batch_size": 16})
    ranks = Processes(2, 2, Ranks(2))
    assert choose_device(group, SERVER, "NVIDIA H200", ranks).device == GPU


def test_ranks_that_train_together_leave_the_gpu_of_a_mac() -> None:
    ranks = Processes(here=2, ranks=Ranks(2))
    mac = Machine(has_mps=True)
    assert choose_device(planned("sgd", {}), mac, "mps", ranks).device == CPU


@pytest.mark.parametrize(
    ("device", "asked", "here", "message"),
    [
        ("cuda:0", "cuda", 2, None),
        ("cuda:0", "cuda", 3, "3 ranks on this machine and 2 GPUs, and each needs one of its own"),
        ("cuda:1", "cuda:1", 1, None),
        (
            "cuda:1",
            "cuda:1",
            2,
            "device: cuda:1: there are 2 ranks on this machine, and each needs",
        ),
        ("mps", "mps", 1, "device: mps: several ranks can't sum what they have there"),
        ("cpu", "cpu", 9, None),
    ],
)
def test_gpus_that_ranks_would_share_are_refused(
    device: str, asked: str, here: int, message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "count_gpus", lambda: 2)
    with nullcontext() if message is None else pytest.raises(ConfigError, match=message):
        processes.require_gpu_each(torch.device(device), asked, here)


def test_a_rank_without_a_gpu_says_so_and_others_take_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ConfigError, match="rank 0 trains on a GPU, and this machine has none"):
        processes.own_device(GPU, "cuda")
    monkeypatch.setattr(processes, "count_gpus", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert processes.own_device(GPU, "cuda") == torch.device("cuda:1")
    assert processes.own_device(GPU, "cuda:0") == GPU
    assert processes.own_device(CPU, "auto") == CPU


@pytest.mark.parametrize(("gpus", "ranks", "sharing"), [(2, 4, 2), (3, 4, 2), (1, 4, 4), (2, 1, 4)])
def test_ranks_are_spread_over_gpus(gpus: int, ranks: int, sharing: int) -> None:
    assert Processes(here=4, ranks=Ranks(ranks)).sharing(gpus) == sharing


def test_only_ranks_that_train_a_run_together_are_asked_for_their_gpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[torch.device, str, int]] = []
    monkeypatch.setattr(prepare, "require_gpu_each", lambda *about: asked.append(about))
    for command in ("full", "compare"):
        for trained_by in (Processes(here=3, ranks=Ranks(4)), Processes(3, 3)):
            config = configure({}, {"device": "cpu"})
            prepare.prepare_command(command, config, processes=trained_by, preview=True)
    assert asked == [(CPU, "cpu", 3)]


def test_a_run_of_another_gpu_is_chosen_for_anew() -> None:
    assert choose_device(planned("sgd", {}), SERVER, "Tesla T4").line.startswith("device: cpu (abo")
    assert choose_device(a_million_rows(), SERVER, "Tesla T4").device == GPU


@pytest.mark.parametrize(
    ("command", "settings", "microseconds"),
    [
        ("minibatch", {"batch_size": 16}, 126),
        ("minibatch", {"batch_size": 16, "seeds": 4096}, 1916),
        ("full", FIGURES, 1122),
    ],
)
def test_the_formula_gives_what_was_measured(
    command: str, settings: dict[str, Any], microseconds: float
) -> None:
    (run,) = planned(command, {**settings, "epochs": 1}).runs
    updates = run.plan.updates_per_epoch(run.problem.data.rows)
    of_epoch = 330e-6
    update = (gpu_seconds(run.problem, run.plan) - of_epoch) / updates
    assert 1e6 * update == pytest.approx(microseconds, rel=0.1)


def test_updates_of_own_code_and_of_large_batches_are_launched_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORKS)
    settings: dict[str, Any] = {"data": {"source": "spiral"}, "loss": "cross_entropy", "epochs": 1}

    def update(**more: Any) -> float:
        (run,) = planned("minibatch", {**settings, **more}).runs
        return gpu_seconds(run.problem, run.plan) / run.plan.updates_per_epoch(
            run.problem.data.rows
        )

    own = update(model=f"{tmp_path / 'net.py'}:build")
    assert own > 4 * update()
    assert update(chunk_rows=8) > 1.9 * own  # two chunks of 16 rows


def test_a_problem_on_a_gpu_is_estimated_by_the_formula_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((100, 1), np.float32))
    file = NpyFile(tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r"))
    properties = SimpleNamespace(multi_processor_count=66)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    (run,) = planned("minibatch", {}).runs
    on_gpu = replace(run.problem, data=replace(run.problem.data, x=FileRows(file, device=GPU)))
    assert eager_seconds(on_gpu, run.plan) == gpu_seconds(run.problem, run.plan, 66)
    assert forward_microseconds(on_gpu) < forward_microseconds(run.problem)


def test_all_runs_and_their_processes_are_on_the_device(tmp_path: Path) -> None:
    """`meta`, which holds no numbers, stands for a GPU."""
    meta = torch.device("meta")
    experiment = planned("sweep", {"sweep": {"batch_size": [1, 16], "lr": 0.1}})
    assert experiment.with_device(CPU) is experiment
    moved = experiment.with_device(meta)
    task = MemberTask(
        "sweep", experiment.config, tmp_path, {}, None, Timing(), 1, (None, None), meta
    )
    for each in (moved, task.plan()):
        assert {run.problem.data.x.device for run in each.runs} == {meta}
        assert each.description.device == "meta"
    assert experiment.problem.data.x.device == CPU


def test_processes_are_told_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def pool(task: Any, _: Any) -> Any:
        told.append(task.device)
        raise InterruptedError

    monkeypatch.setattr(workers, "_Pool", pool)
    experiment = planned("sweep", {}).with_device(torch.device("meta"))
    task = MemberTask.of(experiment, tmp_path, {}, None, Timing())
    with pytest.raises(InterruptedError):
        next(workers.train_side_by_side(task, ["sgd"], bool, 2))
    assert told == [torch.device("meta")]


def test_a_network_of_ones_own_is_moved_after_its_lanes_were_computed(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORKS)
    data = {"data": {"source": "spiral"}, "loss": "cross_entropy", "seeds": 2}
    (run,) = planned("sgd", {**data, "model": f"{tmp_path / 'net.py'}:build"}).runs
    problem, model = run.problem, run.problem.model
    assert isinstance(model, OwnNetwork)
    params, x = model.init([0, 1]), problem.data.x[:].expand(2, -1, -1)
    before = model(params, x)
    problem.to(torch.device("meta"))
    assert {weight.device.type for weight in model.template.parameters()} == {"meta"}
    assert torch.equal(model(params, x), before)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Make this another machine."""
    return lambda machine: monkeypatch.setattr(devices, "this_machine", lambda: machine)


def test_a_command_says_where_it_trains(invoke: Invoke, on: Callable[[Machine], None]) -> None:
    on(Machine(never))
    args = ("sgd", "--device", "auto", "--epochs", "3")
    preview = invoke(*args, "--dry-run")
    assert "device: auto" in preview.out  # as it was requested
    assert "device: cpu (about " in preview.out
    outcome = invoke(*args, "--name", "a", *NO_PICTURES)
    assert outcome.code == 0
    assert "device: cpu (about " in outcome.err
    assert "device: auto" in Path("outputs/a/config.yaml").read_text()
    assert manifest(Path("outputs/a"))["device"] == "cpu"
    resumed = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert "device: cpu (as it was begun)" in resumed.err
    assert "device:" not in invoke("sgd", "--resume", "outputs/a").err  # nothing is left to do
    assert "device: cpu (" not in invoke("sgd", "--device", "cpu", "--dry-run").out


def test_a_run_whose_gpu_is_gone_goes_on_with_a_note(
    invoke: Invoke, on: Callable[[Machine], None]
) -> None:
    args = ("sgd", "--device", "auto", "--epochs", "3", "--name", "a", *NO_PICTURES)
    assert invoke(*args).code == 0
    edit(Path("outputs/a"), device="NVIDIA H200")
    on(Machine())
    resumed = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert resumed.code == 0
    assert "resumed with device cpu, not NVIDIA H200" in resumed.err


def test_mps_is_refused_where_it_is_not_there_and_said_to_be_untried_where_it_is(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    refused = invoke("sgd", "--device", "mps", "--dry-run")
    assert refused.code == 2
    assert "device: mps is not there: it needs a Mac with Apple silicon" in refused.err
    monkeypatch.setattr(problems, "find_device", lambda _: CPU)
    assert UNTRIED in " ".join(invoke("sgd", "--device", "mps", "--dry-run").out.split())


@pytest.mark.filterwarnings("default::gdrun.errors.GdrunWarning")
def test_python_warns_of_the_choice(on: Callable[[Machine], None]) -> None:
    on(Machine(never))
    with pytest.warns(GdrunWarning, match=r"device: cpu \(about .*, a GPU would take about"):
        result = train("full", epochs=2, device="auto")
    assert result.description.device == "cpu"
