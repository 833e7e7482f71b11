"""What was learned of one feature, or of the classes of two: functions and regions, to be drawn."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted functions of one feature, with their data; all in the units of the data.

    Attributes:
        x, y: feature and target of the training rows; `x_val`, `y_val` of the validation rows.
        grid: values of the feature at which the functions are drawn.
        curves: for each lane, the network's output on the grid.
    """

    x: Sequence[float]
    y: Sequence[float]
    x_val: Sequence[float]
    y_val: Sequence[float]
    grid: Sequence[float]
    curves: Sequence[Sequence[float]]

    def of_lanes(self, lanes: Sequence[int]) -> "Fit":
        """The functions of some of the lanes."""
        return replace(self, curves=[self.curves[lane] for lane in lanes])


@dataclass(frozen=True, slots=True)
class Regions:
    """The classes that were learned of two features, with their data in its own units.

    Attributes:
        x: both features of the training rows; `x_val` of the validation rows.
        labels: the class of each training row, as its position in `classes`; `labels_val` likewise.
        classes: their names, K of them.
        grid_x, grid_y: values of the first and of the second feature, rising, G and H of them.
        probabilities: for each lane, those of all classes at all points of the grid, H × G × K
            numbers in a row: of class k at (grid_x[i], grid_y[j]) it is the one at
            (j · G + i) · K + k. A small one has all its digits, and is no rest of 1.
    """

    x: Sequence[tuple[float, float]]
    labels: Sequence[int]
    x_val: Sequence[tuple[float, float]]
    labels_val: Sequence[int]
    classes: tuple[str, ...]
    grid_x: Sequence[float]
    grid_y: Sequence[float]
    probabilities: Sequence["array[float]"]

    def of_lanes(self, lanes: Sequence[int]) -> "Regions":
        """The classes that some of the lanes have learned."""
        return replace(self, probabilities=[self.probabilities[lane] for lane in lanes])
