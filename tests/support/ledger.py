"""The store as the fold sees it: jobs, flows and a log in memory.

It stands in for no database: it only carries what one fold returns over to the next, as the
recorder does.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bullflow.flow.facts import Fact, FactId, FactKind
from bullflow.flow.fold import fold
from bullflow.flow.record import Changes, Entry, FlowState, JobState
from bullflow.flow.states import FlowStatus, JobStatus


class Ledger:
    """Jobs by `job_id`, flows by id, and every entry ever written."""

    def __init__(self, jobs: Iterable[JobState], flows: Iterable[FlowState]) -> None:
        self.jobs = {job.job_id: job for job in jobs}
        self.flows = {flow.id: flow for flow in flows}
        self.log: list[Entry] = []

    def record(self, facts: Iterable[Fact]) -> Changes:
        """Fold one batch, with just the jobs and flows that it names, and keep what comes out."""
        facts = list(facts)
        jobs = {key: self.jobs[key] for key in (fact.job_id for fact in facts) if key in self.jobs}
        flows = {job.flow_id: self.flows[job.flow_id] for job in jobs.values()}
        changes = fold(jobs.values(), flows.values(), facts)
        self.jobs.update((job.job_id, job) for job in changes.jobs)
        self.flows.update((flow.id, flow) for flow in changes.flows)
        self.log.extend(changes.entries)
        return changes

    def record_all(self, batches: Iterable[Iterable[Fact]]) -> "Ledger":
        for batch in batches:
            self.record(batch)
        return self

    def entries(self, flow_id: str) -> list[Entry]:
        return [entry for entry in self.log if entry.flow_id == flow_id]

    def entries_of(self, job_id: str) -> list[Entry]:
        return [entry for entry in self.log if entry.job_id == job_id]

    def real_counts(self, flow_id: str) -> Mapping[JobStatus, int]:
        """How many jobs of the flow are in each state, counted one by one."""
        return Counter(job.status for job in self.jobs.values() if job.flow_id == flow_id)


def a_job(name: str = "root", status: JobStatus = JobStatus.WAITING, *, depth: int = 0, **fields: Any) -> JobState:
    return JobState(
        id=name, job_id=f"{name}-1", flow_id="flow", depth=depth, **{"priority": 0, "status": status, **fields}
    )


def a_ledger(*jobs: JobState, **fields: Any) -> Ledger:
    """One flow with these jobs, as it is after its creation."""
    state = {"status": FlowStatus.WAITING, "last_seq": 1, "dispatch_due": True, **fields}
    return Ledger(jobs, [FlowState(id="flow", counts=Counter(job.status for job in jobs), **state)])


def a_fact(kind: FactKind, at: int, job_id: str = "root-1", *, n: int = 0, **fields: Any) -> Fact:
    return Fact(id=FactId(at, n), kind=kind, job_id=job_id, **fields)


def told(entries: list[Entry]) -> list[tuple[str, str | None]]:
    return [(entry.event.value, entry.id) for entry in entries]


def nothing(changes: Changes) -> bool:
    return not (changes.jobs or changes.flows or changes.entries or changes.progress)
