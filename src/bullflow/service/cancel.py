"""Cancel a flow: nothing of it starts after the answer, and what runs is told to stop."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from bullflow.clock import Clock
from bullflow.errors import Away, Conflict, EngineRefused
from bullflow.flow import ending
from bullflow.flow.access import Caller
from bullflow.flow.record import Changes
from bullflow.flow.states import FlowStatus
from bullflow.store import acts, decisions, states
from bullflow.store.acts import Done
from bullflow.store.database import Database

Decided = Callable[[Changes], None]
Doom = Callable[[str], Awaitable[None]]


class Cancel:
    """The use case. `decided` is told after the commit; `doom` stops the flow's jobs in the engine, and `doomed` is
    told after that, to wake whoever removes them: before it would only be in the way of the answer."""

    def __init__(
        self, database: Database, *, clock: Clock, doom: Doom, decided: Decided, doomed: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._doom = doom
        self._decided = decided
        self._doomed = doomed

    async def __call__(self, caller: Caller, flow_id: str) -> bool:
        """Whether the engine knows of it already; raises NotFound, StoreAway, Conflict for what has ended otherwise.

        If not, the flow is withdrawn as soon as the engine answers. Until then a worker that does reach the engine may
        begin jobs of it, whose results are ignored.
        """
        changes = await self._decide(caller, flow_id)
        if changes is not None:
            self._decided(changes)
        is_doomed = False
        with suppress(Away, EngineRefused):
            await self._doom(flow_id)
            is_doomed = True
        self._doomed()
        return is_doomed

    async def _decide(self, caller: Caller, flow_id: str) -> Changes | None:
        async with self._database.write() as transaction:
            flow = await states.flow(transaction, caller.user_id, flow_id)
            # A flow that has failed may have jobs that go on; those can be cancelled as well.
            open_jobs = await states.open_jobs(transaction, flow_id)
            if not open_jobs and flow.status is FlowStatus.CANCELLED:
                return None
            if not open_jobs:
                raise Conflict(f"The flow has {flow.status} already; there is nothing to cancel.")
            now = self._clock()
            changes = ending.cancel(flow, open_jobs, now)
            await decisions.end(transaction, changes)
            acts.note(transaction, [Done(caller=caller, action="flow.cancel", target=flow_id, at=now)])
        return changes
