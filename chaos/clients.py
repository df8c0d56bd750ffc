"""Those who create flows and watch them, through whichever process answers."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self
from uuid import uuid4

from bullflow import AsyncClient
from bullflow.errors import ApiError, BullflowError, ServiceAway
from bullflow.wire import Event
from chaos.shapes import Plan

ANSWER_WITHIN = 3.0
IMPATIENT = 0.2
"""So many clients hang up in the middle of their first request."""
PAUSE = 0.3
TOO_LATE = 409


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry of a log as a watcher got it; `time` is the wall clock's."""

    seq: int
    event: str
    job_id: str | None
    time: float


@dataclass(slots=True, kw_only=True)
class Watch:
    """What one watcher of a flow has seen."""

    receipts: list[Receipt] = field(default_factory=list)
    is_over: bool = False
    refused: list[str] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.receipts[-1].seq if self.receipts else 0


@dataclass(slots=True, kw_only=True)
class Order:
    """A flow that was asked for, and what its client has got to know of it."""

    plan: Plan
    id: str | None = None
    accepted_at: float = 0.0
    posts: int = 0
    refused: str | None = None
    cancelled_at: float | None = None
    """When the service had said that it is cancelled."""
    watches: list[Watch] = field(default_factory=list)


class Clients:
    """Connections to every api process."""

    def __init__(self, urls: Sequence[str], seed: int) -> None:
        self._clients = [AsyncClient(url, timeout=ANSWER_WITHIN) for url in urls]
        self._seed = seed
        self._stack = AsyncExitStack()
        self.accepted = 0
        self.ended = 0

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._stack.aclose()

    async def serve(self, order: Order, *, at: float) -> None:
        """Create the flow at this time of the loop's clock, then watch it to its end."""
        chance = Random(f"{self._seed}/client/{order.plan.number}")
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        await self._create(order, chance)
        if order.id is None:
            return
        self.accepted += 1
        order.watches = [Watch() for _ in range(chance.choice((1, 1, 2)))]
        async with asyncio.TaskGroup() as tasks:
            for watch in order.watches:
                tasks.create_task(self._watch(order.id, watch, Random(chance.random())))
            if order.plan.cancel_after is not None:
                await asyncio.sleep(order.plan.cancel_after)
                await self._cancel(order, order.id, chance)
        self.ended += 1

    async def _create(self, order: Order, chance: Random) -> None:
        """Ask until there is an answer, always with the same key: a lost answer may have been a yes."""
        key = uuid4().hex
        patience = chance.uniform(0, 0.03) if chance.random() < IMPATIENT else None
        while True:
            order.posts += 1
            client, patience_now, patience = chance.choice(self._clients), patience, None
            try:
                async with asyncio.timeout(patience_now):
                    created = await client.create(order.plan.body, idempotency_key=key)
            except TimeoutError:
                continue
            except BullflowError as error:
                if not _is_worth_another_try(error):
                    order.refused = f"{type(error).__name__}: {error}"
                    return
                await asyncio.sleep(PAUSE)
            else:
                order.id, order.accepted_at = created.id, time.time()
                return

    async def _cancel(self, order: Order, flow_id: str, chance: Random) -> None:
        """Ask until there is an answer; a flow that has ended is past it."""
        while order.cancelled_at is None and order.refused is None:
            try:
                await chance.choice(self._clients).cancel(flow_id)
            except BullflowError as error:
                if isinstance(error, ApiError) and error.status == TOO_LATE:
                    return
                if not _is_worth_another_try(error):
                    order.refused = f"cancelling: {type(error).__name__}: {error}"
                await asyncio.sleep(PAUSE)
            else:
                order.cancelled_at = time.time()

    async def _watch(self, flow_id: str, watch: Watch, chance: Random) -> None:
        """Follow the log to the flow's end; now and then leave, and go on at another process."""
        while not watch.is_over:
            leave_after = chance.choice((None, None, chance.randint(1, 30)))
            try:
                watch.is_over = await self._follow(flow_id, watch, chance.choice(self._clients), leave_after)
            except BullflowError as error:
                if not _is_worth_another_try(error):
                    watch.refused.append(f"after {watch.last}: {type(error).__name__}: {error}")
                await asyncio.sleep(PAUSE)

    async def _follow(self, flow_id: str, watch: Watch, client: AsyncClient, leave_after: int | None) -> bool:
        """Whether the flow has ended."""
        async with aclosing(client.watch(flow_id, after=watch.last)) as entries:
            async for entry in entries:
                if isinstance(entry, Event):
                    watch.receipts.append(Receipt(entry.seq, entry.event, entry.job_id, time.time()))
                    leave_after = None if leave_after is None else leave_after - 1
                if leave_after == 0:
                    return False
        return True


def _is_worth_another_try(error: BullflowError) -> bool:
    return isinstance(error, ServiceAway) or (isinstance(error, ApiError) and error.status >= 500)
