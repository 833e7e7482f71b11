"""The losses of classes against PyTorch's own, at any size of the outputs."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gdrun.training.losses.classification import BinaryCrossEntropy, CrossEntropy

SCALES = st.sampled_from([1e-3, 1.0, 30.0, 1e4])


def outputs_and_classes(classes: int, scale: float, seed: int) -> tuple[Tensor, Tensor]:
    """(R, B, K) and class numbers (R, B, 1)."""
    generator = torch.Generator().manual_seed(seed)
    outputs = scale * torch.randn(3, 8, classes, generator=generator)
    return outputs, torch.randint(max(2, classes), (3, 8, 1), generator=generator).float()


@given(classes=st.integers(2, 12), scale=SCALES, seed=st.integers(0, 1000))
def test_cross_entropy_and_its_gradient_are_pytorchs(classes: int, scale: float, seed: int) -> None:
    outputs, y = outputs_and_classes(classes, scale, seed)
    ours, theirs = (outputs.clone().requires_grad_() for _ in range(2))
    losses = CrossEntropy(classes)(ours, y)
    expected = F.cross_entropy(theirs.flatten(0, 1), y.flatten().long(), reduction="none")
    torch.testing.assert_close(losses.flatten(), expected, rtol=1e-6, atol=1e-6)
    for loss in (losses, expected):
        loss.mean().backward()  # type: ignore[no-untyped-call]
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


@given(scale=SCALES, seed=st.integers(0, 1000))
def test_binary_cross_entropy_and_its_gradient_are_pytorchs(scale: float, seed: int) -> None:
    outputs, y = outputs_and_classes(1, scale, seed)
    ours, theirs = (outputs.clone().requires_grad_() for _ in range(2))
    losses = BinaryCrossEntropy()(ours, y)
    expected = F.binary_cross_entropy_with_logits(theirs, y, reduction="none")
    torch.testing.assert_close(losses, expected, rtol=1e-6, atol=1e-6)
    for loss in (losses, expected):
        loss.mean().backward()  # type: ignore[no-untyped-call]
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-6)


def test_two_classes_are_one_problem_by_either_loss() -> None:
    """The softmax of outputs 0 and z is the sigmoid of z."""
    outputs, y = outputs_and_classes(1, 3.0, seed=1)
    both = torch.cat([torch.zeros_like(outputs), outputs], dim=-1)
    one, other = BinaryCrossEntropy(), CrossEntropy(2)
    torch.testing.assert_close(one(outputs, y), other(both, y))
    (accuracy,), (same,) = one.metrics, other.metrics
    assert torch.equal(accuracy.of_rows(outputs, y), same.of_rows(both, y))


def test_losses_are_finite_where_probabilities_would_not_be() -> None:
    outputs = torch.tensor([[[1e30, -1e30, 0.0]]])
    for number, expected in enumerate([0.0, 2e30, 1e30]):
        found = CrossEntropy(3)(outputs, torch.full((1, 1, 1), float(number)))
        assert found.item() == pytest.approx(expected)


def test_the_accuracy_is_the_share_of_rows_whose_class_is_likeliest() -> None:
    outputs = torch.tensor([[[0.0, 2.0, 1.0], [3.0, 2.0, 1.0], [0.0, 2.0, 5.0], [9.0, 1.0, 1.0]]])
    y = torch.tensor([[[1.0], [0.0], [1.0], [2.0]]])
    (metric,) = CrossEntropy(3).metrics
    assert metric.columns == ("train_accuracy", "val_accuracy")
    assert metric.of_rows(outputs, y).tolist() == [[1.0, 1.0, 0.0, 0.0]]
