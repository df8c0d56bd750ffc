"""The rooms below HTTP without the engine: a store that counts its reads, and a log that tests write."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import select, update

from bullflow import telemetry
from bullflow.errors import EngineAway, StoreAway
from bullflow.flow.facts import Json
from bullflow.flow.record import Entry
from bullflow.flow.redact import Rules
from bullflow.flow.states import LogEvent
from bullflow.flow.tree import Node
from bullflow.http.aside import Aside
from bullflow.http.rooms import Rooms
from bullflow.http.shapes import flow_json
from bullflow.notifier import Listener, Notifier
from bullflow.service.access import Access
from bullflow.service.cancel import Cancel
from bullflow.service.delete import Delete
from bullflow.service.explain import Explain
from bullflow.service.quotas import Limits, Quotas
from bullflow.service.regulate import Regulate
from bullflow.service.retry import Retry
from bullflow.service.submit import Submit
from bullflow.settings import load
from bullflow.store import log, users
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue
from bullflow.store.tables import Flow
from bullflow.store.transaction import Transaction
from support.flows import Submitter

P = ParamSpec("P")
T = TypeVar("T")


class CountingDatabase(Database):
    """A real store that counts how often it is read, and is away when the test says so."""

    reads = 0
    is_away = False
    after_a_read: Callable[[], Awaitable[None]] | None = None
    """What happens once, right after the next read."""

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        async with self._counted(), super().read() as snapshot:
            yield snapshot

    async def look(
        self, read: Callable[Concatenate[Transaction, P], Awaitable[T]], *rest: P.args, **more: P.kwargs
    ) -> T:
        async with self._counted():
            return await super().look(read, *rest, **more)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        if self.is_away:
            raise StoreAway("the test has taken it away")
        self.reads += 1
        yield
        happens, self.after_a_read = self.after_a_read, None
        if happens is not None:
            await happens()


class Tail:
    """A notifier over a store, and what writes into that store."""

    def __init__(self, database: CountingDatabase) -> None:
        self.database = database
        self.submitter = Submitter(database)
        self.notifier = Notifier(
            database, clock=self.submitter.clock, log=telemetry.logger("notifier"), summarise=flow_json
        )

    async def follow(self, flow_id: str, listener: Listener) -> int:
        """Follow a flow of the local user; returns the `seq` after which it is heard."""
        flow = await self.notifier.follow(await self.submitter.user(), flow_id, listener)
        return flow.last_seq

    async def flow(self, *, entries: int = 1, user: str = users.LOCAL) -> str:
        """A new flow with so many entries in its log."""
        node = Node(name="a", queue_name="q", data=Json("{}"), opts={})
        flow_id = (await self.submitter.one(node, user=user)).id
        await self.write(flow_id, entries - 1)
        return flow_id

    async def write(self, flow_id: str, entries: int) -> int:
        """Add entries as the recorder does, without telling anybody; returns the number of the last one."""
        async with self.database.write() as transaction:
            last = await transaction.scalar(select(Flow.last_seq).where(Flow.id == flow_id))
            assert last is not None
            await log.append(transaction, [entry(flow_id, last + n) for n in range(1, entries + 1)])
            await transaction.execute(update(Flow).where(Flow.id == flow_id).values(last_seq=last + entries))
        return int(last) + entries

    async def end(self, flow_id: str) -> None:
        """Let a flow have ended now, without telling anybody."""
        now = self.submitter.clock()
        async with self.database.write() as transaction:
            await transaction.execute(update(Flow).where(Flow.id == flow_id).values(finished_at=now, updated_at=now))

    async def tell(self, flow_id: str, entries: int) -> None:
        """Add entries, ring, and let the notifier do its round."""
        last = await self.write(flow_id, entries)
        self.notifier.hear({"flows": [[flow_id, last]]})
        await self.notifier.run_once()

    async def rooms(self, data_dir: Path, **settings: Any) -> Rooms:
        """What the routes need, over this tail."""
        clock, quotas = self.submitter.clock, Quotas(Limits(), clock=self.submitter.clock)
        return Rooms(
            settings=load(database_url=self.database.url, data_dir=data_dir, **settings),
            database=self.database,
            submit=Submit(
                self.database, clock=clock, new_id=clock.new_id, quotas=quotas, accepted=self.submitter.accepted
            ),
            cancel=Cancel(self.database, clock=clock, doom=_nothing, decided=lambda _: None, doomed=lambda: None),
            retry=Retry(self.database, clock=clock, quotas=quotas, finish=_nothing, decided=lambda _: None),
            delete=Delete(self.database, clock=clock, finish=_nothing),
            explain=Explain(
                self.database,
                engine_takes=partial(_no_engine, ()),
                queue_facts=_no_engine,
                places=_no_engine,
                clock=clock,
            ),
            regulate=Regulate(self.database, clock=clock, apply=_no_engine),
            queue_facts=_no_engine,
            notifier=self.notifier,
            access=Access(
                self.database,
                clock=clock,
                session_length=timedelta(days=1),
                stands_for=await self.submitter.caller(),
            ),
            quotas=quotas,
            redact=Rules(),
            aside=Aside(),
            probes={},
            gauges={},
        )


async def _nothing(_flow_id: str) -> None:
    """There is no engine below these rooms."""


async def _no_engine(_: SetQueue | Sequence[Any]) -> Any:
    raise EngineAway("this test has none")


def entry(flow_id: str, seq: int) -> Entry:
    return Entry(flow_id=flow_id, seq=seq, at=1_790_000_000_000 + seq, event=LogEvent.JOB_ACTIVE, data={"n": seq})
