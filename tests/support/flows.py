"""Flows in the store: builders, a clock that the test moves, and the recorder's own transaction."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, insert, select, text

from bullflow.clock import Clock, milliseconds
from bullflow.flow.access import Caller
from bullflow.flow.facts import Fact, Json
from bullflow.flow.fold import fold
from bullflow.flow.record import Changes, FlowState, JobState
from bullflow.flow.tree import FlowRequest, Node
from bullflow.service.quotas import Limits, Quotas
from bullflow.service.submit import Accepted, Submit
from bullflow.store import changing, states, users
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.tables import COUNT_COLUMNS, Base, Flow, FlowJob
from support.histories import History

START = 1_790_000_000_000


class HandClock:
    """The time as the test sets it, and ids that begin with it, as UUIDv7 does. No id is given twice in a run."""

    _ids = count(1)

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    def forward(self, time: timedelta) -> None:
        self.now += milliseconds(time)

    def new_id(self) -> str:
        head = f"{self.now:012x}"
        return f"{head[:8]}-{head[8:]}-7000-8000-{next(self._ids):012x}"


def caller(user_id: str) -> Caller:
    """A user who may do everything."""
    return Caller(name=user_id, user_id=user_id)


def a_submit(database: Database, *, clock: Clock, new_id: Callable[[], str], accepted: Accepted) -> Submit:
    """The use case, without limits for anybody."""
    return Submit(database, clock=clock, new_id=new_id, quotas=Quotas(Limits(), clock=clock), accepted=accepted)


class Submitter:
    """Submits flows for users; keeps what `accepted` was told."""

    def __init__(self, database: Database, clock: HandClock | None = None, limits: Limits | None = None) -> None:
        self.database = database
        self.clock = clock or HandClock()
        self.told: list[str] = []
        quotas = Quotas(limits or Limits(), clock=self.clock)
        self._submit = Submit(
            database, clock=self.clock, new_id=self.clock.new_id, quotas=quotas, accepted=self.accepted
        )

    async def user(self, name: str = users.LOCAL) -> str:
        async with self.database.write() as transaction:
            return await users.ensure(transaction, name, self.clock.new_id(), self.clock())

    async def caller(self, name: str = users.LOCAL) -> Caller:
        """This user, who may do everything."""
        return Caller(name=name, user_id=await self.user(name))

    async def all(self, *requests: FlowRequest | Node, user: str = users.LOCAL) -> list[NewFlow]:
        """These flows in one request, all or none."""
        return await self._submit(await self.caller(user), [_request(each) for each in requests])

    async def once(self, who: Caller, request: FlowRequest, key: Key) -> NewFlow | str:
        """With a key: the flow, or the id of the one that the key has made before."""
        return await self._submit.once(who, request, key)

    async def one(self, request: FlowRequest | Node, *, user: str = users.LOCAL) -> NewFlow:
        (flow,) = await self.all(request, user=user)
        return flow

    def accepted(self, new: Sequence[NewFlow]) -> None:
        self.told += [flow.id for flow in new]


def node(name: str = "root", *children: Node, queue: str = "flowQueue", data: str = "{}", **opts: Any) -> Node:
    return Node(name=name, queue_name=queue, data=Json(data), opts=opts, children=children)


def wide(children: int) -> Node:
    """A root above so many leaves."""
    return node("root", *(node(f"leaf-{number}") for number in range(children)))


def _request(flow: FlowRequest | Node) -> FlowRequest:
    return flow if isinstance(flow, FlowRequest) else FlowRequest(root=flow)


async def record(database: Database, facts: Iterable[Fact]) -> Changes:
    """Load, fold and apply in one transaction, as the recorder does."""
    facts = list(facts)
    async with database.write(replayable=True) as transaction:
        jobs, their_flows = await states.load_for_fold(transaction, sorted({fact.job_id for fact in facts}))
        changes = fold(jobs, their_flows, facts)
        await changing.apply(transaction, changes)
    return changes


async def rows(database: Database, table: type[Base]) -> list[dict[str, Any]]:
    """Every row of a table, column by column, in the order of its key."""
    async with database.read() as snapshot:
        found = await snapshot.execute(select(table.__table__).order_by(*table.__table__.primary_key))
        return [dict(row) for row in found.mappings()]


async def how_many(database: Database, table: type[Base]) -> int:
    async with database.read() as snapshot:
        return await snapshot.scalar(select(func.count()).select_from(table)) or 0


async def both_wait(database: Database) -> bool:
    """Whether two sessions of Postgres wait for locks."""
    async with database.read() as snapshot:
        waiting = await snapshot.scalar(text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"))
        return int(waiting or 0) == 2


async def store_history(database: Database, history: History, user_id: str) -> None:
    """The first state of a history, whatever ids and runs its jobs have."""
    job_ids = {job.job_id: job.id for job in history.jobs}
    parents = {job_ids[child]: job_ids[parent] for child, parent in history.parents.items()}
    async with database.write() as transaction:
        await transaction.execute(insert(Flow), [_flow_row(flow, user_id) for flow in history.flows])
        await transaction.execute(
            insert(FlowJob),
            [_job_row(job, place, parents.get(job.id)) for place, job in enumerate(history.jobs)],
        )


def _flow_row(flow: FlowState, user_id: str) -> dict[str, Any]:
    return {
        "id": flow.id,
        "user_id": user_id,
        "root_id": f"{flow.id}-job0",
        "name": "history",
        "queue_name": "flowQueue",
        "last_seq": flow.last_seq,
        "created_at": 0,
        "updated_at": flow.updated_at,
        **{column: flow.counts.get(status, 0) for status, column in COUNT_COLUMNS.items()},
    }


def _job_row(job: JobState, position: int, parent_id: str | None) -> dict[str, Any]:
    return {
        "id": job.id,
        "job_id": job.job_id,
        "flow_id": job.flow_id,
        "parent_id": parent_id,
        "position": position,
        "depth": job.depth,
        "name": job.id,
        "queue_name": "flowQueue",
        "data": "{}",
        "opts": "{}",
        "priority": job.priority,
        "status": job.status.value,
        "created_at": 0,
        "updated_at": job.updated_at,
    }
