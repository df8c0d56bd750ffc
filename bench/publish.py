"""`make figures`: put the report of the last `make bench` into docs/performance.md, and draw its plots beside it."""

from pathlib import Path

from bench.plots import draw
from bench.report import kept

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- figures: made by `make figures` -->", "<!-- /figures -->"


def main() -> None:
    report = kept()
    if report is None:
        raise SystemExit("there is no report yet: run `make bench`")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    plots = "".join(f"\n![{path.stem}]({path.name})\n" for path in draw(report.curves, DOCS))
    PAGE.write_text(f"{before}{BEGIN}\n\n{report.markdown()}{plots}\n{END}{after}")
    print(f"{PAGE.name} has the figures of {report.facts[0].split(',')[0]}")


if __name__ == "__main__":
    main()
