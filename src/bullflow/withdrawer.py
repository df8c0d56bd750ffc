"""Takes out of the engine what the store has ended: cancelled flows, those past their deadline, dead branches.

Who decides such an ending marks the flow `withdraw_due` in the same transaction. The api process that
answers a cancellation dooms the flow's jobs before it does, so that none of them starts after the
answer; the leader removes them, and clears the mark. Both can be done again, by anybody, so whoever
dies in the middle leaves the mark, and the next look finds it. While the engine is away nothing starts
either; the leader asks for it more often than workers do, to be there before they are when it is back.

A flow is not retried before its mark is gone: no new run begins while the old one is still about.
"""

import asyncio
from datetime import timedelta
from functools import partial

from structlog.typing import FilteringBoundLogger

from bullflow.engine.remover import Remover
from bullflow.errors import EngineAway, EngineRefused
from bullflow.loop import Complaints, Wake
from bullflow.store import backlog
from bullflow.store.database import Database

LOOK_EVERY = timedelta(seconds=2)
FLOWS_A_ROUND = 20
AGAIN_AFTER = timedelta(milliseconds=50)


class Withdrawer:
    """The loop of the leader, and the same work for one flow at once."""

    def __init__(self, database: Database, remover: Remover, *, log: FilteringBoundLogger) -> None:
        self._database = database
        self._remover = remover
        self.log = log
        self.wake = Wake()
        self._under_way: dict[str, asyncio.Future[None]] = {}

    async def run_once(self) -> int:
        """Withdraw some flows; returns how many."""
        flow_ids = await self._database.look(backlog.to_withdraw, FLOWS_A_ROUND)
        for flow_id in flow_ids:
            await self._insist(flow_id)
        return len(flow_ids)

    async def _insist(self, flow_id: str) -> None:
        complaints = Complaints("withdrawer", self.log)
        while True:
            try:
                await self.finish(flow_id)
            except EngineAway as error:
                complaints.about(error)
                await asyncio.sleep(AGAIN_AFTER.total_seconds())
            except EngineRefused:
                # The flow stays marked; others must not wait for it.
                self.log.exception("withdrawer.flow_refused", flow_id=flow_id)
                return
            else:
                complaints.over()
                return

    async def doom(self, flow_id: str) -> None:
        """When this returns, no job of the flow that has ended in the store starts any more; raises EngineAway."""
        await self._remover.doom(await self._database.look(backlog.jobs_to_withdraw, flow_id))

    async def finish(self, flow_id: str) -> None:
        """Take the flow's ended jobs out, and note that it is done; raises EngineAway.

        Whoever asks while it is being done in this process waits for that, instead of doing it beside.
        """
        under_way = self._under_way.get(flow_id)
        if under_way is None:
            under_way = self._under_way[flow_id] = asyncio.ensure_future(self._finish(flow_id))
            under_way.add_done_callback(partial(self._done, flow_id))
        await asyncio.shield(under_way)

    async def close(self) -> None:
        """Leave what is under way to whoever comes next."""
        under_way = list(self._under_way.values())
        for one in under_way:
            one.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def _done(self, flow_id: str, under_way: "asyncio.Future[None]") -> None:
        del self._under_way[flow_id]
        if not under_way.cancelled():
            under_way.exception()  # whoever waits has it; nobody may wait any more

    async def _finish(self, flow_id: str) -> None:
        jobs = await self._database.look(backlog.jobs_to_withdraw, flow_id)
        await self._remover.remove(await self._remover.doom(jobs))
        async with self._database.write(replayable=True) as transaction:
            await backlog.withdrawn(transaction, flow_id, [job.job_id for job in jobs])
        self.log.debug("withdrawer.withdrawn", flow_id=flow_id, jobs=len(jobs))
