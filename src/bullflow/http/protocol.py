"""Uvicorn's HTTP, with bounds where it has none: how long the head of a request may take to come, and how large it is.

Uvicorn waits for the head of a first request for ever, and collects headers as long as any come. Bodies have their own
bounds (`bodies`), and so have connections that are idle between requests (uvicorn's `timeout_keep_alive`).
"""

import asyncio
from datetime import timedelta
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bullflow.http.problems import LINGERS

HEAD_WITHIN = timedelta(seconds=20)
LARGEST_HEAD = 64 * 1024
"""Bytes."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _is_refused = False
    _awaiting_head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        # What came with the end of a head is a body, which is counted elsewhere.
        if self._awaiting_head is not None and self._head_bytes > LARGEST_HEAD:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._awaiting_head is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._has_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._awaiting_head = self.loop.call_later(HEAD_WITHIN.total_seconds(), self._refuse, _TOO_SLOW)

    def _has_head(self) -> None:
        if self._awaiting_head is not None:
            self._awaiting_head.cancel()
            self._awaiting_head = None

    def _refuse(self, answer: bytes) -> None:
        self._has_head()
        if self.transport.is_closing():
            return
        self._is_refused = True
        self.transport.write(answer)
        # A connection that is closed with unread bytes is reset, and a client that still sends never sees the answer.
        self.loop.call_later(LINGERS.total_seconds(), self.transport.close)
