"""A ledger that keeps decisions as well as facts: endings and retries, as the services take them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bullflow.flow import ending, retry
from bullflow.flow.audit import Drift
from bullflow.flow.facts import Fact
from bullflow.flow.fold import fold
from bullflow.flow.record import Changes, FlowState, JobState
from bullflow.flow.recovery import recover
from bullflow.flow.states import ENDED, JobStatus
from bullflow.flow.tree import Policy
from support.ledger import Ledger, a_job, a_ledger


class Books(Ledger):
    """One flow. Jobs are found by the BullMQ id of their present run, so a new run takes the place of the old one."""

    @property
    def flow(self) -> FlowState:
        (flow,) = self.flows.values()
        return flow

    def job(self, own_id: str) -> JobState:
        return next(job for job in self.jobs.values() if job.id == own_id)

    def statuses(self) -> dict[str, str]:
        return {job.id: job.status.value for job in self.jobs.values()}

    def open_jobs(self) -> list[JobState]:
        return [job for job in self.jobs.values() if job.status not in ENDED]

    def unfinished(self) -> list[JobState]:
        return [job for job in self.jobs.values() if job.status is not JobStatus.COMPLETED]

    def line(self, own_id: str) -> list[JobState]:
        """A job and all above it, the root first."""
        job = self.job(own_id)
        return [*(self.line(job.parent_id) if job.parent_id is not None else ()), job]

    def keep(self, changes: Changes) -> Changes:
        """Write down what was decided."""
        places = {job.id: key for key, job in self.jobs.items()}
        after = {places[job.id]: job for job in changes.jobs}
        self.jobs = {job.job_id: job for job in (after.get(key, job) for key, job in self.jobs.items())}
        self.flows.update((flow.id, flow) for flow in changes.flows)
        self.log.extend(changes.entries)
        return changes

    def record(self, facts: Iterable[Fact]) -> Changes:
        """Fold one batch as the recorder does: with the children that the facts name, and what failures bring along."""
        facts = list(facts)
        jobs = [self.jobs[key] for key in sorted({fact.job_id for fact in facts}) if key in self.jobs]
        children = [self.jobs[key] for key in sorted({fact.child or "" for fact in facts}) if key in self.jobs]
        folded = self.keep(fold([*children, *jobs], [self.flow] if jobs else [], facts))
        failed = [job for job in folded.jobs if job.status is JobStatus.FAILED]
        failed = [job for job in failed if ending.brings_more(self.flow, job)]
        if failed:
            self.follow_up(failed, max(fact.at for fact in facts))
        return folded

    def follow_up(self, failed: Sequence[JobState], now: int) -> Changes | None:
        more = ending.after_failures(self.flow, failed, self.open_jobs(), now)
        return self.keep(more) if more is not None else None

    def cancel(self, now: int) -> Changes:
        return self.keep(ending.cancel(self.flow, self.open_jobs(), now))

    def fail(self, now: int, message: str = "too late") -> Changes:
        return self.keep(ending.fail(self.flow, self.open_jobs(), now, message))

    def recover(self, drift: Drift, delays: Mapping[str, int], now: int, *, all_gone: bool) -> Changes | None:
        changes = recover(self.flow, drift, self.open_jobs(), delays, now, all_gone=all_gone)
        return self.keep(changes) if changes is not None else None

    def reopen(self, again: Sequence[JobState], now: int, delays: Mapping[str, int] | None = None) -> Changes:
        return self.keep(retry.reopen(self.flow, again, self.open_jobs(), delays or {}, now))


def books(*jobs: JobState, **fields: Any) -> Books:
    """One flow with these jobs, as it is after its creation."""
    ledger = a_ledger(*jobs, **fields)
    return Books(ledger.jobs.values(), ledger.flows.values())


def below(
    parent: JobState, name: str, status: JobStatus = JobStatus.WAITING, policy: Policy = Policy.FAIL, **fields: Any
) -> JobState:
    """A child of this job."""
    job = a_job(name, status, depth=parent.depth + 1, parent_id=parent.id, policy=policy, **fields)
    return replace(job, name=name)
