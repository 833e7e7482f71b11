"""Which ranks are lost when a sum over all of them fails, and why."""

import json
import os
import platform
import time

from gdrun.errors import RankError, one_line
from gdrun.experiment.distributed.notes import Notes
from gdrun.text import count, listed, visible

ANSWER_SECONDS = 2.0  # in which those that are still there answer
POLL_SECONDS = 0.05


def note_place(notes: Notes) -> None:
    """Leave word of where this rank is.

    Raises:
        RankError: the store is gone.
    """
    notes.say(f"place/{notes.rank}", f"{platform.node()}, process {os.getpid()}")


def loss_of(notes: Notes, error: RuntimeError) -> RankError:
    """Which ranks are lost, and why as far as is known.

    Those that are still there see the same failure, and answer; but one may be at work for
    longer than is waited. Of the processes on this machine the system knows.
    """
    try:
        missing = _missing(notes)
        failed = {k: notes.word(f"failed/{k}") for k in range(notes.size) if k != notes.rank}
        places = {k: notes.word(f"place/{k}") for k in missing}
    except RankError as no_store:
        return no_store
    lines: list[str] = []
    hints: list[str] = []
    for k, text in failed.items():
        if text:
            problems, of_rank = json.loads(text)
            lines += [f"rank {k}: {visible(line)}" for line in problems]
            hints += map(visible, of_rank)
    if lines:
        silent = [k for k in missing if not failed[k]]
        return RankError(lines, *dict.fromkeys(hints), lost=silent)
    gone = [k for k in missing if not _runs_here(places[k])] or missing
    if not gone:
        return RankError(f"{count(notes.size, 'rank')} lost each other: {one_line(error)}")
    who = listed([f"rank {k} ({places[k] or 'never seen'})" for k in gone])
    was = "was" if len(gone) == 1 else "were"
    return RankError(f"{who} {was} killed, or can't be reached any more", lost=gone)


def _missing(notes: Notes) -> list[int]:
    """The ranks that give no answer."""
    notes.say(f"there/{notes.rank}", "")
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        missing = [k for k in range(notes.size) if not notes.has_said(f"there/{k}")]
        if not missing or time.monotonic() > deadline:
            return missing
        time.sleep(POLL_SECONDS)


def _runs_here(place: str) -> bool:
    """Whether a process, as it wrote where it is, is one of this machine that still runs."""
    host, _, pid = place.partition(", process ")
    if host != platform.node() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError:
        return False
    return True
