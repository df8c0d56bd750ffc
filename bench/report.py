"""The results: shown as they come, kept as JSON with all rounds, and written as Markdown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from bench.figures import Curves, Figure

RESULTS = Path(__file__).parent / "results"
HEAD = ("ratio", "figure", "bullflow", "peer", "reach / aim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures by the name of their measurement, and what the plots are drawn from."""

    facts: Sequence[str]
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)

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
