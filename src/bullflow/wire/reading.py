"""Reading what came in: parsed once, checked in one pass, every fault with its JSON pointer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from bullflow.errors import Fault, Invalid, Malformed
from bullflow.flow.access import allows
from bullflow.flow.facts import Json
from bullflow.flow.queues import QueueLimits, RateLimit
from bullflow.flow.tree import POLICIES, FlowRequest, Node, with_policy
from bullflow.wire.asked import QueueLimitsIn, QueueName, ShallowFlow, ShallowJob, SignIn

MAX_FAULTS = 100
MOST_VALUES = 2_000_000
"""Of one body: an object of two bytes takes thirty times as much in memory."""

_QUEUE_NAME: TypeAdapter[str] = TypeAdapter(QueueName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for."""

    jobs: int
    depth: int
    data_bytes: int
    queues: tuple[str, ...] = ()
    """Patterns of the queues that may be named; all when there are none."""


def read_json(body: bytes | str) -> Any:
    """The JSON value of a body; raises Malformed, and Invalid for one of more values than it is worth to make."""
    if len(body) > MOST_VALUES and _values(body) > MOST_VALUES:
        raise Invalid([Fault("", f"has more than {MOST_VALUES} values")])
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from None


def _values(body: bytes | str) -> int:
    """At least as many as the values in it; what stands in texts is counted along."""
    text = body.encode() if isinstance(body, str) else body
    return text.count(b",") + text.count(b"[") + text.count(b"{") + text.count(b":")


def read_flow(body: Any, limits: Limits, *, at: str = "") -> FlowRequest:
    """The flow that a parsed body asks for; raises Invalid with every fault of the whole tree.

    `at` is the pointer to the flow in the body that it came in.
    """
    reading = Reading(limits)
    root = reading.node(body, Place(at, 0), ShallowFlow)
    if reading.faults or root is None:
        raise Invalid(reading.faults)
    return FlowRequest(
        root=root,
        fail_fast=body.get("failFast", False),
        deadline=_whole(body.get("deadline")),
        tags=tuple(dict.fromkeys(body.get("tags", ()))),
    )


def read_flows(body: Any, limits: Limits, *, most: int) -> list[FlowRequest]:
    """The flows of a bulk request, at most `most`; raises Invalid with the faults of all of them."""
    flows = body.get("flows") if isinstance(body, dict) else None
    if not isinstance(flows, list) or not flows:
        raise Invalid([Fault("/flows", "must be a list of at least one flow")])
    if len(flows) > most:
        raise Invalid([Fault("/flows", f"has {len(flows)} flows; one request may have {most}")])
    faults = [Fault(f"/{_step(key)}", "is not known here") for key in body if key != "flows"]
    asked: list[FlowRequest] = []
    for index, flow in enumerate(flows):
        try:
            asked.append(read_flow(flow, limits, at=f"/flows/{index}"))
        except Invalid as error:
            faults += error.faults
    if faults:
        raise Invalid(_first(faults))
    return asked


def read_retry(body: Any, data_bytes: int) -> Json | None:
    """The new data of a job that is retried, None when there is none; raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid([Fault("", "must be an object")])
    faults = [Fault(f"/{_step(key)}", "is not known here") for key in body if key != "data"]
    if faults:
        raise Invalid(_first(faults))
    if "data" not in body:
        return None
    return _data(body["data"], "/data", data_bytes)


def _data(data: Any, pointer: str, most: int) -> Json:
    """A job's data as it is kept; raises Invalid."""
    try:
        text = orjson.dumps(data)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise Invalid([Fault(pointer, f"cannot be kept as JSON: {error}")]) from None
    if len(text) > most:
        raise Invalid([Fault(pointer, f"is {len(text)} bytes; a job's data may have {most}")])
    return Json(text.decode())


def _first(faults: list[Fault]) -> list[Fault]:
    sealed = [Fault("", f"only the first {MAX_FAULTS} faults are shown")]
    return faults if len(faults) <= MAX_FAULTS else faults[:MAX_FAULTS] + sealed


