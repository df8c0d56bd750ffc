"""Pause and resume queues, and limit what their workers do together."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from bullflow.clock import Clock
from bullflow.errors import Away, EngineRefused
from bullflow.flow.access import Caller
from bullflow.flow.queues import QueueLimits
from bullflow.store import acts, queues
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue
from bullflow.store.transaction import Transaction

APPLY_WITHIN = timedelta(seconds=3)

Apply = Callable[[SetQueue], Awaitable[None]]


class Regulate:
    """The use case. What is set is stored first; `apply` gives it to the engine at once, if the engine is there.

    If it is not, the leader's regulator does it when the engine is back.
    """

    def __init__(self, database: Database, *, clock: Clock, apply: Apply) -> None:
        self._database = database
        self._clock = clock
        self._apply = apply

    async def pause(self, caller: Caller, name: str) -> SetQueue:
        """Let no further job of this queue begin; raises NotFound, StoreAway."""
        return await self._set_paused(caller, name, True)

    async def resume(self, caller: Caller, name: str) -> SetQueue:
        """Let the jobs of this queue begin again; raises NotFound, StoreAway."""
        return await self._set_paused(caller, name, False)

    async def limit(self, caller: Caller, name: str, limits: QueueLimits) -> SetQueue:
        """Let all workers of this queue together keep to these limits; raises NotFound, StoreAway."""
        async with self._database.write() as transaction:
            queue = await queues.set_limits(transaction, name, limits)
            self._note(transaction, caller, "queue.limit", name)
        return await self._applied(queue)

    async def _set_paused(self, caller: Caller, name: str, paused: bool) -> SetQueue:
        async with self._database.write() as transaction:
            queue = await queues.set_paused(transaction, name, paused)
            self._note(transaction, caller, "queue.pause" if paused else "queue.resume", name)
        return await self._applied(queue)

    def _note(self, transaction: Transaction, caller: Caller, action: str, name: str) -> None:
        acts.note(transaction, [Done(caller=caller, action=action, target=name, at=self._clock())])

    async def _applied(self, queue: SetQueue) -> SetQueue:
        with suppress(Away, EngineRefused, TimeoutError):
            async with asyncio.timeout(APPLY_WITHIN.total_seconds()):
                await self._apply(queue)
                return replace(queue, due=False)
        return queue
