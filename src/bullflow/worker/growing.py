"""What one run of a job adds to itself: read with the rules of a request, counted, and handed to the engine."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bullflow.engine.delivery import Delivery
from bullflow.engine.growth import Growth
from bullflow.errors import Fault, Invalid, JobFailure
from bullflow.flow.tree import Node
from bullflow.wire import Limits, read_children


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much a job may add with one call: as much as a request may ask for."""

    limits: Limits
    total_bytes: int


class Growing:
    """The children that one run adds. The place of each counts, so they are counted before any is sent."""

    def __init__(self, delivery: Delivery, growth: Growth, room: Room) -> None:
        self._delivery = delivery
        self._growth = growth
        self._room = room
        self._places = 0
        self._turn = asyncio.Lock()
        self.has_grown = False

    def reading(self, children: Any) -> Callable[[], Coroutine[Any, Any, None]]:
        """What adds these trees; raises Invalid, or JobFailure for a job of no flow."""
        if self._delivery.envelope.id is None or self._delivery.envelope.flow_id is None:
            raise JobFailure("only a job of a flow that bullflow has made can add children")
        nodes = read_children(children, self._room.limits)
        jobs = list(_all(nodes))
        size = sum(len(job.data.text.encode()) for job in jobs)
        if size > self._room.total_bytes:
            raise Invalid([Fault("", f"have {size} bytes of data; one call may add {self._room.total_bytes}")])
        first, self._places = self._places, self._places + len(jobs)
        return partial(self._send, nodes, first)

    async def _send(self, nodes: Sequence[Node], first: int) -> None:
        if not nodes:
            return
        # Children are listed in the order of the calls, also of those that a handler makes at the same time.
        async with self._turn:
            await self._growth.add(self._delivery, nodes, first)
        self.has_grown = True


def _all(nodes: Sequence[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from _all(node.children)
