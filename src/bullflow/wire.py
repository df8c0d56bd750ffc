"""The JSON shapes of REST and WebSocket, shared by the service and its clients.

What comes in is read by `read_flow`, which names every fault at once. What goes out is described
by the models below; the service writes them without building them, clients parse with them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from bullflow.errors import Fault, Invalid, Malformed
from bullflow.flow.facts import Json
from bullflow.flow.states import FlowStatus, JobStatus, LogEvent
from bullflow.flow.tree import POLICIES, FlowRequest, Node, with_policy

MAX_FAULTS = 100
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


class _Out(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="ignore"
    )


# --- what comes in -------------------------------------------------------------------------------


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


class _ShallowJob(_JobFields):
    children: list[Any] = []


class _ShallowFlow(_ShallowJob, _FlowFields):
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for."""

    jobs: int
    depth: int
    data_bytes: int


def read_json(body: bytes | str) -> Any:
    """The JSON value of a body; raises Malformed."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from None


def read_flow(body: Any, limits: Limits) -> FlowRequest:
    """The flow that a parsed body asks for; raises Invalid with every fault of the whole tree."""
    reading = _Reading(limits)
    root = reading.node(body, _Place("", 0), _ShallowFlow)
    if reading.faults or root is None:
        raise Invalid(reading.faults)
    return FlowRequest(
        root=root,
        fail_fast=body.get("failFast", False),
        deadline=body.get("deadline"),
        tags=tuple(dict.fromkeys(body.get("tags", ()))),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    pointer: str
    depth: int


class _Reading:
    """One pass over a tree: counts, checks each job, collects faults and goes on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs = 0
        self._sealed = False
        self.faults: list[Fault] = []

    def node(self, body: Any, place: _Place, model: type[_ShallowJob] = _ShallowJob) -> Node | None:
        if not self._room_for(place):
            return None
        self._one_policy(body, place)
        try:
            fields = model.model_validate(body)
        except ValidationError as error:
            self._report(error, body, place)
            return None
        data = self._data(fields.data, place)
        opts = body.get("opts", {})
        return Node(
            name=fields.name,
            queue_name=fields.queue_name,
            data=data,
            opts=with_policy(
                {key: value for key, value in opts.items() if value is not None}, is_root=place.depth == 0
            ),
            children=tuple(self._children(fields.children, place)),
        )

    def _report(self, error: ValidationError, body: Any, place: _Place) -> None:
        """The faults of a job that cannot be read, and of what can be looked at all the same."""
        for fault in _faults(error, place.pointer):
            self._fault(fault)
        if isinstance(body, dict):
            self._data(body.get("data"), place)
            if isinstance(body.get("children"), list):
                self._children(body["children"], place)

    def _one_policy(self, body: Any, place: _Place) -> None:
        """Looked at here and not by the model, which looks no further once one field is wrong."""
        opts = body.get("opts") if isinstance(body, dict) else None
        chosen = [policy for policy in POLICIES if opts.get(policy) is True] if isinstance(opts, dict) else []
        if len(chosen) > 1:
            self._fault(Fault(f"{place.pointer}/opts", f"{' and '.join(chosen)} exclude each other"))

    def _children(self, children: list[Any], place: _Place) -> list[Node]:
        nodes = (
            self.node(child, _Place(f"{place.pointer}/children/{index}", place.depth + 1))
            for index, child in enumerate(children)
        )
        return [node for node in nodes if node is not None]

    def _room_for(self, place: _Place) -> bool:
        self._jobs += 1
        if self._jobs == self._limits.jobs + 1:
            self._fault(Fault(place.pointer, f"a flow may have at most {self._limits.jobs} jobs"))
        if place.depth >= self._limits.depth:
            self._fault(Fault(place.pointer, f"a flow may be at most {self._limits.depth} levels deep"))
            return False
        return self._jobs <= self._limits.jobs

    def _data(self, data: Any, place: _Place) -> Json:
        try:
            text = orjson.dumps(data)
        except (TypeError, orjson.JSONEncodeError) as error:
            self._fault(Fault(f"{place.pointer}/data", f"cannot be kept as JSON: {error}"))
            return Json("null")
        if len(text) > self._limits.data_bytes:
            self._fault(
                Fault(f"{place.pointer}/data", f"is {len(text)} bytes; a job's data may have {self._limits.data_bytes}")
            )
        return Json(text.decode())

    def _fault(self, fault: Fault) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        elif not self._sealed:
            self._sealed = True
            self.faults.append(Fault("", f"only the first {MAX_FAULTS} faults are shown"))


