"""What the terminal knows of one flow: its jobs as they were read, with the log folded in as it comes."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bullflow.client import AsyncClient
from bullflow.clock import instant
from bullflow.flow.states import ENDED, FLOW_ENDED, FlowStatus, JobStatus, LogEvent
from bullflow.wire import Event, Flow, Job, Progress

PAGE = 500
LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLine:
    """One job as the terminal shows it. Instants are milliseconds; texts are short and safe to print."""

    id: str
    parent_id: str | None
    name: str
    queue_name: str
    status: JobStatus
    is_parent: bool
    attempt: int = 1
    started_at: int | None = None
    finished_at: int | None = None
    progress: float | str | None = None
    result: str | None = None
    error: str | None = None

    def seconds(self, now: int) -> float | None:
        """How long its last attempt has run; None while it has not."""
        if self.started_at is None or self.status not in _TIMED:
            return None
        end = self.finished_at if self.status in ENDED and self.finished_at is not None else now
        return max(0, end - self.started_at) / 1000


_TIMED = ENDED | {JobStatus.ACTIVE}


class FlowView:
    """One flow and its jobs, in tree order; entries of the log may come twice or late and do no harm."""

    def __init__(self, flow: Flow, jobs: Iterable[Job]) -> None:
        self.id = flow.id
        self.name = plain(flow.name)
        self.status = flow.status
        self.created_at = instant(flow.created_at)
        self.finished_at = instant(flow.finished_at) if flow.finished_at else None
        self.last_seq = flow.last_seq
        self.jobs: dict[str, JobLine] = {job.id: _line(job) for job in jobs}

    @property
    def has_ended(self) -> bool:
        return self.status in FLOW_ENDED

    def seconds(self, now: int) -> float:
        end = now if self.finished_at is None else self.finished_at
        return max(0, end - self.created_at) / 1000

    def fold(self, entry: Event | Progress) -> None:
        """Take in what a watch has yielded."""
        job = self.jobs.get(entry.id or "")
        match entry:
            case Progress() if job is not None:
                self.jobs[job.id] = replace(job, progress=_progress(entry.progress))
            case Event() if job is not None:
                self.jobs[job.id] = _after(job, entry)
                if entry.event is LogEvent.JOB_ACTIVE and self.status is FlowStatus.WAITING:
                    self.status = FlowStatus.ACTIVE
            case Event(id=str() as job_id) if "parentId" in entry.data:
                self._grow(job_id, entry)
            case Event(id=None):
                self._fold_flow(entry)

    def _grow(self, job_id: str, event: Event) -> None:
        """A job that was added while the flow ran comes last, below its parent."""
        data = event.data
        parent = self.jobs.get(data["parentId"])
        if parent is not None:
            self.jobs[parent.id] = replace(parent, is_parent=True)
        self.jobs[job_id] = JobLine(
            id=job_id,
            parent_id=data["parentId"],
            name=plain(str(data.get("name", ""))),
            queue_name=plain(str(data.get("queueName", ""))),
            status=JobStatus(data["status"]),
            is_parent=False,
        )

    def _fold_flow(self, event: Event) -> None:
        match event.event:
            case LogEvent.FLOW_COMPLETED | LogEvent.FLOW_FAILED | LogEvent.FLOW_CANCELLED:
                self.status = FlowStatus(event.event.removeprefix("flow."))
                self.finished_at = instant(event.at)
            case LogEvent.FLOW_RETRIED:
                self.status, self.finished_at = FlowStatus.WAITING, None
                self.jobs = {key: _afresh(job) for key, job in self.jobs.items()}


async def read_view(client: AsyncClient, flow_id: str) -> FlowView:
    """The flow and all its jobs, as they are now."""
    # The flow comes first: what happens while the pages are read is then told again by the log, which does no harm.
    flow = await client.get(flow_id)
    page = await client.jobs(flow_id, limit=PAGE)
    jobs = page.items
    while page.next is not None:
        page = await client.jobs(flow_id, limit=PAGE, cursor=page.next)
        jobs += page.items
    return FlowView(flow, jobs)


def plain(text: str) -> str:
    """One short line without control characters: what users and handlers wrote must not steer the terminal."""
    line = "".join(char if char.isprintable() else " " for char in text[: 2 * LONGEST_TEXT])
    line = " ".join(line.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


def as_text(value: Any) -> str | None:
    """A JSON value on one short line; None for null."""
    return None if value is None else plain(json.dumps(value, ensure_ascii=False))


def _line(job: Job) -> JobLine:
    return JobLine(
        id=job.id,
        parent_id=job.parent_id,
        name=plain(job.name),
        queue_name=plain(job.queue_name),
        status=job.status,
        is_parent=bool(job.children),
        attempt=max(1, job.attempts_made + (job.status not in ENDED)),
        started_at=instant(job.started_at) if job.started_at else None,
        finished_at=instant(job.finished_at) if job.finished_at else None,
        progress=_progress(job.progress),
        result=as_text(job.result),
        error=plain(job.error.message) if job.error else None,
    )


def _after(job: JobLine, event: Event) -> JobLine:
    data, at = event.data, instant(event.at)
    status = JobStatus(data["status"]) if "status" in data else job.status
    match event.event:
        case LogEvent.JOB_ACTIVE:
            attempt = data.get("attempt", job.attempt)
            return replace(job, status=status, started_at=at, finished_at=None, progress=None, attempt=attempt)
        case LogEvent.JOB_COMPLETED:
            return replace(job, status=status, finished_at=at, result=as_text(data.get("result")), error=None)
        case LogEvent.JOB_FAILED | LogEvent.JOB_CANCELLED:
            return replace(job, status=status, finished_at=at, error=_message(data) or job.error)
        case LogEvent.JOB_RETRYING:
            return replace(job, status=status, attempt=job.attempt + 1, error=_message(data))
        case _ if "run" in data:
            return _begun_anew(job, status)
        case _:
            return replace(job, status=status)


def _afresh(job: JobLine) -> JobLine:
    """A job of a flow that runs again: what has completed keeps its result."""
    if job.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        return job
    return _begun_anew(job, JobStatus.WAITING_CHILDREN if job.is_parent else JobStatus.WAITING)


def _begun_anew(job: JobLine, status: JobStatus) -> JobLine:
    return replace(job, status=status, attempt=1, started_at=None, finished_at=None, progress=None, error=None)


def _message(data: Mapping[str, Any]) -> str | None:
    error = data.get("error")
    return plain(str(error.get("message", ""))) if isinstance(error, Mapping) else None


def _progress(value: Any) -> float | str | None:
    """Percent as a number; any other progress as a short text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return min(100.0, max(0.0, float(value)))
    return as_text(value)
