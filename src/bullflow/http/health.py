"""Is the service alive, and can it do its work?"""

import asyncio

from fastapi import APIRouter, Request, Response

from bullflow import wire
from bullflow.errors import BullflowError
from bullflow.http.callers import shown_by
from bullflow.http.rooms import Gauge, InRooms, Probe, Rooms
from bullflow.http.shapes import answer

PROBE_SECONDS = 3

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=wire.Health, summary="Is the process alive?")
async def healthz() -> Response:
    """Answers as long as the process serves requests, whatever is away."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    response_model=wire.Readiness,
    summary="Can the service work?",
    responses={503: {"model": wire.Readiness, "description": "Something is away; flows may still be accepted."}},
)
async def readyz(request: Request, rooms: InRooms) -> Response:
    """Asks the store, the engine and the recorder, and measures how far the work is behind.

    Why something is away is told to those who are known here; to others, that it is.
    """
    asking = asyncio.gather(*map(_ask, rooms.probes.values()))
    measuring = asyncio.gather(*map(_measure, rooms.gauges.values()))
    found, measured = await asyncio.gather(asking, measuring)
    ready = all(said == "ok" for said in found)
    if not ready and not await _is_known(request, rooms):
        found = [said if said == "ok" else "away" for said in found]
    body = {
        "status": "ready" if ready else "not ready",
        **dict(zip(rooms.probes, found, strict=True)),
        **dict(zip(rooms.gauges, measured, strict=True)),
    }
    return answer(body, 200 if ready else 503)


async def _is_known(request: Request, rooms: Rooms) -> bool:
    try:
        await rooms.access.caller(shown_by(request))
    except BullflowError:
        return False
    return True


async def _ask(probe: Probe) -> str:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            await probe()
    except BullflowError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS} s"
    return "ok"


async def _measure(gauge: Gauge) -> int | None:
    """None when it cannot be told; why not, the probes say."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await gauge()
    except (BullflowError, TimeoutError):
        return None
