"""Rows of a table that tests fill and that is printed at the end of the run."""

from __future__ import annotations

from typing import Any

import pytest


def rows_of(reporter: pytest.TerminalReporter, name: str) -> list[Any]:
    """Return what tests recorded as a property of that name; test reports carry it between processes."""
    return [
        value
        for reports in reporter.stats.values()
        for report in reports
        for key, value in getattr(report, "user_properties", ())
        if key == name and report.when == "call"
    ]
