"""Puts the store's jobs beside the engine's, page by page, so that memory is bounded however many flows there are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bullflow.engine.connection import Client
from bullflow.engine.presence import look
from bullflow.flow.audit import AuditedJob, Drift, compare
from bullflow.store import audits
from bullflow.store.audits import Page
from bullflow.store.database import Database
from bullflow.together import in_groups

JOBS_A_LOOK = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared at one look, and what differs. `at` is in milliseconds by the engine's clock."""

    at: int
    jobs: Sequence[AuditedJob]
    drifts: Sequence[Drift]


class Comparison:
    """Flows of one store beside one engine. It changes nothing; raises StoreAway, EngineAway."""

    def __init__(self, database: Database, client: Client, prefix: str) -> None:
        self._database = database
        self._client = client
        self._prefix = prefix

    async def unfinished(self, after: str = "", *, quiet_since: int | None = None) -> Page:
        """Some flows that have not ended; with `quiet_since`, those that have not changed since that instant."""
        async with self._database.read() as snapshot:
            return await audits.unfinished(snapshot, after, quiet_since)

    async def all(self, ended_since: int) -> AsyncIterator[Compared]:
        """Every flow that goes on, every job of those that have ended since, and of all that have open jobs."""
        after: str | None = ""
        while after is not None:
            page = await self.unfinished(after)
            async for compared in self.of_page(page, ended=True):
                yield compared
            after = page.next
        after = ""
        while after is not None:
            async with self._database.read() as snapshot:
                page = await audits.ended(snapshot, after, ended_since)
            async for compared in self.of_page(page, ended=True):
                yield compared
            after = page.next

    async def of_page(self, page: Page, *, ended: bool) -> AsyncIterator[Compared]:
        """The flows of a page, together as long as they are small."""
        for flow_ids in in_groups(page.flows, page.flows.__getitem__, JOBS_A_LOOK):
            yield await self.of_flows(flow_ids, ended=ended)

    async def of_flows(self, flow_ids: Sequence[str], *, ended: bool) -> Compared:
        """These flows' open jobs; with `ended`, all of their jobs, and what may be left of their runs before."""
        async with self._database.read() as snapshot:
            jobs = await audits.jobs(snapshot, flow_ids, ended=ended)
        return await self.of_jobs(jobs, earlier=ended)

    async def of_jobs(self, jobs: Sequence[AuditedJob], *, earlier: bool) -> Compared:
        """These jobs, as they were read from the store."""
        wanted = [(job.queue_name, job.job_id) for job in jobs]
        if earlier:
            wanted += [(job.queue_name, job_id) for job in jobs for job_id in job.earlier]
        found = await look(self._client, self._prefix, wanted)
        return Compared(at=found.at, jobs=jobs, drifts=compare(jobs, found.seen))
