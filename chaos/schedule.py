"""Which faults come when. The same seed gives the same kinds, targets, gaps and lengths."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Verb(StrEnum):
    """What is done to a target."""

    KILL = "kill"
    """kill -9, and start again after a while."""
    STOP = "stop"
    """SIGSTOP, and SIGCONT after a while: a process that sleeps, and does not know it."""
    FLUSH = "flush"
    """FLUSHALL."""
    REPLACE = "replace"
    """Another engine, empty, at the same address."""
    ROLLBACK = "rollback"
    """The engine as it was a second or two ago, as after a failover that lost writes."""


LOSES = frozenset({Verb.FLUSH, Verb.REPLACE, Verb.ROLLBACK})
"""What the engine knew is gone afterwards, or some of it."""
LONGEST: Mapping[tuple[Verb, str], float] = {
    (Verb.STOP, "recorder"): 9,
    (Verb.STOP, "up"): 9,
    (Verb.STOP, "worker"): 7,
    (Verb.STOP, "api"): 7,
    (Verb.STOP, "engine"): 5,
    (Verb.ROLLBACK, "engine"): 2,
    (Verb.ROLLBACK, "all"): 2,
}
"""Seconds; three for what is not named here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`at` is when it begins, in seconds from the first one's reckoning; `lasts` how long until it is put right."""

    number: int
    verb: Verb
    role: str
    target: str
    at: float
    lasts: float

    @property
    def kind(self) -> str:
        return f"{self.verb}-{self.role}"

    def __str__(self) -> str:
        return f"{self.verb} {self.target} for {self.lasts:.1f} s"


def kinds(possible: Mapping[str, Iterable[Verb]]) -> list[str]:
    """The names of all faults that can be done to these roles."""
    return [f"{verb}-{role}" for role, verbs in possible.items() for verb in verbs]


def faults(
    seed: int, count: int, targets: Mapping[str, Sequence[str]], wanted: Sequence[str], *, slowness: float = 1
) -> list[Fault]:
    """So many faults of the wanted kinds: each at least once, as far as they go, then at random."""
    chance = Random(f"{seed}/faults")
    drawn = [*wanted, *chance.choices(wanted, k=max(0, count - len(wanted)))]
    chance.shuffle(drawn)
    plan: list[Fault] = []
    at, free_at = 2.0, dict[str, float]()
    for number, kind in enumerate(drawn[:count]):
        name, _, role = kind.partition("-")
        verb = Verb(name)
        lasts = chance.uniform(0.3, LONGEST.get((verb, role), 3)) * slowness
        target = chance.choice(targets[role])
        if at < free_at.get(_place(target), 0):
            # What is just starting is left alone for a moment, or nobody would see it recover.
            at = free_at[_place(target)]
        free_at[_place(target)] = at + lasts + 2.5
        plan.append(Fault(number=number, verb=verb, role=role, target=target, at=at, lasts=lasts))
        # Some come while the one before still lasts.
        at += chance.choice((0.2, 1, 1)) * lasts + chance.uniform(0.5, 3) * slowness
    return plan


def arrivals(seed: int, count: int, faults: Sequence[Fault]) -> list[float]:
    """When so many flows are asked for, in seconds: some at any time, more just before a fault or within it."""
    chance = Random(f"{seed}/arrivals")
    length = max((fault.at + fault.lasts for fault in faults), default=5.0)
    return sorted(_arrival(chance, length, faults) for _ in range(count))


def _arrival(chance: Random, length: float, faults: Sequence[Fault]) -> float:
    if not faults or chance.random() < 0.4:
        return chance.uniform(0, length)
    fault = chance.choice(faults)
    return chance.uniform(fault.at - 1.5, fault.at + fault.lasts / 2)


def _place(target: str) -> str:
    """`bullflow up` goes down with everything."""
    return "up" if target == "all" else target
