"""The routes that read flows and their jobs."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from bullflow import wire
from bullflow.clock import instant
from bullflow.errors import Fault, Invalid
from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.http.callers import Reads, shown_by
from bullflow.http.ids import FlowId, JobId
from bullflow.http.paging import NO_NUL, Cursor, Limit, after_id, after_number, jobs_list
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms
from bullflow.http.shapes import answer, flow_shape, job_shape, outlined_shape, tree_shape
from bullflow.http.veil import veil_of
from bullflow.http.waiting import ended_flow
from bullflow.notifier import line_shape
from bullflow.store import cursors, job_log, outlines, views
from bullflow.store.views import FlowFilter

LARGEST_TREE = 5_000

router = APIRouter(tags=["flows"])

Moment = Annotated[
    Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None,
    Query(description="ISO 8601; without a time zone it is UTC."),
]


@router.get("/flows", response_model=wire.FlowPage, responses=responses(404, 422), summary="List flows, newest first")
async def list_flows(
    rooms: InRooms,
    caller: Reads,
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
    found = await rooms.database.look(views.flows, caller.user_id, only, before, limit + 1)
    shown = found[:limit]
    following = cursors.encode("flows", shown[-1].id) if len(found) > limit else None
    veil = veil_of(rooms, caller)
    return answer({"items": [flow_shape(veil.flow(flow)) for flow in shown], "next": following})


@router.get("/flows/{flow_id}", response_model=wire.Flow, responses=responses(404, 422, 429), summary="One flow")
async def get_flow(
    request: Request,
    flow_id: FlowId,
    rooms: InRooms,
    caller: Reads,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to hold the answer until the flow has ended.")] = 0,
) -> Response:
    """Its state, its counts of jobs by status, and, when it has ended, its result or error."""
    flow = await ended_flow(rooms, caller, flow_id, wait, shown_by(request))
    return answer(flow_shape(veil_of(rooms, caller).flow(flow)))


@router.get(
    "/flows/{flow_id}/jobs", response_model=wire.JobPage, responses=responses(404, 422), summary="The jobs of a flow"
)
async def list_jobs(
    flow_id: FlowId,
    rooms: InRooms,
    caller: Reads,
    status: JobStatus | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """In tree order: a parent before its children, children in the order of the request."""
    listing = jobs_list(flow_id, status)
    after = after_number(listing, cursor, -1)
    async with rooms.database.read() as snapshot:
        await views.flow(snapshot, caller.user_id, flow_id)
        found = await views.jobs(snapshot, flow_id, after=after, limit=limit + 1, status=status and status.value)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].position)) if len(found) > limit else None
    veil = veil_of(rooms, caller)
    return answer({"items": [job_shape(veil.job(job)) for job in shown], "next": following})


@router.get(
    "/flows/{flow_id}/tree", response_model=wire.FlowTree, responses=responses(404, 422), summary="A flow as a tree"
)
async def get_tree(
    flow_id: FlowId,
    rooms: InRooms,
    caller: Reads,
    depth: Annotated[int, Query(ge=1, le=120, description="Levels to show.")] = 120,
    max_children: Annotated[
        int, Query(alias="maxChildren", ge=0, le=LARGEST_TREE, description="Children to show below each job.")
    ] = 100,
) -> Response:
    """The flow with its jobs inside each other; `moreChildren` counts what was left out."""
    if max_children == 0:
        depth, max_children = 1, 1  # the root alone; it counts as somebody's child in the store
    async with rooms.database.read() as snapshot:
        flow = await views.flow(snapshot, caller.user_id, flow_id)
        jobs = await views.upper_jobs(snapshot, flow_id, depth=depth, max_children=max_children, limit=LARGEST_TREE)
    veil = veil_of(rooms, caller)
    return answer({**flow_shape(veil.flow(flow)), "root": tree_shape([veil.job(job) for job in jobs])})


@router.get(
    "/flows/{flow_id}/outline",
    response_model=wire.FlowOutline,
    responses=responses(404, 422),
    summary="A flow at a glance",
)
async def get_outline(flow_id: FlowId, rooms: InRooms, caller: Reads) -> Response:
    """The flow and all of its jobs at one moment, in tree order and not in pages; without data, results and errors."""
    async with rooms.database.read() as snapshot:
        flow = await views.flow(snapshot, caller.user_id, flow_id)
        jobs = await outlines.outline(snapshot, flow_id)
    return answer(
        {"flow": flow_shape(veil_of(rooms, caller).flow(flow)), "items": [outlined_shape(job) for job in jobs]}
    )


@router.get("/jobs/{job_id}", response_model=wire.Job, responses=responses(404, 422), summary="One job", tags=["jobs"])
async def get_job(job_id: JobId, rooms: InRooms, caller: Reads) -> Response:
    """A job with its data, its state, and what it returned or why it failed."""
    async with rooms.database.read() as snapshot:
        job = await views.job(snapshot, caller.user_id, job_id)
    return answer(job_shape(veil_of(rooms, caller).job(job)))


@router.get(
    "/jobs/{job_id}/logs",
    response_model=wire.LinePage,
    responses=responses(404, 422),
    summary="A job's log lines",
    tags=["jobs"],
)
async def get_job_logs(
    job_id: JobId, rooms: InRooms, caller: Reads, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """What its handler has logged, oldest first; of many lines the last are kept (`keepLogs`)."""
    listing = f"logs:{job_id}"
    after = after_number(listing, cursor, 0)
    async with rooms.database.read() as snapshot:
        await views.job(snapshot, caller.user_id, job_id)
        found = await job_log.after(snapshot, job_id, after, limit + 1)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].n)) if len(found) > limit else None
    items = [line_shape(line.id, line.n, line.run, line.at, line.line) for line in shown]
    return answer({"items": items, "next": following})


def _instant(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return instant(text)
    except (ValueError, OverflowError):
        raise Invalid([Fault(f"?{name}", "is not a time in ISO 8601, like 2026-11-23T17:00:00Z")]) from None
