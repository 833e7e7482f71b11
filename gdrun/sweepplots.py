"""stub"""

from matplotlib.figure import Figure

from gdrun.answer import Answer
from gdrun.results import Description


def heatmap_figure(answer: Answer, description: Description) -> Figure:
    raise NotImplementedError


def scaling_figure(answer: Answer, description: Description) -> Figure:
    raise NotImplementedError
