"""What the engine has of single jobs, and whether it is still the engine that it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from bullflow.engine.connection import away, engine_error
from bullflow.engine.keys import mark_key, queue_key
from bullflow.engine.stream import child_in, json_of
from bullflow.flow.audit import End, Presence

KEYS_A_SCRIPT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was found, and when: milliseconds since the epoch by the engine's clock."""

    at: int
    seen: Mapping[str, Presence]


async def look(client: Redis, prefix: str, jobs: Sequence[tuple[str, str]]) -> Look:
    """Look for these jobs, given as queue and BullMQ id; raises EngineAway."""
    keys = [queue_key(prefix, queue, job_id) for queue, job_id in jobs]
    bases = [queue_key(prefix, queue, "") for queue, _ in jobs]
    async with away(), client.pipeline(transaction=False) as pipe:
        pipe.time()
        for start in range(0, len(jobs), KEYS_A_SCRIPT):
            some = slice(start, start + KEYS_A_SCRIPT)
            pipe.eval(_LOOK, len(keys[some]), *keys[some], *bases[some], *(job_id for _, job_id in jobs[some]))
        (seconds, micros), *answers = await pipe.execute()
    states = [state for answer in answers for state in answer]
    seen = {job_id: Presence(state) for (_, job_id), state in zip(jobs, states, strict=True)}
    return Look(at=int(seconds) * 1_000 + int(micros) // 1_000, seen=seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the engine shows of itself: what stands for the mark, and the server's name for its present life."""

    text: str | None
    server: str | None

    @property
    def mark(self) -> int | None:
        return int(self.text) if self.text is not None and self.text.isdigit() else None


async def endings(client: Redis, prefix: str, jobs: Sequence[tuple[str, str]]) -> dict[str, End]:
    """How those of these jobs have ended that have, by their BullMQ ids; raises EngineAway."""
    async with away(), client.pipeline(transaction=False) as pipe:
        for queue, job_id in jobs:
            pipe.hmget(queue_key(prefix, queue, job_id), "finishedOn", "returnvalue", "failedReason")
        answers = await pipe.execute()
    return {
        job_id: End(at=int(float(at)), result=json_of(result), child=child_in(reason or ""))
        for (_, job_id), (at, result, reason) in zip(jobs, answers, strict=True)
        if at is not None
    }


class Mark:
    """A number in the engine that only grows, beside the server's own name for its present life.

    An engine that shows an older number has forgotten something, and a server that was started anew, or has taken
    another's place, may have. While it is being compared with the store a word stands in the number's place.
    """

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._key = mark_key(prefix)

    async def read(self) -> Shown:
        """What stands there, and whose it is; raises EngineAway."""
        async with away(), self._client.pipeline(transaction=False) as pipe:
            pipe.get(self._key)
            pipe.info("server")
            found, info = await pipe.execute(raise_on_error=False)
        if isinstance(found, Exception):
            raise engine_error(found)
        # Not everybody may ask for it.
        server = None if isinstance(info, Exception) else info.get("run_id")
        return Shown(text=found, server=server)

    async def write(self, text: str, instead_of: str | None) -> bool:
        """Leave something else, unless what stood there has changed; raises EngineAway."""
        async with away():
            return bool(await self._client.eval(_WRITE, 1, self._key, text, instead_of or ""))


_WRITE = """
if (redis.call("GET", KEYS[1]) or "") == ARGV[2] then
  redis.call("SET", KEYS[1], ARGV[1])
  return 1
end
return 0
"""

# Of a job that is in none of the sorted sets and has no lock, a worker has it or will take it: it is in a list.
_LOOK = """
local states = {}
local count = #KEYS
for place, key in ipairs(KEYS) do
  local base, job = ARGV[place], ARGV[count + place]
  local known = redis.call("HMGET", key, "timestamp", "finishedOn", "defa")
  if not known[1] then
    states[place] = 0
  elseif known[2] then
    states[place] = 1
  elseif redis.call("EXISTS", key .. ":lock") == 1 then
    states[place] = 3
  elseif redis.call("ZSCORE", base .. "waiting-children", job) then
    states[place] = 7
    for _, child in ipairs(redis.call("SMEMBERS", key .. ":dependencies")) do
      if redis.call("EXISTS", child) == 1 and redis.call("HEXISTS", child, "finishedOn") == 0 then
        states[place] = 6
        break
      end
    end
  elseif redis.call("ZSCORE", base .. "delayed", job) then
    states[place] = 4
  elseif redis.call("ZSCORE", base .. "prioritized", job) then
    states[place] = 5
  else
    states[place] = 2
  end
  if known[3] and not known[2] and states[place] ~= 3 and states[place] ~= 7 then
    states[place] = 8
  end
end
return states
"""