def read_queue_limits(body: Any) -> QueueLimits:
    """The limits that a parsed body asks for; raises Invalid with every fault."""
    if not isinstance(body, dict):
        raise Invalid([Fault("", "must be an object with concurrency and rateLimit")])
    try:
        asked = QueueLimitsIn.model_validate(_whole(body))
    except ValidationError as error:
        raise Invalid(_faults(error, "")) from None
    rate = asked.rate_limit
    return QueueLimits(
        concurrency=asked.concurrency, rate=None if rate is None else RateLimit(max=rate.max, duration=rate.duration)
    )


def read_sign_in(body: Any) -> str:
    """The token that somebody shows to sign in; raises Invalid."""
    if not isinstance(body, dict):
        raise Invalid([Fault("", "must be an object with a token")])
    try:
        return SignIn.model_validate(body).token
    except ValidationError as error:
        raise Invalid(_faults(error, "")) from None


def is_queue_name(text: str) -> bool:
    """Whether a queue can have this name."""
    try:
        _QUEUE_NAME.validate_python(text)
    except ValidationError:
        return False
    return True


def _with_whole_numbers(body: Any) -> Any:
    """A job whose options are integers where they are whole: to JSON Schema 3.0 is one, to the engine it is not."""
    if not isinstance(body, dict) or not ("opts" in body or "deadline" in body):
        return body
    return body | {key: _whole(body[key]) for key in ("opts", "deadline") if key in body}


def _whole(value: Any, levels: int = 2) -> Any:
    if isinstance(value, dict) and levels:
        return {key: _whole(part, levels - 1) for key, part in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class Place:
    pointer: str
    depth: int


class Reading:
    """One pass over a tree: counts, checks each job, collects faults and goes on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._jobs = 0
        self._sealed = False
        self.faults: list[Fault] = []

    def node(self, body: Any, place: Place, model: type[ShallowJob] = ShallowJob) -> Node | None:
        if not self._room_for(place):
            return None
        body = _with_whole_numbers(body)
        self._one_policy(body, place)
        try:
            fields = model.model_validate(body)
        except ValidationError as error:
            self._report(error, body, place)
            return None
        if not allows(self._limits.queues, fields.queue_name):
            self._fault(
                Fault(f"{place.pointer}/queueName", f"is not among your queues: {', '.join(self._limits.queues)}")
            )
        data = self._data(fields.data, place, fields.opts.size_limit)
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

    def _report(self, error: ValidationError, body: Any, place: Place) -> None:
        """The faults of a job that cannot be read, and of what can be looked at all the same."""
        for fault in _faults(error, place.pointer):
            self._fault(fault)
        if isinstance(body, dict):
            self._data(body.get("data"), place)
            if isinstance(body.get("children"), list):
                self._children(body["children"], place)

    def _one_policy(self, body: Any, place: Place) -> None:
        """Looked at here and not by the model, which looks no further once one field is wrong."""
        opts = body.get("opts") if isinstance(body, dict) else None
        chosen = [policy for policy in POLICIES if opts.get(policy) is True] if isinstance(opts, dict) else []
        if len(chosen) > 1:
            self._fault(Fault(f"{place.pointer}/opts", f"{' and '.join(chosen)} exclude each other"))

    def _children(self, children: list[Any], place: Place) -> list[Node]:
        nodes = (
            self.node(child, Place(f"{place.pointer}/children/{index}", place.depth + 1))
            for index, child in enumerate(children)
        )
        return [node for node in nodes if node is not None]

    def _room_for(self, place: Place) -> bool:
        self._jobs += 1
        if self._jobs == self._limits.jobs + 1:
            self._fault(Fault(place.pointer, f"a flow may have at most {self._limits.jobs} jobs"))
        if place.depth >= self._limits.depth:
            self._fault(Fault(place.pointer, f"a flow may be at most {self._limits.depth} levels deep"))
            return False
        return self._jobs <= self._limits.jobs

    def _data(self, data: Any, place: Place, size_limit: int | None = None) -> Json:
        most = self._limits.data_bytes if size_limit is None else min(size_limit, self._limits.data_bytes)
        try:
            return _data(data, f"{place.pointer}/data", most)
        except Invalid as error:
            for fault in error.faults:
                self._fault(fault)
            return Json("null")

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
