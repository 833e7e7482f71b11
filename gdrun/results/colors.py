"""The colour of each run, the same on the screen and in pictures."""

from collections.abc import Iterable, Sequence

from gdrun.results.events import Series

# Okabe and Ito's blue, vermillion and bluish green: told apart by all common forms of colour
# vision.
METHOD_COLORS = {"full": "#0072B2", "sgd": "#D55E00", "minibatch": "#009E73"}
# For runs that neither method nor batch size tells apart: Okabe and Ito's others, and grey.
OTHER_COLORS = (*METHOD_COLORS.values(), "#CC79A7", "#E69F00", "#56B4E9", "#5D5D5D")
# Small to large: the darker part of matplotlib's "viridis", which is read as an order by all forms
# of colour vision, and in grey.
RAMP = ("#46327E", "#365C8D", "#277F8E", "#1FA187", "#4AC16D", "#A0DA39")


def run_colors(runs: Sequence[Series]) -> dict[str, str]:
    """A colour for each run, by name: that of its method or, if they share one, of its own.

    Runs with different batch sizes are coloured in their order, very many runs too.
    """
    if len({run.method for run in runs}) == len(runs):
        return {run.name: METHOD_COLORS[run.method] for run in runs}
    sizes = sorted({run.batch_size for run in runs})
    if len(sizes) < len(runs) <= len(OTHER_COLORS):
        return {run.name: OTHER_COLORS[k] for k, run in enumerate(runs)}
    if len(sizes) < len(runs):  # more than there are colours to tell apart: by size, then in order
        end = len(runs) - 1
        by_size = sorted(runs, key=lambda run: run.batch_size)
        found = {run.name: between(RAMP, k / end) for k, run in enumerate(by_size)}
        return {run.name: found[run.name] for run in runs}
    last = max(1, len(sizes) - 1)
    return {run.name: between(RAMP, sizes.index(run.batch_size) / last) for run in runs}


def kind_of(runs: Iterable[Series]) -> str:
    """What the names of runs are: methods, or names of their own."""
    return "method" if all(run.name == run.method for run in runs) else "run"


def between(ramp: Sequence[str], position: float) -> str:
    """The colour at a position from 0 to 1 between evenly spaced ones."""
    at = position * (len(ramp) - 1)
    first = min(int(at), len(ramp) - 2)
    ends = [[int(color[k : k + 2], 16) for k in (1, 3, 5)] for color in ramp[first : first + 2]]
    mixed = [round(a + (b - a) * (at - first)) for a, b in zip(*ends, strict=True)]
    return "#" + "".join(f"{part:02X}" for part in mixed)
