"""Uvicorn, as a part of a process that has other parts."""

import asyncio
import errno
import socket
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from bullflow.errors import Misconfigured
from bullflow.http.protocol import BoundedProtocol

GRACE = timedelta(seconds=3)
"""How long open requests may take when the service stops; sockets and streams are closed then."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises Misconfigured in one line when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        which = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with {which}"
        ) from None
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class HttpServer(uvicorn.Server):
    """Leaves signals to the process, and looks after its clock once a second instead of ten times."""

    def __init__(self, app: FastAPI, *, forwarded_allow_ips: str) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                http=BoundedProtocol,
                proxy_headers=True,
                forwarded_allow_ips=forwarded_allow_ips,
                ws="websockets-sansio",
                ws_max_size=65_536,
                ws_ping_interval=20,
                ws_ping_timeout=20,
                # Messages are short: to compress them would double the memory of each socket.
                ws_per_message_deflate=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=round(GRACE.total_seconds()),
                server_header=False,
                backlog=2_048,
            )
        )
        self._stop = asyncio.Event()
        self._streams_stop: asyncio.Event = app.state.stopping

    async def run_until(self, stop: asyncio.Event, listener: socket.socket) -> None:
        """Serve until `stop` is set, then close what is open."""
        watching = asyncio.create_task(self._watch(stop))
        try:
            await self.serve(sockets=[listener])
        finally:
            watching.cancel()

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.should_exit = True
        self._stop.set()
        self._streams_stop.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            try:
                async with asyncio.timeout(1):
                    await self._stop.wait()
            except TimeoutError:
                continue

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
