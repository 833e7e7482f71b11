"""Makes a network of the user's, and refuses what can't be trained exactly.

A module is tried on a few rows of noise: whether it gives outputs of the right shape, always the
same ones, row by row, and changes nothing of itself; and how its lanes can be computed.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import vmap

from gdrun.data.own.find import OwnFunction, user_code
from gdrun.errors import ConfigError
from gdrun.training.models.own import (
    Forward,
    OwnNetwork,
    build,
    forward_in_place,
    forward_of,
    trained,
    weights_of,
)

ROWS = 3
# Modules that can't be resumed exactly, or whose lanes would mix, by what to use instead.
REFUSED: dict[str, tuple[tuple[type[nn.Module], ...], str, str]] = {
    "batch normalisation": (
        (nn.modules.batchnorm._BatchNorm,),
        "its outputs of a row depend on the other rows of the batch, and it remembers earlier ones",
        "nn.LayerNorm and nn.GroupNorm normalise row by row",
    ),
    "dropout": (
        (nn.modules.dropout._DropoutNd,),
        "what it leaves out is drawn anew each time, so that a resumed run would go another way",
        "weight_decay is another way to keep weights small",
    ),
}


def own_network(
    function: OwnFunction, inputs: int, outputs: int, shape: tuple[int, ...] | None, seed: int
) -> OwnNetwork:
    """The network that a function makes, tried on a few rows.

    Raises:
        ConfigError: it isn't one that can be trained.
        UserCodeError: the user's code raises an exception.
    """
    said = f"model: {function.name}"
    module = build(function, inputs, outputs, seed)
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{said} returns {type(module).__name__}, expected a torch.nn.Module",
            "def build(features, outputs): return nn.Sequential(…)",
        )
    _refuse_modules(said, module)
    _refuse_weights(said, module)
    again, other = (build(function, inputs, outputs, each) for each in (seed, seed + 1))
    if module is again or module is other:
        raise ConfigError(f"{said}: returns the same module each time, and each lane has its own")
    _refuse_other_starts(said, module, again, other)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, *(shape or (inputs,)), generator=generator)
    own = weights_of(module)
    given = f"it was given {ROWS} rows of shape {tuple(x.shape[1:])}"
    shapes = "; data.shape gives rows another shape, such as [1, 8, 8]" if shape is None else ""
    with user_code(function.name, given + shapes), torch.random.fork_rng(devices=[]):
        before = copy.deepcopy(module.state_dict())
        found = module(x)
        _refuse_outputs(said, found, outputs)
        _refuse_changes(said, before, module.state_dict())
        forward, reference = forward_of(module), forward_of(again)
        if not _same(forward(own, x), forward(own, x)):
            raise ConfigError(f"{said}: gives other outputs for the same rows each time")
        single = torch.cat([forward(own, x[k : k + 1]) for k in range(ROWS)])
        if not _same(single, forward(own, x)):
            raise ConfigError(f"{said}: the outputs of a row depend on the other rows of its batch")
        _refuse_unused(said, module, forward, x)
        fast = forward_in_place(module)
        moved = tuple(tensor + 0.1 for tensor in own)
        if not (_works(lambda: fast(moved, x), reference(moved, x))):
            fast = forward_of(build(function, inputs, outputs, seed))
        is_batched = _works(*_lanes(forward_of(again), own, x))
        sizes = _sizes(again, x)
    return OwnNetwork(
        function=function,
        inputs=inputs,
        outputs=outputs,
        shape=shape,
        seed=seed,
        title=type(module).__name__,
        parameters=sum(tensor.numel() for tensor in own),
        layers=sum(any(True for _ in each.parameters(recurse=False)) for each in again.modules()),
        activations=sum(sizes),
        widest=max(sizes),
        is_batched=is_batched,
        template=module,
        forward=fast,
    )


def _refuse_modules(said: str, module: nn.Module) -> None:
    for name, (kinds, why, instead) in REFUSED.items():
        for place, own in module.named_modules():
            if isinstance(own, kinds) and not _drops_nothing(own):
                where = f" ({place})" if place else ""
                raise ConfigError(
                    f"{said}: has {name}, {type(own).__name__}{where}, which gdrun can't train "
                    f"exactly: {why}",
                    instead,
                )


def _drops_nothing(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.dropout._DropoutNd) and module.p == 0


def _refuse_weights(said: str, module: nn.Module) -> None:
    own = dict(trained(module))
    if not own:
        raise ConfigError(f"{said}: {type(module).__name__} has no parameters to train")
    for name, tensor in own.items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise ConfigError(
                f"{said}: parameter {name} is {tensor.dtype} on {tensor.device}, expected "
                "torch.float32 on cpu",
                "gdrun moves networks to the device that the config names",
            )


def _refuse_other_starts(said: str, module: nn.Module, again: nn.Module, other: nn.Module) -> None:
    """Refuse modules that a seed doesn't decide, or that differ in more than their weights."""
    first, second = module.state_dict(), again.state_dict()
    if first.keys() != second.keys() or not all(_same(first[key], second[key]) for key in first):
        raise ConfigError(
            f"{said}: gives other weights each time, though torch.manual_seed is called before",
            "draw them with torch, not with random or numpy",
        )
    parameters = module.named_parameters(remove_duplicate=False)
    weights = {name for name, own in parameters if own.requires_grad}
    shapes = {key: value.shape for key, value in first.items()}
    if shapes != {key: value.shape for key, value in other.state_dict().items()}:
        raise ConfigError(f"{said}: the sizes of its weights depend on the seed")
    for key, value in other.state_dict().items():
        if key not in weights and not _same(value, first[key]):
            raise ConfigError(
                f"{said}: {key} isn't trained, and differs from seed to seed",
                "what isn't trained must be the same for all lanes",
            )


