"""The service's sockets as a client sees them: WebSockets, streams of events, and bare connections."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WITHIN = 15
Message = dict[str, Any]


class Socket:
    """A WebSocket to the service."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, action: str, **fields: Any) -> None:
        await self._connection.send(json.dumps({"action": action, **fields}))

    async def send_raw(self, frame: str | bytes) -> None:
        """A frame as it is: text, or binary for bytes."""
        await self._connection.send(frame)

    async def next(self) -> Message:
        """The next message; fails when none comes."""
        async with asyncio.timeout(WITHIN):
            message: Message = json.loads(await self._connection.recv())
        return message

    async def answer(self, action: str, **fields: Any) -> Message:
        """Send, and give the next message."""
        await self.send(action, **fields)
        return await self.next()

    async def reply(self, action: str, **fields: Any) -> Message:
        """Send, and give the first message that is no news of a flow that is followed already."""
        await self.send(action, **fields)
        return (await self.until(lambda message: message["type"] in {"subscribed", "error"}))[-1]

    async def until(self, is_last: Callable[[Message], bool]) -> list[Message]:
        """All messages up to the first for which `is_last` is true."""
        messages = [await self.next()]
        while not is_last(messages[-1]):
            messages.append(await self.next())
        return messages

    async def pending(self) -> list[Message]:
        """What the service has sent so far: everything before its answer to a ping."""
        await self.send("ping")
        return (await self.until(lambda message: message["type"] == "pong"))[:-1]

    def cut(self) -> None:
        """Lose the connection without a word."""
        self._connection.transport.abort()

    async def closed(self) -> tuple[int, list[Message]]:
        """The code with which the service closes, and the messages before that."""
        messages: list[Message] = []
        try:
            while True:
                messages.append(await self.next())
        except ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else 1006), messages

    async def follow(self, flow_id: str, after: int) -> AsyncIterator[Message]:
        """Subscribe, and give the entries of the log as they come."""
        await self.send("subscribe", flowId=flow_id, after=after)
        while True:
            message = await self.next()
            assert message["type"] != "error", message
            if message["type"] == "event":
                yield message


@asynccontextmanager
async def connected(url: str, *, query: str = "", **options: Any) -> AsyncIterator[Socket]:
    """A WebSocket that is closed when the block ends."""
    address = f"ws{url.removeprefix('http')}/ws{query}"
    async with connect(address, close_timeout=1, max_size=None, **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def reluctant(url: str) -> AsyncIterator[Socket]:
    """A client with small buffers that reads nothing on its own, so that what is sent to it soon piles up."""
    address = urlsplit(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (address.hostname, address.port))
    async with connected(url, sock=sock, max_queue=1, compression=None) as client:
        yield client


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One server-sent event."""

    id: int
    data: str

    @property
    def item(self) -> Message:
        found: Message = json.loads(self.data)
        return found


@asynccontextmanager
async def event_stream(
    http: httpx.AsyncClient, path: str, *, last_event_id: int | None = None, **params: Any
) -> AsyncIterator[AsyncIterator[SentEvent]]:
    """A stream of server-sent events; gives each event once it is complete."""
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = str(last_event_id)
    async with http.stream("GET", path, headers=headers, params=params) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[SentEvent]:
    fields: dict[str, str] = {}
    async for line in _lines(answer):
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            assert name in {"id", "data"}
            assert name not in fields
            fields[name] = value
        elif fields:
            yield SentEvent(int(fields["id"]), fields["data"])
            fields = {}


async def _lines(answer: httpx.Response) -> AsyncIterator[str]:
    """Lines as the format has them; httpx's own reader would end them at Unicode's line separators too."""
    begun = b""
    async for piece in answer.aiter_bytes():
        *lines, begun = (begun + piece).split(b"\n")
        for line in lines:
            yield line.decode()


async def exchange(url: str, request: bytes) -> tuple[int, bytes]:
    """Send these bytes over a bare connection; the status and everything up to the end of the connection."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        async with asyncio.timeout(WITHIN):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]), answer
