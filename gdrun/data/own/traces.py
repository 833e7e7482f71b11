"""The traceback of an exception in the user's code, without what isn't the user's."""

import traceback
from pathlib import Path

OURS = Path(__file__).parents[2]
# Frames of the machinery between gdrun and the user's code.
MACHINERY = ("<frozen ", str(OURS))


def user_trace(error: BaseException) -> str:
    """The traceback from the user's first frame on; gdrun's own frames are left out."""
    found = traceback.TracebackException.from_exception(error)
    seen: traceback.TracebackException | None = found
    while seen is not None:
        kept = [frame for frame in seen.stack if not frame.filename.startswith(MACHINERY)]
        first = next(
            (k for k, frame in enumerate(kept) if "site-packages" not in frame.filename), 0
        )
        seen.stack[:] = kept[first:]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "".join(found.format()).rstrip()