def _faults(error: ValidationError, pointer: str) -> list[Fault]:
    """Pydantic's errors with JSON pointers, one for each place, the innermost where they nest."""
    found: dict[str, Fault] = {}
    for part in error.errors(include_url=False, include_context=False, include_input=False):
        path = list(_path(part["loc"]))
        where = pointer + "".join(f"/{_step(step)}" for step in path)
        found.setdefault(where, Fault(where, _detail(part, path)))
    return [fault for where, fault in found.items() if not any(other.startswith(f"{where}/") for other in found)]


def _path(loc: tuple[int | str, ...]) -> Iterator[int | str]:
    """A location without the names of union branches, which stand for no step in the body."""
    for index, step in enumerate(loc):
        before = loc[index - 1] if index else None
        if before in _UNIONS and (not isinstance(step, str) or step not in _UNION_FIELDS):
            continue
        yield step


def _detail(part: ErrorDetails, path: list[int | str]) -> str:
    if path and part["loc"][-1] != path[-1]:  # the name of a union's branch: none of them takes this value
        return _UNIONS[path[-1]]
    if path and part["type"] == "model_type":
        return "must be an object"
    return _DETAILS.get(part["type"], part["msg"])


_KEEP = "must be true, false, a number of jobs, or an object with age, count or limit"
_UNIONS: Mapping[int | str, str] = {
    "backoff": "must be milliseconds, at most ten years of them, or an object with type and delay",
    "removeOnComplete": _KEEP,
    "removeOnFail": _KEEP,
}
_UNION_FIELDS = frozenset({"type", "delay", "jitter", "age", "count", "limit"})
_DETAILS: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "model_type": "must be an object with at least name and queueName",
    "string_pattern_mismatch": "must not contain control characters, and in queue names no ':', '{' or '}'",
}


def _step(step: int | str) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


# --- what goes out -------------------------------------------------------------------------------


class ProblemFault(_Out):
    pointer: str = Field(description="A JSON pointer into the body, or `?name` for a query parameter.")
    detail: str


class Problem(_Out):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[ProblemFault] = []


class JobError(_Out):
    message: str
    stack: str | None = None
    attempt: int | None = None


class Job(_Out):
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
    created_at: str
    updated_at: str
    started_at: str | None = None
    finished_at: str | None = None
    children: list[str] = Field(description="The ids of its children, in the order of the request.")


class JobNode(Job):
    """A job with its children inside."""

    children: list["JobNode"] = []  # type: ignore[assignment]
    more_children: int = Field(0, description="Children that `depth` or `maxChildren` left out.")


class Flow(_Out):
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


class CreatedFlow(Flow):
    """A flow with the first of its jobs."""

    jobs: list[Job]
    jobs_next: str | None = Field(None, description="The cursor for `/flows/{id}/jobs` when there are more.")


class CheckedFlow(_Out):
    """What a flow would be that was only checked (`?dryRun=true`)."""

    jobs: int
    depth: int
    queues: list[str]


class FlowTree(Flow):
    root: JobNode


class FlowPage(_Out):
    items: list[Flow]
    next: str | None


class JobPage(_Out):
    items: list[Job]
    next: str | None


class Event(_Out):
    """One entry of a flow's log. `id` and `jobId` are null for entries about the flow as a whole."""

    flow_id: str
    seq: int
    at: str
    event: LogEvent
    id: str | None = None
    job_id: str | None = None
    data: dict[str, Any]


class EventPage(_Out):
    items: list[Event]
    next: str | None = Field(description="Ask on with `?after=` the last `seq`, or with this cursor.")


class Health(_Out):
    status: Literal["ok"]


class Readiness(_Out):
    status: Literal["ready", "not ready"]
    store: str = Field(description="`ok`, or what is wrong.")
    engine: str = Field(description="`ok`, or what is wrong.")
    recorder: str = Field(description="`ok`, or what is wrong.")


class Progress(_Out):
    """How far a running job says it is. It has no `seq`: it is not part of the log and may be thinned out."""

    flow_id: str
    id: str
    progress: Any = None
