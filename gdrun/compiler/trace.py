"""The operations that a computation on tensors comes to, autograd's among them.

They are PyTorch's own (`aten`), with some of the larger replaced by what they are made of. In what
is recorded nothing is changed in place: each operation gives something new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

# Made of operations that few others are made of.
COMPOSED = (
    aten.mse_loss,
    aten.mse_loss_backward,
    aten.huber_loss,
    aten.huber_loss_backward,
    aten.gelu,
    aten.gelu_backward,
    aten.tanh_backward,
    aten.sigmoid_backward,
    aten.threshold_backward,
)


@dataclass(frozen=True)
class Value:
    """A tensor, by its place in a recording."""

    place: int


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: as in `torch.ops.aten`.
        arguments: values, numbers and sequences of numbers.
        result: what it gives.
        shape: of the result.
    """

    name: str
    arguments: tuple[Any, ...]
    result: Value
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Recording:
    """A computation: from its inputs, by operations one after the other, to its outputs."""

    inputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]

    def uses(self) -> dict[Value, int]:
        """How often each value is asked for."""
        counts: dict[Value, int] = {}
        arguments = (a for operation in self.operations for a in operation.arguments)
        for value in (*arguments, *self.outputs):
            if isinstance(value, Value):
                counts[value] = counts.get(value, 0) + 1
        return counts


def record(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> Recording:
    """What a function does to tensors of these shapes, whatever they hold."""
    recorder = _Recorder()
    given = tuple(map(recorder.value, inputs))
    with recorder:
        found = function(*inputs)
    outputs = tuple(map(recorder.value, found))
    return _without_the_unused(Recording(given, tuple(recorder.operations), outputs))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees each operation below autograd."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self._values: dict[Any, Value] = {}
        self._alive: list[Tensor] = []  # so that no memory is used twice

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """PyTorch hides a mode from its compiler, which it imports for that: 0.6 s."""
        return False

    def value(self, tensor: Tensor) -> Value:
        """What a tensor holds now. Those that autograd keeps are others, of the same memory."""
        return self._values.get(_memory(tensor)) or self._new(tensor)

    def _new(self, tensor: Tensor) -> Value:
        self._alive.append(tensor)
        value = self._values[_memory(tensor)] = Value(len(self._alive))
        return value

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        if func in _composed():
            with self:
                found = _composed()[func](*args, **named)
            if func._schema.is_mutable:  # lists of tensors, the first of which are changed
                for tensor, new in zip(args[0], found, strict=True):
                    self._values[_memory(tensor)] = self.value(new)
                return None
            return found
        arguments = tuple(self.value(a) if isinstance(a, Tensor) else a for a in args)
        found = func(*args, **named)
        if not (func.is_view and _memory(found) in self._values):
            name = func.overloadpacket.__name__.removesuffix("_")
            shape = tuple(found.shape)
            self.operations.append(Operation(name, arguments, self._new(found), shape))
        return found


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """Where the numbers of a tensor are."""
    start = tensor.untyped_storage().data_ptr()
    return start, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


@cache
def _composed() -> dict[Any, Callable[..., Any]]:
    """What operations are made of."""

    def each(function: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
        """The same for lists of tensors, one by one."""

        def of_lists(first: list[Tensor], *more: Any, **named: Any) -> list[Tensor]:
            lists = (m if isinstance(m, (list, tuple)) else [m] * len(first) for m in more)
            return [function(*one, **named) for one in zip(first, *lists, strict=True)]

        return of_lists

    def add(a: Tensor, b: Tensor, alpha: float = 1) -> Tensor:
        return a + alpha * b

    def addcmul(sums: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
        return sums + value * (a * b)

    return {
        **get_decompositions(COMPOSED),
        aten._foreach_add.List: each(add),
        aten._foreach_add_.List: each(add),
        aten._foreach_mul_.Scalar: each(torch.mul),
        aten._foreach_addcmul_.Scalar: each(addcmul),
    }


def _without_the_unused(recording: Recording) -> Recording:
    """The same without what comes to nothing."""
    needed = set(recording.outputs)
    kept = []
    for operation in reversed(recording.operations):
        if operation.result in needed:
            needed.update(a for a in operation.arguments if isinstance(a, Value))
            kept.append(operation)
    return replace(recording, operations=tuple(reversed(kept)))
