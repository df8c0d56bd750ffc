"""What a client may ask for: the models of a flow and its jobs."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

LARGEST_SAFE_INTEGER = 2**53 - 1
MAX_DELAY = 10 * 365 * 24 * 3600 * 1000

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
QueueName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f:{}]+$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Milliseconds = Annotated[int, Field(ge=0, le=MAX_DELAY)]
Count = Annotated[int, Field(ge=0, le=LARGEST_SAFE_INTEGER)]


class _In(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class SignIn(_In):
    """A token, for which a browser gets a session."""

    token: str = Field(min_length=1, max_length=200)


class Backoff(_In):
    """How long to wait before the next attempt."""

    type: Literal["fixed", "exponential"]
    delay: Milliseconds = Field(description="Milliseconds; for `exponential`, of the first pause.")
    jitter: float | None = Field(None, ge=0, le=1, description="Share of the pause that is left to chance.")


class KeepJobs(_In):
    """How many ended jobs the engine keeps. The store remembers them whatever this says."""

    age: Count | None = Field(None, description="Seconds.")
    count: Count | None = None
    limit: Count | None = None


class JobOptions(_In):
    """The BullMQ job options that are safe in a flow. At most one of the four failure policies may be true."""

    attempts: int | None = Field(None, ge=1, le=1_000_000, description="Attempts in all, the first included.")
    backoff: Milliseconds | Backoff | None = None
    delay: Milliseconds | None = Field(None, description="Milliseconds before the first attempt.")
    priority: int | None = Field(None, ge=0, le=2_097_151, description="1 is the highest; 0 has none.")
    lifo: bool | None = None
    timeout: int | None = Field(None, ge=1, le=MAX_DELAY, description="Milliseconds an attempt may take.")
    keep_logs: Count | None = None
    stack_trace_limit: int | None = Field(None, ge=0, le=1_000)
    size_limit: Count | None = Field(None, description="Bytes that the data may have as JSON.")
    remove_on_complete: bool | Count | KeepJobs | None = None
    remove_on_fail: bool | Count | KeepJobs | None = None
    fail_parent_on_failure: bool | None = None
    ignore_dependency_on_failure: bool | None = None
    remove_dependency_on_failure: bool | None = None
    continue_parent_on_failure: bool | None = None
    timestamp: Count | None = Field(None, description="Milliseconds since the epoch.")


class _JobFields(_In):
    name: Name = Field(description="Picks the handler.", examples=["watermark-video"])
    queue_name: QueueName = Field(description="The BullMQ queue.", examples=["flowQueue"])
    data: Any = Field(default_factory=dict, description="Any JSON; what the handler gets as `job.data`.")
    opts: JobOptions = JobOptions()


class _FlowFields(_In):
    fail_fast: bool = Field(False, description="After the first final failure, cancel what has not started.")
    deadline: int | None = Field(
        None, ge=1, le=MAX_DELAY, description="Milliseconds from creation; then the flow fails."
    )
    tags: Annotated[list[Tag], Field(max_length=20)] = []


class JobIn(_JobFields):
    """One job and the jobs whose results it needs."""

    children: list["JobIn"] = []


class FlowIn(JobIn, _FlowFields):
    """A flow: BullMQ's own flow shape, with the flow's options beside the root's keys."""


class FlowsIn(_In):
    """Many flows, of which all are created or none."""

    flows: Annotated[list[FlowIn], Field(min_length=1)]


class RetryIn(_In):
    """What a job is given in its next run."""

    data: Any = Field(description="Any JSON, instead of the data that it had.")


class ShallowJob(_JobFields):
    children: list[Any] = []


class ShallowFlow(ShallowJob, _FlowFields):
    pass


class RateLimitIn(_In):
    """At most `max` jobs begin in each `duration`."""

    max: int = Field(ge=1, le=LARGEST_SAFE_INTEGER)
    duration: int = Field(ge=1, le=MAX_DELAY, description="Milliseconds.")


class QueueLimitsIn(_In):
    """What all workers of a queue may do together. What is null or left out is not limited."""

    concurrency: int | None = Field(None, ge=1, le=LARGEST_SAFE_INTEGER, description="Jobs that may run at once.")
    rate_limit: RateLimitIn | None = None
