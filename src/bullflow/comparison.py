"""Puts the store's jobs beside the engine's, page by page, so that memory is bounded however many flows there are."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """How far those that have not ended, and those that have while jobs go on, have been gone through."""

    unfinished: str = ""
    trailing: str = ""


class Comparison:
    """Flows of one store beside one engine. It changes nothing; raises StoreAway, EngineAway."""

    def __init__(self, database: Database, client: Client, prefix: str) -> None:
        self._database = database
        self._client = client
        self._prefix = prefix

    async def quiet(self, after: Quiet, since: int) -> tuple[list[Page], Quiet]:
        """Some flows that go on and have not changed since that instant; and after which to ask for the next."""
        async with self._database.read() as snapshot:
            unfinished = await audits.unfinished(snapshot, after.unfinished, since)
            trailing = await audits.trailing(snapshot, after.trailing, since)
        return [unfinished, trailing], Quiet(unfinished=unfinished.next or "", trailing=trailing.next or "")

    async def all(self, ended_since: int) -> AsyncIterator[Compared]:
        """Every flow that goes on, or of which a job does, and those that have ended since, with all of their jobs."""
        for pages in (audits.unfinished, audits.trailing, partial(audits.ended, since=ended_since)):
            after: str | None = ""
            while after is not None:
                page = await self._database.look(pages, after)
                async for compared in self.of_page(page, ended=True):
                    yield compared
                after = page.next

    async def of_page(self, page: Page, *, ended: bool) -> AsyncIterator[Compared]:
        """The flows of a page, together as long as they are small."""
        for flow_ids in in_groups(page.flows, page.flows.__getitem__, JOBS_A_LOOK):
            yield await self.of_flows(flow_ids, ended=ended)

    async def of_flows(self, flow_ids: Sequence[str], *, ended: bool) -> Compared:
        """These flows' open jobs; with `ended`, all of their jobs, and what may be left of their runs before."""
        jobs = await self._database.look(audits.jobs, flow_ids, ended=ended)
        return await self.of_jobs(jobs, earlier=ended)

    async def of_jobs(self, jobs: Sequence[AuditedJob], *, earlier: bool) -> Compared:
        """These jobs, as they were read from the store."""
        wanted = [(job.queue_name, job.job_id) for job in jobs]
        if earlier:
            wanted += [(job.queue_name, job_id) for job in jobs for job_id in job.earlier]
        found = await look(self._client, self._prefix, wanted)
        return Compared(at=found.at, jobs=jobs, drifts=compare(jobs, found.seen))
