"""What a picture of the loss around runs shows, and what it doesn't, in sentences."""

import math
from collections.abc import Iterator

from gdrun.results.landscape import Landscape, PathEnd, PlanePath
from gdrun.text import count, listed, number

# By how much more than its expected share a plane may explain of a random walk, times √P: of 19 in
# 20 simulated ones in P dimensions it is no more.
RANDOM_SPREAD = 0.4
ALL = 0.99  # of the variance: a plane that explains it shows the paths as they are
ALWAYS_ON_A_PLANE = 3  # points
LARGE_DIFFERENCE = 0.1  # of the loss, from which on the plane is said to be another


def share(part: float) -> str:
    """A share with as many digits as tell it from all: 98.1 %, 99.97 %."""
    rest = 1 - part
    digits = 1 if rest >= 1e-3 or rest < 5e-7 else 2 if rest >= 1e-4 else 4
    return f"{100 * part:.{digits}f} %"


def shows_nothing(landscape: Landscape) -> bool:
    """Whether the plane explains about as little as it would of random walks.

    That is expected in many dimensions; in few of them walks vary, and more of them is explained.
    """
    if landscape.explained is None or landscape.random_share is None:
        return False
    most = landscape.random_share + RANDOM_SPREAD / math.sqrt(landscape.parameters)
    return sum(landscape.explained) <= min(most, max(ALL, landscape.random_share))


def explained(landscape: Landscape) -> str:
    """How much of the points the plane explains, beside what it would of random walks."""
    assert landscape.explained is not None
    assert landscape.random_share is not None
    points = sum(len(path.epochs) for path in landscape.paths)
    first, second = map(share, landscape.explained)
    alone = len(landscape.paths) == 1
    walks = "a random walk of as many" if alone else "random walks from the same starts"
    return (
        f"the plane explains {share(sum(landscape.explained))} of the variance of {points:,} "
        f"points ({first} + {second}), and would explain {share(landscape.random_share)} of that "
        f"of {walks}"
    )


def far_from_plane(landscape: Landscape) -> list[PlanePath]:
    """The paths whose losses aren't those of the plane."""
    return [path for path in landscape.paths if path.difference > LARGE_DIFFERENCE]


def sentences(landscape: Landscape) -> Iterator[str]:
    """What is to be known of a picture before it is believed."""
    if landscape.explained is None:
        yield (
            f"a random plane (seed {landscape.seed}) around the last weights, each direction as "
            "long in every filter as the weights: two directions of many"
        )
        return
    yield explained(landscape)
    if sum(len(path.epochs) for path in landscape.paths) <= ALWAYS_ON_A_PLANE:
        yield "so few points lie on a plane whatever they are: the shape of the path means nothing"
    if shows_nothing(landscape):
        yield (
            "the picture shows nothing that it wouldn't show of random walks: by themselves, the "
            "shapes of the paths mean nothing"
        )
    if far := far_from_plane(landscape):
        parts = [f"{_percent(path.difference)} of that of {path.name}" for path in far]
        yield (
            "the plane isn't where the paths are: in the median, its loss beside a point is off "
            f"by {listed(parts, 6)}"
        )


def path_lines(path: PlanePath) -> Iterator[str]:
    """What is known of a path: which lane, how its losses end, and what kind of point that is."""
    which = f"lane {path.lane} (lr {path.lr:g}, seed {path.seed})"
    points = count(len(path.epochs), "point")
    span = f"epoch {path.epochs[0]:,} to {path.epochs[-1]:,}"
    own, plane = number(path.losses[-1]), number(path.plane_losses[-1])
    cut = ", then diverged" if path.is_cut else ""
    if len(path.epochs) == 1:
        yield f"{path.name}: {which}, epoch {path.epochs[0]:,}: train loss {own}"
    else:
        beside = f"{own}, {plane} where it is nearest on the plane{cut}"
        yield f"{path.name}: {which}, {points} from {span}: train loss {beside}"
    yield f"  {end_in_words(path.end)}"


def end_in_words(end: PathEnd) -> str:
    """Whether a path ends at a minimum, at a saddle or at neither."""
    steep = f"gradient {number(end.gradient)}"
    if end.first_gradient > 0:
        steep += f", {_percent(end.gradient / end.first_gradient)} {_of(end)} the untrained one"
    found = end.curvature
    if found is None:
        kind = "stationary" if end.is_stationary else "not stationary"
        why = "too many weights to compute all" if math.isfinite(end.gradient) else "infinite"
        return f"{kind}: {steep}; eigenvalues: {why}"
    signs = (
        f"of {count(found.negative + found.zero + found.positive, 'eigenvalue')} "
        f"{found.negative:,} negative, {found.zero:,} zero (up to {number(found.tolerance)}) and "
        f"{found.positive:,} positive, from {number(found.lowest)} to {number(found.highest)}"
    )
    if not end.is_stationary:
        kind = "not stationary, and so neither a minimum nor a saddle"
    elif found.negative:
        kind = f"a saddle, with {count(found.negative, 'direction')} down"
    elif found.zero:
        kind = f"a minimum that is flat in {count(found.zero, 'direction')}, as far as they tell"
    else:
        kind = "a minimum"
    return f"{kind}: {steep}; {signs}"


def _of(end: PathEnd) -> str:
    return "of" if end.gradient < 10 * end.first_gradient else "that of"


def _percent(ratio: float) -> str:
    if ratio >= 10:
        return f"{ratio:,.3g} times"
    return f"{100 * ratio:.{0 if ratio >= 0.0995 else 2}{'f' if ratio >= 0.0995 else 'g'}} %"
