"""Compile a program: `python -m gdrun.building PACKAGE`, the program as pickle on its stdin.

In a process of its own, which can be stopped at any time, and whose imports nobody else pays for.
"""

import pickle
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gdrun import inductor
from gdrun.program import Program, example, traced


def build(program: Program, package: Path) -> None:
    """Compile a program into a package.

    Raises:
        Exception: whatever PyTorch's compiler raises; there is no list.
    """
    torch.set_num_threads(1)  # and the program will compute with one
    exported = _exported(program)
    with inductor.stack_buffers() as options:
        torch._inductor.aoti_compile_and_package(
            exported,
            package_path=str(package),
            inductor_configs={
                "cpp.threads": 1,
                # What the processor says it can do is believed, instead of compiled and tried.
                "cpp.vec_isa_ok": True,
                # They pay from the second program on only, and take longer than the first.
                "aot_inductor.precompile_headers": False,
                **(options if program.written_out else {}),
            },
        )


def _exported(program: Program) -> torch.export.ExportedProgram:
    """A scan over blocks, of which there may be any number from two on."""
    graph, scan = traced(program), inductor.scan()
    params, velocity, _, *inputs = arguments = example(program, blocks=2)
    weights = len(params)
    constant = 2 if program.constant else 0

    class Blocks(torch.nn.Module):
        def forward(
            self,
            params: tuple[Tensor, ...],
            velocity: tuple[Tensor, ...],
            lr: Tensor,
            *inputs: Tensor,
        ) -> Any:
            fixed, scanned = inputs[:constant], inputs[constant:]

            def one(
                carry: list[Tensor], own: tuple[Tensor, ...]
            ) -> tuple[list[Tensor], list[Tensor]]:
                moved, losses, ends = graph(carry[:weights], carry[weights:], lr, *fixed, *own)
                return [tensor.clone() for tensor in moved], [losses, *ends]

            return scan(one, [*params, *velocity], scanned)

    any_number = torch.export.Dim("blocks", min=2)
    fixed = (None,) * weights, (None,) * len(velocity), None
    scanned = ({0: any_number},) * (len(inputs) - constant)
    dynamic = (*fixed, ((None,) * constant + scanned))
    return torch.export.export(Blocks(), arguments, dynamic_shapes=dynamic, strict=False)


def main() -> None:
    """Build what stdin says."""
    build(pickle.load(sys.stdin.buffer), Path(sys.argv[1]))


if __name__ == "__main__":
    main()
