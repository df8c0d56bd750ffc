"""Delete a flow that has ended, with all that is known of it."""

from collections.abc import Awaitable, Callable

from bullflow.errors import Conflict
from bullflow.flow.states import FLOW_ENDED, OPEN
from bullflow.store import flows, states
from bullflow.store.database import Database


class Delete:
    """The use case. `finish` takes what is left of the flow out of the engine."""

    def __init__(self, database: Database, *, finish: Callable[[str], Awaitable[None]]) -> None:
        self._database = database
        self._finish = finish

    async def __call__(self, user_id: str, flow_id: str) -> None:
        """Raises NotFound, Conflict while anything of the flow runs, StoreAway, EngineAway."""
        while not await self._delete(user_id, flow_id):
            await self._finish(flow_id)

    async def _delete(self, user_id: str, flow_id: str) -> bool:
        async with self._database.write() as transaction:
            flow = await states.flow(transaction, user_id, flow_id)
            running = sum(flow.counts.get(status, 0) for status in OPEN)
            if flow.status not in FLOW_ENDED:
                raise Conflict(f"The flow is {flow.status}; it can be deleted when it has ended. Cancel it, or wait.")
            if running:
                raise Conflict(f"The flow has {flow.status}, and {running} of its jobs go on. Cancel it, or wait.")
            if flow.withdraw_due:
                return False
            await flows.delete(transaction, flow_id)
        return True
