"""Delete a flow that has ended, with all that is known of it.

From one commit on it is gone for whoever asks; its rows go in short steps after that, and should this
process end in between, whoever leads finds the rest (`forgetter`).
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from bullflow.clock import Clock
from bullflow.errors import Conflict, StoreAway
from bullflow.flow.access import Caller
from bullflow.flow.states import FLOW_ENDED, OPEN
from bullflow.store import acts, erasing, states
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.erasing import Eraser, Hidden


class Delete:
    """The use case. `finish` takes what is left of the flow out of the engine."""

    def __init__(self, database: Database, *, clock: Clock, finish: Callable[[str], Awaitable[None]]) -> None:
        self._database = database
        self._clock = clock
        self._finish = finish
        self._eraser = Eraser(database)

    async def __call__(self, caller: Caller, flow_id: str) -> None:
        """Raises NotFound, Conflict while anything of the flow runs, StoreAway, EngineAway."""
        while (hidden := await self._hide(caller, flow_id)) is None:
            await self._finish(flow_id)
        with suppress(StoreAway):
            await self._eraser.erase([hidden])

    async def _hide(self, caller: Caller, flow_id: str) -> Hidden | None:
        """The flow, which nobody sees any more; None when its last run has to be taken out of the engine first."""
        async with self._database.write() as transaction:
            flow = await states.flow(transaction, caller.user_id, flow_id)
            running = sum(flow.counts.get(status, 0) for status in OPEN)
            if flow.status not in FLOW_ENDED:
                raise Conflict(f"The flow is {flow.status}; it can be deleted when it has ended. Cancel it, or wait.")
            if running:
                raise Conflict(f"The flow has {flow.status}, and {running} of its jobs go on. Cancel it, or wait.")
            if flow.withdraw_due:
                return None
            await erasing.hide(transaction, [flow_id])
            acts.note(transaction, [Done(caller=caller, action="flow.delete", target=flow_id, at=self._clock())])
        return Hidden(id=flow_id, rows=sum(flow.counts.values()) + flow.last_seq)
