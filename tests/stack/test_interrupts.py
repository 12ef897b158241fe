from __future__ import annotations

import os
import signal

import pytest

from modelane.local import signals


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_interrupt(which):
    with signals.interrupts(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), which)


def test_two_signals_in_quick_succession_count_once():
    with signals.interrupts():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_later_signal_counts_again(monkeypatch):
    monkeypatch.setattr(signals, "DEBOUNCE_S", 0.0)
    with signals.interrupts():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)


def test_the_previous_handlers_are_restored():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signals.interrupts():
        pass

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
