"""The routes of flows and their jobs."""

from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import AfterValidator

from bullflow import wire
from bullflow.clock import instant
from bullflow.errors import Fault, Invalid
from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.http import ids
from bullflow.http.bodies import read_body
from bullflow.http.examples import FLOW
from bullflow.http.paging import Cursor, Limit, after_id, after_number
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import answer, checked_shape, flow_shape, job_shape, new_flow_shape, tree_shape
from bullflow.http.waiting import ended_flow
from bullflow.store import cursors, views
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.store.views import FlowFilter

SHOWN_JOBS = 500
LARGEST_TREE = 5_000
NO_NUL = r"^[^\x00]*$"  # Postgres has no such texts and would take it for a fault of ours

router = APIRouter(tags=["flows"])

FlowId = Annotated[
    str,
    Path(description="A flow's id.", examples=["019ab3c1-7d7a-7000-8000-000000000000"]),
    AfterValidator(ids.flow_id),
]
JobId = Annotated[str, Path(description="A job's `id` (not its `jobId`)."), AfterValidator(ids.job_id)]
Moment = Annotated[str | None, Query(description="ISO 8601; without a time zone it is UTC.")]


@router.post(
    "/flows",
    status_code=201,
    response_model=wire.CreatedFlow,
    responses={
        200: {
            "model": wire.CreatedFlow | wire.CheckedFlow,
            "description": "The flow that the same key has made before; or, of a dry run, what the flow would be.",
        },
        **responses(400, 403, 409, 413, 415, 422),
    },
    summary="Create a flow",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FlowIn"}, "example": FLOW}},
        }
    },
)
async def create(
    request: Request,
    rooms: InRooms,
    dry_run: Annotated[bool, Query(alias="dryRun", description="Only check the flow; nothing is stored.")] = False,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, pattern=NO_NUL, description="The same key gives the same flow, once."),
    ] = None,
) -> Response:
    """Store a tree of jobs and run it. The answer is given when the flow is durable."""
    settings = rooms.settings
    limits = wire.Limits(jobs=settings.max_jobs, depth=settings.max_depth, data_bytes=settings.max_data_bytes)
    body = await read_body(request, settings.max_body_bytes)
    asked = wire.read_flow(wire.read_json(body), limits)
    if dry_run:
        return answer(checked_shape(asked.root))
    if idempotency_key is None:
        (flow,) = await rooms.submit(rooms.user_id, [asked])
        return _created(flow)
    key = Key(key=idempotency_key, fingerprint=sha256(body).hexdigest())
    made = await rooms.submit.once(rooms.user_id, asked, key)
    return await _repeated(rooms, made) if isinstance(made, str) else _created(made)


def _created(flow: NewFlow) -> Response:
    shape = new_flow_shape(flow, SHOWN_JOBS)
    more = len(flow.jobs) > SHOWN_JOBS
    shape["jobsNext"] = _jobs_next(flow.id) if more else None
    return answer(shape, 201, {"Location": f"/flows/{flow.id}"})


async def _repeated(rooms: Rooms, flow_id: str) -> Response:
    """The flow that an earlier request with the same key has made, as it is now."""
    async with rooms.database.read() as snapshot:
        flow = await views.flow(snapshot, rooms.user_id, flow_id)
        jobs = await views.jobs(snapshot, flow_id, after=-1, limit=SHOWN_JOBS + 1)
    following = _jobs_next(flow_id) if len(jobs) > SHOWN_JOBS else None
    shape = {**flow_shape(flow), "jobs": [job_shape(job) for job in jobs[:SHOWN_JOBS]], "jobsNext": following}
    return answer(shape, 200, {"Location": f"/flows/{flow_id}"})


def _jobs_next(flow_id: str) -> str:
    return cursors.encode(_jobs_list(flow_id, None), str(SHOWN_JOBS - 1))


