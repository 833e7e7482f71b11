"""The device that a training computes on, by the name that a config has for it."""

import torch

from gdrun.errors import ConfigError

CPU = torch.device("cpu")


def find_device(name: str) -> torch.device:
    """The device that a config names; the processor for `auto`.

    Whether `auto` moves to a GPU is chosen where it is known how much there is to train.

    Raises:
        ConfigError: it isn't there.
    """
    if name == "auto":
        return CPU
    device, gpus = torch.device(name), count_gpus()
    if device.type == "cuda" and (device.index or 0) >= gpus:
        found = f"{gpus} CUDA device{'s' if gpus > 1 else ''}" if gpus else "no CUDA device"
        raise ConfigError(
            f"device: {name} is not there: PyTorch {torch.__version__} finds {found}",
            "use device: cpu or auto"
            + (
                "" if torch.version.cuda else "; this PyTorch is built without CUDA, see the README"
            ),
        )
    if device.type == "mps" and not has_mps():
        raise ConfigError("device: mps is not there: it needs a Mac with Apple silicon", "use auto")
    return device


def count_gpus() -> int:
    """How many devices of CUDA there are."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def has_mps() -> bool:
    """Whether there is the GPU of a Mac."""
    return torch.backends.mps.is_available()


def device_name(device: torch.device) -> str:
    """What a device is called in headers and logs."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
