"""Where ranks meet: a place in the store that only these processes know.

A launcher that starts all ranks again may give them the store of those before, with all that these
have left in it; how often it did so is not the same number on all machines. So each rank says hello
with a name that it makes up, and rank 0 waits until all others have seen the names of all.
"""

import hashlib
import time
import uuid

from torch.distributed.distributed_c10d import Store

from gdrun.errors import RankError
from gdrun.experiment.distributed.notes import word_in

POLL_SECONDS, MOST_POLL_SECONDS = 0.01, 0.2  # ever more rarely
START_SECONDS = 1800.0  # in which machines of a cluster start


def agree_on_place(store: Store, rank: int, size: int) -> str:
    """A name for what these ranks have in the store; all of them call this together.

    Raises:
        RankError: they aren't there after half an hour.
    """
    own = uuid.uuid4().hex
    store.set(f"hello/{rank}", own)
    deadline, pause = time.monotonic() + START_SECONDS, POLL_SECONDS
    while time.monotonic() < deadline:
        place = _as_first(store, size) if rank == 0 else _as_other(store, rank, own)
        if place:
            return place
        time.sleep(pause)
        pause = min(1.2 * pause, MOST_POLL_SECONDS)
    raise RankError("not all ranks came within half an hour")


def _as_first(store: Store, size: int) -> str:
    """Offer the names that are there, some of which may be old; the place once all agree."""
    names = [word_in(store, f"hello/{k}") for k in range(size)]
    if not all(names):
        return ""
    offer = ",".join(names)
    place = _place(offer)
    store.set("offer", offer)
    if any(word_in(store, f"agreed/{k}") != place for k in range(1, size)):
        return ""
    store.set("final", place)
    return place


def _as_other(store: Store, rank: int, own: str) -> str:
    """Agree to an offer with one's own name; the place once rank 0 says that all have agreed."""
    offer = word_in(store, "offer")
    if own not in offer.split(","):
        return ""
    place = _place(offer)
    store.set(f"agreed/{rank}", place)
    return place if word_in(store, "final") == place else ""


def _place(offer: str) -> str:
    return hashlib.sha256(offer.encode()).hexdigest()[:16]
