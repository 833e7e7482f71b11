"""Segments of a training, made by hand, and what the ends of epochs say of a lane."""

from collections.abc import Sequence

from gdrun.results.events import EpochEnds, Lane, Segment, Series
from gdrun.results.progress import RunProgress


def series(method: str = "sgd", lanes: int = 1) -> Series:
    """A method with lanes of one learning rate."""
    return Series(method, 1, tuple(Lane(0.1, seed) for seed in range(lanes)))


def segment(epoch: int, loss: float | None = 0.5, lanes: int = 1) -> Segment:
    """Ten updates, the last of an epoch, with the same losses in every lane."""
    end = epoch_end(epoch, [(0.4, loss, None)] * lanes)
    return Segment(epoch, 10 * epoch, 10 * epoch, epoch / 10, [], (None,) * lanes, end)


def advanced(progress: RunProgress, segment: Segment) -> RunProgress:
    """The same progress, after a segment."""
    progress.advance(segment)
    return progress


def epoch_end(
    epoch: int,
    losses: Sequence[tuple[float | None, float | None, float | None] | None],
    *,
    updates: int = 0,
    samples: int = 0,
    seconds: float = 0.0,
) -> EpochEnds:
    """The end of one epoch: for each lane batch, train and validation loss; None: it diverged."""
    known = [each or (None, None, None) for each in losses]
    columns = [[[each[k]] for each in known] for k in range(3)]
    return EpochEnds(
        epochs=range(epoch, epoch + 1),
        updates=range(updates, updates + 1),
        samples=range(samples, samples + 1),
        seconds=[seconds],
        batch_loss=columns[0],
        train_loss=columns[1],
        val_loss=columns[2],
        active=[each is not None for each in losses],
    )


def ends_of_lane(
    ends: EpochEnds, lane: int
) -> list[tuple[float | None, float | None, float | None]]:
    """Batch, train and validation loss of a lane at the end of each epoch that it took part in."""
    if not ends.active[lane]:
        return []
    columns = (ends.batch_loss[lane], ends.train_loss[lane], ends.val_loss[lane])
    return list(zip(*columns, strict=True))