@router.get("/flows", response_model=wire.FlowPage, responses=responses(422), summary="List flows, newest first")
async def list_flows(
    rooms: InRooms,
    status: FlowStatus | None = None,
    name: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
    queue_name: Annotated[str | None, Query(alias="queueName", max_length=128, pattern=NO_NUL)] = None,
    tag: Annotated[str | None, Query(max_length=64, pattern=NO_NUL)] = None,
    created_after: Annotated[Moment, Query(alias="createdAfter")] = None,
    created_before: Annotated[Moment, Query(alias="createdBefore")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Filters can be combined. New flows do not shift the pages that follow."""
    only = FlowFilter(
        status=status and status.value,
        name=name,
        queue_name=queue_name,
        tag=tag,
        created_after=_instant("createdAfter", created_after),
        created_before=_instant("createdBefore", created_before),
    )
    before = after_id("flows", cursor)
    async with rooms.database.read() as snapshot:
        found = await views.flows(snapshot, rooms.user_id, only, before, limit + 1)
    shown = found[:limit]
    following = cursors.encode("flows", shown[-1].id) if len(found) > limit else None
    return answer({"items": [flow_shape(flow) for flow in shown], "next": following})


@router.get("/flows/{flow_id}", response_model=wire.Flow, responses=responses(404, 422), summary="One flow")
async def get_flow(
    flow_id: FlowId,
    rooms: InRooms,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to hold the answer until the flow has ended.")] = 0,
) -> Response:
    """Its state, its counts of jobs by status, and, when it has ended, its result or error."""
    return answer(flow_shape(await ended_flow(rooms, flow_id, wait)))


@router.get(
    "/flows/{flow_id}/jobs", response_model=wire.JobPage, responses=responses(404, 422), summary="The jobs of a flow"
)
async def list_jobs(
    flow_id: FlowId,
    rooms: InRooms,
    status: JobStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """In tree order: a parent before its children, children in the order of the request."""
    listing = _jobs_list(flow_id, status)
    after = after_number(listing, cursor, -1)
    async with rooms.database.read() as snapshot:
        await views.flow(snapshot, rooms.user_id, flow_id)
        found = await views.jobs(snapshot, flow_id, after=after, limit=limit + 1, status=status and status.value)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].position)) if len(found) > limit else None
    return answer({"items": [job_shape(job) for job in shown], "next": following})


@router.get(
    "/flows/{flow_id}/tree", response_model=wire.FlowTree, responses=responses(404, 422), summary="A flow as a tree"
)
async def get_tree(
    flow_id: FlowId,
    rooms: InRooms,
    depth: Annotated[int, Query(ge=1, le=120, description="Levels to show.")] = 120,
    max_children: Annotated[
        int, Query(alias="maxChildren", ge=0, le=LARGEST_TREE, description="Children to show below each job.")
    ] = 100,
) -> Response:
    """The flow with its jobs inside each other; `moreChildren` counts what was left out."""
    if max_children == 0:
        depth, max_children = 1, 1  # the root alone; it counts as somebody's child in the store
    async with rooms.database.read() as snapshot:
        flow = await views.flow(snapshot, rooms.user_id, flow_id)
        jobs = await views.upper_jobs(snapshot, flow_id, depth=depth, max_children=max_children, limit=LARGEST_TREE)
    return answer({**flow_shape(flow), "root": tree_shape(jobs)})


@router.get("/jobs/{job_id}", response_model=wire.Job, responses=responses(404), summary="One job", tags=["jobs"])
async def get_job(job_id: JobId, rooms: InRooms) -> Response:
    """A job with its data, its state, and what it returned or why it failed."""
    async with rooms.database.read() as snapshot:
        return answer(job_shape(await views.job(snapshot, rooms.user_id, job_id)))


def _jobs_list(flow_id: str, status: JobStatus | None) -> str:
    return f"jobs:{flow_id}:{status or ''}"


def _instant(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return instant(text)
    except (ValueError, OverflowError):
        raise Invalid([Fault(f"?{name}", "is not a time in ISO 8601, like 2026-11-23T17:00:00Z")]) from None
