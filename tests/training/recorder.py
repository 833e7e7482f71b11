"""A recorder for the processor that does what CUDA does for graphs: the same operations again.

What is recorded isn't done; a replay does the operations alone, with the tensors at the places that
they had, and nothing of the Python code around them. What can't be in a CUDA graph is refused.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from gdrun.training.graphs import GraphRecorder, Work

aten = torch.ops.aten
# Some of what waits for a GPU, or brings it numbers of the processor's.
REFUSED = {
    aten._local_scalar_dense.default,
    aten.lift_fresh.default,
    aten._to_copy.default,
    aten.nonzero.default,
    aten.masked_select.default,
}

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], list[Tensor]]


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the operations done in its context, and what they write to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self._before: list[tuple[Tensor, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in REFUSED:
            raise RuntimeError(f"{func} isn't permitted when stream is capturing")
        kwargs = kwargs or {}
        for argument, value in zip(func._schema.arguments, args, strict=False):
            if argument.alias_info and argument.alias_info.is_write:
                for tensor in _tensors(value):
                    self._before.append((tensor, tensor.clone()))
        result = func(*args, **kwargs)
        # The results of others are views, or their arguments.
        is_new = not any(returned.alias_info for returned in func._schema.returns)
        self.calls.append((func, args, kwargs, _tensors(result) if is_new else []))
        return result

    def undo(self) -> None:
        """Restore what was written to."""
        for tensor, before in reversed(self._before):
            tensor.copy_(before)


class ProcessorRecorder:
    """Counts how many graphs it recorded, and how often they were replayed.

    Attributes:
        graphs: how many operations each has.
        replays: how often any was replayed.
    """

    def __init__(self) -> None:
        self.graphs: list[int] = []
        self.replays = 0

    def __call__(self, _: torch.device) -> GraphRecorder:
        return self.record

    def record(self, work: Work) -> Work:
        """As `cuda_recorder` does."""
        with Recording() as recording:
            result = work()
        recording.undo()
        self.graphs.append(len(recording.calls))

        def replay() -> Tensor:
            self.replays += 1
            with torch.no_grad():
                for func, args, kwargs, results in recording.calls:
                    for place, tensor in zip(
                        results, _tensors(func(*args, **kwargs)), strict=False
                    ):
                        place.copy_(tensor)
            return result

        return replay


def _tensors(value: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
