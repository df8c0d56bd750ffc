"""What lies in the engine of jobs that have ended, and of events that were read.

BullMQ removes jobs by age too, but only while others of their queue end, whoever's they are, whether or
not anybody has recorded them, and it wakes a parent that was to wait for one of them for ever. So our jobs
forbid that (`envelope`), and what has ended is taken out here, by whoever knows what is recorded.
A parent that still waits for such a job goes on waiting.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.keys import OURS, grown_stream, queue_key
from bullflow.flow.facts import BEFORE_ALL, FactId

_SETS = ("completed", "failed")


@dataclass(frozen=True, slots=True)
class Shelf:
    """A queue's jobs that have ended in the same way."""

    queue_name: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job on a shelf, and when it ended by its worker's clock."""

    job_id: str
    at: int

    @property
    def is_ours(self) -> bool:
        return OURS.fullmatch(self.job_id) is not None


class Ended:
    """Finds and removes what is old. Every call raises EngineAway."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def shelves(self, queue_names: Iterable[str], before: int) -> list[Shelf]:
        """Those with jobs that ended before this instant."""
        shelves = [Shelf(queue_name, name) for queue_name in queue_names for name in _SETS]
        async with away(), self._client.pipeline(transaction=False) as pipe:
            for shelf in shelves:
                pipe.zcount(self._key(shelf), "-inf", before)
            counts = await pipe.execute()
        return [shelf for shelf, count in zip(shelves, counts, strict=True) if count]

    async def page(self, shelf: Shelf, since: int, before: int, skip: int, limit: int) -> list[EndedJob]:
        """Jobs of a shelf that ended between these instants, both of them included, without the first few."""
        async with away():
            found: Any = await self._client.zrange(
                self._key(shelf), since, before, byscore=True, offset=skip, num=limit, withscores=True
            )
        return [EndedJob(job_id=job_id, at=int(at)) for job_id, at in found]

    async def remove(self, shelf: Shelf, job_ids: Sequence[str]) -> None:
        """Remove those of these jobs that are still on the shelf."""
        if job_ids:
            base = queue_key(self._prefix, shelf.queue_name, "")
            async with away():
                await self._client.eval(_REMOVE, 2, self._key(shelf), base, *job_ids)

    async def trim_events(self, read: Mapping[str, FactId], before: int) -> None:
        """Remove older events of these queues, as far as they have been read. The last one read stays."""
        async with away(), self._client.pipeline(transaction=False) as pipe:
            for queue_name, position in read.items():
                oldest = min(position, FactId(before, 0))
                if oldest > BEFORE_ALL:
                    pipe.xtrim(queue_key(self._prefix, queue_name, "events"), minid=str(oldest), approximate=True)
            await pipe.execute()

    async def has_grown(self, after: FactId, before: int) -> bool:
        """Whether workers have told of jobs that they have added, behind this position and before this instant."""
        async with away():
            return bool(await self._client.xrange(grown_stream(self._prefix), f"({after}", f"{before}", count=1))

    def _key(self, shelf: Shelf) -> str:
        return queue_key(self._prefix, shelf.queue_name, shelf.name)


# BullMQ's removeJobKeys for many jobs. None of them is taken from those that a parent waits for: that would wake it.
_REMOVE = """
for _, job in ipairs(ARGV) do
  if redis.call("ZREM", KEYS[1], job) == 1 then
    local key = KEYS[2] .. job
    redis.call("UNLINK", key, key .. ":logs", key .. ":dependencies", key .. ":processed", key .. ":failed",
      key .. ":unsuccessful")
  end
end
"""
