"""The routes of queues. How a queue stands just now is asked of the engine; what is set for it is stored first."""

from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator
from starlette.routing import Match
from starlette.types import Scope as Asked

from bullflow import wire
from bullflow.flow.access import Caller, Scope
from bullflow.flow.queues import QueueFacts, QueueLimits, WorkerFacts
from bullflow.flow.states import JobStatus
from bullflow.flow.timing import Spread, Task, tasks
from bullflow.http import ids
from bullflow.http.bodies import read_body
from bullflow.http.callers import Administers, Reads
from bullflow.http.examples import LIMITS
from bullflow.http.paging import Cursor, Limit, after_queue
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms
from bullflow.http.shapes import answer
from bullflow.store import cursors, queues, timings
from bullflow.store.queues import SetQueue

LARGEST_LIMITS = 64 * 1024
"""Bytes of a body that says two limits."""
_LISTING = "queues"


class _WholeNames(APIRoute):
    """A route whose parameters may hold a slash, sent as `%2F`: the path is taken apart before it is decoded."""

    def matches(self, scope: Asked) -> tuple[Match, Asked]:
        path: bytes = scope.get("raw_path") or b""
        if b"%2f" not in path.lower():
            return super().matches(scope)
        match, found = super().matches({**scope, "path": path.decode("latin-1")})
        if match is not Match.NONE:
            found["path_params"] = {name: unquote(value) for name, value in found["path_params"].items()}
        return match, found


router = APIRouter(tags=["queues"], route_class=_WholeNames)

QueueName = Annotated[
    str,
    Path(description="A queue's name, percent-encoded; a slash in it as %2F.", examples=["flowQueue"]),
    AfterValidator(ids.queue_name),
]


@router.get("/queues", response_model=wire.QueuePage, responses=responses(404, 422), summary="List queues by name")
async def list_queues(rooms: InRooms, caller: Reads, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Every queue that a flow has used, as it stands in the engine just now; 503 while the engine is away."""
    after = after_queue(_LISTING, cursor)
    names = await rooms.database.look(queues.names, _seen_by(caller), after=after, limit=limit + 1)
    shown = names[:limit]
    facts = await rooms.queue_facts(shown)
    following = cursors.encode(_LISTING, shown[-1]) if len(names) > limit else None
    return answer({"items": [_queue_shape(name, facts[name]) for name in shown], "next": following})


@router.get("/queues/{name}", response_model=wire.QueueDetail, responses=responses(404, 422), summary="One queue")
async def get_queue(name: QueueName, rooms: InRooms, caller: Reads) -> Response:
    """A queue and its workers, as they stand in the engine just now; 503 while the engine is away."""
    await rooms.database.look(queues.must_know, _seen_by(caller), name)
    facts = (await rooms.queue_facts([name]))[name]
    return answer({**_queue_shape(name, facts), "workerList": [_worker_shape(worker) for worker in facts.workers]})


@router.get(
    "/queues/{name}/tasks",
    response_model=wire.QueueTasks,
    responses=responses(404, 422),
    summary="What is slow in a queue",
)
async def list_tasks(name: QueueName, rooms: InRooms, caller: Reads) -> Response:
    """How long the jobs of each name wait and run, in your newest flows (500 at most, and 5,000 jobs); from the store.

    In very large flows it may be fewer: at most 50,000 jobs of all queues are read.
    """
    async with rooms.database.read() as snapshot:
        await queues.must_know(snapshot, _seen_by(caller), name)
        jobs = await timings.newest_jobs(snapshot, caller.user_id, name)
    return answer({"items": [_task_shape(task) for task in tasks(jobs)], "jobs": len(jobs)})


@router.post(
    "/queues/{name}/pause",
    status_code=202,
    response_model=wire.QueueSettings,
    responses=responses(404, 422),
    summary="Pause a queue",
)
async def pause(name: QueueName, rooms: InRooms, caller: Administers) -> Response:
    """No further job of it begins, with whatever workers; what runs may end. Also accepted while the engine is away."""
    return answer(_settings_shape(await rooms.regulate.pause(caller, name)), 202)


@router.post(
    "/queues/{name}/resume",
    status_code=202,
    response_model=wire.QueueSettings,
    responses=responses(404, 422),
    summary="Resume a queue",
)
async def resume(name: QueueName, rooms: InRooms, caller: Administers) -> Response:
    """Its jobs begin again. Also accepted while the engine is away."""
    return answer(_settings_shape(await rooms.regulate.resume(caller, name)), 202)


@router.put(
    "/queues/{name}/limits",
    status_code=202,
    response_model=wire.QueueSettings,
    responses=responses(400, 404, 408, 413, 415, 422),
    summary="Limit a queue",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/QueueLimitsIn"}, "example": LIMITS}
            },
        }
    },
)
async def limit_queue(name: QueueName, request: Request, rooms: InRooms, caller: Administers) -> Response:
    """Both limits are set anew: what is null or left out is not limited. Also accepted while the engine is away."""
    body = await read_body(request, min(LARGEST_LIMITS, rooms.settings.max_body_bytes))
    limits = wire.read_queue_limits(wire.read_json(body))
    return answer(_settings_shape(await rooms.regulate.limit(caller, name, limits)), 202)


def _seen_by(caller: Caller) -> str | None:
    """Whose queues are told of; an admin knows those of all users."""
    return None if caller.may(Scope.ADMIN) else caller.user_id


def _queue_shape(name: str, facts: QueueFacts) -> dict[str, Any]:
    return {
        "name": name,
        "counts": {status.value: facts.counts[status] for status in JobStatus if status in facts.counts},
        "workers": len(facts.workers),
        "paused": facts.rules.paused,
        **_limits_shape(facts.rules.limits),
        "limitedFor": facts.limited_for,
    }


def _worker_shape(worker: WorkerFacts) -> dict[str, Any]:
    return {"name": worker.name, "address": worker.address, "age": worker.age, "idle": worker.idle}


def _task_shape(task: Task) -> dict[str, Any]:
    slowest = task.slowest
    return {
        "name": task.name,
        "count": task.count,
        "failed": task.failed,
        "waiting": _spread_shape(task.waiting),
        "running": _spread_shape(task.running),
        "slowest": slowest and {"id": slowest.id, "flowId": slowest.flow_id, "running": slowest.running},
    }


def _spread_shape(spread: Spread) -> dict[str, Any]:
    return {"median": spread.median, "p95": spread.p95}


def _settings_shape(queue: SetQueue) -> dict[str, Any]:
    rules = queue.rules
    return {"name": queue.name, "paused": rules.paused, **_limits_shape(rules.limits), "applied": not queue.due}


def _limits_shape(limits: QueueLimits) -> dict[str, Any]:
    rate = limits.rate
    return {
        "concurrency": limits.concurrency,
        "rateLimit": None if rate is None else {"max": rate.max, "duration": rate.duration},
    }
