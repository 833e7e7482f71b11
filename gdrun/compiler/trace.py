"""The operations that a computation on tensors executes, those of its backward pass included.

They are PyTorch's own (`torch.ops.aten`); some of the larger are replaced by smaller ones that
they consist of. A trace is functional: an operation in place becomes one with a new result.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Why not `make_fx`: it imports PyTorch's compiler, so that the first trace takes a second more; and
# when functionalised, it can't trace the gradient as training computes it (`requires_grad_`).
from torch._decomp import get_decompositions
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

# Replaced by smaller operations, by PyTorch's own decompositions.
DECOMPOSED = (
    aten.mse_loss,
    aten.mse_loss_backward,
    aten.huber_loss,
    aten.huber_loss_backward,
    aten.gelu,
    aten.gelu_backward,
    aten.tanh_backward,
    aten.sigmoid_backward,
    aten.threshold_backward,
    aten._log_softmax,
    aten._log_softmax_backward_data,
    aten.softplus,
    aten.softplus_backward,
    # Of networks of one's own.
    aten.elu,
    aten.elu_backward,
    aten.hardtanh,
    aten.hardtanh_backward,
    aten.leaky_relu,
    aten.leaky_relu_backward,
    aten.native_layer_norm,
    aten.native_layer_norm_backward,
    aten.silu,
    aten.silu_backward,
)


@dataclass(frozen=True)
class Value:
    """A tensor in a trace, by its number."""

    number: int


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        name: as in `torch.ops.aten`.
        arguments: values, Python numbers and sequences of them.
        result: the value that it computes.
        shape: of the result.
        is_read: whether Python gets its result as a number, on which what follows may depend.
    """

    name: str
    arguments: tuple[Any, ...]
    result: Value
    shape: tuple[int, ...]
    is_read: bool = False


@dataclass(frozen=True)
class Trace:
    """A computation: its inputs, its operations in the order of execution, its outputs."""

    inputs: tuple[Value, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Value, ...]

    def uses(self) -> dict[Value, int]:
        """How often each value is an argument or an output."""
        counts: dict[Value, int] = {}
        arguments = (a for operation in self.operations for a in operation.arguments)
        for value in (*arguments, *self.outputs):
            if isinstance(value, Value):
                counts[value] = counts.get(value, 0) + 1
        return counts


def trace(function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor]) -> Trace:
    """What a function does to tensors of these shapes, whatever their elements are."""
    tracer = _Tracer()
    input_values = tuple(map(tracer.value, inputs))
    with tracer:
        results = function(*inputs)
    outputs = tuple(map(tracer.value, results))
    return _without_unused(Trace(input_values, tuple(tracer.operations), outputs))


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
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
        """The present value of a tensor, found by its memory: autograd keeps tensors of its own."""
        return self._values.get(_memory(tensor)) or self._new(tensor)

    def _new(self, tensor: Tensor) -> Value:
        self._alive.append(tensor)
        value = self._values[_memory(tensor)] = Value(len(self._alive))
        return value

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        keywords = kwargs or {}
        if func in _decompositions():
            with self:
                found = _decompositions()[func](*args, **keywords)
            if func._schema.is_mutable:  # lists of tensors, the first of which are changed
                for tensor, new in zip(args[0], found, strict=True):
                    self._values[_memory(tensor)] = self.value(new)
                return None
            return found
        arguments = tuple(self.value(a) if isinstance(a, Tensor) else a for a in args)
        found = func(*args, **keywords)
        if not isinstance(found, Tensor | tuple | list):
            name = func.overloadpacket.__name__
            read = Operation(name, arguments, self._new(torch.empty(0)), (), is_read=True)
            self.operations.append(read)
            return found
        results = [found] if isinstance(found, Tensor) else [t for t in found if t is not None]
        if not (func.is_view and all(_memory(result) in self._values for result in results)):
            name = func.overloadpacket.__name__.removesuffix("_") + _variant(results, keywords)
            first, *_ = [self._new(result) for result in results]
            self.operations.append(Operation(name, arguments, first, tuple(results[0].shape)))
        return found


def _variant(results: Sequence[Tensor], keywords: Mapping[str, Any]) -> str:
    """What makes an operation another than those of its name: its options, or its results."""
    if len(results) > 1:
        return " with several results"
    if results[0].dtype not in (torch.float32, torch.bool):
        return f" of {results[0].dtype}"
    options = keywords.keys() - {"dtype", "layout", "device", "pin_memory", "memory_format"}
    return f" with {', '.join(sorted(options))}" if options else ""


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    """Where the elements of a tensor are."""
    start = tensor.untyped_storage().data_ptr()
    return start, tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


@cache
def _decompositions() -> dict[Any, Callable[..., Any]]:
    """Operations that are replaced, and functions that execute the smaller ones instead."""

    def for_each(function: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
        """The same function for lists of tensors; other arguments are common to all."""

        def of_lists(first: list[Tensor], *more: Any, **keywords: Any) -> list[Tensor]:
            lists = (m if isinstance(m, (list, tuple)) else [m] * len(first) for m in more)
            return [function(*args, **keywords) for args in zip(first, *lists, strict=True)]

        return of_lists

    def add(a: Tensor, b: Tensor, alpha: float = 1) -> Tensor:
        return a + alpha * b

    def addcmul(sums: Tensor, a: Tensor, b: Tensor, value: float = 1) -> Tensor:
        return sums + value * (a * b)

    def var_mean(
        x: Tensor, axes: list[int], unbiased: bool = True, keepdim: bool = False
    ) -> tuple[Tensor, Tensor]:
        mean = x.mean(axes, keepdim=True)
        count = math.prod(x.shape[axis] for axis in axes) - unbiased
        variance = ((x - mean) * (x - mean)).sum(axes, keepdim=keepdim) / count
        return variance, mean if keepdim else x.mean(axes)

    return {
        **get_decompositions(DECOMPOSED),
        aten.var_mean.dim: var_mean,
        aten._foreach_add.List: for_each(add),
        aten._foreach_add_.List: for_each(add),
        aten._foreach_add_.Scalar: for_each(torch.add),
        aten._foreach_mul_.Scalar: for_each(torch.mul),
        aten._foreach_mul_.Tensor: for_each(torch.mul),
        aten._foreach_div.List: for_each(torch.div),
        aten._foreach_sqrt.default: for_each(torch.sqrt),
        aten._foreach_maximum_.List: for_each(torch.maximum),
        aten._foreach_clamp_min_.Scalar: for_each(torch.clamp_min),
        aten._foreach_addcmul.Scalar: for_each(addcmul),
        aten._foreach_addcmul_.Scalar: for_each(addcmul),
    }


def _without_unused(traced: Trace) -> Trace:
    """The same without operations that no output can depend on."""
    needed = set(traced.outputs)
    kept = []
    for operation in reversed(traced.operations):
        if operation.result in needed or operation.is_read:
            needed.update(a for a in operation.arguments if isinstance(a, Value))
            kept.append(operation)
    return replace(traced, operations=tuple(reversed(kept)))
