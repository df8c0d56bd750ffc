"""How much is measured."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import uvloop

from bench.databases import Store

Value = TypeVar("Value")

CONCURRENCY = 100
"""Jobs at once in a worker, ours and the peers'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    stores: Sequence[Store]
    rounds: int
    flows: int
    """In a burst."""
    runs: int
    """Of what is done once at a time."""
    clients: int
    seconds: float
    """Of a steady load."""
    sockets: int
    stored: Sequence[int]
    """How many flows the store holds when it is asked, the smallest number first."""
    memory_jobs: int

    def facts(self) -> str:
        return (
            f"{self.rounds} rounds in turns, medians and (from to); bursts of {self.flows:,} flows of 1 + 10 over "
            f"{self.clients} connections; {CONCURRENCY} jobs at once in a worker, where the peer does not choose itself"
        )


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """The client's side of a measurement."""
    return uvloop.run(work)
