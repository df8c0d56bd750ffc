"""A flow's log over HTTP: a page as JSON, or a stream of server-sent events that stays open."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from bullflow import wire
from bullflow.errors import Fault, Invalid
from bullflow.http.flows import FlowId
from bullflow.http.outbox import Outbox, TooSlow
from bullflow.http.paging import LARGEST_PLACE, Cursor, Limit, after_number
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import answer
from bullflow.http.subscription import Subscription
from bullflow.notifier import item_json
from bullflow.store import cursors, log, views

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE_SECONDS = 15

router = APIRouter(tags=["flows"])

After = Annotated[int, Query(ge=0, le=LARGEST_PLACE, description="The last `seq` that is known; 0 for all.")]


@router.get(
    "/flows/{flow_id}/events",
    response_model=wire.EventPage,
    responses={
        **responses(404, 422),
        200: {
            "description": "A page of the log, or the log as it grows.",
            "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
        },
    },
    summary="The log of a flow",
)
async def list_events(
    request: Request,
    flow_id: FlowId,
    rooms: InRooms,
    after: After = 0,
    limit: Limit = 50,
    cursor: Cursor = None,
    last_event_id: Annotated[str | None, Header(description="Where a lost SSE stream is resumed.")] = None,
) -> Response:
    """Every entry once and in order. With `Accept: text/event-stream` it stays open and `Last-Event-ID` resumes."""
    if EVENT_STREAM in request.headers.get("accept", ""):
        return await _stream(rooms, flow_id, after if last_event_id is None else _last_seq(last_event_id))
    listing = f"events:{flow_id}"
    start = after_number(listing, cursor, after)
    async with rooms.database.read() as snapshot:
        await views.flow(snapshot, rooms.user_id, flow_id)
        found = await log.after(snapshot, flow_id, start, limit + 1)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].seq)) if len(found) > limit else None
    return answer({"items": [orjson.Fragment(item_json(item)) for item in shown], "next": following})


def _last_seq(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= LARGEST_PLACE:
        return int(text)
    raise Invalid([Fault("Last-Event-ID", "is not a `seq`")])


async def _stream(rooms: Rooms, flow_id: str, after: int) -> Response:
    outbox = Outbox(rooms.settings.socket_buffer)
    subscription = Subscription(rooms, flow_id, outbox, wrap=_sse, with_progress=False)
    await subscription.join(after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_messages(subscription, outbox), headers=headers, media_type=EVENT_STREAM)


async def _messages(subscription: Subscription, outbox: Outbox) -> AsyncIterator[bytes]:
    catching_up = asyncio.create_task(subscription.catch_up())
    try:
        yield b": following\n\n"
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    message = await outbox.take()
            except TimeoutError:
                # A comment shows proxies, and a client that has gone, that the line is alive.
                message = b": alive\n\n"
            yield message
            if catching_up.done() and catching_up.exception() is not None:
                return
    except TooSlow:
        return
    finally:
        subscription.leave()
        catching_up.cancel()


def _sse(seq: int, item: bytes) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (seq, item)
