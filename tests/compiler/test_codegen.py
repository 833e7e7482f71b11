"""C generated from traces computes what PyTorch does; and so do the functions of numbers.h."""

import ctypes
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gdrun.compiler import build
from gdrun.compiler.arrays import in_memory
from gdrun.compiler.codegen import UnknownOperationError, function
from gdrun.compiler.trace import Trace, Value, trace
from gdrun.compiler.writer import Code
from gdrun.training.losses.classification import BinaryCrossEntropy, CrossEntropy
from gdrun.training.losses.loss import Loss
from gdrun.training.losses.regression import LOSSES, Regression
from gdrun.training.models.perceptron import ACTIVATIONS, Perceptron
from gdrun.training.optimizers.step import lane_gradients
from gdrun.training.problem import mean_losses

Computation = Callable[..., Sequence[Tensor]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if obstacle := build.no_compiler():
        pytest.skip(obstacle)
    return tmp_path_factory.mktemp("c")


def compiled(place: Path, source: str, lanes: int) -> ctypes.CDLL:
    """A library from source that includes numbers.h."""
    number = len(list(place.glob("*.c")))
    (place / f"{number}.c").write_text(source)
    paths = [str(place / f"{number}.c"), "-o", str(place / f"{number}.so")]
    subprocess.run([*build.command(lanes, len(source)), *paths, "-lm"], check=True)
    return ctypes.CDLL(str(place / f"{number}.so"))


def in_c(
    place: Path, computation: Computation, inputs: Sequence[Tensor], lanes: int, width: int
) -> list[Tensor]:
    """What the computation comes to in C, for each lane; inputs are (G, …), traced as (1, …)."""
    one = [tensor[:1] for tensor in inputs]
    outputs = computation(*one)
    names = [f"in{k}" for k in range(len(inputs))]
    results = [f"out{k}" for k in range(len(outputs))]
    parameters = [
        *(f"const real *{name}" for name in names),
        *(f"real *{name}" for name in results),
    ]
    code, numbers = function(
        Code(lanes, width),
        f"f({', '.join(parameters)}, real *work)",
        trace(computation, one),
        [in_memory(name, tensor.shape) for name, tensor in zip(names, one, strict=True)],
        [in_memory(name, tensor.shape) for name, tensor in zip(results, outputs, strict=True)],
    )
    call = ", ".join(f"(real *)p[{k}]" for k in range(len(names) + len(results)))
    library = compiled(
        place,
        f'#include "numbers.h"\n{code}\n'
        f"real work[{numbers + 1}];\nvoid run(float **p) {{ f({call}, work); }}\n",
        lanes,
    )
    given = [t.flatten(1).t().contiguous() for t in inputs]  # lanes innermost
    found = [torch.zeros(t.numel(), lanes) for t in outputs]
    pointers = [t.data_ptr() for t in (*given, *found)]
    library.run((ctypes.c_void_p * len(pointers))(*pointers))
    return [t.t().reshape(lanes, *out.shape[1:]) for t, out in zip(found, outputs, strict=True)]


sizes = st.integers(1, 37)


@given(
    shape=st.tuples(sizes, sizes, sizes),
    turned=st.tuples(st.booleans(), st.booleans()),
    bias=st.sampled_from([None, "row", "number", "all"]),
    lanes=st.sampled_from([1, 4]),
    width=st.sampled_from([4, 8, 16]),
)
@settings(max_examples=60)
def test_products_of_matrices(
    place: Path,
    shape: tuple[int, int, int],
    turned: tuple[bool, bool],
    bias: str | None,
    lanes: int,
    width: int,
) -> None:
    m, k, n = shape
    torch.manual_seed(m * k * n)
    a = torch.randn(lanes, k, m) if turned[0] else torch.randn(lanes, m, k)
    b = torch.randn(lanes, n, k) if turned[1] else torch.randn(lanes, k, n)
    first = {
        None: [],
        "row": [torch.randn(lanes, 1, n)],
        "number": [torch.randn(lanes, 1, 1)],
        "all": [torch.randn(lanes, m, n)],
    }[bias]

    def computation(a: Tensor, b: Tensor, *first: Tensor) -> Sequence[Tensor]:
        a = a.transpose(1, 2) if turned[0] else a
        b = b.transpose(1, 2) if turned[1] else b
        return [torch.baddbmm(first[0], a, b) if first else torch.bmm(a, b)]

    inputs = [a, b, *first]
    (found,), (expected,) = in_c(place, computation, inputs, lanes, width), computation(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize("axes", [[1], [2], [1, 2], [-1]])
def test_sums_and_means(place: Path, axes: list[int], keepdim: bool, lanes: int) -> None:
    x = torch.randn(lanes, 7, 5)

    def computation(x: Tensor) -> Sequence[Tensor]:
        return [(x * 2).sum(axes, keepdim), x.mean(axes, keepdim), x.relu().sum(axes, keepdim) + 1]

    for found, expected in zip(
        in_c(place, computation, [x], lanes, 8), computation(x), strict=True
    ):
        torch.testing.assert_close(found, expected)


NOT_FINITE = [float("inf"), -float("inf"), float("nan")]
# What each is, and its largest relative error; or minus its largest absolute one.
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "absolute": (torch.abs, 0),
    "exponential": (torch.exp, 3e-7),
    "error_function": (torch.erf, -5e-7),
    "hyperbolic_tangent": (torch.tanh, 3e-7),
    "logarithm": (torch.log, 3e-7),
    "logarithm_of_1_plus": (torch.log1p, 3e-7),
    "rectified": (torch.relu, 0),
    "sigmoid": (torch.sigmoid, 3e-7),
    "sign": (torch.sgn, 0),
    "square_root": (torch.sqrt, 2e-7),
}


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_a_number(place: Path, name: str, lanes: int) -> None:
    exact, error = FUNCTIONS[name]
    edges = [0.0, -0.0, 1e-30, -1e-30, 0.625, -0.625, 80.0, -80.0, *NOT_FINITE]
    x = torch.cat([torch.linspace(-20, 20, 4001), torch.tensor(edges)])
    x = torch.cat([x, x[: -len(x) % lanes]])
    library = compiled(
        place,
        '#include "numbers.h"\n'
        "void run(real *y, const real *x, int64_t n)\n"
        f"{{ for (int64_t i = 0; i < n; i++) y[i] = {name}(x[i]); }}\n",
        lanes,
    )
    found = torch.empty_like(x)
    library.run(
        *(ctypes.c_void_p(t.data_ptr()) for t in (found, x)), ctypes.c_int64(len(x) // lanes)
    )
    expected = exact(x.double())
    if name == "exponential":  # finite, where floats end
        found, expected = (t[x.isnan() | (x.abs() < 80)] for t in (found, expected))
    if name == "logarithm_of_1_plus":  # of what isn't negative
        found, expected = (t[~(x < 0)] for t in (found, expected))
    torch.testing.assert_close(
        found.double(), expected, rtol=max(0, error), atol=max(0, -error), equal_nan=True
    )


def execute(traced: Trace, inputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs of a trace's operations, executed by PyTorch."""
    values = dict(zip(traced.inputs, inputs, strict=True))
    for operation in traced.operations:
        arguments = [values[a] if isinstance(a, Value) else a for a in operation.arguments]
        result = getattr(torch.ops.aten, operation.name)(*arguments)
        assert result.shape == operation.shape
        values[operation.result] = result
    return [values[value] for value in traced.outputs]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "loss", [*map(Regression, LOSSES), CrossEntropy(2), BinaryCrossEntropy()], ids=str
)
def test_the_trace_of_a_gradient_computes_it(loss: Loss, activation: str) -> None:
    targets = 2 if isinstance(loss, Regression) else 1
    network = Perceptron((3, 5, 4, loss.outputs(targets)), activation)

    def gradient(x: Tensor, y: Tensor, share: Tensor, *params: Tensor) -> Sequence[Tensor]:
        leaves = tuple(tensor.requires_grad_() for tensor in params)
        losses = mean_losses(network, loss, leaves, x, y)
        return (losses.detach(), *lane_gradients(losses, leaves, share))

    def any_inputs() -> list[Tensor]:
        y = torch.randn(1, 7, targets)
        y = y if isinstance(loss, Regression) else (y > 0).float()
        return [torch.randn(1, 7, 3), y, torch.randn(1), *network.init([torch.seed()])]

    traced = trace(gradient, any_inputs())
    inputs = any_inputs()
    found = execute(traced, [tensor.clone() for tensor in inputs])
    for one, expected in zip(found, gradient(*inputs), strict=True):
        torch.testing.assert_close(one, expected)
    # Each result is used, and each operation has a counterpart in C.
    assert all(traced.uses().get(operation.result) for operation in traced.operations)
    names = [f"p{k}" for k in range(len(inputs))]
    function(
        Code(1, 8),
        "f()",
        traced,
        [in_memory(name, tensor.shape) for name, tensor in zip(names, inputs, strict=True)],
        [in_memory("r", tensor.shape) for tensor in found],
    )


def test_what_has_no_counterpart_in_c_is_named() -> None:
    traced = trace(lambda x: [torch.cumsum(x, 1)], [torch.zeros(1, 3)])
    array = in_memory("x", (1, 3))
    with pytest.raises(UnknownOperationError, match="cumsum"):
        function(Code(1, 8), "f()", traced, [array], [array])


def test_large_buffers_are_not_on_the_stack(place: Path) -> None:
    x = torch.randn(1, 300, 300)

    def computation(x: Tensor) -> Sequence[Tensor]:
        return [torch.bmm((x * 2).relu(), (x + 1).relu())]

    traced = trace(computation, [x])
    array = in_memory("x", x.shape)
    _, numbers = function(Code(1, 8), "f()", traced, [array], [in_memory("y", x.shape)])
    assert numbers >= 2 * 300 * 300
    (found,), (expected,) = in_c(place, computation, [x], 1, 8), computation(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
