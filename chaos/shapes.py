"""Flows of random shapes. The same seed makes the same flows.

Failures and policies are drawn at random too, and then put right where the end would depend on which of
two jobs is faster: the oracle can only tell what is decided by the definition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from chaos import oracle

QUEUES = ("chaos-one", "chaos-two")
NAMES = ("a", "b", "c", "d", "e")
DEEPEST = 5
LARGEST = 50
POLICIES: tuple[tuple[dict[str, bool], int], ...] = (
    ({}, 6),
    ({"failParentOnFailure": True}, 3),
    ({"ignoreDependencyOnFailure": True}, 5),
    ({"removeDependencyOnFailure": True}, 3),
    ({"continueParentOnFailure": True}, 2),
    ({"failParentOnFailure": False}, 2),
)
CANCELLED = 0.06
"""So many flows are cancelled."""
IGNORED = {"ignoreDependencyOnFailure": True}
STUBBORN = {"attempts": 200, "backoff": 250}
"""A parent that was woken early tries until those of its other children that ran have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A flow that will be asked for, and in how many seconds its client changes its mind, if it does."""

    number: int
    body: dict[str, Any]
    cancel_after: float | None = None

    @property
    def tag(self) -> str:
        return f"flow-{self.number}"


def flows(seed: int, count: int) -> list[Plan]:
    chance, minds = Random(f"{seed}/flows"), Random(f"{seed}/minds")
    return [
        Plan(
            number=number,
            body=_flow(chance, f"flow-{number}"),
            cancel_after=minds.uniform(0, 1.5) if minds.random() < CANCELLED else None,
        )
        for number in range(count)
    ]


def _flow(chance: Random, tag: str) -> dict[str, Any]:
    least, most = chance.choices([(1, 3), (4, 12), (13, LARGEST)], [2, 5, 3])[0]
    maker = _Maker(chance, failing=chance.choice((0, 0, 0.02, 0.08, 0.2)))
    root = maker.node("0", chance.randint(least, most), DEEPEST)
    # What a root's failure means for its parent nobody asks.
    root["opts"] = {key: value for key, value in root["opts"].items() if key not in oracle.OPTIONS}
    return {**root, "tags": [tag], **({"failFast": True} if chance.random() < 0.1 else {})}


class _Maker:
    """Draws the jobs of one flow. `failing` is the share of them that fail for good."""

    def __init__(self, chance: Random, *, failing: float) -> None:
        self._chance = chance
        self._failing = failing

    def node(self, label: str, size: int, depth: int) -> dict[str, Any]:
        """A job with so many jobs in all, itself included, on so many levels."""
        sizes = [1] * (size - 1) if depth == 2 else list(self._shares(size - 1))
        children = [self.node(f"{label}.{place}", share, depth - 1) for place, share in enumerate(sizes)]
        node = {
            "name": self._chance.choice(NAMES),
            "queueName": self._chance.choice(QUEUES),
            "data": self._data(label),
            "opts": self._opts(),
            "children": children,
        }
        self._fail(node)
        _decide(node)
        return node

    def _shares(self, size: int) -> Iterator[int]:
        """`size` cut into parts at random."""
        cuts = self._chance.randint(1, min(size, 8)) - 1 if size else 0
        places = sorted(self._chance.sample(range(1, size), cuts)) if size else []
        for begin, end in zip([0, *places], [*places, size], strict=True):
            if end > begin:
                yield end - begin

    def _data(self, label: str) -> dict[str, Any]:
        slow = self._chance.random() < 0.1
        return {
            "label": label,
            "seed": self._chance.randrange(2**31),
            "ms": self._chance.randint(200, 2_000) if slow else self._chance.randint(0, 100),
            "fails": 0,
            "hopeless": False,
            "alone": False,
        }

    def _opts(self) -> dict[str, Any]:
        opts: dict[str, Any] = dict(self._chance.choices(*zip(*POLICIES, strict=True))[0])
        if self._chance.random() < 0.2:
            opts["priority"] = self._chance.randint(1, 5)
        if self._chance.random() < 0.1:
            opts["delay"] = self._chance.randint(1, 800)
        if self._chance.random() < 0.3:
            opts["attempts"] = self._chance.randint(2, 4)
            opts["backoff"] = self._chance.choice((20, 150, {"type": "exponential", "delay": 30}))
        return opts

    def _fail(self, node: dict[str, Any]) -> None:
        """Let some fail for good, and some at their first attempts only."""
        data, attempts = node["data"], node["opts"].get("attempts", 1)
        if self._chance.random() < self._failing:
            data["fails"], data["hopeless"] = oracle.ALWAYS, self._chance.random() < 0.3
        elif attempts > 1 and self._chance.random() < 0.5:
            data["fails"] = self._chance.randint(1, attempts - 1)


def _decide(parent: dict[str, Any]) -> None:
    """Leave nothing open that would depend on which of the children ends first."""
    children = parent["children"]
    if any(oracle.policy(child) == "continue" for child in children):
        parent["data"]["alone"] = True
        parent["data"]["hopeless"] = True
        parent["opts"] |= STUBBORN
    dooming = [child for child in children if oracle.dooms(child)]
    failing = [child for child in children if oracle.fails(child) and child not in dooming]
    waking = [child for child in failing if oracle.policy(child) == "continue"]
    if dooming:
        _ignore(failing)
    elif waking:
        _ignore(child for child in failing if oracle.policy(child) == "fail")


def _ignore(children: Any) -> None:
    for child in children:
        if oracle.policy(child) in ("fail", "continue"):
            child["opts"] = {key: value for key, value in child["opts"].items() if key not in oracle.OPTIONS} | IGNORED
