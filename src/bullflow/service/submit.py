"""Accept flows: what the answer promises is in the database before it is given."""

from collections.abc import Callable, Sequence

from bullflow.clock import Clock
from bullflow.errors import Away
from bullflow.flow.fold import Entry
from bullflow.flow.states import FlowStatus, LogEvent
from bullflow.flow.tree import FlowRequest, lay_out
from bullflow.store import flows, log, streams
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.together import Together

Accepted = Callable[[Sequence[NewFlow]], None]

MOST_TOGETHER = 64


class Submit:
    """The use case. `accepted` is told after the commit, to wake whoever dispatches and shows.

    Requests that come at the same time are committed together: a commit is a sync of the disk.
    """

    def __init__(self, database: Database, *, clock: Clock, new_id: Callable[[], str], accepted: Accepted) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._accepted = accepted
        self._commits: Together[Sequence[NewFlow], None] = Together(self._commit_together, most=MOST_TOGETHER)

    async def __call__(self, user_id: str, requests: Sequence[FlowRequest]) -> list[NewFlow]:
        """Store these flows, all or none; raises StoreAway."""
        new = [self._new_flow(user_id, request) for request in requests]
        await self._commits.ask(new)
        return new

    async def _commit_together(self, requests: Sequence[Sequence[NewFlow]]) -> list[Exception | None]:
        try:
            await self._commit([flow for request in requests for flow in request])
        except Away:
            raise
        except Exception:
            # One of them cannot be stored; the others must not suffer for it.
            return [await self._commit_alone(request) for request in requests]
        return [None] * len(requests)

    async def _commit_alone(self, request: Sequence[NewFlow]) -> Exception | None:
        try:
            await self._commit(request)
        except Exception as error:
            return error
        return None

    async def _commit(self, new: Sequence[NewFlow]) -> None:
        async with self._database.write() as transaction:
            await flows.add(transaction, new)
            await streams.know(transaction, (job.node.queue_name for flow in new for job in flow.jobs))
            await log.append(transaction, map(_created, new))
        self._accepted(new)

    def _new_flow(self, user_id: str, request: FlowRequest) -> NewFlow:
        flow_id = self._new_id()
        return NewFlow(
            id=flow_id,
            user_id=user_id,
            request=request,
            jobs=lay_out(request.root, self._new_id),
            created_at=self._clock(),
        )


def _created(flow: NewFlow) -> Entry:
    return Entry(
        flow_id=flow.id,
        seq=1,
        at=flow.created_at,
        event=LogEvent.FLOW_CREATED,
        data={"status": FlowStatus.WAITING.value, "name": flow.jobs[0].node.name, "jobs": len(flow.jobs)},
    )
