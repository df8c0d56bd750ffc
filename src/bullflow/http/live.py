"""The WebSocket `/ws`: follow single flows from any `seq`, or all flows as they change.

One task reads what the client sends, one sends what waits in its outbox. A client that does not
take its messages is cut off with 4008 and resumes from its last `seq`; nobody else notices.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from bullflow.errors import Away, BullflowError, Forbidden, Limited, Malformed, NotFound, Revoked, Unauthenticated
from bullflow.flow.access import Caller, Scope
from bullflow.http.callers import Whose, shown_by, until_refused
from bullflow.http.outbox import GivenUp, Outbox
from bullflow.http.paging import LARGEST_PLACE
from bullflow.http.rooms import InRooms, Rooms
from bullflow.http.shapes import flow_json
from bullflow.http.subscription import Subscription
from bullflow.http.veil import Veil, veil_of
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView
from bullflow.wire import read_json

UNAUTHENTICATED, FORBIDDEN, TOO_SLOW, TOO_MANY = 4001, 4003, 4008, 4029
"""Why we have closed a socket."""
LARGEST_MESSAGE = 4096
SHOWS_WITHIN = timedelta(seconds=10)
CUT_OFF_WITHIN = timedelta(seconds=10)

router = APIRouter()


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Subscribe(_Message):
    action: Literal["subscribe"]
    flow_id: str | None = Field(None, alias="flowId", max_length=64)
    after: int = Field(0, ge=0, le=LARGEST_PLACE)


class Unsubscribe(_Message):
    action: Literal["unsubscribe"]
    flow_id: str | None = Field(None, alias="flowId", max_length=64)


class Ping(_Message):
    action: Literal["ping"]


class Authenticate(_Message):
    action: Literal["authenticate"]
    token: str = Field(max_length=200)


_Action = Annotated[Subscribe | Unsubscribe | Ping, Field(discriminator="action")]
_ACTIONS: TypeAdapter[Subscribe | Unsubscribe | Ping] = TypeAdapter(_Action)


@router.websocket("/ws")
async def live(socket: WebSocket, rooms: InRooms, user: Whose = None) -> None:
    """A token comes with the request, as for REST, or in a first message: `{"action": "authenticate", "token": …}`."""
    await socket.accept()
    try:
        shown = shown_by(socket)
        if shown is None and not rooms.access.lets_all_in:
            shown = await _first_message(socket)
        caller = await rooms.access.caller(shown)
        caller.must(Scope.READ)
        if user is not None:
            caller = await rooms.access.another(caller, user)
        with rooms.quotas.socket(caller):
            await _Connection(socket, rooms, caller).serve(until_refused(rooms.access, shown))
    except (Unauthenticated, Forbidden, NotFound, Limited, Away) as error:
        await _refuse(socket, error)
    except (WebSocketDisconnect, TimeoutError):
        return


async def _first_message(socket: WebSocket) -> str:
    """The token that a client shows first, in good time; raises Unauthenticated."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SHOWS_WITHIN.total_seconds()):
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            text = message.get("text") or ""
            with suppress(Malformed, ValidationError):
                return Authenticate.model_validate(read_json(text[:LARGEST_MESSAGE])).token
    raise Unauthenticated('Nobody is known here yet: send {"action": "authenticate", "token": "…"} first.')


async def _refuse(socket: WebSocket, error: BullflowError) -> None:
    """Say why, and close."""
    code, number = next(told for kind, told in _REFUSALS.items() if isinstance(error, kind))
    with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(CUT_OFF_WITHIN.total_seconds()):
            await socket.send_text(orjson.dumps({"type": "error", "code": code, "detail": str(error)}).decode())
            await socket.close(number, code)


_REFUSALS: Mapping[type[BullflowError], tuple[str, int]] = {
    Unauthenticated: ("unauthenticated", UNAUTHENTICATED),
    Forbidden: ("forbidden", FORBIDDEN),
    NotFound: ("not-found", FORBIDDEN),
    Limited: ("too-many-sockets", TOO_MANY),
    Away: ("away", 1013),
}


