"""Which pair of batch size and learning rate a sweep recommends.

Where rows are held out, that is by the lowest validation loss: of the pairs that the seeds can't
tell from the best one, by a sign test, the one that trains in the least time. Otherwise it is the
least time to the target.
"""

import math

from gdrun.analysis.sweep_result import Cell, SweepResult
from gdrun.results.run import or_inf

SIGNIFICANCE = 0.05
TELLING_SEEDS = 5  # of fewer, even all together are no evidence by a sign test


def recommended(answer: SweepResult) -> Cell | None:
    """The pair to train with; None where nothing speaks for any."""
    if answer.target is None or answer.is_partial:  # then other settings, or more, are to come
        return None
    best = answer.best_validated
    if best is None:
        return answer.fastest("seconds") or answer.fastest("updates") or answer.best
    alike = [cell for cell in answer.cells if cell == best or _is_alike(cell, best)]
    return min(alike, key=lambda cell: (whole_time(answer, cell), cell.val_loss))


def whole_time(answer: SweepResult, cell: Cell) -> float:
    """Seconds of the whole training alone or, where nothing was timed, its updates."""
    return cell.spent * answer.pace.get(cell.batch_size, 1.0)


def _is_alike(cell: Cell, best: Cell) -> bool:
    """Whether the seeds can't tell a pair's validation loss from the lowest.

    Its median must lie within the spread of the best pair's seeds, up to their 80th percentile. And
    a sign test, one-sided at 5 %, over the seeds that both pairs share, from which both start, must
    not tell it from the best: its loss may be the higher one with not too many of them.
    """
    losses = sorted(or_inf(trial.val_loss) for trial in best.trials)
    spread = losses[math.ceil(0.8 * len(losses)) - 1]
    if math.isinf(spread) or cell.val_loss > spread:
        return False
    own = {trial.seed: or_inf(trial.val_loss) for trial in cell.trials}
    other = {trial.seed: or_inf(trial.val_loss) for trial in best.trials}
    pairs = [(own[seed], other[seed]) for seed in own.keys() & other.keys()]
    worse = sum(a > b for a, b in pairs)
    differing = sum(a != b for a, b in pairs)
    if len(pairs) < TELLING_SEEDS:
        return False
    chance = sum(math.comb(differing, k) for k in range(worse, differing + 1)) / 2**differing
    return bool(chance > SIGNIFICANCE)
