"""Rows of a table that tests fill and the end of a run prints."""

from __future__ import annotations

from typing import Any

import pytest


def rows_of(reporter: pytest.TerminalReporter, name: str) -> list[Any]:
    """Return what tests recorded as a property of that name; reports carry it from xdist's processes."""
    return [
        value
        for reports in reporter.stats.values()
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == name and report.when == "call"
    ]
