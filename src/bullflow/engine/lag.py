"""How far the record is behind: the age of the oldest entry in the event streams that is still to be recorded.

Positions are moved on only with entries about our jobs, so there may be any number of others behind one. The first
few are looked at, in one round trip and within fixed bounds: behind a crowd of other producers' entries the lag is
seen late, and never too large. Entries hold what jobs have returned, so a script leaves out all but three words.
"""

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any

from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.stream import GROWN, is_recorded, stream_key
from bullflow.flow.facts import FactId

MOST_QUEUES = 500
"""Those in which something was recorded last; whoever records reads them all at once."""
MOST_ENTRIES = 100
"""Of each stream; fewer where there are many."""
MOST_ENTRIES_IN_ALL = 10_000

_PEEK = """
local found = {}
for place, entry in ipairs(redis.call("XRANGE", KEYS[1], "(" .. ARGV[1], "+", "COUNT", ARGV[2])) do
  local fields = {event = "", jobId = ""}
  for at = 1, #entry[2], 2 do
    if fields[entry[2][at]] then fields[entry[2][at]] = entry[2][at + 1] end
  end
  found[place] = {entry[1], fields.event, fields.jobId}
end
return found
"""


async def recorder_lag(client: Redis, prefix: str, positions: Mapping[str, FactId]) -> int:
    """Milliseconds; 0 when all is recorded behind these positions. Raises EngineAway."""
    queues = nlargest(MOST_QUEUES, positions, key=positions.__getitem__)
    count = min(MOST_ENTRIES, MOST_ENTRIES_IN_ALL // max(1, len(queues)))
    async with away(), client.pipeline(transaction=False) as pipe:
        pipe.time()  # the clock that entries are dated by
        for queue in queues:
            pipe.eval(_PEEK, 1, stream_key(prefix, queue), str(positions[queue]), str(count))
        (seconds, microseconds), *answers = await pipe.execute()
    oldest = min(_oldest(queues, answers), default=None)
    return 0 if oldest is None else max(0, seconds * 1000 + microseconds // 1000 - oldest)


def _oldest(queues: Sequence[str], answers: Sequence[Any]) -> Iterator[int]:
    """The instant of the first entry of each stream that is still to be recorded."""
    for queue, entries in zip(queues, answers, strict=True):
        for key, event, job_id in entries:
            if queue == GROWN or is_recorded(event, job_id):
                yield FactId.parse(key).ms
                break
