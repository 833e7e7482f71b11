"""Signals: after Ctrl-C, or a cluster's time limit, a command finishes the update and saves."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None  # Windows has no SIGHUP
]


@dataclass
class StopRequest:
    """Whether, and at what time of `time.monotonic`, the user has asked to stop."""

    asked_at: float | None = None
    at_once: bool = False  # while nothing has begun, there is nothing to finish

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.asked_at is not None

    def ask(self) -> None:
        """Ask to stop; a second time changes nothing."""
        if self.asked_at is None:
            self.asked_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """For how long the user has been waiting."""
        return 0.0 if self.asked_at is None else time.monotonic() - self.asked_at


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first signal into a request to stop; a second one raises `KeyboardInterrupt`.

    So does the first one while the request is `at_once`.

    An exception in the middle of importing PyTorch or matplotlib breaks them in odd ways, so this
    is entered before either import begins.
    """
    request = StopRequest()

    def handle(_number: int, _frame: FrameType | None) -> None:
        asked_before = request()
        request.ask()
        if asked_before or request.at_once:
            raise KeyboardInterrupt

    # What is ignored stays ignored: that is what nohup, and a script's background jobs, ask for.
    handled = {number: signal.getsignal(number) for number in SIGNALS}
    handled = {
        n: handler for n, handler in handled.items() if handler not in (signal.SIG_IGN, None)
    }
    for number in handled:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def die_quietly_on_ctrl_c() -> None:
    """End the process at once, as the system does, when all that is left to do is to exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
