"""The choice of a device where the config leaves it open (`device: auto`), and why.

It is made once the data are read, since it depends on how much there is to train: on the command
and the machine alone, so that the same command makes the same choice each time. It isn't kept in a
config, which another machine may read: a run that is resumed stays where its `run.json` says that
it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from gdrun.errors import one_line
from gdrun.experiment.cost.by_device import bytes_on_gpu, cpu_estimate, gpu_estimate
from gdrun.experiment.cost.formulas import machine_pace
from gdrun.experiment.cost.gpu import PROCESSORS, START
from gdrun.experiment.distributed.processes import THIS_ONE, Processes
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.storage.atomic import output_errors
from gdrun.storage.manifest import read_manifest
from gdrun.text import count, duration, size
from gdrun.training.device import CPU, count_gpus, has_mps

MPS = torch.device("mps")
UNTRIED = "device: mps is accepted, but gdrun was never tried on it: compare with device: cpu"
LEFT_ALONE = "device: cpu (gdrun was never tried on mps, which is there: device: mps uses it)"


@dataclass(frozen=True)
class Gpu:
    """A GPU, as far as a choice depends on it: name, bytes that are free, processors, number."""

    name: str
    free: int
    processors: int = PROCESSORS
    index: int = 0

    @property
    def device(self) -> torch.device:
        """The device that it is."""
        return torch.device("cuda", self.index)


@dataclass(frozen=True)
class Machine:
    """What GPUs there are.

    Attributes:
        gpu: asks that of CUDA which this process uses, mostly the first one. That takes a second
            and some of its memory, and raises a RuntimeError if it can't be used. None without one.
        has_mps: whether there is that of a Mac.
        gpus: how many of CUDA there are, where there are any.
    """

    gpu: Callable[[], Gpu] | None = None
    has_mps: bool = False
    gpus: int = 1


def this_machine() -> Machine:
    """The GPUs of this machine."""
    gpus = count_gpus()
    return Machine(_current_gpu if gpus else None, has_mps(), gpus)


def _current_gpu() -> Gpu:
    """The GPU that this process uses if it doesn't name another.

    Raises:
        RuntimeError: it can't be used.
    """
    index = torch.cuda.current_device()
    free, _ = torch.cuda.mem_get_info(index)
    properties = torch.cuda.get_device_properties(index)
    return Gpu(properties.name, free, properties.multi_processor_count, index)


@dataclass(frozen=True)
class DeviceChoice:
    """The device of an experiment, and why in words; nothing where there was no choice."""

    device: torch.device
    line: str = ""


def on_chosen_device(
    experiment: ExperimentPlan, resume: Path | None = None, processes: Processes = THIS_ONE
) -> tuple[ExperimentPlan, str]:
    """An experiment on the device that is chosen for it, and why in words.

    Args:
        experiment: of which nothing is resumed yet; what a config asks for, it is on already.
        resume: the directory of the run or group that it will resume.
        processes: those that will train it.

    Raises:
        DataError, OutputError: what is resumed is damaged, or can't be read.
    """
    if experiment.config.device != "auto":
        return experiment, UNTRIED if experiment.config.device == "mps" else ""
    begun_on = None
    if resume:
        with output_errors(resume, "read"):
            begun_on = read_manifest(resume).device
    choice = choose_device(experiment, this_machine(), begun_on, processes)
    return experiment.with_device(choice.device), choice.line


def choose_device(
    experiment: ExperimentPlan,
    machine: Machine,
    begun_on: str | None = None,
    processes: Processes = THIS_ONE,
) -> DeviceChoice:
    """The device for `auto`: that which an experiment was begun on, or else the faster one.

    Args:
        experiment: on the processor.
        machine: what GPUs there are.
        begun_on: the name of the device that an earlier process chose, if one did.
        processes: those that will train it.
    """
    share_a_run = processes.ranks.size > 1 and not experiment.is_group
    if begun_on == MPS.type and machine.has_mps and not share_a_run:
        return DeviceChoice(MPS, UNTRIED)
    if machine.gpu is None:
        return DeviceChoice(CPU, LEFT_ALONE if machine.has_mps else "")
    if begun_on == CPU.type:
        return DeviceChoice(CPU, "device: cpu (as it was begun)")
    if share_a_run and processes.here > machine.gpus:
        there = f"{count(processes.here, 'rank')} on this machine, and {count(machine.gpus, 'GPU')}"
        return DeviceChoice(CPU, f"device: cpu ({there})")
    by_cpu = cpu_estimate(experiment)
    # What ends before a GPU has started needn't wait to hear what GPU there is.
    if begun_on is None and by_cpu <= START:
        return _stays(by_cpu, gpu_estimate(experiment))
    try:
        gpu = machine.gpu()
    except RuntimeError as error:
        return DeviceChoice(CPU, f"device: cpu (the GPU can't be used: {one_line(error)})")
    place = f"device: {gpu.device}, {gpu.name}"
    if begun_on == gpu.name:
        return DeviceChoice(gpu.device, f"{place} (as it was begun)")
    by_gpu = gpu_estimate(experiment, gpu.processors)
    if by_cpu <= by_gpu:
        return _stays(by_cpu, by_gpu)
    sharing = processes.sharing(machine.gpus)
    if (needed := bytes_on_gpu(experiment, sharing)) > gpu.free:
        why = f"a GPU would need about {size(needed)}, and {gpu.name} has {size(gpu.free)} left"
        return DeviceChoice(CPU, f"device: cpu ({why})")
    pace = machine_pace()
    took = f"about {duration(pace * by_gpu)}, the processor would take about"
    return DeviceChoice(gpu.device, f"{place} ({took} {duration(pace * by_cpu)})")


def _stays(by_cpu: float, by_gpu: float) -> DeviceChoice:
    """The processor, as it is faster; the pace of the machine moves only what is shown."""
    pace = machine_pace()
    took = f"about {duration(pace * by_cpu)}, a GPU would take about {duration(pace * by_gpu)}"
    return DeviceChoice(CPU, f"device: cpu ({took})")
