"""Is the service alive, and can it do its work?"""

import asyncio

from fastapi import APIRouter, Response

from bullflow import wire
from bullflow.errors import BullflowError
from bullflow.http.rooms import InRooms, Probe
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
    """Asks the store, the engine and the recorder."""
    names = list(rooms.probes)
    found = await asyncio.gather(*(_ask(rooms.probes[name]) for name in names))
    ready = all(said == "ok" for said in found)
    body = {"status": "ready" if ready else "not ready", **dict(zip(names, found, strict=True))}
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
