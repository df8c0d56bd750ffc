"""WebSocket clients that note how long after a handler's return its event has come."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

ENDED = ("flow.completed", "flow.failed", "flow.cancelled")


@dataclass(slots=True, kw_only=True)
class Heard:
    """Seconds from return to event of each job, and which flows are seen to have ended."""

    delays: list[float] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def take(self, text: str | bytes) -> dict[str, Any]:
        now = time.time()
        message: dict[str, Any] = orjson.loads(text)
        if message["type"] == "error":
            raise SystemExit(f"a socket was told: {message}")
        event = message.get("event")
        if event == "job.completed":
            result = message["data"]["result"]
            self.delays.append(now - (result["returned"] if isinstance(result, dict) else result))
        elif event in ENDED:
            if event != "flow.completed":
                raise SystemExit(f"a watched flow has ended badly: {message}")
            self.ended.add(message["flowId"])
        return message


class Watch:
    """One socket that follows many flows, each as soon as it is told of it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.heard = Heard()

    async def follow(self, flow_id: str) -> None:
        await self._socket.send(orjson.dumps({"action": "subscribe", "flowId": flow_id, "after": 0}).decode())

    async def until_ended(self, flows: int) -> None:
        """Return when so many flows were seen to end. What has ended is followed no longer."""
        async for text in self._socket:
            message = self.heard.take(text)
            if message.get("event") in ENDED:
                await self._socket.send(orjson.dumps({"action": "unsubscribe", "flowId": message["flowId"]}).decode())
            if len(self.heard.ended) == flows:
                return


async def follow_each(url: str, flow_ids: Sequence[str]) -> list[ClientConnection]:
    """A socket for each flow, which it follows; a few of them are opened at a time."""
    gate = asyncio.Semaphore(20)

    async def one(flow_id: str) -> ClientConnection:
        async with gate:
            socket = await connect(socket_url(url), compression=None, open_timeout=60)
            await socket.send(orjson.dumps({"action": "subscribe", "flowId": flow_id, "after": 0}).decode())
            return socket

    return await asyncio.gather(*map(one, flow_ids))


async def hear_out(sockets: Sequence[ClientConnection]) -> Heard:
    """What all of them hear until the flow of each has ended."""
    heard = Heard()

    async def one(socket: ClientConnection) -> None:
        async for text in socket:
            if heard.take(text).get("event") in ENDED:
                return

    await asyncio.gather(*map(one, sockets))
    return heard


def socket_url(url: str) -> str:
    return f"{url.replace('http', 'ws', 1)}/ws"
