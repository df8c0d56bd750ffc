"""Puts flows into BullMQ, each tree in one MULTI with all that belongs to it.

BullMQ's own `FlowProducer` builds the jobs and their commands. We add, in the same transaction,
what it has no word for: values of children that have ended in an earlier run, laid where BullMQ
itself would have put them, and a longer event stream for each queue. Job ids are fixed, and a tree
whose root is there is not added again, so a second sending changes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import orjson
from bullmq import FlowProducer
from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.envelope import seal
from bullflow.engine.keys import bell_stream, queue_key
from bullflow.flow.plan import Branch, StoredJob
from bullflow.flow.states import JobStatus
from bullflow.together import in_groups


class Producer:
    """Adds the unfinished parts of flows. One transaction holds whole trees, about `batch` jobs in all."""

    def __init__(self, client: Redis, prefix: str, *, keep: timedelta, stream_length: int, batch: int = 1_000) -> None:
        self._client = client
        self._prefix = prefix
        self._keep_seconds = round(keep.total_seconds())
        self._stream_length = stream_length
        self._batch = batch
        self._flows = FlowProducer(opts={"connection": client, "prefix": prefix})
        self._queues: set[str] = set()

    async def add(self, branches: Sequence[Branch]) -> None:
        """Add these trees; raises EngineAway, and then none, some or all of them may be in the engine."""
        async with away():
            for group in in_groups(branches, lambda branch: branch.size, self._batch):
                await self._add(group)

    async def _add(self, branches: Sequence[Branch]) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            # Between the look and the adding nobody else may add them: BullMQ, given a whole tree a second time, puts
            # children that have failed back among those that their parent waits for.
            await pipe.watch(*(self._job_key(branch.job) for branch in branches))
            there = await self._there(branches)
            pipe.multi()  # type: ignore[no-untyped-call]
            await self._fill(pipe, branches, there)
            await pipe.execute()
        self._queues |= _queues(branches)

    async def _fill(self, pipe: Any, branches: Sequence[Branch], there: set[str]) -> None:
        entries = [entry for branch in branches for entry in await self._entries(branch, there)]
        queues = _queues(branches)
        for queue in queues:
            pipe.hset(queue_key(self._prefix, queue, "meta"), "opts.maxLenEvents", str(self._stream_length))
        for entry in entries:
            job = entry["job"]
            scripts = job.queue.backend.scripts
            await (scripts.addParentJob(job, pipe) if entry["is_parent"] else scripts.addJob(job, pipe))
        for branch in branches:
            if branch.job.job_id not in there:
                self._leave_values(pipe, branch)
        if not queues <= self._queues:
            pipe.xadd(bell_stream(self._prefix), {"queues": str(len(queues))}, maxlen=100)

    async def _there(self, branches: Sequence[Branch]) -> set[str]:
        """The ids of those roots that are in the engine."""
        roots = [branch.job for branch in branches]
        async with self._client.pipeline(transaction=False) as pipe:
            for root in roots:
                pipe.exists(self._job_key(root))
            return {root.job_id for root, is_there in zip(roots, await pipe.execute(), strict=True) if is_there}

    async def _entries(self, branch: Branch, there: set[str]) -> list[dict[str, Any]]:
        """What BullMQ adds for this tree, its root first; of a tree that is there already only the root."""
        entries: list[dict[str, Any]] = []
        await self._flows.addNodes([self._node(branch)], entries)
        return entries[:1] if branch.job.job_id in there else entries

    def _node(self, branch: Branch) -> dict[str, Any]:
        job = branch.job
        return {
            "name": job.name,
            "queueName": job.queue_name,
            "data": orjson.loads(job.data.text),
            "opts": seal(branch, self._keep_seconds),
            "children": [self._node(child) for child in branch.children],
        }

    def _leave_values(self, pipe: Any, branch: Branch) -> None:
        """Give a parent what its ended children have left, for it will not hear of them again."""
        parent_key = self._job_key(branch.job)
        for child in branch.ended:
            if child.status is JobStatus.COMPLETED and child.result is not None:
                pipe.hset(f"{parent_key}:processed", self._job_key(child), child.result.text)
            elif child.opts.get("ignoreDependencyOnFailure") or child.opts.get("continueParentOnFailure"):
                reason = (child.error or {}).get("message", "")
                pipe.hset(f"{parent_key}:failed", self._job_key(child), reason)
        for below in branch.children:
            self._leave_values(pipe, below)

    def _job_key(self, job: StoredJob) -> str:
        return queue_key(self._prefix, job.queue_name, job.job_id)


def _queues(branches: Iterable[Branch]) -> set[str]:
    return {job.queue_name for branch in branches for job in _jobs(branch)}


def _jobs(branch: Branch) -> Iterator[StoredJob]:
    yield branch.job
    for child in branch.children:
        yield from _jobs(child)
