"""Print the table and the verdict of the demo."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from modelane.cli.tables import print_table
from modelane_training.demo.traffic import Tally


def failures(tally: Tally, seen: int) -> list[str]:
    """Return a sentence for each check that failed."""
    found = []
    if tally.answered != tally.requests:
        example = f"; first error: {tally.errors[0]}" if tally.errors else ""
        found.append(f"{tally.requests - tally.answered} requests got no answer{example}")
    if tally.wrong:
        found.append(f"{tally.wrong} answers differ from the in-process prediction")
    if len(tally.versions) < 2:
        found.append("the champion did not change")
    if seen != tally.answered:
        found.append(f"Flower saw {seen} successful predictions of {tally.answered}")
    return found


def show(console: Console, tally: Tally, seen: int, failed: list[str]) -> None:
    """Print the table, and the verdict as the last line."""
    p50, p99 = np.percentile(tally.latency_s, [50, 99]) * 1e3
    rows = (
        ("requests", f"{tally.requests:,}"),
        ("answered", f"{tally.answered:,}"),
        ("wrong", f"{tally.wrong:,}"),
        ("versions", "\n".join(f"{version}: {n:,} answers" for version, n in tally.versions.items())),
        ("p50, one in flight", f"{p50:.2f} ms"),
        ("p99, one in flight", f"{p99:.2f} ms"),
        ("requests a second", f"{tally.requests_per_s:,.0f}"),
        ("rows a second in bulk", f"{tally.rows_per_s:,.0f}"),
        ("predictions seen by Flower", f"{seen:,}"),
    )
    print_table(rows)
    verdict = f"requests={tally.requests} answered={tally.answered} wrong={tally.wrong} flower={seen}"
    if failed:
        console.print(f"FAILED {verdict}: {'; '.join(failed)}", markup=False, soft_wrap=True)
    else:
        console.print(f"OK {verdict}", markup=False, soft_wrap=True)
