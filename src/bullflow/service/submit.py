"""Accept flows: what the answer promises is in the database before it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bullflow.clock import Clock
from bullflow.errors import Away, Conflict, Limited
from bullflow.flow.access import Caller
from bullflow.flow.record import Entry
from bullflow.flow.states import FlowStatus, LogEvent
from bullflow.flow.tree import FlowRequest, lay_out
from bullflow.service.quotas import Quotas
from bullflow.store import acts, flows, keys, log, queues, streams
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.transaction import Transaction
from bullflow.together import Together

Accepted = Callable[[Sequence[NewFlow]], None]

MOST_TOGETHER = 64
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """Flows of one request, and the key that it was sent with; only a request for one flow can have one."""

    caller: Caller
    flows: Sequence[NewFlow]
    key: Key | None = None


class Submit:
    """The use case. `accepted` is told after the commit, to wake whoever dispatches and shows.

    Requests that come at the same time are committed together: a commit is a sync of the disk.
    """

    def __init__(
        self, database: Database, *, clock: Clock, new_id: Callable[[], str], quotas: Quotas, accepted: Accepted
    ) -> None:
        self._database = database
        self._quotas = quotas
        self._used: set[tuple[str, str]] = set()
        self._clock = clock
        self._new_id = new_id
        self._accepted = accepted
        self._commits: Together[_Request, str] = Together(self._commit_together, most=MOST_TOGETHER)

    async def __call__(self, caller: Caller, requests: Sequence[FlowRequest]) -> list[NewFlow]:
        """Store these flows, all or none; raises Limited, StoreAway."""
        new = [self._new_flow(caller.user_id, request) for request in requests]
        await self._ask(_Request(caller=caller, flows=new))
        return new

    async def once(self, caller: Caller, request: FlowRequest, key: Key) -> NewFlow | str:
        """Store this flow, or the id of the one that the key has made before; raises Conflict, Limited, StoreAway."""
        new = self._new_flow(caller.user_id, request)
        flow_id = await self._ask(_Request(caller=caller, flows=[new], key=key))
        return new if flow_id == new.id else flow_id

    async def _ask(self, request: _Request) -> str:
        user_id, flows = request.caller.user_id, len(request.flows)
        self._quotas.take(user_id, flows)
        made = ""
        try:
            made = await self._commits.ask(request)
        finally:
            if made != request.flows[0].id:
                self._quotas.put_back(user_id, flows)
        return made

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
            if self._quotas.look_at_store:
                answers = await self._let_in(transaction, requests, answers)
            made = _made(requests, answers)
            new = [flow for request in made for flow in request.flows]
            if new:
                await flows.add(transaction, new)
                used = {(flow.user_id, job.node.queue_name) for flow in new for job in flow.jobs}
                await streams.know(transaction, (queue for _, queue in used))
                await queues.use(transaction, used - self._used)
                await log.append(transaction, map(_created, new))
                acts.note(transaction, [self._done(request) for request in made])
        self._remember(new)
        return answers

    async def _let_in(
        self, transaction: Transaction, requests: Sequence[_Request], answers: Sequence[str | Exception]
    ) -> list[str | Exception]:
        """The answers, with a refusal for each request for which its user has no room; what is not new needs none."""
        asked = list(zip(requests, answers, strict=True))
        users = sorted({one.caller.user_id for one, answer in asked if answer == one.flows[0].id})
        rooms = {user_id: await self._quotas.room(transaction, user_id) for user_id in users}
        told: list[str | Exception] = []
        for request, answer in asked:
            told.append(answer)
            if answer != request.flows[0].id:
                continue
            size = sum(flow.stored_bytes for flow in request.flows)
            try:
                rooms[request.caller.user_id].take(len(request.flows), size)
            except Limited as refusal:
                told[-1] = refusal
                if request.key is not None:
                    await keys.release(transaction, request.caller.user_id, request.key)
        return told

    def _remember(self, new: Sequence[NewFlow]) -> None:
        """What is known of users and queues stays known, and need not be written each time."""
        if len(self._used) > MOST_REMEMBERED:
            self._used.clear()
        self._used.update((flow.user_id, job.node.queue_name) for flow in new for job in flow.jobs)

    def _done(self, request: _Request) -> Done:
        first, *others = request.flows
        return Done(
            caller=request.caller,
            action="flow.create",
            target=first.id,
            at=first.created_at,
            data={"flows": 1 + len(others)} if others else {},
        )

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
