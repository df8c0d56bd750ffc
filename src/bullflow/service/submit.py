"""Accept flows: what the answer promises is in the database before it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bullflow.clock import Clock
from bullflow.errors import Away, Conflict
from bullflow.flow.record import Entry
from bullflow.flow.states import FlowStatus, LogEvent
from bullflow.flow.tree import FlowRequest, lay_out
from bullflow.store import flows, keys, log, streams
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.transaction import Transaction
from bullflow.together import Together

Accepted = Callable[[Sequence[NewFlow]], None]

MOST_TOGETHER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Flows of one request, and the key that it was sent with; only a request for one flow can have one."""

    flows: Sequence[NewFlow]
    key: Key | None = None


class Submit:
    """The use case. `accepted` is told after the commit, to wake whoever dispatches and shows.

    Requests that come at the same time are committed together: a commit is a sync of the disk.
    """

    def __init__(self, database: Database, *, clock: Clock, new_id: Callable[[], str], accepted: Accepted) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id
        self._accepted = accepted
        self._commits: Together[_Request, str] = Together(self._commit_together, most=MOST_TOGETHER)

    async def __call__(self, user_id: str, requests: Sequence[FlowRequest]) -> list[NewFlow]:
        """Store these flows, all or none; raises StoreAway."""
        new = [self._new_flow(user_id, request) for request in requests]
        await self._commits.ask(_Request(flows=new))
        return new

    async def once(self, user_id: str, request: FlowRequest, key: Key) -> NewFlow | str:
        """Store this flow, or the id of the one that the key has made before; raises Conflict, StoreAway."""
        new = self._new_flow(user_id, request)
        flow_id = await self._commits.ask(_Request(flows=[new], key=key))
        return new if flow_id == new.id else flow_id

    async def _commit_together(self, requests: Sequence[_Request]) -> Sequence[str | Exception]:
        try:
            answers = await self._commit(requests)
        except Away:
            raise
        except Exception:
            # One of them cannot be stored; the others must not suffer for it.
            answers = [await self._commit_alone(request) for request in requests]
        self._accepted([flow for request in _made(requests, answers) for flow in request.flows])
        return answers

    async def _commit_alone(self, request: _Request) -> str | Exception:
        try:
            (answer,) = await self._commit([request])
        except Exception as error:
            return error
        return answer

    async def _commit(self, requests: Sequence[_Request]) -> Sequence[str | Exception]:
        """Store what is new; the answers are the ids of each request's first flow."""
        async with self._database.write() as transaction:
            answers = [await self._claim(transaction, request) for request in requests]
            new = [flow for request in _made(requests, answers) for flow in request.flows]
            if new:
                await flows.add(transaction, new)
                await streams.know(transaction, (job.node.queue_name for flow in new for job in flow.jobs))
                await log.append(transaction, map(_created, new))
        return answers

    async def _claim(self, transaction: Transaction, request: _Request) -> str | Exception:
        first = request.flows[0]
        if request.key is None:
            return first.id
        flow_id, fingerprint = await keys.claim(transaction, first.user_id, request.key, first.id, first.created_at)
        if fingerprint != request.key.fingerprint:
            return Conflict(f"The key {request.key.key!r} was used before, for another flow.")
        return flow_id

    def _new_flow(self, user_id: str, request: FlowRequest) -> NewFlow:
        flow_id = self._new_id()
        return NewFlow(
            id=flow_id,
            user_id=user_id,
            request=request,
            jobs=lay_out(request.root, self._new_id),
            created_at=self._clock(),
        )


def _made(requests: Sequence[_Request], answers: Sequence[str | Exception]) -> list[_Request]:
    """The requests whose own flows were stored: not those that failed, or whose key had made a flow before."""
    return [request for request, answer in zip(requests, answers, strict=True) if answer == request.flows[0].id]


def _created(flow: NewFlow) -> Entry:
    return Entry(
        flow_id=flow.id,
        seq=1,
        at=flow.created_at,
        event=LogEvent.FLOW_CREATED,
        data={"status": FlowStatus.WAITING.value, "name": flow.jobs[0].node.name, "jobs": len(flow.jobs)},
    )
