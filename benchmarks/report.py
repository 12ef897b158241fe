"""The table of results, and the same as a JSON file."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.figure import Figure
from modelane_worker.registry.artifact import libraries


def show(console: Console, figures: Mapping[str, Figure]) -> None:
    table = Table(show_lines=True)
    for heading in ("", "figure", "Modelane", "compared with", "result", "target"):
        table.add_column(heading)
    for name, figure in figures.items():
        for line in figure.lines:
            sign = {True: "[green]✓[/]", False: "[red]✗[/]", None: ""}[line.met]
            table.add_row(
                sign, f"[dim]{name}[/]\n{line.what}", line.ours, line.against, line.result, line.target
            )
    console.print(table)


def write(path: Path, figures: Mapping[str, Figure]) -> None:
    """Write these figures to the file; the other figures in it stay."""
    known = json.loads(path.read_text("utf-8"))["figures"] if path.exists() else {}
    measured = {
        name: {
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "lines": [{slot: getattr(line, slot) for slot in line.__slots__} for line in figure.lines],
            "data": figure.data,
        }
        for name, figure in figures.items()
    }
    machine = {
        "cores": psutil.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        **libraries(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "figures": known | measured}, indent=1) + "\n", "utf-8")
