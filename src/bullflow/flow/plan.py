"""What to dispatch: the unfinished part of a flow, as a tree for BullMQ.

First dispatch, recovery after the engine was lost, and retry are one operation: whatever has not
ended goes into the engine, and what its children have left behind goes with it: results of
completed children, and reasons of failed ones that the parent is to run in spite of.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bullflow.flow.facts import Json
from bullflow.flow.states import ENDED, JobStatus


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
    result: Json | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A job to add, the children to add below it, and those that have ended before."""

    job: StoredJob
    children: tuple["Branch", ...]
    ended: tuple[StoredJob, ...]

    @property
    def size(self) -> int:
        return 1 + sum(child.size for child in self.children)


def unfinished(jobs: Iterable[StoredJob]) -> Branch | None:
    """The part of one flow that has not ended, or None when its root has. `jobs` come in tree order."""
    children: defaultdict[str | None, list[StoredJob]] = defaultdict(list)
    for job in jobs:
        children[job.parent_id].append(job)
    roots = children[None]
    return _branch(roots[0], children) if roots and roots[0].status not in ENDED else None


def _branch(job: StoredJob, children: Mapping[str | None, Sequence[StoredJob]]) -> Branch:
    below = children.get(job.id, ())
    return Branch(
        job=job,
        children=tuple(_branch(child, children) for child in below if child.status not in ENDED),
        ended=tuple(child for child in below if child.status in ENDED),
    )
