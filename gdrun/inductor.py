"""What gdrun uses of PyTorch's compiler that is private to it, for the range of versions declared.

Each has something public behind it, or nothing that anyone would miss but time:

- `scan`, the loop over blocks, is exported from no public place yet. Without it there are no
  programs, and updates are executed one by one.
- The loader of compiled packages is the one that the public `aoti_load_package` calls in the end,
  without the second and more of imports: it is what takes over where this one is missing.
- Buffers inside the loop are arrays on the stack, as `aot_inductor.allow_stack_allocation` has them
  elsewhere: 0.1 instead of 0.8 µs an update at batch 1. The stock compiler doesn't know which of
  them leave the loop, and must not be there. Where its classes have changed, buffers stay on the
  heap.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

PATCHED = ("can_stack_allocate_buffer", "codegen_subgraph")

Run = Callable[[Sequence[Tensor]], list[Tensor]]


def load(path: Path) -> Run:
    """A compiled package as a function from a list of tensors to another."""
    loader = getattr(getattr(torch._C, "_aoti", None), "AOTIModelPackageLoader", None)
    if loader is None:
        return load_by_public_call(path)
    # (path, name of the model, whether it is run in one thread, runners, device)
    package = loader(str(path), "model", False, 1, -1)

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        found: list[Tensor] = package.boxed_run(list(inputs))
        return found

    return run


def load_by_public_call(path: Path) -> Run:
    """The same through PyTorch's public interface, which imports its compiler."""
    package: Any = torch._inductor.aoti_load_package(str(path))

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        found: list[Tensor] = package.loader.run(list(inputs))
        return found

    return run


def scan() -> Callable[..., Any]:
    """The loop `scan(f, carry, xs)`: f maps (carry, x) to (carry, y).

    Raises:
        ImportError: PyTorch has it elsewhere.
    """
    from torch._higher_order_ops.scan import scan

    return scan


@contextmanager
def stack_buffers() -> Iterator[dict[str, Any]]:
    """Options for the compiler that put the buffers inside loops on the stack; none if it can't."""
    try:
        from torch._inductor import ir
        from torch._inductor.codegen.cpp_wrapper_cpu_array_ref import CppWrapperCpuArrayRef as Code

        stock: dict[str, Any] = {name: getattr(Code, name) for name in PATCHED}
    except (ImportError, AttributeError):
        yield {}
        return
    loops: dict[int, set[str]] = {}  # by code generator: the buffers that leave a loop's body

    def codegen_subgraph(self: Any, subgraph: Any, inputs: Any, outputs: Any) -> Any:
        leaving = loops.setdefault(id(self), set())
        for output in subgraph.graph.graph_outputs:
            leaving.add(output.get_name())
            if isinstance(output, ir.ReinterpretView):
                leaving.update(output.get_read_names())
        leaving.update(subgraph.graph.get_output_names())
        return stock["codegen_subgraph"](self, subgraph, inputs, outputs)

    def can_stack_allocate_buffer(self: Any, buffer: Any) -> bool:
        name = buffer.get_name()
        inside = "while_loop_body" in name and name not in loops.get(id(self), {name})
        return inside and bool(stock["can_stack_allocate_buffer"](self, buffer))

    with (
        patch.object(Code, "codegen_subgraph", codegen_subgraph),
        patch.object(Code, "can_stack_allocate_buffer", can_stack_allocate_buffer),
    ):
        yield {
            "aot_inductor.allow_stack_allocation": True,
            "allow_buffer_reuse": False,
            "inplace_buffers": False,
        }
