"""Which pair of batch size and learning rate a sweep recommends.

Where rows are held out for validation, the validation loss decides: of the pairs that the seeds
can't tell apart from the one with the lowest loss, the one that trains in the least time. Otherwise
it is the pair that reaches the target in the least time, of those that end no higher.
"""

import math

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.results.lanes import band_positions
from gdrun.results.run import or_inf

SIGNIFICANCE = 0.05
MIN_TEST_SEEDS = 5  # fewer can't reach that significance in a sign test, even if all agree


def recommended(sweep: SweepResult) -> Cell | None:
    """The pair to train with; None where there is no evidence for any."""
    if sweep.target is None or sweep.is_partial:
        return None
    best = sweep.best_validated
    if best is None:
        target = sweep.target
        settled = [cell for cell in sweep.cells if cell.train_loss <= target]
        return sweep.fastest("seconds", settled) or sweep.fastest("updates", settled) or sweep.best
    candidates = [cell for cell in sweep.cells if cell == best or _as_good_as(cell, best)]
    return min(candidates, key=lambda cell: (training_time(sweep, cell), cell.val_loss))


def training_time(sweep: SweepResult, cell: Cell) -> float:
    """Seconds of a whole training alone or, where nothing was timed, its updates."""
    return cell.updates_trained * sweep.pace.get(cell.batch_size, 1.0)


def _as_good_as(cell: Cell, best: Cell) -> bool:
    """Whether the seeds can't tell a pair's validation loss apart from the lowest one.

    Its median must lie within the spread of the best pair's seeds, up to their 80th percentile.
    And a one-sided sign test at 5 %, over the seeds that both pairs share and start from, must not
    find that its loss is higher.
    """
    losses = sorted(or_inf(trial.val_loss) for trial in best.trials)
    _, high = band_positions(len(losses))
    if math.isinf(losses[high]) or cell.val_loss > losses[high]:
        return False
    own = {trial.seed: or_inf(trial.val_loss) for trial in cell.trials}
    other = {trial.seed: or_inf(trial.val_loss) for trial in best.trials}
    pairs = [(own[seed], other[seed]) for seed in own.keys() & other.keys()]
    if len(pairs) < MIN_TEST_SEEDS:
        return False
    worse = sum(a > b for a, b in pairs)
    differing = sum(a != b for a, b in pairs)
    # The probability of at least so many worse seeds if either pair were as likely to be worse.
    p_value = sum(math.comb(differing, k) for k in range(worse, differing + 1)) / 2**differing
    return bool(p_value > SIGNIFICANCE)
