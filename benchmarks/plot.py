"""Plots of the stored results: throughput and latency by load, and batch sizes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

_OURS, _STOCK = "#1f6f8b", "#c8553d"


def draw(results: Path, folder: Path) -> list[Path]:
    """Draw the plots for which ``results`` has figures; return the paths of the files."""
    figures: dict[str, Any] = json.loads(results.read_text("utf-8"))["figures"]
    mpl.rcParams.update({"svg.hashsalt": "modelane", "axes.spines.top": False, "axes.spines.right": False})
    drawn = []
    if "throughput" in figures:
        drawn.append(_load(figures["throughput"]["data"]["curves"], folder / "load.svg"))
    if "batches" in figures:
        drawn.append(_batches(figures["batches"]["data"], folder / "batches.svg"))
    return drawn


def _load(curves: dict[str, list[dict[str, float]]], path: Path) -> Path:
    drawing, (throughput, latency) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, label, colour in (("modelane", "Modelane", _OURS), ("stock", "stock Celery", _STOCK)):
        points = curves[name]
        in_flight = [point["in_flight"] for point in points]
        throughput.loglog(in_flight, [p["per_s"] for p in points], "o-", color=colour, label=label)
        latency.loglog(in_flight, [p["p50_ms"] for p in points], "o-", color=colour, label=f"{label}, p50")
        latency.loglog(in_flight, [p["p99_ms"] for p in points], "o:", color=colour, label=f"{label}, p99")
    for axes, title in ((throughput, "requests per second"), (latency, "latency in milliseconds")):
        axes.set(title=f"{title}, forest of 100 trees", xlabel="requests in flight, one row each")
        axes.legend(frameon=False)
        axes.grid(alpha=0.2)
    return _save(drawing, path)


def _batches(loads: dict[str, dict[str, Any]], path: Path) -> Path:
    drawing, all_axes = plt.subplots(1, len(loads), figsize=(10, 3), layout="constrained")
    for axes, (load, data) in zip(all_axes, loads.items(), strict=True):
        sizes = [int(size) for size in data["batches"]]
        axes.hist(sizes, bins=20, weights=list(data["batches"].values()), color=_OURS)
        axes.set(title=f"{load} load, {data['in_flight']} in flight", xlabel="rows in a predict")
    all_axes[0].set(ylabel="predicts")
    return _save(drawing, path)


def _save(drawing: Any, path: Path) -> Path:
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)
    return path
