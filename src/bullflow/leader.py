"""Runs what only one process may run at a time, in the process that holds the lease.

Standing by costs one look at the lease every sixth of its term; only one that has run out is asked for, so who
stands by never keeps others from writing. The leader renews every third of the term; the recorder
renews with every batch besides, in the same transaction, and that is the fence.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock
from bullflow.errors import Away, LeadershipLost
from bullflow.loop import Complaints, outlive, sleep_until_due
from bullflow.store import leases
from bullflow.store.database import Database
from bullflow.store.leases import Held


class Leader:
    """Keeps trying for the lease, and runs `work` while it has it."""

    def __init__(
        self, database: Database, *, holder: str, term: timedelta, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._database = database
        self._holder = holder
        self._term = term
        self._clock = clock
        self._log = log
        self._complaints = Complaints("leader", log)

    async def lead(self, work: Callable[[Held], Coroutine[Any, Any, None]]) -> None:
        """Run for ever; when cancelled, the lease is given back."""
        while True:
            held = await self._acquire()
            if held is None:
                await self._rest(6)
                continue
            self._log.info("leader.elected", token=held.token)
            try:
                await self._work(held, work)
            except* LeadershipLost:
                self._log.warning("leader.replaced", token=held.token)
            finally:
                await self._release(held)

    async def _acquire(self) -> Held | None:
        try:
            held = None if await self._somebody_leads() else await self._ask()
        except Exception as error:
            outlive(error)
            self._complaints.about(error)
            return None
        self._complaints.over()
        return held

    async def _somebody_leads(self) -> bool:
        return await self._database.look(leases.is_held, leases.RECORDER, self._clock())

    async def _ask(self) -> Held | None:
        async with self._database.write() as transaction:
            return await leases.acquire(transaction, leases.RECORDER, self._holder, self._clock(), self._term)

    async def _work(self, held: Held, work: Callable[[Held], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._renew(held))
            tasks.create_task(work(held))

    async def _renew(self, held: Held) -> None:
        while True:
            await self._rest(3)
            try:
                async with self._database.write() as transaction:
                    leases.hold(transaction, held, self._clock(), self._term)
            except LeadershipLost:
                raise
            except Exception as error:
                # Without the store nobody can record, and nobody can take over: keep on.
                outlive(error)
                self._complaints.about(error)
            else:
                self._complaints.over()

    async def _release(self, held: Held) -> None:
        with suppress(Away):
            async with self._database.write() as transaction:
                await leases.release(transaction, held)

    async def _rest(self, part: int) -> None:
        await sleep_until_due(self._term / part)
