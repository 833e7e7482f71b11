"""How often a training reports, logs and saves: tuning constants, together in one record."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Intervals in seconds.

    Attributes:
        segment: of training between two reports, about, so that whoever consumes them can act.
        flush: between two times that log rows are handed to the operating system, at least.
        first_checkpoint: after which the first checkpoint is wanted; later ones ever more rarely.
        checkpoint: between two checkpoints, at most.
        checkpoint_share: of the training time that checkpoints may take.
        checkpoint_cost: what a checkpoint takes, as long as none has been measured.
        watch: that the runs of a group take, epoch by epoch beside each other, for those who watch;
            0 trains them one after the other, as fast as that goes.
    """

    segment: float = 0.1
    flush: float = 1.0
    first_checkpoint: float = 1.0
    checkpoint: float = 30.0
    checkpoint_share: float = 0.02
    checkpoint_cost: float = 0.005
    watch: float = 0.0


DEFAULT = Timing()
