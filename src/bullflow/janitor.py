"""Looks after what time alone brings about: flows that have passed their deadline.

The deadline stands in the store, so whoever leads finds the flows whose time is over, whatever process
was to look before. The flow fails, its jobs are cancelled, and the withdrawer takes them out of the
engine; handlers that run are told to stop.
"""

from collections.abc import Callable
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock
from bullflow.flow import ending
from bullflow.flow.record import Changes
from bullflow.flow.states import FLOW_ENDED
from bullflow.store import backlog, decisions, states
from bullflow.store.database import Database

LOOK_EVERY = timedelta(seconds=1)
FLOWS_A_ROUND = 100
PAST_DEADLINE = "the flow has not ended within its deadline"


class Janitor:
    """The loop. `decided` is told after each commit."""

    def __init__(
        self, database: Database, *, clock: Clock, decided: Callable[[Changes], None], log: FilteringBoundLogger
    ) -> None:
        self._database = database
        self._clock = clock
        self._decided = decided
        self.log = log

    async def run_once(self) -> int:
        """End some flows that are late; returns how many."""
        late = await self._database.look(backlog.past_deadline, self._clock(), FLOWS_A_ROUND)
        for flow_id in late:
            await self._expire(flow_id)
        return len(late)

    async def _expire(self, flow_id: str) -> None:
        async with self._database.write() as transaction:
            flow = await states.flow(transaction, None, flow_id)
            if flow.status in FLOW_ENDED or not await backlog.is_late(transaction, flow_id, self._clock()):
                return  # it has ended meanwhile, or was retried and has its whole time again
            open_jobs = await states.open_jobs(transaction, flow_id)
            changes = ending.fail(flow, open_jobs, self._clock(), PAST_DEADLINE)
            await decisions.end(transaction, changes)
        self.log.info("janitor.flow_late", flow_id=flow_id)
        self._decided(changes)
