"""The picture of a fit: of one feature its functions, of two the regions of the classes."""

from collections.abc import Sequence

from gdrun.config.parts.groups import Scale
from gdrun.plots.figures import comparable
from gdrun.plots.fits.functions import functions_figure
from gdrun.plots.fits.regions import regions_figure
from gdrun.plots.style import StyledFigure, styled
from gdrun.results.fits import Fit, Regions
from gdrun.results.run import RunResult


@styled()
def fit_figure(results: RunResult | Sequence[RunResult], *, scale: Scale = "paper") -> StyledFigure:
    """The data of one or two features and what was learned of it, in the units of the data.

    Of one feature these are the fitted functions, of two the regions of the classes, a panel a run.

    Args:
        results: what to draw.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: the data has other features, or the results are of different problems.
    """
    results = comparable(results)
    fits = [(result, result.fit) for result in results if isinstance(result.fit, Fit)]
    regions = [(result, result.fit) for result in results if isinstance(result.fit, Regions)]
    if fits:
        return functions_figure(results, fits, scale)
    if regions:
        return regions_figure(regions, scale)
    raise ValueError("only runs on one feature, or on classes of two, have a fit to draw")
