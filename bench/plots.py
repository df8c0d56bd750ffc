"""The two plots of docs/performance.md, drawn from a report's curves: small SVGs that show on light and dark ground."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.figures import Curves

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "bullflow",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)

from matplotlib import pyplot  # noqa: E402 - the settings come first

COLOURS = {"SQLite": "#2563eb", "Postgres": "#c2410c", "BullMQ Node": "#6b7280"}


def draw(curves: Curves, folder: Path) -> list[Path]:
    """Draw what there are curves for; returns the files."""
    loads = _lines(curves, "load ")
    stores = _lines(curves, "stored ")
    drawn = []
    if loads:
        drawn.append(_load(loads, folder / "load.svg"))
    if stores:
        drawn.append(_stored(stores, folder / "stored.svg"))
    return drawn


def _lines(curves: Curves, kind: str) -> Curves:
    return {name.removeprefix(kind): points for name, points in curves.items() if name.startswith(kind)}


def _load(lines: Curves, path: Path) -> Path:
    figure, (through, late) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name, points in lines.items():
        offered = [point["offered"] for point in points]
        _line(through, name, offered, [point["done"] for point in points])
        _line(late, f"{name}, median", offered, [point["median"] for point in points], "--", name)
        _line(late, f"{name}, p95", offered, [point["p95"] for point in points], "-", name)
    through.set(xlabel="offered, jobs/s", ylabel="got through, jobs/s", ylim=(0, None))
    late.set(xlabel="offered, jobs/s", ylabel="flow due to completed, ms", yscale="log")
    return _save(figure, (through, late), path)


def _stored(lines: Curves, path: Path) -> Path:
    figure, (asking, running) = pyplot.subplots(1, 2, figsize=(8, 3), layout="constrained")
    for name, points in lines.items():
        flows = [point["flows"] for point in points]
        _line(asking, f"GET /flows, {name}", flows, [point["GET /flows"] for point in points], "-", name)
        _line(asking, f"GET /flows/{{id}}, {name}", flows, [point["GET /flows/{id}"] for point in points], "--", name)
        _line(running, name, flows, [point["burst"] for point in points])
    # Room for the names above the lines.
    asking.set(xlabel="flows stored", ylabel="p95, ms", xscale="log", ylim=(0, 1.6 * asking.get_ylim()[1]))
    running.set(xlabel="flows stored", ylabel="burst, jobs/s", xscale="log", ylim=(0, None))
    return _save(figure, (asking, running), path)


def _line(axes: Any, label: str, x: list[float], y: list[float], style: str = "-", name: str = "") -> None:
    axes.plot(x, y, style, marker="o", markersize=3, label=label, color=COLOURS.get(name or label))


def _save(figure: Any, all_axes: tuple[Any, ...], path: Path) -> Path:
    for axes in all_axes:
        axes.legend(fontsize=7, frameon=False, handlelength=3)
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    pyplot.close(figure)
    return path
