"""A light HTTP client: httpx would cost as much processor time as the service that it measures.

It keeps its connections open, sends one request at a time on each, and reads answers that say their length.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson

LARGEST_HEAD = 2**16


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        lower = head.lower()
        at = lower.index(b"content-length:") + len(b"content-length:")
        return status, await self._reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))

    def close(self) -> None:
        self._writer.close()


class Http:
    """As many connections as were ever needed at once; what is free is used again, the last one first."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._free: list[_Connection] = []

    async def get(self, path: str, **parameters: Any) -> Any:
        query = f"?{urlencode(parameters)}" if parameters else ""
        return await self._ask("GET", path + query)

    async def post(self, path: str, body: bytes = b"") -> Any:
        return await self._ask("POST", path, body)

    async def delete(self, path: str) -> Any:
        return await self._ask("DELETE", path)

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    async def _ask(self, method: str, path: str, body: bytes = b"") -> Any:
        """The answer's JSON; raises SystemExit for one that says no."""
        connection = self._free.pop() if self._free else await self._connect()
        head = f"{method} {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-length: {len(body)}\r\n"
        head += "content-type: application/json\r\n" if body else ""
        request = head.encode() + b"\r\n" + body
        try:
            status, answer = await connection.ask(request)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            # The service has closed it, because it was not used for long.
            connection = await self._connect()
            status, answer = await connection.ask(request)
        self._free.append(connection)
        if status >= 400:
            raise SystemExit(f"{method} {path}: {status} {answer.decode()}")
        return orjson.loads(answer) if answer else None

    async def _connect(self) -> _Connection:
        return _Connection(*await asyncio.open_connection(self._host, self._port, limit=LARGEST_HEAD))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Http]:
    http = Http(url)
    try:
        yield http
    finally:
        http.close()
