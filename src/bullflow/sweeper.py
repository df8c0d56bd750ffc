"""Takes jobs out of the engine some time after they have ended, and events after they were read.

What the store has not recorded stays, however old it is: after a recorder that was away for long, the engine may be
the only one that knows a result. A job that the store has never heard of belongs to a flow that was
deleted; or its parent has added it, and the recorder has not come to that yet, which the stream of such
news tells. Jobs of other producers in the same queues are left to what their own options say.

A look goes through all queues, page by page, and nothing of it need be finished: whoever leads next begins
again.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, milliseconds
from bullflow.engine.ended import Ended, EndedJob, Shelf
from bullflow.engine.stream import GROWN
from bullflow.flow.facts import BEFORE_ALL, FactId
from bullflow.store import recorded, streams
from bullflow.store.database import Database

LOOK_EVERY = timedelta(seconds=10)
JOBS_A_PAGE = 500


class Sweeper:
    """The loop. It remembers up to when each shelf holds only jobs of others."""

    def __init__(
        self, database: Database, ended: Ended, *, keep: timedelta, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._database = database
        self._ended = ended
        self._keep = keep
        self._clock = clock
        self._since: dict[Shelf, int] = {}
        self.log = log

    async def run_once(self) -> int:
        """Remove all that is old enough. Returns 0: what gets old meanwhile waits for the next look."""
        before = self._clock() - milliseconds(self._keep)
        read = await self._database.look(streams.positions)
        growth_read = read.pop(GROWN, BEFORE_ALL)
        await self._ended.trim_events(read, before)
        removed = await self._sweep(read, growth_read, before)
        if removed:
            self.log.debug("sweeper.removed", jobs=removed)
        return 0

    async def _sweep(self, queues: Mapping[str, FactId], growth_read: FactId, before: int) -> int:
        strangers_stay = await self._ended.has_grown(growth_read, before)
        shelves = await self._ended.shelves(queues, before)
        return sum([await self._sweep_shelf(shelf, before, strangers_stay=strangers_stay) for shelf in shelves])

    async def _sweep_shelf(self, shelf: Shelf, before: int, *, strangers_stay: bool) -> int:
        removed, first_left = 0, before
        since, skip = self._since.get(shelf, 0), 0
        while page := await self._ended.page(shelf, since, before, skip, JOBS_A_PAGE):
            ours = [job for job in page if job.is_ours]
            unrecorded = await self._unrecorded(ours, strangers_stay=strangers_stay)
            old = {job.job_id for job in ours} - unrecorded
            await self._ended.remove(shelf, sorted(old))
            removed += len(old)
            first_left = min([first_left, *(job.at for job in ours if job.job_id in unrecorded)])
            if len(page) < JOBS_A_PAGE:
                break
            # The next page begins with the last millisecond of this one, behind those of it that stay.
            last = page[-1].at
            stay = sum(job.at == last and job.job_id not in old for job in page)
            since, skip = last, stay + (skip if last == since else 0)
        self._since[shelf] = first_left
        return removed

    async def _unrecorded(self, jobs: Sequence[EndedJob], *, strangers_stay: bool) -> set[str]:
        if not jobs:
            return set()
        still_open, unknown = await self._database.look(recorded.unrecorded, [job.job_id for job in jobs])
        return still_open | unknown if strangers_stay else still_open
