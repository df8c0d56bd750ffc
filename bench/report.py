"""The results: shown as they come, kept as JSON with all rounds, and written as Markdown."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from bench.figures import Curves, Figure

RESULTS = Path(__file__).parent / "results"
LATEST = "latest"
HEAD = ("ratio", "figure", "bullflow", "peer", "reach / aim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures by the name of their measurement, and what the plots are drawn from."""

    facts: Sequence[str]
    figures: dict[str, list[Figure]] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)

    def save(self, name: str = LATEST) -> None:
        """Keep it, as far as it has come."""
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))
        (RESULTS / f"{name}.md").write_text(self.markdown())

    def goals(self) -> list[Figure]:
        """Figures that something was to be reached with."""
        return [figure for figures in self.figures.values() for figure in figures if figure.reach]

    def markdown(self) -> str:
        facts = "\n".join(f"* {fact}" for fact in self.facts)
        rest = [figure for figures in self.figures.values() for figure in figures if not figure.reach]
        return f"{facts}\n\n{_markdown(self.goals())}\nWhat else was measured:\n\n{_markdown(rest)}"


def _markdown(figures: Sequence[Figure]) -> str:
    rows = [HEAD, ("---:", "---", "---", "---", "---"), *(figure.cells() for figure in figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def kept(name: str = LATEST) -> Report | None:
    """The report of the last run."""
    try:
        read = orjson.loads((RESULTS / f"{name}.json").read_bytes())
    except FileNotFoundError:
        return None
    figures = {name: [Figure(**figure) for figure in several] for name, several in read["figures"].items()}
    return Report(facts=read["facts"], figures=figures, curves=read["curves"])


def show(console: Console, title: str, figures: Sequence[Figure]) -> None:
    table = Table(*HEAD, title=title, title_justify="left")
    for figure in figures:
        table.add_row(*figure.cells())
    console.print(table)
