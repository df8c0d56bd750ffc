"""Is the service alive, and can it do its work?"""

import asyncio

from fastapi import APIRouter, Response

from bullflow import wire
from bullflow.errors import BullflowError
from bullflow.http.rooms import Gauge, InRooms, Probe
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
async def readyz(rooms: InRooms) -> Response:
    """Asks the store, the engine and the recorder, and measures how far the work is behind."""
    asking = asyncio.gather(*map(_ask, rooms.probes.values()))
    measuring = asyncio.gather(*map(_measure, rooms.gauges.values()))
    found, measured = await asyncio.gather(asking, measuring)
    ready = all(said == "ok" for said in found)
    body = {
        "status": "ready" if ready else "not ready",
        **dict(zip(rooms.probes, found, strict=True)),
        **dict(zip(rooms.gauges, measured, strict=True)),
    }
    return answer(body, 200 if ready else 503)


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
