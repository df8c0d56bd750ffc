"""Where the engine has single jobs: in which order they come, and until when they are delayed."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.keys import queue_key
from bullflow.flow.explain import Example, Place
from bullflow.flow.states import JobStatus

_SCORE_OF_MS = 0x1000
"""BullMQ's scores of delayed jobs are milliseconds times this, with a counter in the lower bits."""


async def places(client: Redis, prefix: str, jobs: Sequence[Example]) -> dict[str, Place]:
    """The places of these jobs by their BullMQ ids, in one round trip; raises EngineAway."""
    async with away(), client.pipeline(transaction=False) as pipe:
        for job in jobs:
            key = _key(prefix, job)
            pipe.exists(key(job.job_id))
            pipe.llen(key("wait"))
            pipe.lpos(key("wait"), job.job_id)
            pipe.zrank(key("prioritized"), job.job_id)
            pipe.zscore(key("delayed"), job.job_id)
        answers = await pipe.execute()
    return {job.job_id: _place(job, *answers[5 * place : 5 * place + 5]) for place, job in enumerate(jobs)}


def _key(prefix: str, job: Example) -> Any:
    return lambda part: queue_key(prefix, job.queue_name, part)


def _place(job: Example, exists: int, waiting: int, index: int | None, rank: int | None, score: Any) -> Place:
    behind = None
    if index is not None:
        behind = waiting - 1 - index  # workers take from the end
    elif rank is not None:
        behind = waiting + rank  # those with a priority come after those without
    until = int(float(score)) // _SCORE_OF_MS if score is not None and job.status is JobStatus.DELAYED else None
    return Place(known=bool(exists), behind=behind, until=until)
