"""Takes jobs back that the store has ended: none of them starts any more, and what can be removed is removed.

First every job is doomed, in one step of the engine: BullMQ's field `defa` makes any worker, ours and
Node's alike, fail the job without running its handler. From then on nothing of the flow begins, also
not the next attempt of a job that is running now, nor one whose worker dies. Then jobs are removed,
parents first, so that no parent wakes because its last child has gone; a job that runs cannot be
removed and ends alone. Those that run are told by the bell to stop.

A mark for the flow's run keeps out whoever has read the flow before and is about to dispatch it.
All of it can be done again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Any

from redis.asyncio import Redis

from bullflow.engine.bell import sealed
from bullflow.engine.connection import away
from bullflow.engine.keys import CANCELLED, HAS_GROWN, aborts_channel, queue_key, withdrawn_key
from bullflow.flow.ending import Withdrawn

MARKED_FOR = timedelta(hours=1)
KEYS_A_SCRIPT = 1_000
JOBS_A_ROUND = 1_000
LONGEST_SEARCH = 100_000
"""How long a list may be in which a job is looked for."""


class Remover:
    """Takes jobs out of the engine; raises EngineAway, and then some of them may be out."""

    def __init__(self, client: Redis, prefix: str, *, origin: str) -> None:
        self._client = client
        self._prefix = prefix
        self._origin = origin

    async def keep_out(self, root_job_ids: Sequence[str]) -> None:
        """See to it that these runs of flows are not dispatched any more by whoever has read them before."""
        async with away(), self._client.pipeline(transaction=False) as pipe:
            self._mark(pipe, root_job_ids)
            await pipe.execute()

    def _mark(self, pipe: Any, root_job_ids: Iterable[str]) -> None:
        for job_id in root_job_ids:
            pipe.set(withdrawn_key(self._prefix, job_id), 1, ex=round(MARKED_FOR.total_seconds()))

    async def doom(self, jobs: Sequence[Withdrawn], *, alone: bool = False) -> list[Withdrawn]:
        """See to it that none of these starts any more; returns those that wait in a queue or for children.

        With `alone`, whatever becomes of them is nothing to their parents, which go on.
        """
        keys = [queue_key(self._prefix, job.queue_name, job.job_id) for job in jobs]
        async with away(), self._client.pipeline(transaction=False) as pipe:
            self._mark(pipe, (job.job_id for job in jobs if job.is_root))
            marks = len(pipe)
            for start in range(0, len(keys), KEYS_A_SCRIPT):
                some = keys[start : start + KEYS_A_SCRIPT]
                pipe.eval(_DOOM, len(some), *some, CANCELLED, HAS_GROWN, int(alone))
            states = [state for answer in (await pipe.execute())[marks:] for state in answer]
        await self._tell([job.job_id for job, state in zip(jobs, states, strict=True) if state == _State.RUNS])
        return [job for job, state in zip(jobs, states, strict=True) if state == _State.WAITS]

    async def _tell(self, running: Sequence[str]) -> None:
        if running:
            async with away():
                await self._client.publish(aborts_channel(self._prefix), sealed(self._origin, {"jobs": list(running)}))

    async def remove(self, doomed: Sequence[Withdrawn]) -> None:
        """Remove what waits. What lies deep in a long queue stays, doomed, until a worker comes to it."""
        # Lists are searched from their newest end, where a flow's last jobs lie.
        ordered = [job for job in doomed if job.is_parent] + [job for job in reversed(doomed) if not job.is_parent]
        by_queue: defaultdict[str, list[str]] = defaultdict(list)
        for job in ordered:
            by_queue[job.queue_name].append(job.job_id)
        for queue, job_ids in by_queue.items():
            base = queue_key(self._prefix, queue, "")
            for start in range(0, len(job_ids), JOBS_A_ROUND):
                async with away():
                    await self._client.eval(_REMOVE, 1, base, LONGEST_SEARCH, *job_ids[start : start + JOBS_A_ROUND])


class _State(IntEnum):
    GONE = 0
    WAITS = 1
    RUNS = 2
    HAS_ENDED = 3


# Children that a job has added may not be in the record yet, so they are found here. One that has gone on to a later
# run of its parent is still among those of the earlier one, and is none of its business.
_DOOM = """
local function doom_below(key)
  for _, child in ipairs(redis.call("SMEMBERS", key .. ":dependencies")) do
    if redis.call("HGET", child, "parentKey") == key and redis.call("HEXISTS", child, "defa") == 0 then
      redis.call("HSET", child, "defa", ARGV[1])
      doom_below(child)
    end
  end
end
local states = {}
for place, key in ipairs(KEYS) do
  if redis.call("EXISTS", key) == 0 then
    states[place] = 0
  else
    if redis.call("HEXISTS", key, "finishedOn") == 1 then
      states[place] = 3
    else
      if ARGV[3] == "1" then
        redis.call("HDEL", key, "parentKey", "parent")
      end
      redis.call("HSET", key, "defa", ARGV[1])
      states[place] = redis.call("EXISTS", key .. ":lock") == 1 and 2 or 1
    end
    if redis.call("HEXISTS", key, ARGV[2]) == 1 then
      doom_below(key)
    end
  end
end
return states
"""

# BullMQ's removeJob for many jobs at once, none of them the last that a parent waits for which goes on.
_REMOVE = """
local base = KEYS[1]
local lists = {"wait", "paused", "active"}
local sets = {"waiting-children", "delayed", "prioritized"}
local function taken_from(job)
  for _, set in ipairs(sets) do
    if redis.call("ZREM", base .. set, job) == 1 then
      return set
    end
  end
  for _, list in ipairs(lists) do
    if redis.call("LLEN", base .. list) <= tonumber(ARGV[1]) and redis.call("LREM", base .. list, 1, job) == 1 then
      return list
    end
  end
end
local most = redis.call("HGET", base .. "meta", "opts.maxLenEvents") or "10000"
for place = 2, #ARGV do
  local job = ARGV[place]
  local key = base .. job
  if redis.call("EXISTS", key .. ":lock") == 0 and redis.call("HEXISTS", key, "finishedOn") == 0 then
    local from = taken_from(job)
    if from then
      local parent = redis.call("HGET", key, "parentKey")
      if parent then
        redis.call("SREM", parent .. ":dependencies", key)
      end
      redis.call("DEL", key, key .. ":logs", key .. ":dependencies", key .. ":processed", key .. ":failed",
        key .. ":unsuccessful")
      redis.call("SREM", base .. "stalled", job)
      redis.call("XADD", base .. "events", "MAXLEN", "~", most, "*", "event", "removed", "jobId", job, "prev", from)
    end
  end
end
"""
