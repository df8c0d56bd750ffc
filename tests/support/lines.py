"""A line between two parts, which a test can cut, freeze and heal.

It listens on TCP and goes on to a server, which listens on TCP (the service) or on a Unix socket (the others).
A frozen line takes whatever is sent and passes nothing on, as a machine does whose cable was pulled; when it
is healed, what was sent before arrives late.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 65_536


class Line:
    """One line; `url` leads through it."""

    def __init__(self, to: str) -> None:
        self._to = to
        self._port = 0
        self.dialled = 0
        self.passed = 0
        """How often somebody has connected, and how many pieces have gone either way."""
        self._flows = asyncio.Event()
        self._flows.set()
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The server's url by way of this line."""
        if self._to.startswith("postgres"):
            return f"postgresql://postgres@127.0.0.1:{self._port}{urlsplit(self._to).path}?sslmode=disable"
        if self._to.startswith("http:"):
            return f"http://127.0.0.1:{self._port}"
        return f"redis://127.0.0.1:{self._port}"

    async def cut(self) -> None:
        """Every connection ends at once, and no new one holds."""
        self._is_cut = True
        self._flows.set()
        for writer in self._open:
            writer.transport.abort()

    def freeze(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._flows.clear()

    def heal(self) -> None:
        self._is_cut = False
        self._flows.set()

    async def begin(self, listener: socket.socket) -> asyncio.Server:
        self._port = listener.getsockname()[1]
        return await asyncio.start_server(self._accept, sock=listener)

    async def end(self) -> None:
        await self.cut()
        await asyncio.gather(*self._tasks)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialled += 1
        if self._is_cut:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        try:
            await self._flows.wait()
            with suppress(OSError):
                there_reader, there = await self._dial()
                self._open.add(there)
                try:
                    await asyncio.gather(self._pass(reader, there), self._pass(there_reader, writer))
                finally:
                    self._open.discard(there)
                    there.transport.abort()
        finally:
            self._open.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._to.startswith("postgres"):
            folder = parse_qs(urlsplit(self._to).query)["host"][0]
            return await asyncio.open_unix_connection(Path(folder) / ".s.PGSQL.5432")
        if self._to.startswith("http:"):
            there = urlsplit(self._to)
            return await asyncio.open_connection(there.hostname, there.port)
        return await asyncio.open_unix_connection(unquote(self._to.removeprefix("unix://")))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until one side has gone, and then end both."""
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await self._flows.wait()
                self.passed += 1
                writer.write(piece)
                await writer.drain()
        raise ConnectionError("one side has gone")


@asynccontextmanager
async def line(to: str) -> AsyncIterator[Line]:
    """A line to Valkey or Postgres by their Unix sockets, or to a service by its url."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = Line(to)
        server = await opened.begin(listener)
        try:
            yield opened
        finally:
            server.close()
            await opened.end()
