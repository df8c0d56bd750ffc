"""Queues what adds trees of jobs to BullMQ in a MULTI that somebody else has opened.

BullMQ's own `FlowProducer` builds the jobs and their commands. With them go a longer event stream for
each queue, and the bell for queues that this process has not used before.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any

import orjson
from bullmq import FlowProducer
from redis.asyncio import Redis

from bullflow.engine.envelope import seal
from bullflow.engine.keys import bell_stream, queue_key
from bullflow.flow.plan import Branch

Entry = dict[str, Any]
"""One job as BullMQ's `FlowProducer` lists it: `job`, and `is_parent`."""


class Planter:
    """Adds trees, whose jobs the engine keeps for so long after they have ended."""

    def __init__(self, client: Redis, prefix: str, *, keep: timedelta, stream_length: int) -> None:
        self._prefix = prefix
        self._keep_seconds = round(keep.total_seconds())
        self._stream_length = stream_length
        self._flows = FlowProducer(opts={"connection": client, "prefix": prefix})
        self._queues: set[str] = set()

    async def entries(self, branches: Sequence[Branch], *, parent: dict[str, str] | None = None) -> list[Entry]:
        """What BullMQ adds for these trees, each root before what is below it; `parent` is BullMQ's option."""
        entries: list[Entry] = []
        await self._flows.addNodes([self._node(branch, parent) for branch in branches], entries)
        return entries

    async def plant(self, pipe: Any, entries: Iterable[Entry], queues: AbstractSet[str]) -> None:
        """Queue the commands for these entries, whose jobs are in these queues."""
        for queue in queues:
            pipe.hset(queue_key(self._prefix, queue, "meta"), "opts.maxLenEvents", str(self._stream_length))
        for entry in entries:
            job = entry["job"]
            scripts = job.queue.backend.scripts
            await (scripts.addParentJob(job, pipe) if entry["is_parent"] else scripts.addJob(job, pipe))
        if not queues <= self._queues:
            pipe.xadd(bell_stream(self._prefix), {"queues": str(len(queues))}, maxlen=100)

    def planted(self, queues: AbstractSet[str]) -> None:
        """The MULTI has been executed: these queues are known."""
        self._queues |= queues

    def _node(self, branch: Branch, parent: dict[str, str] | None = None) -> dict[str, Any]:
        job = branch.job
        opts = seal(branch, self._keep_seconds)
        return {
            "name": job.name,
            "queueName": job.queue_name,
            "data": orjson.loads(job.data.text),
            "opts": opts if parent is None else {**opts, "parent": parent},
            "children": [self._node(child) for child in branch.children],
        }


def queues_of(branches: Iterable[Branch]) -> set[str]:
    """The queues of all jobs that are to be added."""
    return {job.queue_name for branch in branches for job in branch.jobs()}