class _Connection:
    """One client and what it follows."""

    def __init__(self, socket: WebSocket, rooms: Rooms, caller: Caller) -> None:
        self._socket = socket
        self._rooms = rooms
        self._caller = caller
        self._outbox = Outbox(rooms.settings.socket_buffer)
        self._following: dict[str, Subscription] = {}
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        self._all: _AllFlows | None = None

    async def serve(self, refused: Coroutine[Any, Any, None]) -> None:
        """Until the client goes, or is too slow, or `refused` has returned; raises Revoked then."""
        parts = [
            asyncio.create_task(part)
            for part in (self._send_all(), self._receive_all(), self._outbox.given_up(), refused)
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            is_refused = parts[-1].done()
        finally:
            self._leave_all()
            tasks = [*parts, *self._catching_up.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if is_refused:
            raise Revoked
        if self._outbox.is_given_up:
            await self._cut_off()

    async def _cut_off(self) -> None:
        """Close, if the client takes even this; whoever reads nothing any more is left to the transport."""
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CUT_OFF_WITHIN.total_seconds()):
                await self._socket.close(TOO_SLOW, "too slow: resume from your last seq")

    async def _send_all(self) -> None:
        with suppress(GivenUp, WebSocketDisconnect, RuntimeError):  # the last two: the client has gone
            while True:
                message = await self._outbox.take()
                await self._socket.send_text(message.decode())

    async def _receive_all(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                await self._receive(message.get("text"))
        except RuntimeError:
            return  # we have closed it

    async def _receive(self, text: str | None) -> None:
        match self._parse(text):
            case Subscribe(flow_id=None):
                self._follow_all()
            case Subscribe(flow_id=flow_id, after=after) if flow_id is not None:
                await self._follow(flow_id, after)
            case Unsubscribe(flow_id=None):
                self._unfollow_all()
            case Unsubscribe(flow_id=flow_id) if flow_id is not None:
                self._unfollow(flow_id)
            case Ping():
                self._tell(type="pong")

    def _parse(self, text: str | None) -> Subscribe | Unsubscribe | Ping | None:
        if text is None:
            self._error("not-text", "send text frames, with JSON in them")
            return None
        if len(text) > LARGEST_MESSAGE:
            self._error("message-too-large", f"a message may have at most {LARGEST_MESSAGE} characters")
            return None
        try:
            return _ACTIONS.validate_python(read_json(text))
        except Malformed as error:
            self._error("not-json", error.faults[0].detail)
        except ValidationError as error:
            faults = (f"/{'/'.join(map(str, part['loc'][1:]))}: {part['msg']}" for part in error.errors())
            self._error("invalid-message", "; ".join(faults))
        return None

    async def _follow(self, flow_id: str, after: int) -> None:
        if flow_id not in self._following and len(self._following) >= self._rooms.settings.max_subscriptions:
            most = self._rooms.settings.max_subscriptions
            self._error("too-many-subscriptions", f"a socket may follow at most {most} flows", flow_id)
            return
        self._unfollow(flow_id)
        subscription = Subscription(self._rooms, self._caller, flow_id, self._outbox, wrap=_event, with_progress=True)
        try:
            last_seq = await subscription.join(after)
        except NotFound as error:
            self._error("not-found", str(error), flow_id)
            return
        except Away as error:
            self._error("away", str(error), flow_id)
            return
        self._following[flow_id] = subscription
        self._tell(type="subscribed", flowId=flow_id, lastSeq=last_seq)
        task = asyncio.create_task(subscription.catch_up())
        self._catching_up[flow_id] = task
        task.add_done_callback(partial(self._caught_up, flow_id))

    def _caught_up(self, flow_id: str, task: "asyncio.Task[None]") -> None:
        if self._catching_up.get(flow_id) is task:
            del self._catching_up[flow_id]
        if not task.cancelled() and task.exception() is not None:
            self._unfollow(flow_id)
            self._error("away", str(task.exception()), flow_id)

    def _unfollow(self, flow_id: str) -> None:
        task = self._catching_up.pop(flow_id, None)
        if task is not None:
            task.cancel()
        subscription = self._following.pop(flow_id, None)
        if subscription is not None:
            subscription.leave()

    def _follow_all(self) -> None:
        if self._all is None:
            self._all = _AllFlows(self._outbox.put, veil_of(self._rooms, self._caller))
            self._rooms.notifier.follow_all(self._caller.user_id, self._all)
        self._tell(type="subscribed", flowId=None, lastSeq=None)

    def _unfollow_all(self) -> None:
        if self._all is not None:
            self._rooms.notifier.unfollow_all(self._caller.user_id, self._all)
            self._all = None

    def _leave_all(self) -> None:
        self._unfollow_all()
        for subscription in self._following.values():
            subscription.leave()

    def _error(self, code: str, detail: str, flow_id: str | None = None) -> None:
        about = {} if flow_id is None else {"flowId": flow_id}
        self._tell(type="error", code=code, detail=detail, **about)

    def _tell(self, **message: Any) -> None:
        self._outbox.put(orjson.dumps(message))


class _AllFlows:
    """Hears of every change of a user's flows."""

    def __init__(self, put: Callable[[bytes], None], veil: Veil) -> None:
        self._put = put
        self._veil = veil

    def entry(self, item: LogItem, text: bytes) -> None:
        """Entries are for those who follow a flow."""

    def progress(self, flow_id: str, message: bytes) -> None:
        """Progress is for those who follow a flow."""

    def summary(self, flow: FlowView, text: bytes) -> None:
        if self._veil:
            text = flow_json(self._veil.flow(flow))
        self._put(b'{"type":"flow","flow":' + text + b"}")


def _event(_seq: int, item: bytes) -> bytes:
    return b'{"type":"event",' + item[1:]
