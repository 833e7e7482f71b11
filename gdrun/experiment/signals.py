"""Signals: after Ctrl-C, or a cluster's time limit, a command finishes the update and saves.

What has nothing to save is left at once instead: while PyTorch is loaded, data is read or a picture
is drawn.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

SIGNALS = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if (number := getattr(signal, name, None)) is not None  # Windows has no SIGHUP
]


HAS_ALARM = hasattr(signal, "SIGALRM")  # Windows hasn't: there a picture is finished

# Between two interrupts: foreign code may lose one, and cleaning up takes a moment.
REPEAT_SECONDS = 0.5


@dataclass
class StopRequest:
    """Whether, and at what time of `time.monotonic`, the user has asked to stop.

    Attributes:
        asked_at: that time.
        at_once: whether there is nothing to finish now.
        interrupted: whether `KeyboardInterrupt` was raised, of which foreign code, such as that of
            an import, may make another error.
    """

    asked_at: float | None = None
    at_once: bool = False
    interrupted: bool = False

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.asked_at is not None

    def ask(self) -> None:
        """Ask to stop; a second time changes nothing."""
        if self.asked_at is None:
            self.asked_at = time.monotonic()

    def interrupt(self) -> NoReturn:
        """Raise `KeyboardInterrupt`, and again in a moment in case it is lost."""
        self.interrupted = True
        _interrupt_after(REPEAT_SECONDS)
        raise KeyboardInterrupt

    @contextmanager
    def heeded_at_once(self, patience: float = 0.0) -> Iterator[None]:
        """Raise `KeyboardInterrupt` inside `with` at the first signal.

        Where the user has asked before, it is raised so many seconds after that.
        """
        self.at_once = True
        if self.asked_at is not None:
            _interrupt_after(max(1e-3, self.asked_at + patience - time.monotonic()))
        try:
            yield
        finally:
            self.at_once = False


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first signal into a request to stop; a second one raises `KeyboardInterrupt`.

    So does the first one while the request is `at_once`.

    An exception in the middle of importing PyTorch or matplotlib breaks them in odd ways, so this
    is entered before either import begins, and nothing is done with them after an interrupt.
    """
    request = StopRequest()

    def handle(_number: int, _frame: FrameType | None) -> None:
        asked_before = request()
        request.ask()
        if asked_before or request.at_once:
            request.interrupt()

    def handle_alarm(_number: int, _frame: FrameType | None) -> None:
        if request.at_once:
            request.interrupt()

    # What is ignored stays ignored: that is what nohup, and a script's background jobs, ask for.
    handled = {number: signal.getsignal(number) for number in SIGNALS}
    handled = {
        n: handler for n, handler in handled.items() if handler not in (signal.SIG_IGN, None)
    }
    for number in handled:
        signal.signal(number, handle)
    if HAS_ALARM:  # the last: nothing may set the alarm once its handler is gone
        handled[signal.SIGALRM] = signal.signal(signal.SIGALRM, handle_alarm)
    try:
        yield request
    finally:
        for number, handler in handled.items():
            if HAS_ALARM and number == signal.SIGALRM:
                _interrupt_after(0)
            signal.signal(number, handler)


def _interrupt_after(seconds: float) -> None:
    """Let the alarm go off after so many seconds; 0 for never."""
    if HAS_ALARM:
        signal.setitimer(signal.ITIMER_REAL, seconds)


def die_quietly_on_ctrl_c() -> None:
    """End the process at once, as the system does, when all that is left to do is to exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
