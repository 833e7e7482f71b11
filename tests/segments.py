"""Segments of a training, made by hand."""

from collections.abc import Sequence

from gdrun.results.events import EpochEnds


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
