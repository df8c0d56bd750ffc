"""The routes about what becomes of a flow: cancel, retry, delete, and why it does not go on."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from bullflow import wire
from bullflow.flow.access import Caller
from bullflow.http.bodies import read_large
from bullflow.http.callers import Reads, Writes
from bullflow.http.explained import explained_shape
from bullflow.http.ids import FlowId, JobId
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import answer, flow_shape, plan_shape
from bullflow.http.unread import has_no_body
from bullflow.http.veil import veil_of
from bullflow.service.retry import Plan
from bullflow.store import views
from bullflow.wire.bodies import data_in

router = APIRouter(tags=["flows"])

DryRun = Annotated[bool, Query(alias="dryRun", description="Only show what would run again.")]

_RETRIED: dict[int | str, dict[str, Any]] = {
    **responses(413, 429),
    200: {"model": wire.RetryPlan, "description": "Of a dry run: what would run again, and what would be reused."},
    **responses(404, 409, 422),
}


@router.post(
    "/flows/{flow_id}/cancel",
    status_code=202,
    response_model=wire.CancelledFlow,
    responses=responses(404, 409, 422),
    summary="Cancel a flow",
)
async def cancel(flow_id: FlowId, rooms: InRooms, caller: Writes) -> Response:
    """After the answer no further job of it starts; handlers that run are told to stop, and their results are ignored.

    Cancelling a cancelled flow changes nothing; one that has ended otherwise, with nothing left running, is a conflict.
    If the engine does not answer, `applied` is false: the flow is cancelled, and its jobs are stopped when it does.
    """
    applied = await rooms.cancel(caller, flow_id)
    return await _flow(rooms, caller, flow_id, applied=applied)


@router.post(
    "/flows/{flow_id}/retry",
    status_code=202,
    response_model=wire.Flow,
    responses=_RETRIED,
    summary="Retry a flow",
)
async def retry(flow_id: FlowId, rooms: InRooms, caller: Writes, dry_run: DryRun = False) -> Response:
    """Run again just what failed or was cancelled, and what depends on it; completed jobs keep their results."""
    return await _retried(rooms, caller, await rooms.retry.flow(caller, flow_id, dry_run=dry_run), dry_run=dry_run)


@router.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    response_model=wire.Flow,
    responses={**_RETRIED, **responses(400, 408, 413, 415)},
    summary="Retry one job",
    tags=["jobs"],
    openapi_extra={
        "requestBody": {
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/RetryIn"},
                    "example": {"data": {"videoId": "43"}},
                }
            }
        }
    },
)
async def retry_job(
    request: Request, job_id: JobId, rooms: InRooms, caller: Writes, dry_run: DryRun = False
) -> Response:
    """Run a failed or cancelled job again, with other `data` if the body has some, and every job above it."""
    data = None
    if not has_no_body(request):
        data = await read_large(request, rooms, caller, data_in, rooms.settings.max_data_bytes)
    plan = await rooms.retry.job(caller, job_id, data, dry_run=dry_run)
    return await _retried(rooms, caller, plan, dry_run=dry_run)


@router.delete(
    "/flows/{flow_id}",
    status_code=204,
    response_class=Response,
    responses=responses(404, 409, 422),
    summary="Delete a flow",
)
async def delete(flow_id: FlowId, rooms: InRooms, caller: Writes) -> Response:
    """Forget a flow that has ended: its jobs, its log, its key."""
    await rooms.delete(caller, flow_id)
    return Response(status_code=204)


@router.get(
    "/flows/{flow_id}/explain",
    response_model=wire.Explanation,
    responses=responses(404, 422),
    summary="Why is it not running?",
)
async def explain(flow_id: FlowId, rooms: InRooms, caller: Reads) -> Response:
    """For each unfinished part of the flow, why it is where it is; what holds back the rest comes first.

    Asks the engine about queues, workers and places in line; if it is away, that is told as a reason.
    """
    return answer(explained_shape(await rooms.explain(caller.user_id, flow_id)))


async def _retried(rooms: Rooms, caller: Caller, plan: Plan, *, dry_run: bool) -> Response:
    return answer(plan_shape(plan)) if dry_run else await _flow(rooms, caller, plan.flow_id)


async def _flow(rooms: Rooms, caller: Caller, flow_id: str, **more: bool) -> Response:
    flow = await rooms.database.look(views.flow, caller.user_id, flow_id)
    return answer({**flow_shape(veil_of(rooms, caller).flow(flow)), **more}, 202)
