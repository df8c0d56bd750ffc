"""What the store and the engine say about the same jobs, and what follows where they differ.

The store is the truth of what has ended; everything else happens in the engine. So there are three
kinds of drift, each with its own way out:

* the engine has gone on, and the store has not heard of it: the record is settled by the engine's own state;
* the engine has lost a job that is open, or keeps a parent waiting for nothing: the flow is recovered, which
  means that all of it that has not ended gets a new run and is dispatched again;
* the engine still has a job that has ended in the store, because it went back in time: the job is doomed there,
  and if the flow goes on, it is recovered, for a parent waits for what has come already.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from bullflow.flow.facts import Fact, FactId, FactKind, Json
from bullflow.flow.states import ENDED, JobStatus
from bullflow.flow.tree import run_id

STARTED_ANEW = "the engine was started anew"
RUNS_BACK = 3
"""An engine that goes back in time goes back by seconds, not by more runs of a job than these."""


class Presence(IntEnum):
    """What the engine has of a job."""

    GONE = 0
    ENDED = 1
    WAITING = 2
    ACTIVE = 3
    DELAYED = 4
    PRIORITIZED = 5
    WAITING_CHILDREN = 6
    STUCK = 7
    """A parent that waits, while none of the children that it waits for is left."""
    DOOMED = 8
    """It has not ended, and will not run any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """By what the engine is known again: a number that only grows, and its server's name for its present life."""

    mark: int
    server: str | None

    def doubt(self, mark: int | None, server: str | None) -> str | None:
        """Why an engine that shows these may have forgotten something; None when there is no reason to think so."""
        if mark is None or mark < self.mark:
            return "the engine has lost what it knew"
        if server is not None and self.server is not None and server != self.server:
            return STARTED_ANEW
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedJob:
    """A job as an audit sees it in the store."""

    id: str
    job_id: str
    flow_id: str
    queue_name: str
    status: JobStatus
    is_root: bool
    is_parent: bool
    last_fact: FactId
    is_due: bool = False
    """Its flow is about to be dispatched or withdrawn, so the engine may lack it."""

    @property
    def earlier(self) -> list[str]:
        """The BullMQ ids of the last few runs before this one."""
        run = int(self.job_id.rpartition("-")[2])
        return [run_id(self.id, before) for before in range(max(1, run - RUNS_BACK), run)]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a job has ended in the engine: with a result, or without one it has failed. `at` is in milliseconds."""

    at: int
    result: Json | None
    child: str | None
    """The BullMQ id of the child because of which it has failed."""


Unheard = tuple[AuditedJob, FactKind | None]
"""A job that has gone on, and what has happened; None: it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How the engine differs from the store in one flow."""

    flow_id: str
    unheard: list[Unheard] = field(default_factory=list)
    lost: list[AuditedJob] = field(default_factory=list)
    stuck: list[AuditedJob] = field(default_factory=list)
    revenants: list[tuple[AuditedJob, str]] = field(default_factory=list)
    """Jobs that have ended, or have a newer run, and are about to run, with the BullMQ id under which they do."""
    went_on: frozenset[str] = frozenset()
    """The BullMQ ids of its jobs that had not ended when it was looked at."""
    all_gone: bool = False
    """Nothing that is open is left in the engine."""

    @property
    def ended_again(self) -> list[AuditedJob]:
        """Jobs whose end the engine has forgotten, unless their flow is being seen to anyway."""
        return [job for job, job_id in self.revenants if job_id == job.job_id and not job.is_due]

    @property
    def needs_recovery(self) -> bool:
        """Whether the flow cannot go on by itself."""
        return bool(self.lost or self.stuck or self.ended_again)

    def __bool__(self) -> bool:
        return bool(self.unheard or self.lost or self.stuck or self.revenants)


_TOLD_BY = {
    Presence.ENDED: None,
    Presence.WAITING: FactKind.WAITING,
    Presence.ACTIVE: FactKind.ACTIVE,
    Presence.DELAYED: FactKind.DELAYED,
    Presence.PRIORITIZED: FactKind.WAITING,
    Presence.WAITING_CHILDREN: FactKind.WAITING_CHILDREN,
}
_SHOWN_AS = {
    Presence.WAITING: JobStatus.WAITING,
    Presence.ACTIVE: JobStatus.ACTIVE,
    Presence.DELAYED: JobStatus.DELAYED,
    Presence.PRIORITIZED: JobStatus.PRIORITIZED,
    Presence.WAITING_CHILDREN: JobStatus.WAITING_CHILDREN,
}
_IS_ABOUT_TO_RUN = frozenset(_SHOWN_AS) | {Presence.STUCK}


def compare(jobs: Iterable[AuditedJob], seen: Mapping[str, Presence]) -> list[Drift]:
    """The flows in which the engine differs from the store. `seen` holds BullMQ ids, also of earlier runs."""
    by_flow: defaultdict[str, list[AuditedJob]] = defaultdict(list)
    for job in jobs:
        by_flow[job.flow_id].append(job)
    drifts = (_drift(flow_id, of_flow, seen) for flow_id, of_flow in by_flow.items())
    return [drift for drift in drifts if drift]


def _drift(flow_id: str, jobs: Iterable[AuditedJob], seen: Mapping[str, Presence]) -> Drift:
    open_jobs = [job for job in jobs if job.status not in ENDED and not job.is_due]
    gone = [seen[job.job_id] is Presence.GONE for job in open_jobs]
    drift = Drift(
        flow_id=flow_id, went_on=frozenset(job.job_id for job in open_jobs), all_gone=bool(gone) and all(gone)
    )
    for job in jobs:
        presence = seen[job.job_id]
        if job.status in ENDED:
            if presence in _IS_ABOUT_TO_RUN:
                drift.revenants.append((job, job.job_id))
        elif job.is_due:
            # Jobs of an earlier run may go on beside those that are to be dispatched.
            if presence is Presence.ENDED:
                drift.unheard.append((job, None))
        elif presence is Presence.GONE:
            drift.lost.append(job)
        elif presence is Presence.STUCK:
            drift.stuck.append(job)
        elif _has_gone_on(job.status, presence):
            drift.unheard.append((job, _TOLD_BY[presence]))
        drift.revenants.extend((job, job_id) for job_id in job.earlier if seen.get(job_id) in _IS_ABOUT_TO_RUN)
    return drift


def _has_gone_on(status: JobStatus, presence: Presence) -> bool:
    if presence is Presence.ENDED:
        return True
    if presence is Presence.WAITING and status is JobStatus.ACTIVE:
        return False  # its worker may have died, and then BullMQ is about to tell
    if presence is Presence.WAITING and status is JobStatus.PRIORITIZED:
        return False  # it has stalled; BullMQ puts such jobs at the end of the line, whatever their priority
    return presence in _SHOWN_AS and _SHOWN_AS[presence] is not status


def settled(unheard: Iterable[Unheard], ends: Mapping[str, End], at: int) -> list[tuple[str, Fact]]:
    """What no stream tells any more, as facts, each with the queue of its job.

    `ends` are by BullMQ ids; `at` is when the engine was looked at: what has happened since has later ids.
    """
    facts: list[tuple[str, Fact]] = []
    for job, kind in unheard:
        end = ends.get(job.job_id)
        if kind is not None:
            facts.append((job.queue_name, Fact(id=FactId(at, 0), kind=kind, job_id=job.job_id)))
        elif end is not None:
            after_all = FactId(job.last_fact.ms, job.last_fact.n + 1)
            fact = Fact(
                id=max(FactId(end.at, 0), after_all),
                kind=FactKind.FAILED if end.result is None else FactKind.COMPLETED,
                job_id=job.job_id,
                result=end.result,
                child=end.child,
            )
            facts.append((job.queue_name, fact))
    return facts
