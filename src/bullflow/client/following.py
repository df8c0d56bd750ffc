"""How one flow's log is followed over any number of WebSocket connections.

The log is numbered without gaps, so the last number seen is all that a new connection needs. A
connection may be lost at any moment, also because the service cuts a reader that is too slow
(4008): the next one resumes. What the service refuses (a wrong token, a flow that is not there)
is raised, because asking again would not help; so is a first connection that fails, because then
the address is more likely wrong than the network. Too many sockets are waited out by whoever had
one: the service may still count the one that was lost. Nothing is logged on the way: the process
belongs to the caller, and so does what it prints.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from bullflow.client.answers import not_ours
from bullflow.errors import ApiError, NotFound, ServiceAway
from bullflow.flow.states import LogEvent
from bullflow.loop import Pauses
from bullflow.wire import Event, Progress

CLOSE_TIMEOUT = 1.0
SWITCHING_PROTOCOLS = 101
BAD_REQUEST = 400
TOO_MANY = 429
POLICY_VIOLATION = 1008
_REFUSED_STATUSES = frozenset(range(400, 500)) - {408, 425, 429}
_STATUSES = {"unauthenticated": 401, "forbidden": 403, "too-many-sockets": TOO_MANY}
_ENDS = frozenset({LogEvent.FLOW_COMPLETED, LogEvent.FLOW_FAILED, LogEvent.FLOW_CANCELLED})


class Progression:
    """How far one watch has come: the last entry that it has handed out, and what is known of the end."""

    def __init__(self, flow_id: str, after: int) -> None:
        self.flow_id = flow_id
        self.seq = after
        self.newest = 0
        self.has_ended = False

    @property
    def is_over(self) -> bool:
        """A flow that was retried has an end in the middle of its log, so the log is read out first."""
        return self.has_ended and self.seq >= self.newest

    def read(self, message: Mapping[str, Any]) -> Event | Progress | None:
        """What a message of the service adds; None when it adds nothing new."""
        match message["type"]:
            case "subscribed":
                self.newest = max(self.newest, message["lastSeq"])
            case "event":
                return self._event(Event.model_validate(message))
            case "progress":
                return Progress.model_validate(message)
            case "error":
                raise _told(message, self.flow_id)
        return None

    def _event(self, event: Event) -> Event | None:
        if event.seq <= self.seq:
            return None
        if event.seq > self.seq + 1:
            raise _Gap(f"entry {event.seq} came after entry {self.seq}")
        self.seq = event.seq
        if event.event in _ENDS:
            self.has_ended = True
        elif event.event is LogEvent.FLOW_RETRIED:
            self.has_ended = False
        return event


class _Gap(ConnectionError):
    """Entries were lost on the way; a new connection brings them."""


async def follow(
    url: str, seen: Progression, *, headers: Mapping[str, str], timeout: float
) -> AsyncGenerator[Event | Progress]:
    """What comes after `seen`, over as many connections as it takes, until the flow has ended."""
    was_connected, has_heard, pauses = False, False, Pauses()
    while not seen.is_over:
        try:
            async with _dial(url, headers, timeout) as socket:
                was_connected = True
                await socket.send(json.dumps({"action": "subscribe", "flowId": seen.flow_id, "after": seen.seq}))
                while not seen.is_over:
                    entry = _read(seen, await socket.recv())
                    has_heard = True
                    if entry is not None:
                        pauses.reset()
                        yield entry
        except (OSError, WebSocketException) as error:
            _raise_if_refused(error)
            if not was_connected:
                raise ServiceAway(url, error) from error
            await pauses.rest()
        except ApiError as error:
            if error.status != TOO_MANY or not has_heard:
                raise
            await pauses.rest()  # the service still counts the connection that was lost


def _dial(url: str, headers: Mapping[str, str], timeout: float) -> connect:
    return connect(
        f"ws{url.removeprefix('http')}/ws",
        additional_headers=headers,
        open_timeout=timeout,
        close_timeout=CLOSE_TIMEOUT,
        max_size=None,
    )


def _read(seen: Progression, message: str | bytes) -> Event | Progress | None:
    try:
        return seen.read(json.loads(message))
    except (ValueError, TypeError, LookupError) as error:
        raise not_ours(SWITCHING_PROTOCOLS, "the WebSocket") from error


def _told(message: Mapping[str, Any], flow_id: str) -> Exception:
    """The error that the service tells of; what is away just now is worth another connection."""
    code, detail = str(message["code"]), str(message["detail"])
    match code:
        case "not-found":
            return NotFound("flow", flow_id)
        case "away":
            return ConnectionError(detail)
    return ApiError(_STATUSES.get(code, BAD_REQUEST), code, detail)


def _raise_if_refused(error: Exception) -> None:
    if isinstance(error, InvalidStatus) and error.response.status_code in _REFUSED_STATUSES:
        response = error.response
        detail = "the service refuses the WebSocket; is the token right?"
        raise ApiError(response.status_code, response.reason_phrase, detail) from error
    if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == POLICY_VIOLATION:
        raise ApiError(BAD_REQUEST, "Refused", error.rcvd.reason or "the service closed the WebSocket") from error
