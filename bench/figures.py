"""What is measured: a figure of ours, beside a peer's of the same run where there is a peer."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

JOBS_A_SECOND = "jobs/s"
MILLISECONDS = "ms"
_DIGITS = {JOBS_A_SECOND: 0, MILLISECONDS: 1, "s": 2, "MiB": 0, "KiB": 1, "%": 1, "×": 2}


Curves = dict[str, list[dict[str, Any]]]
"""What is drawn: points of each line, each a value by what it is of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One value a round, ours and the peer's in the same order. `reach` and `aim` are the goals, as text."""

    title: str
    ours: Sequence[float]
    unit: str
    peer: Sequence[float] = ()
    peer_name: str = ""
    reach: str = ""
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours through the peer's: the median of the rounds'."""
        pairs = zip(self.ours, self.peer, strict=False)
        ratios = [ours / peer for ours, peer in pairs if peer > 0]
        return statistics.median(ratios) if ratios else None

    def cells(self) -> tuple[str, str, str, str, str]:
        """The ratio, the title, ours, the peer's, the goals."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}×"
        peer = f"{self.peer_name} {spread(self.peer, self.unit)}" if self.peer else ""
        goals = " / ".join(goal for goal in (self.reach, self.aim) if goal)
        return ratio, self.title, spread(self.ours, self.unit), peer, goals


def spread(values: Sequence[float], unit: str) -> str:
    """The median, and from where to where where there are several."""
    digits = _DIGITS.get(unit, 1)
    middle = f"{statistics.median(values):,.{digits}f} {unit}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def in_turns(contenders: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The value of each contender in each round; every round asks all of them."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            values[name].append(measure())
    return values


def fastest(values: Mapping[str, Sequence[float]], names: Sequence[str]) -> str:
    """Which of these has the highest median."""
    return max(names, key=lambda name: statistics.median(values[name]))
