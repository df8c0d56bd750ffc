"""What the service shows. It writes these shapes without building them; clients parse with them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from bullflow.flow.explain import Reason
from bullflow.flow.states import FlowStatus, JobStatus, LogEvent


class Out(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="ignore"
    )


def _is_none(value: object) -> bool:
    """What does not apply is left out instead of being null."""
    return value is None


class ProblemFault(Out):
    pointer: str = Field(description="A JSON pointer into the body, or `?name` for a query parameter.")
    detail: str


class Problem(Out):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[ProblemFault] = []


class JobError(Out):
    """Why a job, or a flow as a whole, failed or was cancelled."""

    message: str
    stack: str | None = None
    attempt: int | None = None
    child_id: str | None = Field(None, exclude_if=_is_none, description="The child because of which it failed.")
    origin_id: str | None = Field(None, exclude_if=_is_none, description="The job further down that failed first.")


class Job(Out):
    """A job as the API shows it."""

    id: str
    job_id: str = Field(description="The BullMQ id: the job's id and the number of its run.")
    flow_id: str
    parent_id: str | None
    name: str
    queue_name: str
    status: JobStatus
    data: Any
    opts: dict[str, Any]
    result: Any = None
    error: JobError | None = None
    progress: Any = None
    attempts_made: int
    worker: str | None = Field(None, description="Who has taken it last, as far as the worker has said.")
    created_at: str
    updated_at: str
    started_at: str | None = None
    finished_at: str | None = None
    children: list[str] = Field(description="The ids of its children, in the order of the request.")


class JobNode(Job):
    """A job with its children inside."""

    children: list["JobNode"] = []  # type: ignore[assignment]
    more_children: int = Field(0, description="Children that `depth` or `maxChildren` left out.")


class Flow(Out):
    """A flow without its jobs."""

    id: str
    name: str
    status: FlowStatus
    queue_name: str
    created_at: str
    updated_at: str
    finished_at: str | None = None
    user_id: str
    result: Any = None
    error: JobError | None = None
    counts: dict[JobStatus, int]
    last_seq: int
    tags: list[str] = []
    fail_fast: bool = False
    deadline: str | None = None


class CancelledFlow(Flow):
    """A flow that was cancelled just now."""

    applied: bool = Field(
        True, description="Whether the engine knows already; else its jobs are stopped when it answers."
    )


class CreatedFlow(Flow):
    """A flow with the first of its jobs."""

    jobs: list[Job]
    jobs_next: str | None = Field(None, description="The cursor for `/flows/{id}/jobs` when there are more.")


class CheckedFlow(Out):
    """What a flow would be that was only checked (`?dryRun=true`)."""

    jobs: int
    depth: int
    queues: list[str]


class CreatedFlows(Out):
    flows: list[CreatedFlow]


class CheckedFlows(Out):
    flows: list[CheckedFlow]


class PlannedJob(Out):
    id: str
    name: str
    status: JobStatus


class PlannedJobs(Out):
    count: int
    jobs: list[PlannedJob] = Field(description="The first of them.")


class RetryPlan(Out):
    """What a retry would do."""

    flow_id: str
    again: PlannedJobs = Field(description="Jobs that run again, as they are now.")
    reused: PlannedJobs = Field(description="Completed jobs whose results those get.")


class FlowTree(Flow):
    root: JobNode


class OutlinedJob(Out):
    """A job without what may be large."""

    id: str
    parent_id: str | None
    name: str
    queue_name: str
    status: JobStatus
    attempts_made: int
    run: int = Field(description="How often it has been handed to the engine; a retry begins another run.")
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    worker: str | None = Field(None, description="Who has taken it last, as far as the worker has said.")


class FlowOutline(Out):
    """A flow and all of its jobs at one moment."""

    flow: Flow
    items: list[OutlinedJob] = Field(description="In tree order: a parent before its children.")


class FlowPage(Out):
    items: list[Flow]
    next: str | None


class JobPage(Out):
    items: list[Job]
    next: str | None


class Event(Out):
    """One entry of a flow's log. `id` and `jobId` are null for entries about the flow as a whole."""

    flow_id: str
    seq: int
    at: str
    event: LogEvent
    id: str | None = None
    job_id: str | None = None
    data: dict[str, Any]


class EventPage(Out):
    items: list[Event]
    next: str | None = Field(description="Ask on with `?after=` the last `seq`, or with this cursor.")


class Health(Out):
    status: Literal["ok"]


class Readiness(Out):
    status: Literal["ready", "not ready"]
    store: str = Field(description="`ok`, or what is wrong.")
    engine: str = Field(description="`ok`, or what is wrong.")
    recorder: str = Field(description="`ok`, or what is wrong.")
    recorder_lag: int | None = Field(
        None, description="Milliseconds by which the record is behind the engine; null while that cannot be told."
    )
    dispatch_backlog: int | None = Field(
        None, description="Flows that are not known to be in the engine yet, counted up to 10,000; null as above."
    )


class Progress(Out):
    """How far a running job says it is. It has no `seq`: it is not part of the log and may be thinned out."""

    flow_id: str
    id: str
    progress: Any = None


class Line(Out):
    """A line that a job's handler has logged."""

    id: str = Field(description="The job's id.")
    n: int = Field(description="Counts within the job, over all of its runs.")
    run: int
    at: str
    line: str


class LinePage(Out):
    items: list[Line]
    next: str | None


class LiveLine(Line):
    """A log line as a watcher gets it. Like progress it has no `seq`, and may be left out when many come."""

    flow_id: str


class ExplainedChild(Out):
    id: str
    name: str
    status: JobStatus
    queue_name: str
    worker: str | None = None
    started_at: str | None = None


class ExplainedChildren(Out):
    count: int
    jobs: list[ExplainedChild] = Field(description="The first of them.")


class ExplainedJob(ExplainedChild):
    waits_for: ExplainedChildren | None = Field(None, exclude_if=_is_none)


class ExplainedReason(Out):
    """One reason, told once for all jobs that it holds back."""

    reason: Reason
    detail: str = Field(description="The reason in words, with the way out where there is one.")
    count: int = Field(description="How many jobs.")
    queue_name: str
    behind: int | None = Field(None, description="How many jobs come before the first of them.")
    until: str | None = Field(None, description="When the first of them is due.")
    jobs: list[ExplainedJob] = Field(description="The first of them, in tree order.")


class Explanation(Out):
    flow_id: str
    status: FlowStatus
    engine: str = Field(description="`ok`, or why the engine does not answer.")
    reasons: list[ExplainedReason] = Field(
        description="What holds back the rest comes first; empty when all has ended."
    )
