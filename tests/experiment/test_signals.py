"""Signals: the first asks, the second insists."""

import signal
import time

import pytest

from gdrun.experiment.signals import HAS_ALARM, stop_on_signals


def test_signals_ask_first_and_insist_the_second_time() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def wait_for_an_interrupt() -> None:
    """Wait for an interrupt, and fail where none comes; how soon one does is not tested."""
    with pytest.raises(KeyboardInterrupt):
        time.sleep(60)


def test_a_signal_is_heeded_at_once_where_nothing_is_to_be_finished() -> None:
    with stop_on_signals() as stop:
        with pytest.raises(KeyboardInterrupt), stop.heeded_at_once():
            signal.raise_signal(signal.SIGINT)
        assert stop()
        assert not stop.at_once


@pytest.mark.skipif(not HAS_ALARM, reason="needs an alarm")
def test_an_interrupt_that_foreign_code_loses_is_repeated() -> None:
    with stop_on_signals() as stop, stop.heeded_at_once():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        wait_for_an_interrupt()
        wait_for_an_interrupt()
    with stop_on_signals() as stop:
        with pytest.raises(KeyboardInterrupt), stop.heeded_at_once():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGALRM)  # one that comes too late interrupts nothing


@pytest.mark.skipif(not HAS_ALARM, reason="needs an alarm")
def test_patience_with_what_is_done_after_a_request_ends() -> None:
    alarm = signal.getsignal(signal.SIGALRM)
    with stop_on_signals() as stop:
        stop.ask()
        with stop.heeded_at_once(patience=0.3):
            wait_for_an_interrupt()
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == alarm


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)