def _refuse_outputs(said: str, found: object, outputs: int) -> None:
    wanted = f"expected ({ROWS}, {outputs})"
    if not isinstance(found, Tensor):
        raise ConfigError(f"{said}: for {ROWS} rows it gives {type(found).__name__}, {wanted}")
    if found.shape != (ROWS, outputs):
        squeezed = " (no squeeze at the end?)" if found.shape == (ROWS,) and outputs == 1 else ""
        raise ConfigError(
            f"{said}: for {ROWS} rows it gives outputs of shape {tuple(found.shape)}, {wanted}"
            f"{squeezed}",
            "build(features, outputs) says how many outputs are needed: one for each target, or "
            "for each class",
        )
    if found.dtype != torch.float32:
        raise ConfigError(f"{said}: gives outputs of {found.dtype}, expected torch.float32")


def _refuse_changes(said: str, before: dict[str, Tensor], after: dict[str, Tensor]) -> None:
    for key, value in before.items():
        if not _same(value, after[key]):
            raise ConfigError(
                f"{said}: changes {key} whenever it is called, which a resumed run can't know"
            )


def _refuse_unused(said: str, module: nn.Module, forward: Forward, x: Tensor) -> None:
    leaves = tuple(tensor.requires_grad_() for tensor in weights_of(module))
    gradients = torch.autograd.grad(forward(leaves, x).sum(), leaves, allow_unused=True)
    for (name, _), gradient in zip(trained(module), gradients, strict=True):
        if gradient is None:
            raise ConfigError(
                f"{said}: parameter {name} plays no part in the outputs",
                "remove it, or set its requires_grad to False",
            )


def _lanes(
    forward: Forward, own: tuple[Tensor, ...], x: Tensor
) -> tuple[Callable[[], Tensor], Tensor]:
    """Two lanes computed together, and one by one."""
    params = tuple(torch.stack([tensor, tensor * 0.5]) for tensor in own)
    rows = torch.stack([x, x + 1])
    one_by_one = torch.stack([forward(tuple(p[k] for p in params), rows[k]) for k in range(2)])
    return lambda: vmap(forward)(params, rows), one_by_one


def _works(compute: Callable[[], Tensor], expected: Tensor) -> bool:
    """Whether a computation gives what is expected; it may not be possible at all."""
    try:
        return _same(compute(), expected)
    except Exception:  # whatever torch.func raises about what it can't do
        return False


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(
        one.float(), other.float(), rtol=1e-4, atol=1e-5, equal_nan=True
    )


def _sizes(module: nn.Module, x: Tensor) -> list[int]:
    """How many numbers a row is at the inputs of a module, and behind each of its layers."""
    sizes = [math.prod(x.shape[1:])]
    hooks = [
        own.register_forward_hook(
            lambda _, __, found: (
                sizes.append(found.numel() // len(x)) if isinstance(found, Tensor) else None
            )
        )
        for own in module.modules()
        if not list(own.children())
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return sizes
