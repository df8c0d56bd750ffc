"""What to dispatch: the unfinished part of a flow, as a tree for BullMQ.

First dispatch, recovery after the engine was lost, and retry are one operation: whatever has not
ended goes into the engine, and what its children have left behind goes with it: results of
completed children, and reasons of failed ones that the parent is to run in spite of.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bullflow.flow.facts import Json
from bullflow.flow.record import REMOVED
from bullflow.flow.states import ENDED, JobStatus
from bullflow.flow.tree import FAILS_PARENT, NewJob, Policy, policy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob:
    """A job as dispatch sees it."""

    id: str
    job_id: str
    flow_id: str
    parent_id: str | None
    name: str
    queue_name: str
    data: Json
    opts: Mapping[str, Any]
    status: JobStatus
    created_at: int
    position: int = 0
    result: Json | None = None
    error: Mapping[str, Any] | None = None

    @property
    def run(self) -> int:
        """How often it has been dispatched, this time included."""
        return int(self.job_id.rpartition("-")[2])

    @property
    def policy(self) -> Policy:
        return policy_of(self.opts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A job to add, the children to add below it, those that have ended before, and those that run on from before."""

    job: StoredJob
    children: tuple["Branch", ...]
    ended: tuple[StoredJob, ...]
    kept: tuple[StoredJob, ...] = ()

    @property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)

    @property
    def blocker(self) -> StoredJob | None:
        """A child that has ended in a way that lets its parent only fail."""
        return next((child for child in self.ended if _blocks(child)), None)

    def jobs(self) -> Iterator[StoredJob]:
        """The jobs to add, parents before their children."""
        yield self.job
        for child in self.children:
            yield from child.jobs()

    def parents(self) -> Iterator["Branch"]:
        """The branches with anything below their jobs, parents before their children."""
        if self.children or self.ended or self.kept:
            yield self
            for child in self.children:
                yield from child.parents()

    def without(self, kept: Container[str]) -> "Branch":
        """The same branch, in which jobs with these BullMQ ids stay as they are, with all that is below them."""
        return replace(
            self,
            children=tuple(child.without(kept) for child in self.children if child.job.job_id not in kept),
            kept=tuple(child.job for child in self.children if child.job.job_id in kept),
        )


def _blocks(child: StoredJob) -> bool:
    return child.status is not JobStatus.COMPLETED and child.policy in FAILS_PARENT and not _was_removed(child)


def _was_removed(child: StoredJob) -> bool:
    """What was removed is nothing to its parent, as in BullMQ."""
    return child.status is JobStatus.CANCELLED and (child.error or {}).get("message") == REMOVED


def unfinished(jobs: Iterable[StoredJob]) -> Branch | None:
    """The part of one flow that has not ended, or None when its root has. `jobs` come in tree order."""
    children: defaultdict[str | None, list[StoredJob]] = defaultdict(list)
    for job in jobs:
        children[job.parent_id].append(job)
    roots = children[None]
    return _branch(roots[0], children) if roots and roots[0].status not in ENDED else None


def accepted(flow_id: str, jobs: Iterable[NewJob], created_at: int) -> Branch | None:
    """The whole of a flow that was accepted just now, as the store would tell of it. `jobs` come in tree order."""
    return unfinished(_stored(flow_id, job, created_at) for job in jobs)


def _stored(flow_id: str, job: NewJob, created_at: int) -> StoredJob:
    return StoredJob(
        id=job.id,
        job_id=job.job_id,
        flow_id=flow_id,
        parent_id=job.parent_id,
        name=job.node.name,
        queue_name=job.node.queue_name,
        data=job.node.data,
        opts=job.node.opts,
        status=job.status,
        created_at=created_at,
        position=job.position,
    )


def _branch(job: StoredJob, children: Mapping[str | None, Sequence[StoredJob]]) -> Branch:
    below = children.get(job.id, ())
    return Branch(
        job=job,
        children=tuple(_branch(child, children) for child in below if child.status not in ENDED),
        ended=tuple(child for child in below if child.status in ENDED),
    )
