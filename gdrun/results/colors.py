"""The colour of each run, the same on the screen and in pictures."""

from collections.abc import Iterable, Sequence

from gdrun.results.events import Series

# The blue, vermillion and bluish green of Okabe and Ito: all common forms of colour vision can tell
# them apart.
METHOD_COLORS = {"full": "#0072B2", "sgd": "#D55E00", "minibatch": "#009E73"}
# For runs that share methods and batch sizes: the other colours of Okabe and Ito, and grey.
OTHER_COLORS = (*METHOD_COLORS.values(), "#CC79A7", "#E69F00", "#56B4E9", "#5D5D5D")
# From small to large: the darker part of matplotlib's "viridis", whose order all forms of colour
# vision see, even in grey.
RAMP = ("#46327E", "#365C8D", "#277F8E", "#1FA187", "#4AC16D", "#A0DA39")


def run_colors(runs: Sequence[Series]) -> dict[str, str]:
    """The colour of each run, by name: that of its method, unless two runs share a method.

    Then runs with different batch sizes have colours in the order of these, and so have very many
    runs; a few runs with the same batch sizes have distinct colours in no order.
    """
    if len({run.method for run in runs}) == len(runs):
        return {run.name: METHOD_COLORS[run.method] for run in runs}
    sizes = sorted({run.batch_size for run in runs})
    if len(sizes) < len(runs) <= len(OTHER_COLORS):
        return {run.name: OTHER_COLORS[k] for k, run in enumerate(runs)}
    if len(sizes) < len(runs):  # more runs than distinct colours
        end = len(runs) - 1
        by_size = sorted(runs, key=lambda run: run.batch_size)
        found = {run.name: color_at(RAMP, k / end) for k, run in enumerate(by_size)}
        return {run.name: found[run.name] for run in runs}
    last = max(1, len(sizes) - 1)
    return {run.name: color_at(RAMP, sizes.index(run.batch_size) / last) for run in runs}


def kind_of(runs: Iterable[Series]) -> str:
    """The header above the names of runs: whether these are methods, or names of their own."""
    return "method" if all(run.name == run.method for run in runs) else "run"


def says_size(run: Series) -> bool:
    """Whether the name of a run holds its batch size, as those that gdrun gives do."""
    return f"batch-{run.batch_size}" == "-".join(run.name.split("-")[:2])


def color_at(ramp: Sequence[str], position: float) -> str:
    """The colour at a position from 0 to 1 on a ramp of evenly spaced colours."""
    at = position * (len(ramp) - 1)
    first = min(int(at), len(ramp) - 2)
    ends = [[int(color[k : k + 2], 16) for k in (1, 3, 5)] for color in ramp[first : first + 2]]
    mixed = [round(a + (b - a) * (at - first)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{part:02X}" for part in mixed)
