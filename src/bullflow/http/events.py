"""A flow's log over HTTP: a page as JSON, or a stream of server-sent events that stays open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine, Sequence
from contextlib import ExitStack, suppress
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from bullflow import wire
from bullflow.errors import Away, Fault, Invalid
from bullflow.flow.access import Caller
from bullflow.http.callers import Reads, shown_by, until_refused
from bullflow.http.ids import FlowId
from bullflow.http.outbox import GivenUp, Outbox
from bullflow.http.paging import LARGEST_PLACE, Cursor, Limit, after_number
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import answer
from bullflow.http.subscription import Subscription
from bullflow.http.veil import veil_of
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
        **responses(404, 422, 429),
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
    caller: Reads,
    after: After = 0,
    limit: Limit = 50,
    cursor: Cursor = None,
    last_event_id: Annotated[str | None, Header(description="Where a lost SSE stream is resumed.")] = None,
) -> Response:
    """Every entry once and in order. With `Accept: text/event-stream` it stays open and `Last-Event-ID` resumes."""
    if EVENT_STREAM in request.headers.get("accept", ""):
        start = after if last_event_id is None else _last_seq(last_event_id)
        return await _stream(request, rooms, caller, flow_id, start)
    listing = f"events:{flow_id}"
    start = after_number(listing, cursor, after)
    async with rooms.database.read() as snapshot:
        await views.flow(snapshot, caller.user_id, flow_id)
        found = await log.after(snapshot, flow_id, start, limit + 1)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].seq)) if len(found) > limit else None
    veil = veil_of(rooms, caller)
    return answer({"items": [orjson.Fragment(item_json(veil.item(item))) for item in shown], "next": following})


def _last_seq(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= LARGEST_PLACE:
        return int(text)
    raise Invalid([Fault("Last-Event-ID", "is not a `seq`")])


async def _stream(request: Request, rooms: Rooms, caller: Caller, flow_id: str, after: int) -> Response:
    outbox = Outbox(rooms.settings.socket_buffer)
    subscription = Subscription(rooms, caller, flow_id, outbox, wrap=_sse, with_progress=False)
    with ExitStack() as stack:
        stack.enter_context(rooms.quotas.socket(caller))
        await subscription.join(after)
        stack.callback(subscription.leave)
        parts = (
            _catch_up(subscription, outbox),
            _end_after(request.app.state.stopping.wait(), outbox),
            _end_after(until_refused(rooms.access, shown_by(request)), outbox),
        )
        return _Stream(outbox, parts, stack.pop_all())


async def _catch_up(subscription: Subscription, outbox: Outbox) -> None:
    try:
        await subscription.catch_up()
    except Exception as error:
        outbox.give_up()
        if not isinstance(error, Away):
            raise


async def _end_after(over: Awaitable[object], outbox: Outbox) -> None:
    await over
    outbox.give_up()


class _Stream(StreamingResponse):
    """Messages until the client goes or is given up. `parts` run beside it, and `held` is let go after it."""

    def __init__(self, outbox: Outbox, parts: Sequence[Coroutine[Any, Any, None]], held: ExitStack) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_messages(outbox), headers=headers, media_type=EVENT_STREAM)
        self._parts = parts
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks = [asyncio.create_task(part) for part in self._parts]
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Here and not in the generator, which never begins when the client has gone at once.
            self._held.close()
            for task in tasks:
                task.cancel()


async def _messages(outbox: Outbox) -> AsyncIterator[bytes]:
    yield b": following\n\n"
    with suppress(GivenUp):
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    message = await outbox.take()
            except TimeoutError:
                # A comment shows proxies, and a client that has gone, that the line is alive.
                message = b": alive\n\n"
            yield message


def _sse(seq: int, item: bytes) -> bytes:
    return b"id: %d\ndata: %b\n\n" % (seq, item)
