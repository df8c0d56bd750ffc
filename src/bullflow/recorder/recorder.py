"""Writes down what the engine has done.

One blocking read over the event streams of all queues gives a batch; the pure core folds it into
changes; one transaction keeps the changes, the log entries and the positions in the streams. So a
recorder that dies reads the batch again and comes to the same end, and nothing is recorded twice.
The transaction begins by renewing this recorder's lease: one that was replaced cannot write.

The positions are moved on in the store only with facts of ours; what other producers' jobs do in
the same queues is read past, and read past again after a restart.

A stream may have lost entries before they were read, or be older than what was read of it: the engine
was wiped, or has gone back in time. Then it is read from its beginning, which changes nothing that is
known, and whoever `suspects` compares the store with the engine itself.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock
from bullflow.engine.connection import Client
from bullflow.engine.lookup import with_details
from bullflow.engine.stream import GROWN, Batch, EventStreams
from bullflow.flow.facts import BEFORE_ALL, Fact, FactId, LogLine
from bullflow.flow.fold import fold
from bullflow.flow.growth import Growth
from bullflow.flow.record import Changes
from bullflow.recorder.failures import after_failures
from bullflow.recorder.growing import Growing, queues_of
from bullflow.store import changing, job_log, leases, states, streams
from bullflow.store.database import Database
from bullflow.store.job_log import KeptLine
from bullflow.store.leases import Held
from bullflow.store.transaction import Transaction
from bullflow.wire import Limits

BLOCK = timedelta(seconds=5)
MOMENT = timedelta(milliseconds=1)
CATCH_UP_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to record, and how long it lasts without renewal."""

    held: Held
    term: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one batch has brought."""

    changes: Sequence[Changes]
    lines: Sequence[KeptLine]


class Recorder:
    """The loop's state: how far the streams have been read. `recorded` is told after each commit."""

    def __init__(
        self,
        database: Database,
        event_streams: EventStreams,
        client: Client,
        prefix: str,
        *,
        lease: Lease,
        clock: Clock,
        most_lines: int,
        limits: Limits,
        recorded: Callable[[News], None],
        suspect: Callable[[str], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._streams = event_streams
        self._client = client
        self._prefix = prefix
        self._lease = lease
        self._clock = clock
        self._most_lines = most_lines
        self._growth = Growing(limits, clock=clock, log=log)
        self._recorded = recorded
        self._suspect = suspect
        self._log = log
        self._read: dict[str, FactId] = {}
        self._refresh = True
        self._missed: dict[str, FactId] = {}
        self._waiting: list[asyncio.Future[None]] = []

    async def run_once(self) -> int:
        """Record one batch. Waits for it, so it returns 1 even when there was none: the next round is due."""
        waiting = list(self._waiting)
        if self._refresh:
            await self._learn_queues()
        # Should anything below fail, the bell may ring unheard until the next round.
        self._refresh = True
        batch = await self._streams.read(self._read, MOMENT if waiting else BLOCK)
        if batch.busy:
            await self._look_for_faults({queue: self._read[queue] for queue in batch.read})
        growths = self._growth.read(batch.growth)
        if not queues_of(growths) <= self._read.keys():
            batch = batch.growth_alone()
        if batch.facts or batch.lines or batch.growth:
            await self._record(batch, growths)
        self._read.update(batch.read)
        # When nothing has come for a while, looking again costs nothing and is the net below the bell.
        self._refresh = batch.new_queues or not batch.read
        if batch.whole:
            self._has_caught_up(waiting)
        return 1

    async def caught_up(self) -> None:
        """Return when all is recorded that the engine had told before this was called.

        Raises EngineAway, and TimeoutError when there is too much to record.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await self._streams.ring()
            async with asyncio.timeout(CATCH_UP_WITHIN.total_seconds()):
                await waiter
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _has_caught_up(self, waiting: Sequence[asyncio.Future[None]]) -> None:
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def hold(self, transaction: Transaction) -> None:
        """Renew the lease inside a transaction of somebody else, which fails if it has changed hands."""
        leases.hold(transaction, self._lease.held, self._clock(), self._lease.term)

    async def settle(self, facts: Sequence[tuple[str, Fact]]) -> None:
        """Record what no stream tells any more; with each fact goes the queue of its job."""
        nothing = Batch(facts=tuple(facts), lines=(), growth=(), read={}, new_queues=False, whole=False, busy=False)
        await self._record(nothing, ())

    async def _learn_queues(self) -> None:
        await self._streams.hear_bell_from_now()
        known = await self._database.look(streams.positions)
        self._read = {GROWN: BEFORE_ALL, **known, **self._read}
        await self._look_for_faults(self._read)

    async def _look_for_faults(self, positions: Mapping[str, FactId]) -> None:
        faults = await self._streams.faults(positions)
        self._read.update(dict.fromkeys(faults.gone_back, BEFORE_ALL))
        if faults.gone_back - {GROWN}:
            self._suspect("the event streams of the engine are older than what is known of them")
        # The recorder itself trims what workers have told of growth.
        trimmed = {queue: last for queue, last in faults.trimmed.items() if queue != GROWN}
        new = {queue: last for queue, last in trimmed.items() if self._missed.get(queue) != last}
        if new:
            self._missed.update(new)
            self._suspect("events were trimmed from the engine before they were recorded")

    async def _record(self, batch: Batch, growths: Sequence[Growth]) -> None:
        details = await with_details(self._client, self._prefix, batch.facts)
        news = await self._keep(batch, growths, details.facts, [*batch.lines, *details.lines])
        self._log.debug("recorder.recorded", facts=len(details.facts), lines=len(news.lines))
        self._recorded(news)
        if GROWN in batch.read:
            await self._streams.forget_growth(batch.read[GROWN])

    async def _keep(
        self, batch: Batch, growths: Sequence[Growth], facts: Sequence[Fact], lines: Sequence[LogLine]
    ) -> News:
        job_ids = sorted({fact.job_id for fact in facts} | {line.job_id for line in lines})
        children = sorted({fact.child for fact in facts if fact.child is not None})
        async with self._database.write(replayable=True) as transaction:
            # It goes along with the first statement, and all writing with the commit: two ways into a thread in all.
            leases.hold(transaction, self._lease.held, self._clock(), self._lease.term)
            grown = await self._growth.take_in(transaction, growths)
            jobs, flows = await states.load_for_fold(transaction, job_ids, children)
            changes = fold(jobs, flows, facts)
            await changing.apply(transaction, changes)
            more = await after_failures(transaction, changes, self._clock())
            kept = await job_log.append(transaction, {job.job_id: job for job in jobs}, lines, self._most_lines)
            if GROWN in batch.read:
                await streams.know(transaction, [GROWN])
            await streams.advance(transaction, batch.read)
        return News(changes=[*grown, changes, *more], lines=kept)
