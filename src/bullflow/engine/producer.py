"""Puts flows into BullMQ, each tree in one MULTI with all that belongs to it.

The planter queues the jobs as BullMQ's own `FlowProducer` would. We add, in the same transaction,
what it has no word for: values of children that have ended in an earlier run, laid where BullMQ
itself would have put them. Job ids are fixed, and a tree whose root is there is not added again, so a
second sending changes nothing.

Jobs of a flow that is retried may still be there, because siblings go on after a failure. They keep
their run: they are hung below their parent's new run, as BullMQ does it with a child that is added
again. One that has just ended is in nobody's record yet; its flow waits until it is.

Everything that was looked at is watched, so what is added is right at the moment of adding. That goes
for withdrawal too: a flow that was cancelled since the store was read leaves a mark (`remover`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import WatchError

from bullflow.engine.connection import away
from bullflow.engine.keys import queue_key, withdrawn_key
from bullflow.engine.planter import Entry, Planter, queues_of
from bullflow.flow.plan import Branch, StoredJob
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import TELLS_PARENT
from bullflow.together import in_groups

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A job that runs on from an earlier run of its flow, and BullMQ's words for its parent."""

    key: str
    parent: str
    has_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the engine knows of the flows to add: roots that are there, flows taken back, jobs that run on."""

    there: frozenset[str]
    withdrawn: frozenset[str]
    kept: dict[str, _Kept]


class Producer:
    """Adds the unfinished parts of flows. One transaction holds whole trees, about `batch` jobs in all."""

    def __init__(self, client: Redis, prefix: str, *, keep: timedelta, stream_length: int, batch: int = 1_000) -> None:
        self._client = client
        self._prefix = prefix
        self._batch = batch
        self._planter = Planter(client, prefix, keep=keep, stream_length=stream_length)

    async def add(self, branches: Sequence[Branch]) -> list[Branch]:
        """Add these trees; returns those that are in the engine now. Raises EngineAway: then any of them may be.

        Left out are flows that were withdrawn, and those with a job that has ended and is not recorded yet, or that
        begins and ends too often to be caught.
        """
        added: list[Branch] = []
        async with away():
            for group in in_groups(branches, lambda branch: branch.size, self._batch):
                added += await self._insist(group)
        return added

    async def _insist(self, branches: Sequence[Branch]) -> list[Branch]:
        for _ in range(TRIES):
            try:
                return await self._add(branches)
            except WatchError:
                continue  # something that was looked at has changed
        # Jobs of one flow that run on keep changing; it is left out, and the others must not wait for it.
        return [] if len(branches) == 1 else [added for branch in branches for added in await self._insist([branch])]

    async def _add(self, branches: Sequence[Branch]) -> list[Branch]:
        async with self._client.pipeline(transaction=True) as pipe:
            # Between the look and the adding nobody else may add them: BullMQ, given a whole tree a second time, puts
            # children that have failed back among those that their parent waits for.
            await pipe.watch(*self._watched(branches))
            found = await self._look(branches)
            right = [branch.without(found.kept) for branch in branches if self._may_be_added(branch, found)]
            pipe.multi()  # type: ignore[no-untyped-call]
            await self._fill(pipe, right, found)
            await pipe.execute()
        self._planter.planted(queues_of(right))
        return right

    def _watched(self, branches: Sequence[Branch]) -> list[str]:
        """Marks and roots; of jobs that run on, their locks: these tell of every step, and not of mere progress."""
        marks = [withdrawn_key(self._prefix, branch.job.job_id) for branch in branches]
        roots = [self._job_key(branch.job) for branch in branches]
        below = [job for branch in branches for job in _perhaps_there(branch) if job.parent_id is not None]
        return [*marks, *roots, *(f"{self._job_key(job)}:lock" for job in below)]

    async def _look(self, branches: Sequence[Branch]) -> _Found:
        jobs = [job for branch in branches for job in _perhaps_there(branch)]
        async with self._client.pipeline(transaction=False) as pipe:
            for branch in branches:
                pipe.exists(withdrawn_key(self._prefix, branch.job.job_id))
            for job in jobs:
                pipe.hmget(self._job_key(job), "timestamp", "finishedOn", "parent")
            answers = await pipe.execute()
        marks, facts = answers[: len(branches)], answers[len(branches) :]
        there = [(job, fields) for job, fields in zip(jobs, facts, strict=True) if fields[0] is not None]
        return _Found(
            there=frozenset(job.job_id for job, _ in there if job.parent_id is None),
            withdrawn=frozenset(branch.job.job_id for branch, mark in zip(branches, marks, strict=True) if mark),
            kept={
                job.job_id: _Kept(key=self._job_key(job), parent=fields[2] or "", has_ended=fields[1] is not None)
                for job, fields in there
                if job.parent_id is not None
            },
        )

    def _may_be_added(self, branch: Branch, found: _Found) -> bool:
        if branch.job.job_id in found.withdrawn:
            return False
        if branch.job.job_id in found.there:
            return True
        return not any(job.job_id in found.kept and found.kept[job.job_id].has_ended for job in branch.jobs())

    async def _fill(self, pipe: Any, branches: Sequence[Branch], found: _Found) -> None:
        waiting = {parent for branch in branches for parent in _parents_of_kept(branch)}
        entries = [
            {**entry, "is_parent": entry["is_parent"] or entry["job"].id in waiting}
            for branch in branches
            for entry in await self._entries(branch, found.there)
        ]
        await self._planter.plant(pipe, entries, queues_of(branches))
        for branch in branches:
            if branch.job.job_id not in found.there:
                self._leave_values(pipe, branch)
                self._hang_kept(pipe, branch, found)

    async def _entries(self, branch: Branch, there: frozenset[str]) -> list[Entry]:
        """What BullMQ adds for this tree, its root first; of a tree that is there already only the root."""
        entries = await self._planter.entries([branch])
        return entries[:1] if branch.job.job_id in there else entries

    def _leave_values(self, pipe: Any, branch: Branch) -> None:
        """Give a parent what its ended children have left, for it will not hear of them again."""
        parent_key = self._job_key(branch.job)
        for child in branch.ended:
            if child.status is JobStatus.COMPLETED and child.result is not None:
                pipe.hset(f"{parent_key}:processed", self._job_key(child), child.result.text)
            elif child.policy in TELLS_PARENT:
                pipe.hset(f"{parent_key}:failed", self._job_key(child), (child.error or {}).get("message", ""))
        if branch.blocker is not None:
            self._doom(pipe, branch, branch.blocker)
        for below in branch.children:
            self._leave_values(pipe, below)

    def _doom(self, pipe: Any, branch: Branch, blocker: StoredJob) -> None:
        """Whoever takes this parent fails it without running it, in the words in which BullMQ says why."""
        parent_key, child_key = self._job_key(branch.job), self._job_key(blocker)
        pipe.zadd(f"{parent_key}:unsuccessful", {child_key: branch.job.created_at})
        pipe.hset(parent_key, "defa", f"child {child_key} failed")

    def _hang_kept(self, pipe: Any, branch: Branch, found: _Found) -> None:
        parent_key = self._job_key(branch.job)
        for child in branch.kept:
            kept = found.kept[child.job_id]
            parent = orjson.loads(kept.parent or "{}") | {"id": branch.job.job_id}
            pipe.hset(kept.key, mapping={"parentKey": parent_key, "parent": orjson.dumps(parent).decode()})
            pipe.sadd(f"{parent_key}:dependencies", kept.key)
        for below in branch.children:
            self._hang_kept(pipe, below, found)

    def _job_key(self, job: StoredJob) -> str:
        return queue_key(self._prefix, job.queue_name, job.job_id)


def _perhaps_there(branch: Branch) -> Iterable[StoredJob]:
    """The jobs that may be in the engine before the tree is added: at the first time the root tells for all."""
    return branch.jobs() if branch.job.run > 1 else (branch.job,)


def _parents_of_kept(branch: Branch) -> Iterator[str]:
    """Parents that wait for jobs which are there already, whether or not children are added below them."""
    if branch.kept:
        yield branch.job.job_id
    for child in branch.children:
        yield from _parents_of_kept(child)
