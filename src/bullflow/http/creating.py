"""The routes that create flows: one, or many at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response

from bullflow import wire
from bullflow.errors import Fault, Invalid
from bullflow.flow.access import Caller
from bullflow.http.bodies import read_large
from bullflow.http.callers import Writes
from bullflow.http.examples import FLOW
from bullflow.http.paging import NO_NUL, jobs_list
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import answer, checked_shape, flow_shape, job_shape, new_flow_shape
from bullflow.http.veil import veil_of
from bullflow.store import cursors, views
from bullflow.store.flows import NewFlow
from bullflow.store.keys import Key
from bullflow.wire.bodies import flow_in, flows_in

SHOWN_JOBS = 500

router = APIRouter(tags=["flows"])

DryRun = Annotated[bool, Query(alias="dryRun", description="Only check; nothing is stored.")]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, pattern=NO_NUL, description="The same key gives the same flow, once."),
]
NoKey = Annotated[str | None, Header(alias="Idempotency-Key", include_in_schema=False)]
"""Refused when it comes, so the contract does not offer it."""


def _body(schema: str, example: Any) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


@router.post(
    "/flows",
    status_code=201,
    response_model=wire.CreatedFlow,
    responses={
        200: {
            "model": wire.CreatedFlow | wire.CheckedFlow,
            "description": "The flow that the same key has made before; or, of a dry run, what the flow would be.",
        },
        **responses(400, 404, 408, 409, 413, 415, 422, 429),
    },
    summary="Create a flow",
    openapi_extra=_body("FlowIn", FLOW),
)
async def create(
    request: Request, rooms: InRooms, caller: Writes, dry_run: DryRun = False, idempotency_key: IdempotencyKey = None
) -> Response:
    """Store a tree of jobs and run it. The answer is given when the flow is durable."""
    asked, fingerprint = await read_large(request, rooms, caller, flow_in, _limits(rooms, caller))
    if dry_run:
        return answer(checked_shape(asked.root))
    if idempotency_key is None:
        (flow,) = await rooms.submit(caller, [asked])
        return _created(flow)
    key = Key(key=idempotency_key, fingerprint=fingerprint)
    made = await rooms.submit.once(caller, asked, key)
    return await _repeated(rooms, caller, made) if isinstance(made, str) else _created(made)


@router.post(
    "/flows/bulk",
    status_code=201,
    response_model=wire.CreatedFlows,
    responses={
        200: {"model": wire.CheckedFlows, "description": "Of a dry run, what the flows would be."},
        **responses(400, 404, 408, 413, 415, 422, 429),
    },
    summary="Create many flows",
    openapi_extra=_body("FlowsIn", {"flows": [FLOW]}),
)
async def create_many(
    request: Request, rooms: InRooms, caller: Writes, dry_run: DryRun = False, idempotency_key: NoKey = None
) -> Response:
    """All of these flows or none: if one is wrong, nothing is stored. Faults are named as `/flows/0/name`."""
    if idempotency_key is not None:
        raise Invalid([Fault("Idempotency-Key", "stands for one flow; send flows with keys one by one")])
    most = rooms.settings.max_flows
    asked = await read_large(request, rooms, caller, flows_in, _limits(rooms, caller), most)
    if dry_run:
        return answer({"flows": [checked_shape(flow.root) for flow in asked]})
    flows = await rooms.submit(caller, asked)
    shown = max(1, SHOWN_JOBS // len(flows))
    return answer({"flows": [_created_shape(flow, shown) for flow in flows]}, 201)


def _limits(rooms: Rooms, caller: Caller) -> wire.Limits:
    settings = rooms.settings
    return wire.Limits(
        jobs=settings.max_jobs, depth=settings.max_depth, data_bytes=settings.max_data_bytes, queues=caller.queues
    )


def _created(flow: NewFlow) -> Response:
    return answer(_created_shape(flow, SHOWN_JOBS), 201, {"Location": f"/flows/{flow.id}"})


def _created_shape(flow: NewFlow, shown: int) -> dict[str, Any]:
    more = len(flow.jobs) > shown
    return {**new_flow_shape(flow, shown), "jobsNext": _jobs_next(flow.id, shown) if more else None}


async def _repeated(rooms: Rooms, caller: Caller, flow_id: str) -> Response:
    """The flow that an earlier request with the same key has made, as it is now."""
    async with rooms.database.read() as snapshot:
        flow = await views.flow(snapshot, caller.user_id, flow_id)
        jobs = await views.jobs(snapshot, flow_id, after=-1, limit=SHOWN_JOBS + 1)
    following = _jobs_next(flow_id, SHOWN_JOBS) if len(jobs) > SHOWN_JOBS else None
    veil = veil_of(rooms, caller)
    shape = {
        **flow_shape(veil.flow(flow)),
        "jobs": [job_shape(veil.job(job)) for job in jobs[:SHOWN_JOBS]],
        "jobsNext": following,
    }
    return answer(shape, 200, {"Location": f"/flows/{flow_id}"})


def _jobs_next(flow_id: str, shown: int) -> str:
    return cursors.encode(jobs_list(flow_id, None), str(shown - 1))
