"""The steps of a training run, where nobody watches a terminal."""

from __future__ import annotations

import io

from modelane.cli import step_display


def test_a_line_is_printed_for_each_new_step_only():
    stream = io.StringIO()

    with step_display.step_display(stream) as show:
        show("collect", "churn.csv")
        show("search", "trial 1/6")
        show("search", "trial 2/6")
        show("fit", "forest")

    assert stream.getvalue() == "collect   churn.csv\nsearch    trial 1/6\nfit       forest\n"


def test_a_long_step_prints_a_line_again(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(step_display.time, "monotonic", lambda: now[0])
    stream = io.StringIO()

    with step_display.step_display(stream) as show:
        for now[0] in (1.0, 2.0, 10.9, 11.0):
            show("search", f"at {now[0]:g}")

    assert stream.getvalue() == "search    at 1\nsearch    at 11\n"
