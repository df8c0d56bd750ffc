"""Puts flows into BullMQ, each tree in one MULTI with all that belongs to it.

The planter adds the jobs as BullMQ's own `FlowProducer` would. We add, in the same transaction,
what it has no word for: values of children that have ended in an earlier run, laid where BullMQ
itself would have put them. Job ids are fixed, and a tree whose root is there is not added again, so a
second sending changes nothing.

Jobs of a flow that is retried may still be there, because siblings go on after a failure. They keep
their run: they are hung below their parent's new run, as BullMQ does it with a child that is added
again. One that has just ended is in nobody's record yet; its flow waits until it is.

Everything that was looked at is watched, so what is added is right at the moment of adding. That goes
for withdrawal too: a flow that was cancelled since the store was read leaves a mark (`remover`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson

from bullflow.engine.adding import add_scripts
from bullflow.engine.connection import Client
from bullflow.engine.keys import queue_key, withdrawn_key
from bullflow.engine.planter import Planter
from bullflow.engine.transaction import Command, Transaction, Transactions
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

    def may_be_added(self, branch: Branch) -> bool:
        if branch.job.job_id in self.withdrawn:
            return False
        if branch.job.job_id in self.there or not self.kept:
            return True
        return not any(job.job_id in self.kept and self.kept[job.job_id].has_ended for job in branch.jobs())

    def without_kept(self, branch: Branch) -> Branch:
        return branch.without(self.kept) if self.kept else branch


class Producer:
    """Adds the unfinished parts of flows. One transaction holds whole trees, about `batch` jobs in all."""

    def __init__(self, client: Client, prefix: str, *, keep: timedelta, stream_length: int, batch: int = 1_000) -> None:
        self._prefix = prefix
        self._batch = batch
        self._transactions = Transactions(client)
        self._planter = Planter(prefix, keep=keep, stream_length=stream_length)

    async def add(self, branches: Sequence[Branch]) -> list[Branch]:
        """Add these trees; returns those that are in the engine now. Raises EngineAway: then any of them may be.

        Left out are flows that were withdrawn, and those with a job that has ended and is not recorded yet, or that
        begins and ends too often to be caught.
        """
        added: list[Branch] = []
        for group in in_groups(branches, lambda branch: branch.size, self._batch):
            added += await self._insist(group)
        return added

    async def close(self) -> None:
        """Give its connection back to the client."""
        await self._transactions.close()

    async def _insist(self, branches: Sequence[Branch]) -> list[Branch]:
        for _ in range(TRIES):
            added = await self._add(branches)
            if added is not None:
                return added
        # Jobs of one flow that run on keep changing; it is left out, and the others must not wait for it.
        return [] if len(branches) == 1 else [added for branch in branches for added in await self._insist([branch])]

    async def _add(self, branches: Sequence[Branch]) -> list[Branch] | None:
        """Those that were added, None when something that was looked at has changed."""
        async with self._transactions.begin() as transaction:
            # Between the look and the adding nobody else may add them: BullMQ, given a whole tree a second time, puts
            # children that have failed back among those that their parent waits for.
            found = await self._look(transaction, branches)
            right = [found.without_kept(branch) for branch in branches if found.may_be_added(branch)]
            if right and await transaction.commit(self._commands(right, found)) is None:
                return None
        self._planter.planted(right)
        return right

    def _watched(self, branches: Sequence[Branch]) -> list[str]:
        """Marks and roots; of jobs that run on, their locks: these tell of every step, and not of mere progress."""
        marks = [withdrawn_key(self._prefix, branch.job.job_id) for branch in branches]
        roots = [self._job_key(branch.job) for branch in branches]
        below = [job for branch in branches for job in _perhaps_there(branch) if job.parent_id is not None]
        return [*marks, *roots, *(f"{self._job_key(job)}:lock" for job in below)]

    async def _look(self, transaction: Transaction, branches: Sequence[Branch]) -> _Found:
        jobs = [job for branch in branches for job in _perhaps_there(branch)]
        marks: list[Command] = [("EXISTS", withdrawn_key(self._prefix, branch.job.job_id)) for branch in branches]
        facts: list[Command] = [("HMGET", self._job_key(job), "timestamp", "finishedOn", "parent") for job in jobs]
        answers = await transaction.look(self._watched(branches), [*marks, *facts], add_scripts())
        are_marked, known = answers[: len(branches)], answers[len(branches) :]
        there = [(job, fields) for job, fields in zip(jobs, known, strict=True) if fields[0] is not None]
        return _Found(
            there=frozenset(job.job_id for job, _ in there if job.parent_id is None),
            withdrawn=frozenset(branch.job.job_id for branch, mark in zip(branches, are_marked, strict=True) if mark),
            kept={
                job.job_id: _Kept(key=self._job_key(job), parent=fields[2] or "", has_ended=fields[1] is not None)
                for job, fields in there
                if job.parent_id is not None
            },
        )

    def _commands(self, branches: Sequence[Branch], found: _Found) -> list[Command]:
        commands = self._planter.plant(branches, there=found.there)
        for branch in branches:
            for parent in () if branch.job.job_id in found.there else branch.parents():
                commands += self._left(parent)
                commands += self._hung(parent, found)
        return commands

    def _left(self, branch: Branch) -> Iterable[Command]:
        """Give a parent what its ended children have left, for it will not hear of them again."""
        parent_key = self._job_key(branch.job)
        for child in branch.ended:
            if child.status is JobStatus.COMPLETED and child.result is not None:
                yield ("HSET", f"{parent_key}:processed", self._job_key(child), child.result.text)
            elif child.policy in TELLS_PARENT:
                yield ("HSET", f"{parent_key}:failed", self._job_key(child), (child.error or {}).get("message", ""))
        if branch.blocker is not None:
            yield from self._doom(branch, branch.blocker)

    def _doom(self, branch: Branch, blocker: StoredJob) -> Iterable[Command]:
        """Whoever takes this parent fails it without running it, in the words in which BullMQ says why."""
        parent_key, child_key = self._job_key(branch.job), self._job_key(blocker)
        yield ("ZADD", f"{parent_key}:unsuccessful", branch.job.created_at, child_key)
        yield ("HSET", parent_key, "defa", f"child {child_key} failed")

    def _hung(self, branch: Branch, found: _Found) -> Iterable[Command]:
        """Hang jobs that run on below the new run of their parent."""
        parent_key = self._job_key(branch.job)
        for child in branch.kept:
            kept = found.kept[child.job_id]
            parent = orjson.loads(kept.parent or "{}") | {"id": branch.job.job_id}
            yield ("HSET", kept.key, "parentKey", parent_key, "parent", orjson.dumps(parent))
            yield ("SADD", f"{parent_key}:dependencies", kept.key)

    def _job_key(self, job: StoredJob) -> str:
        return queue_key(self._prefix, job.queue_name, job.job_id)


def _perhaps_there(branch: Branch) -> Iterable[StoredJob]:
    """The jobs that may be in the engine before the tree is added: at the first time the root tells for all."""
    return branch.jobs() if branch.job.run > 1 else (branch.job,)
